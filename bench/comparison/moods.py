# SPDX-License-Identifier: MIT
"""Ratios of runs whose cores were not equally fast. Quiet runs count alone where there are enough
of two allocators: those of the same round, and what is left in the order of the rounds, as cores
that nobody slows are the same in each. Else each run is corrected to the mean mood of all: where a
core is slower by a share s, a run takes (1 + s)^slope of its time, and the slope, which differs
between allocators, shows in the runs themselves. Moods do not depend on who runs, so the correction
takes noise away and adds no bias."""

import collections
import math
import statistics

SLOWED = 0.03  # cores that are slower by so much than at the row's quietest run are not quiet
ENOUGH = 6  # quiet runs, to count alone,
SHARE = 0.25  # and of the rounds: a few of many say less than all, corrected
SLOPE_MAX = 2.0
PRIOR = 0.2  # the weight of the row's common slope: as much as a few runs of both moods say

Run = collections.namedtuple("Run", "value slowed")  # a value; the log of 1 + s


def log_slowed(slowdown, least):
    """`least`: the slowdown of the row's quietest run. What is not known is taken for quiet."""
    return 0.0 if slowdown is None else math.log1p(max(0.0, slowdown - least))


def is_quiet(slowed):
    return slowed <= math.log1p(SLOWED)


def products(runs):
    """Of the deviations from the mean, of values (their logarithms) and slowdowns: the sum of their
    products, and of the squares of the slowdowns."""
    logs = [math.log(run.value) for run in runs]
    mean, mean_slowed = statistics.fmean(logs), statistics.fmean(run.slowed for run in runs)
    deviations = [run.slowed - mean_slowed for run in runs]
    return (sum(d * (log - mean) for d, log in zip(deviations, logs)),
            sum(d * d for d in deviations))


def bounded(slope):
    return max(-SLOPE_MAX, min(SLOPE_MAX, slope))


def slopes(runs_of):
    """{allocator name: slope} of {allocator name: [Run, ...]}, the runs of a row. By least squares,
    drawn towards the slope that all have in common as long as few moods were seen."""
    parts = {name: products(runs) for name, runs in runs_of.items() if runs}
    product, square = (sum(part[i] for part in parts.values()) for i in range(2))
    common = bounded(product / square) if square > 0 else 0.0
    return {name: bounded((product + PRIOR * common) / (square + PRIOR))
            for name, (product, square) in parts.items()}


def quiet_pairs(ours, theirs):
    """Of {round: Run} of two allocators, each run in one pair: of the same round as far as may be,
    else in the order of the rounds."""
    one, other = ([number for number in sorted(runs) if is_quiet(runs[number].slowed)]
                  for runs in (ours, theirs))
    both = set(one) & set(other)
    alone = zip(*([number for number in numbers if number not in both] for numbers in (one, other)))
    return [(ours[i], theirs[j]) for i, j in sorted([(number, number) for number in both]
                                                    + list(alone))]


def count_alone(pairs, ours, theirs):
    """Whether quiet_pairs(ours, theirs) are enough."""
    return len(pairs) >= max(ENOUGH, SHARE * min(len(ours), len(theirs)))


def ratios(ours, theirs, slope, their_slope):
    """Of {round: Run} of two allocators: of their quiet runs, or of the rounds that both have."""
    pairs = quiet_pairs(ours, theirs)
    if count_alone(pairs, ours, theirs):
        return [one.value / other.value for one, other in pairs]
    pairs = [(ours[number], theirs[number]) for number in sorted(ours) if number in theirs]
    if not pairs:
        return []
    mood = statistics.fmean(run.slowed for pair in pairs for run in pair)
    return [one.value / other.value * math.exp(their_slope * (other.slowed - mood)
                                               - slope * (one.slowed - mood))
            for one, other in pairs]


def quietest(runs):
    """The values of the quiet runs, or the quietest where these are few."""
    quiet = [run.value for run in runs if is_quiet(run.slowed)]
    if len(quiet) >= ENOUGH:
        return quiet
    return [run.value for run in sorted(runs, key=lambda run: run.slowed)[:ENOUGH]]
