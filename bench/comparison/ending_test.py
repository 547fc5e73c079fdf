# SPDX-License-Identifier: MIT
"""Tests of how compare.py ends: by signals, without a reader, without a place for its results.

ctest says in the environment where the programs are; without, nothing is run.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from comparison.programs.family import Family

PROGRAM = os.environ.get("PM_BENCH_PROGRAM")
COMPARE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "compare.py")
TOO_MANY_ROUNDS = ["--rounds", "100", "--no-details", "--only", "pairs/16$"]
SHORT = ["--rounds", "1", "--scale", "0.01", "--no-details", "--only", "pairs/16$"]


@unittest.skipUnless(PROGRAM, "run by ctest")
class EndingTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pm-bench-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.output = os.path.join(self.folder, "output")
        self.temporary = os.path.join(self.folder, "tmp")
        os.mkdir(self.temporary)

    def start(self, *options, output=None, stdout=subprocess.PIPE):
        build = os.path.dirname(os.path.dirname(PROGRAM))
        return subprocess.Popen(
            [sys.executable, "-B", COMPARE, "--build-dir", build, "--allocators", "glibc",
             "--output", output or self.output, *options], stdout=stdout, stderr=subprocess.PIPE,
            text=True, start_new_session=True, env=dict(os.environ, TMPDIR=self.temporary))

    def results(self):
        with open(os.path.join(self.output, "results.json"), encoding="utf-8") as file:
            return json.load(file)

    def end(self, child, ending):
        child.stderr.readline()  # the first row's
        child.send_signal(ending)
        out, err = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130, err)
        self.assertEqual(os.listdir(self.temporary), [])
        return out

    def test_sigterm_and_sighup_end_it_as_ctrl_c_does(self):
        for ending in (signal.SIGTERM, signal.SIGHUP):
            out = self.end(self.start(*TOO_MANY_ROUNDS), ending)
            self.assertRegex(out, r"pairs/16 +[0-9.]+ ns")
            self.assertTrue(self.results()["partial"])

    @unittest.skipUnless(shutil.which("redis-server"), "needs redis-server")
    def test_a_server_does_not_outlive_it(self):
        child = self.start("--rounds", "100", "--scale", "0.02", "--only", "redis/mixed")
        family = Family(child, many=True)
        child.stderr.readline()
        servers = set(family.look()) - {child.pid}
        self.assertNotEqual(servers, set())
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
        for _ in range(1000):  # one whose parent is gone is there until the system's first reaps it
            left = servers & set(family.look())
            if not left:
                break
            time.sleep(0.01)
        self.assertEqual(left, set())
        family.kill()

    def test_the_results_are_written_though_nobody_reads_the_table(self):
        reader, writer = os.pipe()
        os.close(reader)
        child = self.start(*SHORT, stdout=writer)
        os.close(writer)
        _, err = child.communicate(timeout=60)
        self.assertEqual((child.returncode, err.count("[round ")), (0, 1), err)
        self.assertEqual(self.results()["rows"][0]["name"], "pairs/16")

    def test_an_output_that_cannot_be_written_is_named_before_the_rounds(self):
        for output in ("/proc/none", COMPARE):
            _, err = (child := self.start(*SHORT, output=output)).communicate(timeout=60)
            self.assertEqual((child.returncode, err.count("\n")), (1, 1), err)
            self.assertIn("--output", err)

    @unittest.skipUnless(os.path.exists("/dev/full"), "needs /dev/full")
    def test_a_full_disk_loses_neither_the_table_nor_the_other_file(self):
        out, err = (child := self.start(*SHORT, "--json", "/dev/full")).communicate(timeout=60)
        self.assertEqual(child.returncode, 1)
        self.assertIn("/dev/full: [Errno 28]", err)
        self.assertRegex(out, r"pairs/16 +[0-9.]+ ns")
        self.assertEqual(self.results()["rows"][0]["name"], "pairs/16")


if __name__ == "__main__":
    unittest.main()
