# SPDX-License-Identifier: MIT
"""Tests of the ratios, the order of the runs, the promises and the report, on made-up samples."""

import json
import unittest

from comparison import document
from comparison.process import Failure
from objects import measuring, promises, report
from objects.contenders import Contender, Row

POOL, PLAIN, ATOMIC = (Contender(name, "as %s is" % name, ["/bin/true"])
                       for name in ("poolmalloc", "plain", "atomic"))


def made_up(times, grown=2048):
    """Of one row: {contender: [time of each round]}."""
    row = Row("counts/owned-1", "pair", "cpu", "one pair", [POOL, PLAIN, ATOMIC])
    results = measuring.Results([row])
    for name, values in times.items():
        results.samples[row.name, name] = {
            number: {"time_ns": value, "peak_rss_kib": 4096, "grown_kib": grown}
            for number, value in enumerate(values)}
    return results


def as_document(results, **extent):
    extent = {"rounds": 3, "scale": 1, "partial": False, "seconds": 1, **extent}
    return report.make(results, [POOL, PLAIN, ATOMIC], extent, ["a note"])


class OrderTest(unittest.TestCase):
    def test_everybody_goes_first_in_turn_and_in_both_directions(self):
        names = ["a", "b", "c"]
        orders = [measuring.order_of(names, number, 0) for number in range(6)]
        self.assertEqual({order[0] for order in orders[::2]}, set(names))
        for there, back in zip(orders[::2], orders[1::2]):
            self.assertEqual(there, back[::-1])
        self.assertNotEqual(measuring.order_of(names, 0, 0), measuring.order_of(names, 0, 1))


class RatioTest(unittest.TestCase):
    def test_a_ratio_is_the_median_over_the_rounds_that_both_have(self):
        results = made_up({"poolmalloc": [1, 1, 6], "plain": [2, 10, 2]})
        del results.samples["counts/owned-1", "plain"][2]
        ratio = results.ratio(results.rows[0], "poolmalloc", "plain", "time_ns")
        self.assertAlmostEqual(ratio.median, (0.5 + 0.1) / 2)
        self.assertEqual(ratio.rounds, 2)

    def test_nothing_is_no_ratio(self):
        results = made_up({"poolmalloc": [0, 1], "plain": [1, 0]})
        self.assertIsNone(results.ratio(results.rows[0], "poolmalloc", "plain", "time_ns"))

    def test_without_a_common_round_there_is_none(self):
        results = made_up({"poolmalloc": [1]})
        self.assertIsNone(results.ratio(results.rows[0], "poolmalloc", "plain", "time_ns"))


class PromiseTest(unittest.TestCase):
    def test_a_promise_is_met_at_its_limit_and_missed_above(self):
        for times, met in (([1.3] * 3, True), ([1.31] * 3, False)):
            to_plain, to_atomic, *_ = promises.all_promises(
                made_up({"poolmalloc": times, "plain": [1] * 3}))
            self.assertIs(to_plain.met, met)
            self.assertIsNone(to_atomic.met)  # not measured


class ParseTest(unittest.TestCase):
    ROW = Row("counts/owned-1", "pair", "cpu", "")
    REPORT = {"row": "counts/owned-1", "contender": "plain", "version": "", "time_ns": 1.5,
              "operations": 10, "result": 3, "peak_rss_kib": 300, "start_rss_kib": 100}

    def parse(self, **changed):
        return measuring.parse(json.dumps({**self.REPORT, **changed}), self.ROW, PLAIN)

    def test_a_report_has_what_the_row_added(self):
        values, result, operations, _ = self.parse()
        self.assertEqual((values["grown_kib"], result, operations), (200, 3, 10))

    def test_a_report_of_something_else_or_without_time_is_a_failure(self):
        for changed in ({"row": "other"}, {"contender": "atomic"}, {"time_ns": 0},
                        {"peak_rss_kib": None}):
            with self.assertRaises(Failure):
                self.parse(**changed)
        with self.assertRaises(Failure):
            measuring.parse("no JSON", self.ROW, PLAIN)


class MarkdownTest(unittest.TestCase):
    def test_a_cell_has_the_median_and_the_ratio_of_the_subject_to_it(self):
        made = as_document(made_up({"poolmalloc": [1, 2, 3], "plain": [2, 4, 6]}))
        text = report.markdown(made)
        self.assertIn("| `counts/owned-1` | 2 ns | 4 ns (0.50 ± 0.00) |", text)
        self.assertIn("- an owner's pair of counts, of a plain one's time: 0.50 "
                      "(wanted: at most 1.30): met", text)
        self.assertIn("- a note", text)
        self.assertIn("4.0 MiB", text)

    def test_memory_of_a_row_that_adds_none_is_left_out(self):
        made = as_document(made_up({"poolmalloc": [1], "plain": [1]}, grown=1000))
        self.assertNotIn("4.0 MiB", report.markdown(made))

    def test_a_failure_is_a_cell_and_a_line(self):
        results = made_up({"poolmalloc": [1], "plain": [1]})
        results.failures["counts/owned-1", "plain"] = Failure("exit status 3")
        text = report.markdown(as_document(results))
        self.assertIn("| failed |", text)
        self.assertIn("- `counts/owned-1`, plain: exit status 3", text)

    def test_the_document_is_json_without_paths(self):
        made = as_document(made_up({"poolmalloc": [1], "plain": [1]}))
        text = "\n".join(document.lines_of(document.rounded(made)))
        self.assertEqual(json.loads("{%s}" % text.replace("\n\"", ",\n\""))["kind"], "objects")
        self.assertNotIn("/bin/true", text)


if __name__ == "__main__":
    unittest.main()
