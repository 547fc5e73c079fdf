# SPDX-License-Identifier: MIT
"""Medians of per-round ratios, their intervals and verdicts, and means in which each family weighs
the same."""

import dataclasses
import math
import statistics

from comparison import moods

CONFIDENCE = 0.95
SMALL_KIB = 8 << 10  # an empty program has about half of that
# Of Student's distribution, two-sided, for 1 to 4 degrees of freedom.
T_QUANTILES = (12.706, 4.303, 3.182, 2.776)


@dataclasses.dataclass
class Field:
    title: str
    unit: str
    words: tuple  # of an allocator whose ratio to another is below 1, and above
    better: str = "lower"
    timed: bool = False  # Does it depend on the speed of the cores?


FIELDS = {
    "time_ns": Field("time", "ns", ("faster", "slower"), timed=True),
    "peak_rss_kib": Field("peak resident memory", "KiB", ("less", "more")),
    "page_faults": Field("page faults", "", ("less", "more")),
    "faults_per_million": Field("page faults of the row, per million operations", "",
                                ("less", "more")),
    "throughput_per_s": Field("throughput", "1/s", ("lower", "higher"), better="higher",
                              timed=True),
    "p99_us": Field("99th percentile of the latency", "µs", ("faster", "slower"), timed=True),
    "rss_start_kib": Field("resident after a start without load", "KiB", ("less", "more")),
    "rss_after_kib": Field("resident right after the load", "KiB", ("less", "more")),
    "rss_later_kib": Field("resident a minute after the load", "KiB", ("less", "more")),
}
SLOWDOWN = "slowdown"  # of the cores during a run: a value beside the fields
NO_DIFFERENCE, ONE_ROUND = "no difference", "one round"


@dataclasses.dataclass
class Ratio:
    """A median over rounds, and the interval that holds the true one with CONFIDENCE."""
    median: float
    low: float  # None with a single round
    high: float
    rounds: int

    @property
    def spread(self):
        """Half the interval, relative to the median."""
        if self.low is None:
            return None
        return (self.high - self.low) / 2 / self.median

    def verdict(self, field):
        if self.low is None:
            return ONE_ROUND
        if self.low <= 1 <= self.high:
            return NO_DIFFERENCE
        return FIELDS[field].words[0 if self.high < 1 else 1]

    def __str__(self):
        if self.spread is None:
            return "%.2f" % self.median
        half = (self.high - self.low) / 2
        return "%.2f±%.2f" % (self.median, half) if half < 9.995 else "%.2f±>9" % self.median


def confidence_of(k, n):
    """That the median lies between the k-th smallest and the k-th largest of n values."""
    return 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2 ** n


def interval_of_ranks(values):
    """Of the median, whatever the distribution: order statistics, interpolated between ranks to
    just the confidence wanted. Source: Hettmansperger, Sheather, "Confidence intervals based on
    interpolated order statistics", Statistics & Probability Letters 4 (1986)."""
    ordered, n = sorted(values), len(values)
    k = max(k for k in range(1, n // 2 + 1) if confidence_of(k, n) >= CONFIDENCE)
    inner, outer = confidence_of(k + 1, n), confidence_of(k, n)
    part = (outer - CONFIDENCE) / (outer - inner)
    weight = (n - k) * part / (k + (n - 2 * k) * part)
    low = (1 - weight) * ordered[k - 1] + weight * ordered[k]
    high = (1 - weight) * ordered[n - k] + weight * ordered[n - k - 1]
    return low, high


def interval_of_few(values):
    """Of two to five ratios, of which ranks can say too little: Student's, of their logarithms."""
    logs = [math.log(value) for value in values]
    mean = statistics.fmean(logs)
    half = T_QUANTILES[len(logs) - 2] * statistics.stdev(logs) / math.sqrt(len(logs))
    middle = statistics.median(values)
    return min(middle, math.exp(mean - half)), max(middle, math.exp(mean + half))


def ratio_of(values):
    """None without values."""
    if not values:
        return None
    middle = statistics.median(values)
    if len(values) == 1:
        return Ratio(middle, None, None, 1)
    enough = confidence_of(1, len(values)) >= CONFIDENCE
    low, high = (interval_of_ranks if enough else interval_of_few)(values)
    return Ratio(middle, low, high, len(values))


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
    """The samples of all runs, by row, allocator and round; details of rows; and what failed."""

    def __init__(self, rows, names):
        self.rows = rows
        self.names = names
        self.samples = {}  # row name: {allocator name: {round: {field: value}}}
        self.details = {}  # row name: {allocator name: {key: value}}
        self.failures = {}  # (row name, allocator name): Failure
        self.budgets = {}  # scenario: (budget, instructions)
        self.partial = False  # not every row was run in full
        self.notes = []

    def add(self, row, name, round_number, values):
        rounds = self.samples.setdefault(row.name, {}).setdefault(name, {})
        rounds.setdefault(round_number, {}).update(values)

    def add_details(self, row, name, details):
        self.details.setdefault(row.name, {}).setdefault(name, {}).update(details)

    def names_of(self, row):
        """The allocators that were tried on the row, those of the comparison first."""
        tried = set(self.samples.get(row.name, {}))
        tried |= {name for row_name, name in self.failures if row_name == row.name}
        known = [name for name in self.names if name in tried]
        return known + sorted(tried - set(known))

    def rounds_of(self, row):
        return max((len(rounds) for rounds in self.samples.get(row.name, {}).values()), default=0)

    def values(self, row, name, field):
        """{round: value}"""
        rounds = self.samples.get(row.name, {}).get(name, {})
        return {number: values[field] for number, values in rounds.items() if field in values}

    def least_slowdown(self, row):
        return min((value for name in self.samples.get(row.name, {})
                    for value in self.values(row, name, SLOWDOWN).values()), default=0)

    def runs(self, row, name, field):
        """{round: Run}, of values above 0; all quiet for what no core's speed has a part in."""
        slowdowns = self.values(row, name, SLOWDOWN) if FIELDS[field].timed else {}
        least = self.least_slowdown(row)
        return {number: moods.Run(value, moods.log_slowed(slowdowns.get(number), least))
                for number, value in self.values(row, name, field).items() if value > 0}

    def has_quiet_runs(self, row, name, base):
        """Enough of both, so that these count alone."""
        runs = [self.runs(row, one, "time_ns") for one in (name, base)]
        return moods.count_alone(moods.quiet_pairs(*runs), *runs)

    def slowed_share(self):
        """Of all runs of which it is known; None: it is of none."""
        slowed = [not moods.is_quiet(moods.log_slowed(value, self.least_slowdown(row)))
                  for row in self.rows for name in self.samples.get(row.name, {})
                  for value in self.values(row, name, SLOWDOWN).values()]
        return sum(slowed) / len(slowed) if slowed else None

    def median(self, row, name, field):
        """Of the quiet runs, or the quietest."""
        values = list(self.values(row, name, field).values())
        if FIELDS[field].timed:
            values = moods.quietest(list(self.runs(row, name, field).values()))
        return statistics.median(values) if values else None

    def slopes(self, row, field):
        return moods.slopes({name: list(self.runs(row, name, field).values())
                             for name in self.names_of(row)})

    def ratio(self, row, name, base, field):
        """name / base in the same round, over the rounds that both finished, as moods.py says; none
        of a row under which one of them failed, at whatever time."""
        return self.ratio_between_rows(row, row, name, field, base)

    def has_failed(self, row, name):
        return (row.name, name) in self.failures

    def ratio_between_rows(self, row, base_row, name, field, base=None):
        base = base or name
        if self.has_failed(row, name) or self.has_failed(base_row, base):
            return None
        return ratio_of(moods.ratios(
            self.runs(row, name, field), self.runs(base_row, base, field),
            self.slopes(row, field).get(name, 0), self.slopes(base_row, field).get(base, 0)))

    def is_small(self, row):
        """Is its memory that of a program's start, and hardly of blocks?"""
        peaks = [self.median(row, name, "peak_rss_kib") for name in self.names_of(row)]
        return max((peak for peak in peaks if peak is not None), default=0) < SMALL_KIB

    def medians(self, name, base, field, kind=None):
        """{(family, row): median ratio} of the rows, of that kind, that both finished; of the peak
        memory without rows that are small."""
        found = {}
        for row in self.rows:
            if kind not in (None, row.kind) or field == "peak_rss_kib" and self.is_small(row):
                continue
            ratio = self.ratio(row, name, base, field)
            if ratio is not None:
                found[row.family, row.name] = ratio.median
        return found
