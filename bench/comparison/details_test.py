# SPDX-License-Identifier: MIT
"""Tests of the instrumented runs: of what is made of their reports, and, where ctest says in the
environment where the programs are, of the runs themselves."""

import os
import subprocess
import tempfile
import types
import unittest

from comparison import allocators, details, instructions, rows
from comparison.process import Failure

PROGRAM = os.environ.get("PM_BENCH_PROGRAM")
DETAIL_PROGRAM = os.environ.get("PM_BENCH_DETAIL_PROGRAM")
GLIBC = allocators.Allocator("glibc")


def latency(p50, samples, p999=None):
    curve = [[0.5, p50]] + ([[0.999, p999]] if p999 else []) + [[1, 500]]
    return {"p50": p50, "p99": 2 * p50, "p999": p999, "max": 500, "samples": samples,
            "dropped": 1, "curve": curve}


def run_of(p50, fragmentation, p999=None, slow_paths=None):
    return {"latency_ns": {"malloc": latency(p50, 100, p999), "free": None},
            "memory": [[0, 100, 0], [p50, 100, 0]], "fragmentation": fragmentation, "kept_kib": 1,
            "counters_per_million": slow_paths and {"slow_paths": slow_paths}}


class ReportTest(unittest.TestCase):
    def test_a_report_that_is_cut_off_is_a_failure(self):
        for out in ("", "{", '{"malloc_provider": "/lib/libc.so.6"}', "[]"):
            with self.assertRaisesRegex(Failure, "could not be read"):
                details.parse(out, GLIBC)

    def test_counters_are_events_for_each_million_operations(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "counters")
            with open(path, "w", encoding="ascii") as file:
                file.write("poolmalloc statistics (pid 12)\nmallocs: 9\nlock_contended: 3\n"
                           "atomic_updates: 50\n")
            self.assertEqual(details.per_million(details.read_counters(path), 500000),
                             {"lock_contended": 6, "cas": 100})

    def test_statistics_that_were_not_written_are_a_failure(self):
        with self.assertRaisesRegex(Failure, "no statistics"):
            details.read_counters("/nonexistent")

    def test_several_runs_give_medians_and_the_memory_of_the_first(self):
        combined = details.combine([run_of(10, 1.5, slow_paths=7), run_of(30, None, 40),
                                    run_of(11, 1.1, 60)])
        self.assertEqual(combined["fragmentation"], 1.3)
        self.assertEqual(combined["memory"], [[0, 100, 0], [10, 100, 0]])
        self.assertEqual(combined["counters_per_million"], {"slow_paths": 7})
        self.assertIsNone(combined["latency_ns"]["free"])
        malloc = combined["latency_ns"]["malloc"]
        self.assertEqual((malloc["p50"], malloc["p99"], malloc["p999"]), (11, 22, 50))
        self.assertEqual((malloc["samples"], malloc["dropped"]), (300, 3))
        self.assertEqual(malloc["curve"], [[0.5, 11], [0.999, 50], [1, 500]])

    def test_several_runs_without_latencies_have_none(self):
        runs = [dict(run_of(10, None), latency_ns=None)] * 2
        self.assertIsNone(details.combine(runs)["latency_ns"])


@unittest.skipUnless(DETAIL_PROGRAM, "run by ctest")
class RunTest(unittest.TestCase):
    def details(self, name, scale, allocator=GLIBC, threads=None, counted=None):
        row = {row.name: row for row in rows.all_rows(DETAIL_PROGRAM, threads)}[name]
        with tempfile.TemporaryDirectory() as folder:
            found = details.run_details(DETAIL_PROGRAM, row, allocator, scale)
            if counted is not None:
                found["counters_per_million"] = details.run_counted(DETAIL_PROGRAM, row, counted,
                                                                    scale, folder)
            return found

    def check_memory(self, found):
        points = found["memory"]
        times = [ms for ms, _, _ in points]
        self.assertEqual(times, sorted(times))
        self.assertEqual((points[0][2], points[-1][2]), (0, 0))
        self.assertTrue(all(resident > 500 for _, resident, _ in points))
        self.assertEqual(found["kept_kib"], points[-1][1] - points[0][1])

    def test_the_quantiles_of_single_calls_rise(self):
        found = self.details("pairs/64", 0.1)
        for kind in ("malloc", "free"):
            calls = found["latency_ns"][kind]
            self.assertTrue(0 < calls["p50"] <= calls["p99"] <= calls["p999"] <= calls["max"])
            self.assertTrue(calls["p50"] < 10000)  # of a call that takes some ten
            self.assertGreater(calls["samples"], 100000)
            self.assertEqual([q for q, _ in calls["curve"]],
                             [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995,
                              0.9999, 1])
            times = [ns for _, ns in calls["curve"]]
            self.assertEqual(times, sorted(times))
        self.check_memory(found)
        self.assertIsNone(found["fragmentation"])  # a single block is live
        self.assertIsNone(found["counters_per_million"])

    def test_a_quantile_without_samples_in_its_tail_is_null(self):
        found = self.details("large/one", 0.2)["latency_ns"]["malloc"]
        self.assertLess(found["samples"], 100)
        self.assertIsNone(found["p99"])
        self.assertIsNone(found["p999"])

    def test_memory_follows_the_live_blocks(self):
        found = self.details("large/eight", 0.5)
        self.check_memory(found)
        _, resident, live = max(found["memory"], key=lambda point: point[2])
        self.assertGreater(live, 8 * 5 * 1024)
        self.assertGreater(resident, live / 2)
        self.assertTrue(0.5 < found["fragmentation"] < 2)

    def test_with_more_threads_than_cores_there_are_no_latencies(self):
        found = self.details("threads/200", 0.01, threads="200")
        if (os.cpu_count() or 1) < 200:
            self.assertIsNone(found["latency_ns"])
        self.check_memory(found)

    def test_a_run_that_another_library_served_is_a_failure(self):
        with self.assertRaisesRegex(Failure, "served by another library"):
            self.details("pairs/64", 0.001, allocators.Allocator("other", __file__))

    def test_the_counted_library_gives_the_events_of_poolmalloc(self):
        build = os.path.dirname(os.path.dirname(DETAIL_PROGRAM))
        counted = allocators.counted(build)
        if counted is None:
            self.skipTest("no library that counts was built")
        found = self.details("batches/64-fifo", 0.01, counted, counted=counted)
        counters = found["counters_per_million"]
        self.assertEqual(set(counters), set(details.COUNTERS))
        self.assertTrue(0 < counters["slow_paths"] < details.MILLION)

    def test_wrong_options_name_the_known_ones_and_end_with_2(self):
        for option, words in (("--what", "known are --row="), ("--row=none", "see --rows"),
                              ("--scale=x", "give a number"), (None, "--row=NAME is missing")):
            done = subprocess.run([DETAIL_PROGRAM] + ([option] if option else []),
                                  capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(words, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)


class InstructionsTest(unittest.TestCase):
    def test_only_rows_of_one_short_path_are_counted(self):
        chosen = [name for name in ("pairs/64", "pairs/4096", "pairs/65536", "calloc/64",
                                    "calloc/reused-64", "threads/1", "prodcons/64")
                  if instructions.applies(types.SimpleNamespace(name=name))]
        self.assertEqual(chosen, ["pairs/64", "pairs/4096", "calloc/64", "calloc/reused-64"])

    @unittest.skipUnless(PROGRAM and instructions.available(), "run by ctest, with valgrind")
    def test_a_pair_takes_the_same_instructions_each_time(self):
        row = {row.name: row for row in rows.all_rows(PROGRAM)}["pairs/64"]
        with tempfile.TemporaryDirectory() as folder:
            first, second = (instructions.measure(PROGRAM, row, GLIBC, folder) for _ in range(2))
        self.assertTrue(20 < first < 1000)
        self.assertAlmostEqual(first, second, delta=0.1)


if __name__ == "__main__":
    unittest.main()
