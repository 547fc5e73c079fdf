# SPDX-License-Identifier: MIT
"""Tests of what is required when rows have failed, on made-up samples."""

import unittest

from comparison import modes, requirements, table
from comparison.process import Failure
from comparison.rows import Row
from comparison.stats import Results

NAMES = ["glibc", "jemalloc", "poolmalloc"]


def results_with(times, failures):
    """times: {row: {name: time}}; failures: (row, name) pairs."""
    rows = [Row(name, "micro", "cpu", 1, "a test") for name in times]
    results = Results(rows, NAMES)
    for row in rows:
        for name, time_ns in times[row.name].items():
            for number in range(7):
                results.add(row, name, number, {"time_ns": time_ns, "peak_rss_kib": 100})
    results.failures = {pair: Failure("killed by SIGSEGV") for pair in failures}
    return results


def met(results):
    return {needed.text: needed.met
            for needed in requirements.all_requirements(results, "poolmalloc")}


FAST = {"glibc": 10, "jemalloc": 10, "poolmalloc": 5}
TIME = "time, geometric mean, of glibc's"
PRODCONS = "throughput of producer/consumer, of jemalloc's"


class FailedRowsTest(unittest.TestCase):
    def test_a_row_that_only_the_subject_fails_is_a_missed_requirement_and_named(self):
        results = results_with({"a/1": FAST, "b/1": {"glibc": 10, "jemalloc": 10}},
                               [("b/1", "poolmalloc")])
        self.assertIs(met(results)[TIME], False)
        self.assertIn("failed: b/1", table.text(results, modes.FULL))

    def test_without_failures_it_is_met(self):
        self.assertIs(met(results_with({"a/1": FAST}, []))[TIME], True)

    def test_a_failure_counts_only_where_its_row_is_wanted(self):
        results = results_with({"prodcons/1": FAST, "b/1": {"glibc": 10}}, [("b/1", "poolmalloc")])
        self.assertIs(met(results)[PRODCONS], True)
        results = results_with({"prodcons/1": FAST, "prodcons/2": {"glibc": 10}},
                               [("prodcons/2", "poolmalloc")])
        self.assertIs(met(results)[PRODCONS], False)

    def test_a_row_that_fails_under_everybody_is_nobodys_fault(self):
        results = results_with({"a/1": FAST, "b/1": {}}, [("b/1", name) for name in NAMES])
        self.assertIs(met(results)[TIME], True)


if __name__ == "__main__":
    unittest.main()
