# SPDX-License-Identifier: MIT
"""Tests of the share of instructions that is the allocator's, and of other allocators' counts."""

import json
import os
import tempfile
import unittest

from comparison import allocators, budget_run, instructions, peer_counts, programs, rows, shares
from comparison.process import Failure

PROGRAM = os.environ.get("PM_BENCH_PROGRAM")
# As callgrind writes it: names are written out once, the line after calls= is what the call took.
PROFILE = """\
creator: callgrind
desc: Trigger: Program termination
positions: line
events: Ir
ob=(1) /usr/bin/program
fl=(1) main.c
fn=(1) main
10 100
+1 20
cob=(2) /build/lib/libpoolmalloc.so.0.1.0
cfi=(2) malloc.c
cfn=(2) malloc
calls=5 30
* 70
fn=(3) helper
calls=1 10
11 500
ob=(2)
fl=(2)
fn=(2)
30 50
-2 10
cob=(3) /lib/libc.so.6
cfn=(4) memset
calls=5 0
31 40
cfn=(5) inner
calls=5 40
31 1000
ob=(3)
fn=(4)
0 40
totals: 220
"""


class CountedTest(unittest.TestCase):
    def test_what_the_allocator_calls_elsewhere_is_its_own(self):
        counted = shares.Counted(PROFILE.splitlines())
        self.assertEqual((counted.total, counted.own), (220, 50 + 10 + 40))

    def test_a_profile_without_the_allocator_is_a_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "profile")
            with open(path, "w", encoding="ascii") as file:
                file.write(PROFILE.replace("poolmalloc", "other"))
            with self.assertRaisesRegex(Failure, "no instructions of libpoolmalloc"):
                shares.read(path)

    def test_servers_have_none(self):
        applies = {row.family: shares.applies(row) for row in programs.all_rows()}
        self.assertEqual((applies["redis"], applies["nginx"], applies["g++"]), (False,) * 3)
        self.assertTrue(applies["python"] and applies["lua"])
        self.assertTrue(shares.applies(rows.Row("pairs/8", "micro", "cpu", 1, "a test")))


class PeerCountsTest(unittest.TestCase):
    def test_fills_and_flushes_and_what_is_large_are_slow(self):
        merged = {"small": {"nmalloc": 900, "ndalloc": 900, "nfills": 7, "nflushes": 5},
                  "large": {"nmalloc": 3, "ndalloc": 2, "nfills": 3, "nflushes": 9}}
        text = "a warning\n" + json.dumps({"jemalloc": {"stats.arenas": {"merged": merged}}})
        self.assertEqual(peer_counts.slow_paths(text), 17)

    def test_statistics_that_say_nothing_are_a_failure(self):
        for text in ("", "{}", '{"jemalloc": 3}'):
            with self.assertRaisesRegex(Failure, "could not be read"):
                peer_counts.slow_paths(text)


@unittest.skipUnless(PROGRAM, "run by ctest")
class RunTest(unittest.TestCase):
    def setUp(self):
        self.build = os.path.dirname(os.path.dirname(PROGRAM))
        self.rows = {row.name: row for row in rows.all_rows(PROGRAM)}

    @unittest.skipUnless(instructions.available(), "needs valgrind")
    def test_of_a_pair_the_loop_is_about_half(self):
        allocator = allocators.find(allocators.SUBJECT, self.build)
        with tempfile.TemporaryDirectory() as folder:
            found = shares.measure(PROGRAM, self.rows["pairs/64"], allocator, folder)
        self.assertTrue(0.4 < found < 0.75)

    def test_jemalloc_counts_its_slow_paths(self):
        if not allocators.is_installed(peer_counts.COUNTS):
            self.skipTest("jemalloc is not installed")
        allocator = allocators.find(peer_counts.COUNTS, self.build)
        program = os.environ["PM_BENCH_DETAIL_PROGRAM"]
        found = {name: peer_counts.measure(program, self.rows[name], allocator, 0.05)
                 for name in ("pairs/64", "pairs/1m")}
        self.assertTrue(0 < found["pairs/64"] < 10000)
        self.assertGreater(found["pairs/1m"], 1e6)  # each comes from an arena and goes back

    def test_a_build_without_the_budgets_program_is_a_failure(self):
        with self.assertRaisesRegex(Failure, "no stress_budget_shared"):
            budget_run.measure("/nonexistent")


if __name__ == "__main__":
    unittest.main()
