# SPDX-License-Identifier: MIT
"""Tests of compare_objects.py as a whole: every row by every contender, little of each; and with
contenders that fail. ctest says in the environment where the build is; without, nothing is run."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

BUILD = os.environ.get("PM_BENCH_BUILD")
COMPARE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                       "compare_objects.py")
FAKE = """#!%s
import sys
if sys.argv[1] == "--rows":
    print("list/100k\\tnode\\tcpu\\twords")
    sys.exit()
%s
print('{"row": "list/100k", "contender": "%s", "version": "", "operations": 10, "result": %d, '
      '"time_ns": 1.0, "peak_rss_kib": 2, "start_rss_kib": 1}')
"""


class DriverTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pm-objects-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def compare(self, build, *options):
        return subprocess.run([sys.executable, "-B", COMPARE, "--build-dir", build, "--output",
                               os.path.join(self.folder, "out"), *options],
                              capture_output=True, text=True, timeout=100, check=False)

    def results(self):
        with open(os.path.join(self.folder, "out", "objects.json"), encoding="utf-8") as file:
            return json.load(file)

    def fake(self, program, contender, result=45, before="pass"):
        """A build in which only the programs exist that a test puts there."""
        path = os.path.join(self.folder, "bench", "objects", "objects_" + program)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(FAKE % (sys.executable, before, contender, result))
        os.chmod(path, stat.S_IRWXU)

    @unittest.skipUnless(BUILD, "run by ctest")
    def test_every_row_is_run_by_everybody_with_one_result(self):
        done = self.compare(BUILD, "--rounds", "1", "--scale", "0.001")
        self.assertEqual(done.returncode, 0, done.stderr)
        made = self.results()
        families = {row["family"] for row in made["rows"]}
        self.assertLessEqual({"counts", "list", "tree", "binary-trees", "handover", "cycles",
                              "collect"},
                             families)
        for row in made["rows"]:
            self.assertEqual(set(row["medians"]), set(row["contenders"]), row["name"])
            self.assertIn("poolmalloc", row["contenders"])
            self.assertIn("`%s`" % row["name"], done.stdout)
            if row["family"] == "collect":
                self.assertIn("pause_us", row["medians"]["poolmalloc"])
            for base in row["contenders"][1:]:
                self.assertGreater(row["ratios"][base]["time_ns"]["median"], 0)
        with open(os.path.join(self.folder, "out", "objects.md"), encoding="utf-8") as file:
            self.assertEqual(file.read(), done.stdout)

    @unittest.skipUnless(BUILD, "run by ctest")
    def test_each_round_gives_a_sample_of_everybody(self):
        done = self.compare(BUILD, "--rounds", "3", "--scale", "0.001", "--only", "handover")
        self.assertEqual(done.returncode, 0, done.stderr)
        (row,) = self.results()["rows"]
        for samples in row["samples"].values():
            self.assertEqual(len(samples["time_ns"]), 3)
        self.assertEqual(row["ratios"]["atomic"]["time_ns"]["rounds"], 3)

    def test_a_contender_with_another_result_has_failed(self):
        self.fake("pool", "poolmalloc")
        self.fake("plain", "plain", result=46)
        done = self.compare(self.folder, "--rounds", "1", "--scale", "5e-6", "--only", "list")
        self.assertEqual(done.returncode, 1)
        (row,) = self.results()["rows"]
        self.assertEqual(row["failures"], {
            "plain": "its result is 46 of 10 operations, others have 45 of 10"})

    def test_one_that_fails_is_named_and_the_others_go_on(self):
        self.fake("pool", "poolmalloc")
        self.fake("plain", "plain", before="sys.exit('no memory')")
        done = self.compare(self.folder, "--rounds", "3", "--scale", "5e-6", "--only", "list")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.count("plain: exit status 1"), 1)
        self.assertIn("no memory", done.stderr)
        (row,) = self.results()["rows"]
        self.assertEqual(len(row["samples"]["poolmalloc"]["time_ns"]), 3)
        self.assertNotIn("plain", row["medians"])
        self.assertIn("| `list/100k` | 1 ns | failed |", done.stdout)

    def test_one_that_takes_too_long_has_failed(self):
        self.fake("pool", "poolmalloc", before="import time; time.sleep(100)")
        done = self.compare(self.folder, "--rounds", "1", "--timeout", "0.5", "--scale", "5e-6",
                            "--only", "list")
        self.assertEqual(done.returncode, 1)
        self.assertIn("poolmalloc: no result after 0.5 s: killed", done.stderr)

    def test_who_was_not_built_is_named_with_its_package(self):
        self.fake("pool", "poolmalloc")
        done = self.compare(self.folder, "--rounds", "1", "--scale", "5e-6", "--only", "list")
        self.assertEqual(done.returncode, 0, done.stderr)
        for words in ("glib is left out: it was not built. Install libglib2.0-dev",
                      "boehm is left out: it was not built. Install libgc-dev"):
            self.assertIn(words, done.stderr)
            self.assertIn(words, done.stdout)

    def test_without_a_build_it_says_what_to_run(self):
        done = self.compare(self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("run sh bench/objects.sh", done.stderr)

    def test_a_wrong_option_and_an_unknown_row_are_refused(self):
        self.fake("pool", "poolmalloc")
        for options, words in ((["--nonsense"], "the options are"),
                               (["--only", "nothing"], "known are list/100k"),
                               (["--scale", "0"], "0 is not above 0")):
            done = self.compare(self.folder, *options)
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
