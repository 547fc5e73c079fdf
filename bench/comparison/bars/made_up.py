# SPDX-License-Identifier: MIT
"""Results with made-up samples, for the tests of the bars."""

from comparison.process import Failure
from comparison.rows import Row
from comparison.stats import Results

NAMES = ["glibc", "jemalloc", "poolmalloc", "mimalloc", "tcmalloc", "tbbmalloc"]
ROUNDS = 7


def row(name, kind="micro", threads=1):
    return Row(name, kind, "cpu", threads, "a test")


def same(value, names=None):
    """{name: value} of all but poolmalloc."""
    return {name: value for name in names or NAMES if name != "poolmalloc"}


def results(values, names=NAMES, failures=(), field="time_ns", rounds=ROUNDS):
    """values: {Row: {name: value, or one for each round}}."""
    made = Results(list(values), list(names))
    for one, of_row in values.items():
        for name, value in of_row.items():
            series = value if isinstance(value, list) else [value] * rounds
            for number, sample in enumerate(series):
                made.add(one, name, number, {field: sample})
    made.failures = {pair: Failure("killed by SIGSEGV") for pair in failures}
    return made


def add(made, one, field, of_row, rounds=ROUNDS):
    """Another field of a row: {name: value}."""
    for name, value in of_row.items():
        for number in range(rounds):
            made.add(one, name, number, {field: value})
