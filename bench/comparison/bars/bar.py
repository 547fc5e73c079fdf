# SPDX-License-Identifier: MIT
"""A bar: what was promised, beside what was measured; and the means and rows that it is made of."""

import dataclasses
import math

from comparison import stats


@dataclasses.dataclass
class Bar:
    group: str
    text: str
    limit: float
    measured: float = None  # None: it was not; `why` may say for what reason
    low: float = None  # of its 95 % interval, where it has one
    high: float = None
    at_least: bool = False
    below: bool = False  # the limit itself is not enough
    above: tuple = ()  # the rows that miss it by themselves, worst first, in words
    lists_all: bool = False  # of these rows; else the table has the worst ones only
    notes: tuple = ()  # what a reader needs to know of this figure
    why: str = ""  # it was not measured, or only in part: then it may be missed, but is not met
    is_about: object = lambda row: True
    failed: tuple = ()  # rows it is about that failed, and are in no mean

    @property
    def met(self):
        if self.failed:
            return False
        if self.measured is None:
            return None
        if not self.reached():
            return False
        return None if self.why else True

    def reached(self):
        if self.at_least:
            return self.measured >= self.limit
        return self.measured < self.limit or self.measured == self.limit and not self.below

    @property
    def sign(self):
        return ">=" if self.at_least else "<" if self.below else "<="

    @property
    def detail(self):
        return ", ".join(self.above)


def log_half(ratio):
    """Half of the interval's width, of the logarithms; None: it has no interval."""
    return None if ratio.low is None else (math.log(ratio.high) - math.log(ratio.low)) / 2


def mean_of(ratios):
    """The mean over families, as stats.family_mean(), of {(family, row): Ratio}, with its interval:
    errors of rows are independent, so their squares add up, each by its row's weight in the mean.
    Without the interval where a row has none; None without rows."""
    mean = stats.family_mean({key: ratio.median for key, ratio in ratios.items()})
    if mean is None:
        return None
    sizes = {}
    for family, _ in ratios:
        sizes[family] = sizes.get(family, 0) + 1
    halves = {key: log_half(ratio) for key, ratio in ratios.items()}
    rounds = min(ratio.rounds for ratio in ratios.values())
    if None in halves.values():
        return stats.Ratio(mean, None, None, rounds)
    half = math.sqrt(sum((value / len(sizes) / sizes[family]) ** 2
                         for (family, _), value in halves.items()))
    return stats.Ratio(mean, mean * math.exp(-half), mean * math.exp(half), rounds)


def plain_mean(ratios):
    """In which every row weighs the same."""
    return stats.geometric_mean([ratio.median for ratio in ratios.values()])


def rows_above(ratios, limit, peers=None):
    """In words, worst first, of {(family, row): Ratio}; with the peer of each, {row: name}."""
    over = sorted(((row, ratio) for (_, row), ratio in ratios.items() if ratio.median > limit),
                  key=lambda one: -one[1].median)
    return tuple("%s %s%s" % (row, ratio, " (%s)" % peers[row] if peers else "")
                 for row, ratio in over)


def of_mean(bar, ratios, peers=None):
    """The bar, with the mean of these rows and the rows above its limit."""
    mean = mean_of(ratios)
    if mean is not None:
        bar.measured, bar.low, bar.high = mean.median, mean.low, mean.high
        bar.above = rows_above(ratios, bar.limit, peers)
        bar.notes += ("%d rows, each weighing the same: %.2f" % (len(ratios), plain_mean(ratios)),)
    return bar


def of_count(bar, above, compared):
    """The bar, with the number of rows above their best peer; `compared`: of how many."""
    if compared:
        bar.measured, bar.above, bar.lists_all = len(above), tuple(above), True
        bar.notes += ("of %d rows" % compared,)
    return bar
