# SPDX-License-Identifier: MIT
"""Tests of the bars on made-up samples: each is met by who is good enough, and missed by who is
not, with the rows that miss it, worst first."""

import types
import unittest

from comparison.bars import all_bars, lines, made_up, memory, programs, timing
from comparison.bars.bar import Bar, mean_of
from comparison.bars.made_up import row, same
from comparison.stats import Ratio

MODE = types.SimpleNamespace(scale=1)
US = "poolmalloc"


def bar(results, text):
    (found,) = [one for one in all_bars(results, US) if text in one.text]
    return found


def times(ours, theirs=10.0, name="a/1"):
    return made_up.results({row(name): {US: ours, **same(theirs)}})


class BarTest(unittest.TestCase):
    def test_met_at_the_limit_but_where_it_must_be_below(self):
        self.assertIs(Bar("", "", 1.0, measured=1.0).met, True)
        self.assertIs(Bar("", "", 1.0, measured=1.0, below=True).met, False)
        self.assertIs(Bar("", "", 2.0, measured=2.1, at_least=True).met, True)

    def test_what_is_measured_in_part_may_be_missed_but_is_not_met(self):
        self.assertIsNone(Bar("", "", 1.0, measured=0.5, why="in part").met)
        self.assertIs(Bar("", "", 1.0, measured=1.5, why="in part").met, False)
        self.assertIsNone(Bar("", "", 1.0).met)

    def test_the_interval_of_a_mean_is_narrower_than_those_of_its_rows(self):
        ratios = {("a", "a/%d" % i): Ratio(1.0, 0.9, 1 / 0.9, 7) for i in range(4)}
        mean = mean_of(ratios)
        self.assertAlmostEqual(mean.low, 0.9 ** 0.5)
        self.assertAlmostEqual(mean.high, 0.9 ** -0.5)

    def test_a_row_without_an_interval_leaves_the_mean_none(self):
        ratios = {("a", "a/1"): Ratio(1.0, 0.9, 1.1, 7), ("a", "a/2"): Ratio(1.0, None, None, 1)}
        self.assertEqual(mean_of(ratios), Ratio(1.0, None, None, 1))


class TimeTest(unittest.TestCase):
    def test_each_peer_has_its_bar_with_an_interval(self):
        for found in timing.to_each(times([8.8, 8.9, 9.0, 9.0, 9.0, 9.1, 9.2]), US):
            self.assertIs(found.met, True)
            self.assertTrue(found.low < 0.9 < found.high)
        self.assertEqual({one.met for one in timing.to_each(times(9.5), US)}, {False})

    def test_the_best_peer_of_each_row_counts(self):
        results = made_up.results({row("a/1"): {US: 9, **same(20), "tcmalloc": 8.0},
                                   row("b/1"): {US: 9, **same(20), "mimalloc": 8.0}})
        found = bar(results, "row-wise best peer's")
        self.assertAlmostEqual(found.measured, 9 / 8)
        self.assertIs(found.met, False)
        self.assertEqual(found.above, ("a/1 1.12±0.00 (tcmalloc)", "b/1 1.12±0.00 (mimalloc)"))

    def test_rows_above_the_bar_of_rows_are_listed_worst_first(self):
        results = made_up.results({row("a/1"): {US: 12, **same(10)},
                                   row("a/2"): {US: 15, **same(10)},
                                   row("a/3"): {US: 10.5, **same(10)}})
        found = bar(results, "worst row")
        self.assertEqual((found.met, found.measured), (False, 1.5))
        self.assertEqual([words.split()[0] for words in found.above], ["a/2", "a/1"])
        self.assertIs(bar(times(11.0), "worst row").met, True)

    def test_only_rows_with_a_large_share_of_instructions_count_where_it_counts(self):
        heavy, light, server = row("a/1"), row("b/1"), row("redis/x", "program")
        results = made_up.results({heavy: {US: 9, **same(10)}, light: {US: 20, **same(10)},
                                   server: {US: 30, **same(10)}})
        text = "at least 30 %"
        self.assertIsNone(bar(results, text).measured)
        results.add_details(heavy, US, {"allocator_share": 0.30})
        results.add_details(light, US, {"allocator_share": 0.29})
        found = bar(results, text)
        self.assertAlmostEqual(found.measured, 0.9)
        self.assertIs(found.met, True)
        self.assertIn("no share was counted of: redis", found.notes)

    def test_without_a_peer_nothing_of_all_of_them_is_met(self):
        results = made_up.results({row("a/1"): {US: 5, "glibc": 10, "jemalloc": 10}},
                                  made_up.NAMES[:3])
        found = bar(results, "row-wise best peer's")
        self.assertEqual((found.met, found.why), (None, "without mimalloc, tcmalloc, tbbmalloc"))
        self.assertIs(bar(results, "time of the worst row").met, None)
        (glibc, *_, tbbmalloc) = timing.to_each(results, US)
        self.assertEqual((glibc.met, tbbmalloc.met), (True, None))

    def test_many_threads_are_held_against_few(self):
        for many, met in ((11.0, True), (11.5, False)):
            results = made_up.results({row("threads/2", threads=2): {US: 10.0},
                                       row("threads/256", threads=256): {US: many}})
            self.assertIs(timing.many_threads(results, US).met, met)


class MemoryTest(unittest.TestCase):
    def test_workloads_are_held_against_the_leanest_of_three(self):
        peaks = {US: 19000, **same(20000), "glibc": 100, "tbbmalloc": 100}
        results = made_up.results({row("a/1", "workload"): peaks,
                                   row("b/1"): {US: 90000, **same(20000)}}, field="peak_rss_kib")
        found = memory.workloads(results, US)
        self.assertEqual((found.measured, found.met), (0.95, True))

    def programs(self, peak, start):
        one = row("p/1", "program")
        results = made_up.results({one: {US: peak, "glibc": 30000}}, field="peak_rss_kib")
        made_up.add(results, one, "rss_start_kib", {US: start, "glibc": 10000})
        return memory.programs(results, US)

    def test_of_a_program_its_own_start_is_subtracted(self):
        found = self.programs(31000, 11000)
        self.assertEqual((found.measured, found.met), (1.0, True))
        self.assertIn("with glibc's start subtracted from both: 1.05±0.00", found.notes)
        self.assertIs(self.programs(31000, 10900).met, False)

    def test_what_is_kept_is_held_against_jemalloc(self):
        one = row("redis/x", "program")
        results = made_up.results({one: {US: 101, "jemalloc": 100}}, field="rss_after_kib")
        self.assertIs(bar(results, "right after it").met, False)
        work = row("a/1")
        results = made_up.results({work: {US: 1, "jemalloc": 1}})
        results.add_details(work, US, {"kept_kib": 3})
        results.add_details(work, "jemalloc", {"kept_kib": 2})
        found = bar(results, "when all is freed")
        self.assertEqual((found.met, found.above), (False, ("a/1 3 KiB for 2 KiB",)))


class EventsTest(unittest.TestCase):
    def tails(self, ours, theirs):
        one = row("a/1")
        results = made_up.results({one: {US: 1, **same(1)}})
        for name, runs in [(US, ours), *same(theirs).items()]:
            results.add_details(one, name, {"latency_ns": {
                "malloc": {"p999": runs[0], "p999_runs": runs}, "free": None}})
        return bar(results, "p99.9 of malloc")

    def test_a_tail_that_is_longer_by_more_than_the_spread_is_above(self):
        found = self.tails([100, 101, 102], [50, 51, 50])
        self.assertEqual((found.met, found.measured), (False, 1))
        self.assertRegex(found.above[0], r"^a/1 2\.00±")

    def test_what_the_spread_or_the_step_of_the_clock_explains_is_not(self):
        self.assertIs(self.tails([100, 40, 70], [60, 60, 60]).met, True)
        self.assertIs(self.tails([14.0, 14.1, 14.2], [6, 6, 6]).met, True)
        self.assertIs(self.tails([2048, 2048, 2048], [2000, 2000, 2000]).met, True)

    def test_one_run_decides_nothing(self):
        found = self.tails([100], [50])
        self.assertEqual((found.met, found.why), (None, "one run of each has no spread"))

    def test_slow_paths_are_held_against_who_counts_them(self):
        one = row("a/1")
        results = made_up.results({one: {US: 1, **same(1)}})
        text = "slow paths, rows above"
        self.assertIsNone(bar(results, text).met)
        for ours, met in ((70, True), (71, False)):
            results.add_details(one, US, {"counters_per_million": {"slow_paths": ours}})
            results.add_details(one, "jemalloc", {"counters_per_million": {"slow_paths": 70}})
            self.assertIs(bar(results, text).met, met)

    def test_page_faults_may_be_none_but_not_more_than_the_best_peers(self):
        for ours, theirs, met in ((0, 0, True), (5, 5, True), (0.4, 0, True), (6, 5, False),
                                  ([4] + [9] * 6, 5, True)):
            results = made_up.results({row("a/1"): {US: ours, **same(9), "glibc": theirs}},
                                      field="faults_per_million")
            found = bar(results, "page faults, rows above")
            self.assertIs(found.met, met, ours)
        self.assertEqual(found.notes[0], "of 1 rows")


class ProgramsTest(unittest.TestCase):
    def python(self, time, names=programs.PYTHON_ROWS):
        return made_up.results({row(name, "program"): {US: time, "pymalloc": 100.0}
                                for name in names})

    def test_python_is_held_against_its_own_allocator_over_all_its_loads(self):
        text = "time, geometric mean, of pymalloc's"
        self.assertIs(bar(self.python(97.0), text).met, True)
        self.assertIs(bar(self.python(97.5), text).met, False)
        found = bar(self.python(90.0, programs.PYTHON_ROWS[:4]), text)
        self.assertEqual((found.met, found.why), (None, "without python/threads"))

    def server(self, ours):
        one = row("redis/x", "program")
        results = made_up.results({one: {US: ours, **same(100), "tcmalloc": 80}})
        made_up.add(results, one, "rss_after_kib", {US: 1, "glibc": 1})
        return results

    def test_a_server_may_be_above_its_best_peer_by_the_spread(self):
        text = "processor time of a request, rows above"
        self.assertIs(bar(self.server([70, 75, 80, 82, 85, 90, 95]), text).met, True)
        found = bar(self.server(84), text)
        self.assertEqual((found.met, found.above), (False, ("redis/x 1.050±0.000 (tcmalloc)",)))

    def test_redis_must_be_below_jemalloc(self):
        text = "Redis, processor time"
        self.assertIs(bar(self.server(99), text).met, True)
        self.assertIs(bar(self.server(100), text).met, False)


class FirstTest(unittest.TestCase):
    def test_throughput_is_the_inverse_of_time(self):
        results = made_up.results({row("prodcons/64"): {US: 50, "glibc": 100, "jemalloc": 60}})
        found = bar(results, "consumer, of glibc")
        self.assertEqual((found.measured, found.met), (2, True))
        self.assertIs(bar(results, "consumer, of jemalloc").met, True)


class FailedRowsTest(unittest.TestCase):
    TEXT = "time, geometric mean, of tcmalloc's"

    def test_a_row_that_only_the_subject_fails_is_a_missed_bar_and_named(self):
        results = made_up.results({row("a/1"): {US: 5, **same(10)}, row("b/1"): same(10)},
                                  failures=[("b/1", US)])
        self.assertIs(bar(results, self.TEXT).met, False)
        self.assertIn("      failed: b/1", lines.of_results(results, US, MODE))

    def test_a_failure_counts_only_where_its_row_is_wanted(self):
        results = made_up.results({row("prodcons/1"): {US: 1, **same(10)}, row("b/1"): same(10)},
                                  failures=[("b/1", US)])
        text = "throughput of producer/consumer, of jemalloc's"
        self.assertIs(bar(results, text).met, True)
        results.failures["prodcons/1", US] = results.failures["b/1", US]
        self.assertIs(bar(results, text).met, False)

    def test_a_row_that_fails_under_everybody_is_nobodys_fault(self):
        results = made_up.results({row("a/1"): {US: 5, **same(10)}, row("b/1"): {}},
                                  failures=[("b/1", name) for name in made_up.NAMES])
        self.assertIs(bar(results, self.TEXT).met, True)


if __name__ == "__main__":
    unittest.main()
