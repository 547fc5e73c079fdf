# SPDX-License-Identifier: MIT
"""Tests of the rows of batch programs, with programs made up here that do not work.

ctest says in the environment where the programs are; without, nothing is run.
"""

import os
import tempfile
import time
import unittest
from unittest import mock

from comparison.allocators import Allocator
from comparison.process import Failure
from comparison.programs import batch, python, tools
from comparison.programs.family import is_alive

PROGRAM = os.environ.get("PM_BENCH_PROGRAM")
PYTHON = "/usr/bin/python3"
GLIBC = Allocator("glibc")


class FakeRow(batch.BatchRow):
    def __init__(self, script):
        super().__init__("fake/row", "a test", "python3", "python3", 1)
        self.script = script

    def command(self, scale):
        return [PYTHON, "-S", "-c", self.script]

    def start_command(self):
        return [PYTHON, "-S", "-c", ""]


@unittest.skipUnless(PROGRAM, "run by ctest")
class BatchTest(unittest.TestCase):
    def setUp(self):
        tools.use_build(os.path.dirname(os.path.dirname(PROGRAM)))
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def measure(self, script, allocator=GLIBC):
        return FakeRow(script).measure(allocator, 1, self.folder)

    def test_the_peak_is_that_of_the_program_not_of_the_driver(self):
        ballast = bytearray(200 << 20)  # the driver's own
        values = self.measure("block = b'x' * (50 << 20); print(len(block))").values
        self.assertGreater(values["peak_rss_kib"], 50 << 10)
        self.assertLess(values["peak_rss_kib"], 150 << 10)
        self.assertLess(values["rss_start_kib"], 50 << 10)
        self.assertEqual(len(ballast), 200 << 20)

    def test_time_is_the_cpu_time_of_all_children(self):
        script = ("import subprocess, sys\nburn = 'import time\\n"
                  "while time.process_time() < 0.3: pass'\n"
                  "subprocess.run([sys.executable, '-S', '-c', burn]); print(1)")
        self.assertGreater(self.measure(script).values["time_ns"], 0.3e9)

    def test_sleep_is_no_cpu_time(self):
        values = self.measure("import time; time.sleep(0.5); print(1)").values
        self.assertLess(values["time_ns"], 0.4e9)

    def test_output_that_differs_is_a_failure(self):
        row = FakeRow("import os; print(os.environ.get('PM_TEST_WORD'))")
        row.measure(GLIBC, 1, self.folder)
        row.measure(GLIBC, 1, self.folder)
        with mock.patch.dict(os.environ, {"PM_TEST_WORD": "other"}):
            with self.assertRaisesRegex(Failure, "the output is not the same as under glibc"):
                row.measure(GLIBC, 1, self.folder)

    def test_a_program_that_prints_nothing_is_a_failure(self):
        with self.assertRaisesRegex(Failure, "python3 printed nothing"):
            self.measure("pass")

    def test_a_program_that_dies_is_named_with_its_last_words(self):
        with self.assertRaisesRegex(Failure, "^killed by SIGABRT$") as caught:
            self.measure("import os, sys; print('oh', file=sys.stderr, flush=True); os.abort()")
        self.assertEqual(caught.exception.detail, ["oh"])
        with self.assertRaisesRegex(Failure, "^exit status 3$"):
            self.measure("import sys; sys.exit(3)")

    def test_a_program_that_hangs_is_killed_with_its_children(self):
        script = ("import subprocess, time\nchild = subprocess.Popen(['sleep', '1000'], "
                  "start_new_session=True)\n"
                  "open('child', 'w').write(str(child.pid)); time.sleep(1000)")
        start = time.monotonic()
        with mock.patch.object(batch, "LIMIT_SECONDS", 1):
            with self.assertRaisesRegex(Failure, "no result after 1 s: killed"):
                self.measure(script)
        self.assertLess(time.monotonic() - start, 20)
        with open(os.path.join(self.folder, "child"), encoding="ascii") as file:
            self.assertFalse(is_alive(int(file.read())))

    def test_a_library_without_malloc_is_not_taken_for_an_allocator(self):
        no_malloc = Allocator("none", os.environ["PM_BENCH_NO_MALLOC"])
        with self.assertRaisesRegex(Failure, "did not take effect: malloc comes from libc"):
            self.measure("print(1)", no_malloc)

    def test_python_is_measured_under_pymalloc_besides(self):
        row = python.all_rows()[0]
        names = [one.name for one in row.contestants([GLIBC])]
        self.assertEqual(names, ["glibc", "pymalloc"])
        self.assertEqual(row.variables(GLIBC)["PYTHONMALLOC"], "malloc")

    def test_a_pythonmalloc_without_effect_is_a_failure(self):
        row = python.all_rows()[0]
        row.variables = lambda allocator: {}
        with self.assertRaisesRegex(Failure, "PYTHONMALLOC did not take effect"):
            row.start(GLIBC, self.folder)
        row.start(Allocator(python.PYMALLOC), self.folder)


if __name__ == "__main__":
    unittest.main()
