# SPDX-License-Identifier: MIT
"""Medians of per-round ratios, their spread, and means in which each family weighs the same."""

import dataclasses
import math
import statistics


@dataclasses.dataclass
class Ratio:
    median: float
    spread: float  # half the interquartile range; None with a single round

    def __str__(self):
        if self.spread is None:
            return "%.2f" % self.median
        return "%.2f±%.2f" % (self.median, self.spread)


def ratio_of(values):
    """None without values."""
    if not values:
        return None
    if len(values) == 1:
        return Ratio(values[0], None)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Ratio(statistics.median(values), (high - low) / 2)


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def family_means(values):
    """{family: geometric mean} of {(family, row): value}."""
    grouped = {}
    for (family, _), value in values.items():
        grouped.setdefault(family, []).append(value)
    return {family: geometric_mean(group) for family, group in grouped.items()}


def family_mean(values):
    """The geometric mean over families of their geometric means; None without values."""
    means = family_means(values)
    return geometric_mean(means.values()) if means else None


class Results:
    """The samples of all runs: by row, allocator and round; and what failed."""

    def __init__(self, rows, names):
        self.rows = rows
        self.names = names
        self.samples = {}  # (row name, allocator name, round): Sample
        self.failures = {}  # (row name, allocator name): Failure
        self.partial = False  # not every row was run in full

    def add(self, row, name, round_number, sample):
        self.samples[row.name, name, round_number] = sample

    def values(self, row, name, field):
        """{round: value}"""
        return {key[2]: getattr(sample, field) for key, sample in self.samples.items()
                if key[0] == row.name and key[1] == name}

    def median(self, row, name, field):
        values = list(self.values(row, name, field).values())
        return statistics.median(values) if values else None

    def ratio(self, row, name, base, field):
        """name / base in the same round, over the rounds that both finished."""
        ours, theirs = self.values(row, name, field), self.values(row, base, field)
        return ratio_of([ours[r] / theirs[r] for r in sorted(ours) if r in theirs])

    def ratio_between_rows(self, row, base_row, name, field):
        ours, theirs = self.values(row, name, field), self.values(base_row, name, field)
        return ratio_of([ours[r] / theirs[r] for r in sorted(ours) if r in theirs])

    def medians(self, name, base, field):
        """{(family, row): median ratio} of the rows that both finished."""
        found = {}
        for row in self.rows:
            ratio = self.ratio(row, name, base, field)
            if ratio is not None:
                found[row.family, row.name] = ratio.median
        return found
