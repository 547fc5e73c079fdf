# SPDX-License-Identifier: MIT
"""Tests of the order of runs, on rows that do not run anything."""

import time
import types
import unittest

from comparison import modes, quiet, rounds
from comparison.modes import Mode
from comparison.process import Failure
from comparison.rounds import Measuring
from comparison.rows import Row, Sample
from comparison.stats import Results

NAMES = ["glibc", "jemalloc", "poolmalloc"]
DECIDED = [("poolmalloc", "glibc"), ("poolmalloc", "jemalloc")]


class Later:
    def __init__(self, seconds=0.0, log=None):
        self.due = time.monotonic() + seconds
        self.log = [] if log is None else log

    def collect(self):
        self.log.append("collected")
        return {"rss_later_kib": 7}

    def abandon(self):
        self.log.append("abandoned")


class MadeUp(Row):
    """Gives what `times(allocator name, how often it ran)` says, or raises it."""

    def __init__(self, name, times, kind="micro", later=None):
        super().__init__(name, kind, "cpu", 1, "a test")
        self.times = times
        self.later = later
        self.ran = []

    def measure(self, allocator, scale, folder, core=None):
        before = self.ran.count(allocator.name)
        self.ran.append(allocator.name)
        value = self.times(allocator.name, before)
        if isinstance(value, BaseException):
            raise value
        return Sample({"time_ns": value}, later=self.later and self.later())


class Folders:
    """Numbers for folders, of which it knows the open ones."""

    def __init__(self):
        self.made, self.open = 0, set()

    def make(self):
        self.made += 1
        self.open.add(self.made)
        return self.made

    def drop(self, folder):
        self.open.remove(folder)


class Silent:
    """A progress that says nothing, with `seconds` left for ever."""

    def __init__(self, seconds=1000):
        self.seconds = seconds

    def left(self):
        return self.seconds

    def row(self, *_):
        pass

    def line(self, _):
        pass

    def expect(self, _):
        pass


def measuring(rows, seconds=1000, names=NAMES, **changes):
    settings = {"rounds": 6, "program_rounds": 3, "rounds_cap": 30,
                "optional_every": 1} | changes
    mode = Mode(name="test", scale=1, seconds=0, detail_runs=0, instructions=False,
                **settings)
    served = [types.SimpleNamespace(name=name) for name in names]
    return Measuring(Results(rows, names), served, DECIDED, mode, Folders(), Silent(seconds),
                     quiet.Quiet(None))


def steady(name, _before):
    return {"glibc": 10, "jemalloc": 8, "poolmalloc": 5}[name]


def noisy(name, before):
    return steady(name, before) * (1 + 0.3 * (before % 2) * (name == "poolmalloc"))


class BaseRoundsTest(unittest.TestCase):
    def test_every_allocator_runs_each_round_and_each_goes_first_in_turn(self):
        row = MadeUp("a/1", steady)
        measuring([row]).base_rounds()
        rounds = [row.ran[i:i + 3] for i in range(0, len(row.ran), 3)]
        self.assertEqual([sorted(names) for names in rounds], [sorted(NAMES)] * 6)
        self.assertEqual({names[0] for names in rounds}, set(NAMES))

    def test_optional_allocators_have_every_second_round_only(self):
        row = MadeUp("a/1", lambda name, before: 5)
        measuring([row], names=NAMES + ["tcmalloc"], optional_every=2).base_rounds()
        self.assertEqual([row.ran.count(name) for name in ("glibc", "tcmalloc")], [6, 3])

    def test_nobody_always_runs_after_the_same_one(self):
        made = measuring([MadeUp("a/1", steady)])
        orders = [[one.name for one in made.order(made.results.rows[0], number, made.served)]
                  for number in range(6)]
        before = {(a, b) for order in orders for a, b in zip(order, order[1:])}
        self.assertEqual(before, {(a, b) for a in NAMES for b in NAMES if a != b})

    def test_the_allocators_of_decided_ratios_run_next_to_each_other(self):
        made = measuring([MadeUp("a/1", steady)], names=["x"] + NAMES + ["y"])
        for number in range(10):
            order = [one.name for one in made.order(made.results.rows[0], number, made.served)]
            self.assertIn({order[0], order[-1]} & {"x", "y"}, ({"x"}, {"y"}), order)

    def test_rows_are_interleaved(self):
        order = []
        def times(mark):
            return lambda name, before: order.append(mark) or steady(name, before)
        measuring([MadeUp("a/1", times("a")), MadeUp("b/1", times("b"))], rounds=2).base_rounds()
        self.assertEqual("".join(order), "aaabbb" * 2)

    def test_programs_run_fewer_rounds_and_first(self):
        row, program = MadeUp("a/1", steady), MadeUp("p/1", steady, kind="program")
        made = measuring([row, program])
        made.base_rounds()
        self.assertEqual((len(row.ran), len(program.ran)), (18, 9))

    def test_what_failed_is_not_run_again_and_the_others_go_on(self):
        failing = Failure("killed by SIGSEGV")
        row = MadeUp("a/1", lambda n, b: failing if n == "jemalloc" and b == 1 else steady(n, b))
        made = measuring([row])
        made.base_rounds()
        self.assertEqual(row.ran.count("jemalloc"), 2)
        self.assertEqual(row.ran.count("poolmalloc"), 6)
        self.assertEqual(made.results.failures, {("a/1", "jemalloc"): failing})

    def test_without_time_there_are_two_rounds_and_a_note(self):
        row = MadeUp("a/1", steady)
        made = measuring([row], seconds=-1)
        made.base_rounds()
        self.assertEqual(len(row.ran), 6)
        self.assertIn("2 rounds", made.results.notes[0])


class MoreRoundsTest(unittest.TestCase):
    def test_only_rows_with_wide_intervals_get_more(self):
        calm, wild = MadeUp("a/1", steady), MadeUp("b/1", noisy)
        made = measuring([calm, wild])
        made.base_rounds()
        made.more_rounds()
        self.assertEqual(len(calm.ran), 18)
        self.assertEqual(len(wild.ran), 30 * 3)

    def test_programs_get_fewer(self):
        order = []
        def times(mark):
            return lambda name, before: order.append(mark) or noisy(name, before)
        made = measuring([MadeUp("a/1", times("a")), MadeUp("p/1", times("p"), kind="program")],
                         rounds=6, program_rounds=6)
        made.base_rounds()
        made.more_rounds()
        self.assertEqual((order.count("a"), order.count("p")), (90, 90))
        meanwhile = order[:len(order) - order[::-1].index("a")].count("p")
        self.assertEqual(meanwhile, (6 + 24 // rounds.PROGRAMS_EVERY) * 3)

    def test_equals_get_more_until_their_interval_is_narrow(self):
        def alike(name, before):
            return 10 + (0.2 * (before % 3) if name == "poolmalloc" else 0.2)
        row = MadeUp("a/1", alike)
        made = measuring([row])
        made.base_rounds()
        made.more_rounds()
        self.assertGreater(made.results.rounds_of(row), 6)
        self.assertLessEqual(made.results.rounds_of(row), modes.ROUNDS_FOR_EQUALS)

    def test_allocators_that_decide_nothing_are_left_out(self):
        row = MadeUp("a/1", noisy)
        made = measuring([row])
        made.decided = [("poolmalloc", "glibc")]
        made.base_rounds()
        made.more_rounds()
        self.assertEqual(row.ran.count("jemalloc"), 6)
        self.assertEqual(row.ran.count("poolmalloc"), 30)

    def test_a_thorough_run_decides_the_rows_best_peer_too(self):
        row = MadeUp("a/1", lambda n, b: noisy(n, b) if n in NAMES else {"mimalloc": 6}.get(n, 9))
        made = measuring([row], names=NAMES + ["mimalloc", "tcmalloc"], thorough=True)
        made.base_rounds()
        made.more_rounds()
        self.assertEqual(made.pairs_of(row)[2:], [("poolmalloc", "mimalloc")])
        self.assertEqual((row.ran.count("tcmalloc"), row.ran.count("mimalloc")), (6, 30))

    def test_the_time_ends_them_with_a_note(self):
        row = MadeUp("a/1", noisy)
        made = measuring([row])
        made.base_rounds()
        made.progress.seconds = -1
        made.more_rounds()
        self.assertEqual(len(row.ran), 18)
        self.assertIn("1 rows were not settled", made.results.notes[0])

    def test_a_row_that_failed_under_a_baseline_is_decided_by_the_other(self):
        row = MadeUp("a/1", lambda n, b: Failure("no") if n == "glibc" else steady(n, b))
        made = measuring([row])
        made.base_rounds()
        made.more_rounds()
        self.assertEqual(made.pairs_of(row), [("poolmalloc", "jemalloc")])


class ProspectTest(unittest.TestCase):
    def setUp(self):
        self.rows = [MadeUp("a/1", noisy), MadeUp("b/1", noisy)]
        self.made = measuring(self.rows)
        self.made.base_rounds()

    def names(self):
        return [row.name for row in self.made.in_prospect(self.rows)]

    def test_rows_whose_cores_are_likely_to_be_quiet_come_first(self):
        self.made.quiet.is_unlikely = lambda row: row.name == "a/1"
        self.made.has_quiet_runs = lambda row: False
        self.assertEqual(self.names(), ["b/1", "a/1"])

    def test_rows_that_have_quiet_runs_wait_for_more(self):
        looks = iter([True, True] * 2 + [False] * 9)
        self.made.quiet.is_unlikely = lambda row: next(looks)
        self.assertTrue(self.made.has_quiet_runs(self.rows[0]))
        self.assertEqual(self.names(), ["a/1", "b/1"])
        self.assertEqual(next(looks), False)

    def test_the_others_do_not(self):
        self.made.quiet.is_unlikely = lambda row: True
        self.made.has_quiet_runs = lambda row: False
        self.assertEqual(self.names(), ["a/1", "b/1"])

    def test_when_the_time_is_up_nothing_waits(self):
        self.made.quiet.is_unlikely = lambda row: True
        self.made.progress.seconds = -1
        self.assertEqual(self.names(), [])


class LaterTest(unittest.TestCase):
    def test_values_that_come_later_join_their_round(self):
        row = MadeUp("p/1", steady, kind="program", later=Later)
        made = measuring([row])
        made.base_rounds()
        made.wait_for_later()
        self.assertEqual(made.results.values(row, "glibc", "rss_later_kib"), {0: 7})
        self.assertEqual(made.folders.open, set())

    def test_their_folder_stays_until_then(self):
        row = MadeUp("p/1", steady, kind="program", later=lambda: Later(60))
        made = measuring([row])
        made.base_rounds()
        self.assertEqual(len(made.folders.open), 3)
        made.later.abandon()
        self.assertEqual(made.folders.open, set())

    def test_few_servers_linger_at_a_time_and_the_others_do_in_later_rounds(self):
        rows = [MadeUp("p/%d" % i, steady, kind="program", later=lambda: Later(60))
                for i in range(6)]
        made = measuring(rows)
        made.base_rounds()
        self.assertEqual(len(made.later.waiting), rounds.LINGERING_MAX)
        made.later.abandon()
        made.measure_row(rows[5], 3, made.served, "")
        self.assertEqual([entry[1].name for entry in made.later.waiting], ["p/5"] * 3)
        made.later.abandon()

    def test_only_the_first_round_waits_for_them(self):
        log = []
        row = MadeUp("p/1", steady, kind="program", later=lambda: Later(0, log))
        made = measuring([row])
        made.base_rounds()
        made.wait_for_later()
        self.assertEqual((log.count("collected"), log.count("abandoned")), (3, 6))

    def test_an_interruption_abandons_them(self):
        log = []
        def times(name, before):
            return KeyboardInterrupt() if name == "poolmalloc" else steady(name, before)
        row = MadeUp("p/1", times, kind="program", later=lambda: Later(60, log))
        made = measuring([row])
        with self.assertRaises(KeyboardInterrupt):
            made.base_rounds()
        made.later.abandon()
        self.assertEqual(log, ["abandoned"] * 2)
        self.assertEqual(made.results.values(row, "glibc", "time_ns"), {0: 10})


if __name__ == "__main__":
    unittest.main()
