# SPDX-License-Identifier: MIT
"""Tests of compare.py as a whole, with allocators that do not work.

ctest says in the environment where the programs are; without, nothing is run.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.environ.get("PM_BENCH_PROGRAM")
NO_MALLOC = os.environ.get("PM_BENCH_NO_MALLOC")
ABORTING = os.environ.get("PM_BENCH_ABORTING_MALLOC")
HANGING = os.environ.get("PM_BENCH_HANGING_MALLOC")
SLOWED = os.environ.get("PM_BENCH_SLOWED_MALLOC")
COMPARE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "compare.py")


@unittest.skipUnless(PROGRAM, "run by ctest")
class DriverTest(unittest.TestCase):
    def setUp(self):
        self.output = tempfile.mkdtemp(prefix="pm-bench-test-")
        self.addCleanup(shutil.rmtree, self.output)

    def command(self, *options):
        build = os.path.dirname(os.path.dirname(PROGRAM))
        return [sys.executable, "-B", COMPARE, "--build-dir", build, "--allocators", "glibc",
                "--output", self.output] + list(options)

    def compare(self, *options):
        return subprocess.run(self.command(*options), capture_output=True, text=True, timeout=60,
                              check=False)

    def results(self):
        with open(os.path.join(self.output, "results.json"), encoding="utf-8") as file:
            return json.load(file)

    def test_a_library_that_cannot_be_preloaded_is_named_and_skipped(self):
        for path in (NO_MALLOC, COMPARE):
            done = self.compare("--allocator", "none=" + path, "--only", "pairs/16$",
                                "--rounds", "1", "--scale", "0.01", "--no-details")
            self.assertEqual(done.returncode, 1)
            self.assertIn("none is skipped: the preload did not take effect: malloc comes from "
                          "libc.so", done.stderr)
            (row,) = self.results()["rows"]
            self.assertEqual(list(row["medians"]), ["glibc"])

    def test_a_path_without_a_library_is_named_and_skipped(self):
        done = self.compare("--allocator", "none=/nonexistent.so", "--only", "pairs/16$",
                            "--rounds", "1", "--scale", "0.01", "--no-details")
        self.assertEqual(done.returncode, 1)
        self.assertIn("none is skipped: no such library: /nonexistent.so", done.stderr)

    def test_an_allocator_that_hangs_is_a_failed_row_and_the_others_go_on(self):
        done = self.compare("--allocator", "hanging=" + HANGING, "--rounds", "2", "--timeout", "1",
                            "--scale", "0.01", "--no-details", "--only", "pairs/64$")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED: pairs/64 under hanging: no result after 1 s: killed", done.stdout)
        (row,) = self.results()["rows"]
        self.assertEqual(row["failures"], {"hanging": "no result after 1 s: killed"})
        self.assertEqual(len(row["samples"]["glibc"]["time_ns"]), 2)

    def test_an_interruption_keeps_what_was_measured(self):
        command = self.command("--rounds", "100", "--no-details", "--only", "pairs/16$")
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 start_new_session=True)
        child.stderr.readline()  # the first row's
        os.killpg(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130, err)
        self.assertIn("interrupted", err)
        self.assertRegex(out, r"pairs/16 +[0-9.]+ ns")
        self.assertTrue(self.results()["partial"])

    def test_a_slower_build_is_told_by_its_instructions(self):
        done = self.compare("--allocators", "poolmalloc", "--allocator", "slowed=" + SLOWED,
                            "--rounds", "1", "--scale", "0.1",
                            "--only", "pairs/64$")
        self.assertEqual(done.returncode, 0, done.stderr)
        (row,) = self.results()["rows"]
        taken = {name: row["details"][name]["instructions"] for name in ("poolmalloc", "slowed")}
        self.assertAlmostEqual(taken["slowed"] - taken["poolmalloc"], 4, delta=0.1)

    def test_an_allocator_that_aborts_is_a_failed_row_with_its_last_words(self):
        done = self.compare("--allocator", "aborting=" + ABORTING, "--rounds", "2",
                            "--scale", "0.01", "--no-details", "--only", "pairs/(16|64)$")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED: pairs/16 under aborting: killed by SIGABRT", done.stdout)
        self.assertIn("aborting_malloc: that was one too many", done.stdout)
        self.assertRegex(done.stdout, r"pairs/64 +failed")

    @unittest.skipUnless(shutil.which("redis-server"), "needs redis-server")
    def test_a_server_that_aborts_is_a_failed_row_with_its_last_words(self):
        done = self.compare("--allocator", "aborting=" + ABORTING, "--rounds", "1",
                            "--scale", "0.2", "--only", "redis/churn")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED: redis/churn under aborting: redis-server: killed by SIGABRT",
                      done.stdout)
        self.assertIn("aborting_malloc: that was one too many", done.stdout)

    def test_a_run_without_failures_ends_with_0_and_writes_json(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "out.json")
            done = self.compare("--rounds", "2", "--scale", "0.01", "--no-details",
                                "--only", "pairs/(16|64)$", "--json", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count("[round "), 4)
            with open(path, encoding="utf-8") as file:
                written = json.load(file)
        self.assertEqual([row["name"] for row in written["rows"]], ["pairs/16", "pairs/64"])
        self.assertEqual(len(written["rows"][0]["samples"]["glibc"]["time_ns"]), 2)

    def test_wrong_options_name_the_known_ones_and_end_with_2(self):
        done = self.compare("--allocators", "glibc,dlmalloc")
        self.assertEqual(done.returncode, 2)
        self.assertIn("known are glibc, jemalloc, poolmalloc", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertEqual(self.compare("--only", "nothing-is-called-so").returncode, 2)
        self.assertEqual(self.compare("--only", "(").returncode, 2)
        self.assertEqual(self.compare("--rounds", "0").returncode, 2)
        self.assertEqual(self.compare("--allocator", "nameless").returncode, 2)
        self.assertEqual(self.compare("--threads", "0").returncode, 2)
        unknown = self.compare("--fast")
        self.assertEqual((unknown.returncode, unknown.stderr.count("\n")), (2, 1))
        self.assertIn("the options are: ", unknown.stderr)
        nothing = self.compare("--only", "dlmalloc")
        self.assertIn("known are pairs, ", nothing.stderr)


if __name__ == "__main__":
    unittest.main()
