# SPDX-License-Identifier: MIT
"""Tests of the sensor: of its arithmetic on rings that are made up, and of pm_sensor itself."""

import os
import subprocess
import tempfile
import time
import unittest

from comparison import sensor
from comparison.process import Failure
from comparison.sensor import Moment, Ring, Sensor

PROGRAM = os.environ.get("PM_BENCH_SENSOR")


def ring(times, core=5):
    """A record for each millisecond; more than RECORDS go round."""
    memory = bytearray(sensor.RING_BYTES)
    sensor.HEAD.pack_into(memory, 0, core, len(times))
    for number, taken in enumerate(times):
        place = sensor.HEAD.size + number % sensor.RECORDS * sensor.RECORD.size
        sensor.RECORD.pack_into(memory, place, number * 1000000, taken)
    return Ring(memory, 0)


class RingTest(unittest.TestCase):
    def test_a_time_has_the_records_in_it(self):
        made = ring(range(100, 200))
        self.assertEqual(made.core, 5)
        self.assertEqual(made.taken_between(10e6, 12e6), [112, 111, 110])
        self.assertEqual(made.taken_between(98e6, 500e6), [199, 198])
        self.assertEqual(made.taken_between(300e6, 500e6), [])

    def test_old_records_are_forgotten(self):
        made = ring(range(100, 100 + 2 * sensor.RECORDS))
        found = made.taken_between(0, 1e18)
        self.assertEqual(found[0], 99 + 2 * sensor.RECORDS)
        self.assertLess(len(found), sensor.RECORDS)
        self.assertGreater(len(found), sensor.RECORDS - 20)
        self.assertGreater(min(found), 100 + sensor.RECORDS)

    def test_slowdown_is_relative_to_the_best(self):
        made = ring([100] * 50 + [150] * 50)
        self.assertAlmostEqual(made.slowdown(0, 20e6), 0)
        self.assertAlmostEqual(made.slowdown(60e6, 80e6), 0.5)
        self.assertIsNone(made.slowdown(200e6, 300e6))

    def test_quiet_share_is_of_the_time(self):
        made = ring([100] * 75 + [102] * 5 + [150] * 20)
        self.assertAlmostEqual(made.quiet_share(0, 200e6, 0.03), 0.8)
        self.assertEqual(made.quiet_share(200e6, 300e6, 0.03), 1.0)

    def test_the_best_is_kept_when_times_get_worse(self):
        made = ring([100] * 100)
        self.assertEqual(made.best(), 100)
        worse = ring([200] * 100)
        made.memory, made.review = worse.memory, 0
        self.assertEqual(made.best(), 100)

    def test_an_empty_ring_knows_nothing(self):
        self.assertIsNone(ring([]).slowdown(0, 1e18))


STAT = """cpu  100 0 200 5000 3 0 7 900 0 0
cpu0 50 0 100 2500 1 0 3 400 0 0
cpu12 50 0 100 2500 2 0 4 500 0 0
intr 12345 0 0
"""


class StolenTest(unittest.TestCase):
    def test_the_kernel_says_it_of_each_core(self):
        ticks = os.sysconf("SC_CLK_TCK")
        self.assertEqual(sensor.stolen_seconds(STAT), {0: 400 / ticks, 12: 500 / ticks})
        self.assertEqual(set(sensor.now().stolen) & os.sched_getaffinity(0),
                         os.sched_getaffinity(0))

    def test_a_core_that_others_had_half_of_the_time_is_half_as_fast(self):
        begin, end = Moment(10.0, {0: 1.0, 1: 1.0}), Moment(12.0, {0: 2.0, 1: 1.0})
        self.assertAlmostEqual(sensor.with_stolen(0.0, 0, begin, end), 1.0)
        self.assertAlmostEqual(sensor.with_stolen(0.5, 0, begin, end), 2.0)
        self.assertAlmostEqual(sensor.with_stolen(0.5, 1, begin, end), 0.5)
        self.assertAlmostEqual(sensor.with_stolen(0.5, 7, begin, end), 0.5)

    def test_no_core_is_ever_wholly_lost(self):
        begin, end = Moment(10.0, {0: 1.0}), Moment(10.0, {0: 9.0})
        self.assertAlmostEqual(sensor.with_stolen(0.0, 0, begin, end), 19.0)


class MeanTest(unittest.TestCase):
    def test_what_is_not_known_is_left_out(self):
        self.assertEqual(sensor.mean([0.1, None, 0.3]), 0.2)
        self.assertIsNone(sensor.mean([None]))
        self.assertIsNone(sensor.mean([]))


@unittest.skipUnless(PROGRAM, "run by ctest")
class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "ring")

    def test_it_senses_every_core_that_it_may_use(self):
        running = Sensor(PROGRAM, self.path)
        self.addCleanup(running.close)
        self.assertEqual(running.cores(), sorted(os.sched_getaffinity(0)))
        self.assertFalse(os.path.exists(self.path))
        for core, one in running.rings.items():
            while one.count() < 20:  # a test's time limit ends it where there is none
                time.sleep(0.01)
            times = one.taken_between(0, time.monotonic_ns())
            self.assertTrue(all(100 < taken < 1e9 for taken in times), times)
            self.assertIsNotNone(running.slowdown([core], Moment(0, {}), sensor.now()))
            self.assertGreaterEqual(running.slowdown_now([core]) or 0, -0.5)

    def test_it_ends_when_nobody_listens(self):
        child = subprocess.Popen([PROGRAM, self.path], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        self.assertEqual(child.stdout.readline(), b"ready\n")
        self.assertIsNone(child.poll())
        child.communicate()
        self.assertEqual(child.returncode, 0)

    def test_it_says_what_is_wrong(self):
        with self.assertRaisesRegex(Failure, "pm_sensor: .*nowhere/ring: No such file"):
            Sensor(PROGRAM, os.path.join(self.folder.name, "nowhere", "ring"))
        with self.assertRaisesRegex(Failure, "pm_sensor: No such file"):
            Sensor(os.path.join(self.folder.name, "pm_sensor"), self.path)

    def test_an_option_is_no_file(self):
        for wrong in (["--help"], [], [self.path, self.path]):
            ended = subprocess.run([PROGRAM] + wrong, stdin=subprocess.DEVNULL, text=True,
                                   stderr=subprocess.PIPE, cwd=self.folder.name, check=False)
            self.assertEqual((ended.returncode, ended.stderr), (2, "usage: pm_sensor FILE\n"))
        self.assertEqual(os.listdir(self.folder.name), [])


if __name__ == "__main__":
    unittest.main()
