# SPDX-License-Identifier: MIT
"""Tests of the comparison of two comparisons, on made-up results."""

import unittest

import repeatability


def document(*intervals):
    """One row for each (low, high) of poolmalloc against glibc."""
    rows = []
    for number, (low, high) in enumerate(intervals):
        middle = (low + high) / 2
        ratio = {"median": middle, "low": low, "high": high, "verdict": "a word",
                 "spread": (high - low) / 2 / middle}
        rows.append({"name": "a/%d" % number,
                     "ratios": {"poolmalloc": {"glibc": {"time_ns": ratio}}}})
    return {"format": 2, "subject": "poolmalloc", "baselines": ["glibc"], "rows": rows}


SURE, NOT_SURE = (0.89, 0.91), (0.8, 1.1)


class RepeatabilityTest(unittest.TestCase):
    def compare(self, first, second):
        return repeatability.compare(document(*first), document(*second), "time_ns")

    def test_the_same_verdicts_are_consistent(self):
        self.assertTrue(self.compare([SURE] * 10, [SURE] * 10)[1])

    def test_no_difference_contradicts_nothing(self):
        self.assertTrue(self.compare([SURE] * 10, [SURE] * 9 + [NOT_SURE])[1])

    def test_faster_and_slower_contradict_and_are_listed(self):
        lines, reached = self.compare([SURE] * 10, [SURE] * 9 + [(1.01, 1.02)])
        self.assertFalse(reached)
        self.assertIn("a/9 / glibc", lines[0])
        self.assertIn("90.0 %", lines[1])

    def test_wide_intervals_resolve_nothing(self):
        lines, reached = self.compare([NOT_SURE] * 10, [NOT_SURE] * 10)
        self.assertFalse(reached)
        self.assertIn("seen by: 0.0 %", lines[-2])

    def test_rows_of_one_file_alone_do_not_count(self):
        self.assertTrue(self.compare([SURE] * 10, [SURE] * 3)[1])
        self.assertFalse(self.compare([SURE], [])[1])


if __name__ == "__main__":
    unittest.main()
