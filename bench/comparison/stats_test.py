# SPDX-License-Identifier: MIT
"""Tests of the ratios and means, on made-up samples."""

import json
import os
import random
import tempfile
import unittest

from comparison import document, modes, stats, table
from comparison.process import Failure, mallocs_counted, with_stats_file
from comparison.rows import Row
from comparison.words import size_words, time_words

NAMES = ["glibc", "jemalloc", "poolmalloc"]


def row(name):
    return Row(name, "micro", "cpu", 1, "a test")


def results_of(table):
    """{row: {allocator: [(time, rss) of each round]}} as Results."""
    rows = [row(name) for name in table]
    results = stats.Results(rows, NAMES)
    for a_row in rows:
        for name, samples in table[a_row.name].items():
            for number, sample in enumerate(samples):
                if sample is not None:
                    time_ns, rss_kib = sample
                    results.add(a_row, name, number,
                                {"time_ns": time_ns, "peak_rss_kib": rss_kib})
    return results


def even(times, rss=(100, 100, 100)):
    return {name: [(time, size)] for name, time, size in zip(NAMES, times, rss)}


class StatsTest(unittest.TestCase):
    def test_ratio_is_the_median_of_ratios_within_rounds(self):
        # A machine that slows down in the second round changes no ratio.
        results = results_of({"a/1": {"glibc": [(10, 1), (100, 1), (10, 1)],
                                      "poolmalloc": [(5, 1), (50, 1), (6, 1)]}})
        ratio = results.ratio(results.rows[0], "poolmalloc", "glibc", "time_ns")
        self.assertAlmostEqual(ratio.median, 0.5)
        self.assertEqual(ratio.rounds, 3)

    def test_a_round_that_one_side_did_not_finish_does_not_count(self):
        results = results_of({"a/1": {"glibc": [(10, 1), (10, 1)],
                                      "poolmalloc": [None, (20, 1)]}})
        ratio = results.ratio(results.rows[0], "poolmalloc", "glibc", "time_ns")
        self.assertEqual(str(ratio), "2.00")

    def test_no_common_round_gives_no_ratio(self):
        results = results_of({"a/1": {"glibc": [(10, 1)]}})
        self.assertIsNone(results.ratio(results.rows[0], "poolmalloc", "glibc", "time_ns"))

    def test_each_family_weighs_the_same_however_many_rows(self):
        values = {("a", "a/1"): 4.0, ("a", "a/2"): 4.0, ("a", "a/3"): 4.0, ("b", "b/1"): 0.25}
        self.assertAlmostEqual(stats.family_mean(values), 1.0)

    def test_mean_of_nothing_is_none(self):
        self.assertIsNone(stats.family_mean({}))


class IntervalTest(unittest.TestCase):
    def covered(self, size, draw):
        """How often, of 2000, the interval of `size` draws around 1 holds 1."""
        chance = random.Random(size)
        ratios = [stats.ratio_of([draw(chance) for _ in range(size)]) for _ in range(2000)]
        return sum(ratio.low <= 1 <= ratio.high for ratio in ratios) / 2000

    def test_it_holds_the_true_median_as_often_as_it_says(self):
        for size in (2, 3, 5, 6, 7, 10, 20):
            share = self.covered(size, lambda chance: chance.lognormvariate(0, 0.05))
            self.assertGreater(share, 0.93, "%d rounds" % size)
            self.assertLess(share, 0.985, "%d rounds" % size)

    def test_so_it_does_when_some_rounds_were_disturbed(self):
        def draw(chance):
            disturbed = chance.random() < 0.15
            return chance.lognormvariate(0, 0.02) * (chance.choice([0.6, 1.7]) if disturbed else 1)
        self.assertGreater(self.covered(11, draw), 0.93)

    def test_more_rounds_narrow_it(self):
        chance = random.Random(1)
        values = [chance.lognormvariate(0, 0.05) for _ in range(60)]
        self.assertLess(stats.ratio_of(values).spread, stats.ratio_of(values[:10]).spread)

    def test_one_disturbed_round_of_ten_does_not_widen_it(self):
        self.assertLess(stats.ratio_of([1.0] * 9 + [5.0]).spread, 0.01)

    def test_equal_values_have_no_spread(self):
        for size in (2, 5, 6, 9):
            self.assertEqual(stats.ratio_of([0.5] * size).spread, 0)


class VerdictTest(unittest.TestCase):
    def verdict(self, low, high, field="time_ns"):
        return stats.Ratio((low + high) / 2, low, high, 9).verdict(field)

    def test_an_interval_that_holds_1_is_no_difference(self):
        self.assertEqual(self.verdict(0.9, 1.01), "no difference")
        self.assertEqual(self.verdict(1, 1.2), "no difference")

    def test_each_field_has_its_words(self):
        self.assertEqual(self.verdict(0.9, 0.95), "faster")
        self.assertEqual(self.verdict(1.01, 1.02), "slower")
        self.assertEqual(self.verdict(0.9, 0.95, "peak_rss_kib"), "less")
        self.assertEqual(self.verdict(1.01, 1.02, "throughput_per_s"), "higher")

    def test_a_single_round_decides_nothing(self):
        self.assertEqual(stats.ratio_of([0.1]).verdict("time_ns"), "one round")


class CountersTest(unittest.TestCase):
    def test_the_counter_of_the_busiest_process_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "stats")
            with open(path, "w", encoding="ascii") as file:
                for pid, count in ((1, 12), (2, 3456), (3, 7)):
                    file.write("poolmalloc statistics (pid %d)\nmallocs: %d\nfrees: 99999\n"
                               % (pid, count))
            self.assertEqual(mallocs_counted(path), 3456)

    def test_no_statistics_count_as_nothing(self):
        self.assertEqual(mallocs_counted("/nonexistent"), 0)

    def test_other_options_of_the_caller_are_kept(self):
        env = with_stats_file({"POOLMALLOC_OPTIONS": "keep_bytes=8m,stats_at_exit=stderr"}, "F")
        self.assertEqual(env["POOLMALLOC_OPTIONS"], "keep_bytes=8m,stats_at_exit=F")


class ReportTest(unittest.TestCase):
    def failed(self):
        results = results_of({"a/1": even((10, 20, 10)), "b/1": {"glibc": [(1, 1)]}})
        results.failures["b/1", "poolmalloc"] = Failure("killed by SIGSEGV", ["/some/where: boom"])
        return results

    def test_a_failed_row_is_shown_with_what_the_program_said(self):
        text = table.text(self.failed(), modes.DEFAULT)
        self.assertIn("FAILED: b/1 under poolmalloc: killed by SIGSEGV", text)
        self.assertIn("/some/where: boom", text)

    def test_json_can_be_read_back_and_holds_no_path(self):
        text = json.dumps(document.make(self.failed(), [], ["gone"], modes.DEFAULT, 1))
        back = json.loads(text)
        self.assertEqual(back["rows"][0]["ratios"]["poolmalloc"]["jemalloc"]["time_ns"]["median"],
                         0.5)
        self.assertEqual(back["rows"][1]["failures"], {"poolmalloc": "killed by SIGSEGV"})
        self.assertEqual(back["allocators"], [{"name": "gone", "version": None, "serves": False}])
        self.assertNotIn("/some/where", text)

    def test_what_failed_later_is_in_no_ratio(self):
        results = results_of({"a/1": even((10, 20, 10)), "a/2": even((10, 20, 20))})
        results.failures["a/1", "poolmalloc"] = Failure("killed by SIGSEGV")
        self.assertEqual(results.medians("poolmalloc", "glibc", "time_ns"), {("a", "a/2"): 2.0})

    def test_an_allocator_of_one_row_alone_is_compared_there(self):
        results = results_of({"python/a": even((10, 20, 10))})
        results.add(results.rows[0], "pymalloc", 0, {"time_ns": 20})
        made = document.make(results, [], [], modes.DEFAULT, 1)
        self.assertEqual(made["rows"][0]["ratios"]["poolmalloc"]["pymalloc"]["time_ns"]["median"],
                         0.5)
        self.assertEqual([a["name"] for a in made["allocators"]], ["pymalloc"])

    def test_words_choose_the_unit(self):
        self.assertEqual([time_words(ns) for ns in (9.87, 1234, 5.6e6, 2e9)],
                         ["9.9 ns", "1.23 µs", "5.60 ms", "2.00 s"])
        self.assertEqual([size_words(kib) for kib in (12, 2048, 3 << 20)],
                         ["12 KiB", "2.0 MiB", "3.0 GiB"])


if __name__ == "__main__":
    unittest.main()
