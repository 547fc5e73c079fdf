# SPDX-License-Identifier: MIT
"""Tests of compare.py as a whole, with allocators that do not work.

ctest says in the environment where the programs are; without, nothing is run.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.environ.get("PM_BENCH_PROGRAM")
NO_MALLOC = os.environ.get("PM_BENCH_NO_MALLOC")
ABORTING = os.environ.get("PM_BENCH_ABORTING_MALLOC")
COMPARE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "compare.py")


@unittest.skipUnless(PROGRAM, "run by ctest")
class DriverTest(unittest.TestCase):
    def compare(self, *options):
        build = os.path.dirname(os.path.dirname(PROGRAM))
        return subprocess.run(
            [sys.executable, "-B", COMPARE, "--build-dir", build, "--allocators", "glibc"]
            + list(options), capture_output=True, text=True, timeout=60, check=False)

    def test_a_preload_that_did_not_take_effect_is_an_error(self):
        done = self.compare("--allocator", "none=" + NO_MALLOC, "--only", "pairs/16$")
        self.assertEqual(done.returncode, 1)
        self.assertIn("none: the preload did not take effect: malloc comes from libc.so",
                      done.stderr)
        self.assertEqual(done.stdout, "")

    def test_a_file_that_is_no_library_is_an_error(self):
        done = self.compare("--allocator", "text=" + COMPARE, "--only", "pairs/16$")
        self.assertEqual(done.returncode, 1)
        self.assertIn("text: the preload did not take effect", done.stderr)

    def test_an_allocator_that_aborts_is_a_failed_row_with_its_last_words(self):
        done = self.compare("--allocator", "aborting=" + ABORTING, "--rounds", "2",
                            "--scale", "0.01", "--only", "pairs/(16|64)$")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED: pairs/16 under aborting: killed by SIGABRT", done.stdout)
        self.assertIn("aborting_malloc: that was one too many", done.stdout)
        self.assertRegex(done.stdout, r"pairs/64 +failed")

    @unittest.skipUnless(shutil.which("redis-server"), "needs redis-server")
    def test_a_server_that_aborts_is_a_failed_row_with_its_last_words(self):
        done = self.compare("--allocator", "aborting=" + ABORTING, "--rounds", "1",
                            "--scale", "0.2", "--only", "redis/lru")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED: redis/lru under aborting: redis-server: killed by SIGABRT",
                      done.stdout)
        self.assertIn("aborting_malloc: that was one too many", done.stdout)

    def test_a_run_without_failures_ends_with_0_and_writes_json(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "out.json")
            done = self.compare("--rounds", "2", "--scale", "0.01", "--only", "pairs/(16|64)$",
                                "--json", path)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (0, 4), done.stderr)
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


if __name__ == "__main__":
    unittest.main()
