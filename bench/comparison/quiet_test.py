# SPDX-License-Identifier: MIT
"""Tests of the choice of quiet moments and cores, with a sensor that says what it is told."""

import types
import unittest

from comparison import quiet
from comparison.quiet import Quiet


class Sensor:
    """Cores whose slowdown is always the same, and runs whose slowdowns are given one by one."""

    def __init__(self, now, of_runs):
        self.now = now
        self.of_runs = list(of_runs)
        self.asked = []
        self.share = 1.0

    def cores(self):
        return list(self.now)

    def slowdown_now(self, cores):
        return max(self.now[core] for core in cores)

    def quiet_share(self, _cores, _limit):
        return self.share

    def slowdown(self, cores, _begin, _end):
        self.asked.append(cores)
        return self.of_runs.pop(0)


def row(threads=1, kind="micro"):
    return types.SimpleNamespace(name="a/1", kind=kind, threads=threads,
                                 one_core=threads == 1 and kind != "program",
                                 repeatable=kind != "program")


def made(of_runs, now=None):
    chosen = Quiet(Sensor(now or {0: 0.0, 1: 0.0}, of_runs))
    chosen.started -= 1000  # there is a lot of time to spend
    return chosen


def numbered():
    """once() that returns 0, 1 ... and knows the cores it ran on."""
    cores = []
    def once(core):
        cores.append(core)
        return len(cores) - 1
    return once, cores


class TriesTest(unittest.TestCase):
    def test_a_quiet_run_is_not_repeated(self):
        once, cores = numbered()
        self.assertEqual(made([0.01]).run(row(), once), (0, 0.01))
        self.assertEqual(len(cores), 1)

    def test_a_slowed_run_is_repeated_and_the_quietest_counts(self):
        chosen = made([0.0, 0.9, 0.5, 0.02])
        once, _ = numbered()
        chosen.run(row(), once)
        self.assertEqual(chosen.run(row(), once), (3, 0.02))

    def test_not_for_ever(self):
        chosen = made([0.0] + [0.9, 0.5, 0.6, 0.7, 0.8])
        once, cores = numbered()
        chosen.run(row(), once)
        self.assertEqual(chosen.run(row(), once), (2, 0.5))
        self.assertEqual(len(cores), 1 + quiet.TRIES)

    def test_not_when_too_much_was_spent(self):
        chosen = made([0.0, 0.9])
        once, _ = numbered()
        chosen.run(row(), once)
        chosen.spent_seconds = 5000
        self.assertEqual(chosen.run(row(), once), (1, 0.9))

    def test_not_without_hope(self):
        chosen = made([0.0, 0.9])
        once, _ = numbered()
        chosen.run(row(), once)
        chosen.sensor.share = 0.05
        self.assertEqual(chosen.run(row(), once), (1, 0.9))

    def test_a_server_runs_once(self):
        chosen = made([0.0, 0.9])
        once, _ = numbered()
        chosen.run(row(kind="program"), once)
        self.assertEqual(chosen.run(row(kind="program"), once), (1, 0.9))

    def test_slowed_is_what_is_slower_than_the_quietest_run_of_the_row(self):
        chosen = made([0.3, 0.31, 0.1, 0.31, 0.11])
        once, cores = numbered()
        for _ in range(3):
            chosen.run(row(), once)
        self.assertEqual(len(cores), 3)
        self.assertEqual(chosen.run(row(), once), (4, 0.11))

    def test_what_is_not_known_counts(self):
        once, _ = numbered()
        self.assertEqual(made([None]).run(row(), once), (0, None))

    def test_without_a_sensor_every_run_is_the_first(self):
        once, cores = numbered()
        self.assertEqual(Quiet(None).run(row(), once), (0, None))
        self.assertEqual(cores, [None])

    def test_a_failure_is_not_repeated(self):
        def once(_core):
            raise ValueError("no such luck")
        chosen = made([])
        with self.assertRaises(ValueError):
            chosen.run(row(), once)


class UnlikelyTest(unittest.TestCase):
    def test_it_goes_by_the_last_seconds(self):
        chosen = made([])
        self.assertFalse(chosen.is_unlikely(row()))
        chosen.sensor.share = 0.2
        self.assertTrue(chosen.is_unlikely(row()))

    def test_one_quiet_core_is_enough_for_one_thread(self):
        chosen = made([])
        chosen.sensor.quiet_share = lambda cores, _limit: 0.0 if 0 in cores else 0.9
        self.assertFalse(chosen.is_unlikely(row()))
        self.assertTrue(chosen.is_unlikely(row(threads=2)))

    def test_without_a_sensor_nothing_is(self):
        self.assertFalse(Quiet(None).is_unlikely(row()))


class PlaceTest(unittest.TestCase):
    def place_of(self, one, now):
        chosen = made([0.0], now)
        once, cores = numbered()
        chosen.run(one, once)
        return cores[0], chosen.sensor.asked[0]

    def test_one_thread_gets_the_quietest_core(self):
        self.assertEqual(self.place_of(row(), {0: 0.5, 3: 0.01}), (3, [3]))

    def test_threads_get_the_first_cores(self):
        self.assertEqual(self.place_of(row(2), {0: 0.0, 1: 0.0, 2: 0.0}), (None, [0, 1]))

    def test_a_program_has_all(self):
        self.assertEqual(self.place_of(row(kind="program"), {0: 0.0, 1: 0.0}), (None, [0, 1]))

    def test_it_does_not_wait_without_hope(self):
        chosen = made([0.0], {0: 0.9})
        chosen.sensor.share = 0.0
        chosen.run(row(), lambda core: 0)
        self.assertLess(chosen.spent_seconds, quiet.WAIT_SECONDS)

    def test_it_waits_for_a_while(self):
        chosen = made([0.0], {0: 0.9})
        chosen.run(row(), lambda core: 0)
        self.assertGreaterEqual(chosen.spent_seconds, quiet.WAIT_SECONDS)
        self.assertLess(chosen.spent_seconds, 20 * quiet.WAIT_SECONDS)


if __name__ == "__main__":
    unittest.main()
