# SPDX-License-Identifier: MIT
"""Tests of failures of what is measured besides the rounds."""

import unittest
from unittest import mock

from comparison import modes, table
from comparison.extras import Extras
from comparison.process import Failure
from comparison.rounds_test import MadeUp, measuring, steady


def failing(_folder):
    raise Failure("no such luck")


class FailureTest(unittest.TestCase):
    def setUp(self):
        self.row = MadeUp("pairs/8", steady)
        self.made = measuring([self.row])
        self.made.base_rounds()
        for allocator in self.made.served:
            self.made.results.add(self.row, allocator.name, 0, {"peak_rss_kib": 4096})
        self.extra = Extras(self.made, "/nonexistent")
        self.allocator = self.made.served[2]

    def measure(self, what, measure):
        return self.extra.without_failure(self.row, self.allocator, what, measure)

    def test_it_is_named_and_leaves_the_row_its_time(self):
        self.assertIsNone(self.measure("instructions", failing))
        text = table.text(self.made.results, modes.DEFAULT)
        self.assertRegex(text, r"pairs/8 +5.0 ns")
        self.assertIn("FAILED: pairs/8 (instructions) under poolmalloc: no such luck", text)
        self.assertEqual(len(self.made.pairs_of(self.row)), 2)
        self.assertEqual(self.made.results.notes,
                         ["Not measured: pairs/8 (instructions) under poolmalloc: no such luck"])

    def test_it_is_not_tried_again_but_other_things_are(self):
        self.measure("instructions", failing)
        self.assertIsNone(self.measure("instructions", lambda folder: 7))
        self.assertEqual(self.measure("latency and memory", lambda folder: 7), 7)

    def test_folders_are_dropped(self):
        self.measure("instructions", failing)
        self.assertEqual(self.made.folders.open, set())


class TurnsTest(unittest.TestCase):
    def test_allocators_take_turns_and_rows_of_many_threads_have_one_run(self):
        for threads, runs in ((1, 3), (100000, 1)):
            row = MadeUp("pairs/8", steady)
            row.threads = threads
            made = measuring([row])
            made.mode.detail_runs = 3
            extra, order = Extras(made, "/nonexistent"), []
            extra.instrumented_once = lambda row, one, folder, order=order: order.append(
                one.name) or {"fragmentation": None, "kept_kib": 1, "latency_ns": None,
                              "counters_per_million": None}
            extra.instrumented(row, made.served)
            self.assertEqual(order, [one.name for one in made.served] * runs)
            self.assertEqual(set(made.results.details["pairs/8"]),
                             {one.name for one in made.served})

    def test_a_thorough_run_counts_what_bars_need(self):
        for thorough, chores in ((False, 1), (True, 3)):
            made = measuring([MadeUp("pairs/8", steady)], thorough=thorough)
            made.mode.instructions = True
            with mock.patch("comparison.instructions.available", lambda: True):
                Extras(made, "/nonexistent").add_chores()
            # The instructions of the row; its share, and the budgets.
            self.assertEqual(len(made.chores.waiting), chores)


if __name__ == "__main__":
    unittest.main()
