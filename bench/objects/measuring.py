# SPDX-License-Identifier: MIT
"""Rounds: every row under all its contenders, one after another, a process each."""

import json

from comparison.process import Failure, environment, run
from comparison.stats import ratio_of
from objects.contenders import SUBJECT

# Fields of a report that are compared, in the order of the tables: title, unit.
FIELDS = {
    "time_ns": ("Time per operation", "ns"),
    "drop_ns": ("Of it, to drop the structure", "ns"),
    "pause_us": ("Longest pause for the collector", "µs"),
    "peak_rss_kib": ("Peak resident memory of the process", "KiB"),
    "grown_kib": ("Of it, what the row added", "KiB"),
}
# Of rows in which nobody takes more, the memory is that of the programs' start.
SMALL_KIB = 1 << 10


class Results:
    """Samples by row, contender and round; and what failed."""

    def __init__(self, rows):
        self.rows = rows
        self.samples = {}  # (row, contender): {round: {field: value}}
        self.failures = {}  # (row, contender): Failure
        self.versions = {}  # contender: its library's

    def values(self, row, name, field):
        """{round: value}"""
        return {number: values[field]
                for number, values in self.samples.get((row.name, name), {}).items()
                if field in values}

    def has(self, row, field):
        return any(self.values(row, contender.name, field) for contender in row.contenders)

    def is_small(self, row):
        """Whether its memory says nothing."""
        return all(value < SMALL_KIB for contender in row.contenders
                   for value in self.values(row, contender.name, "grown_kib").values())

    def ratio(self, row, name, base, field):
        """The median over the rounds in which both have a value, with its interval; or None."""
        ours, theirs = self.values(row, name, field), self.values(row, base, field)
        return ratio_of([ours[number] / theirs[number] for number in ours
                         if ours[number] > 0 and theirs.get(number, 0) > 0])


def order_of(contenders, number, index):
    """Who goes first rotates, and every other round has the reverse order."""
    shift = (number // 2 + index) % len(contenders)
    turned = contenders[shift:] + contenders[:shift]
    return turned[::-1] if number % 2 else turned


def parse(out, row, contender):
    try:
        report = json.loads(out)
        if report["row"] != row.name or report["contender"] != contender.name:
            raise Failure("it ran %(row)s as %(contender)s" % report)
        values = {field: report[field] for field in FIELDS if field in report}
        values["grown_kib"] = report["peak_rss_kib"] - report["start_rss_kib"]
        if not values["time_ns"] > 0:
            raise Failure("no time was measured")
        return values, report["result"], report["operations"], report["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise Failure("the report could not be read: %r" % error) from None


class Measuring:
    def __init__(self, rows, scale, timeout_seconds, say):
        self.results = Results(rows)
        self.scale = scale
        self.timeout_seconds = timeout_seconds
        self.say = say
        self.expected = {}  # row: (result, operations) of the contender that ran first

    def measure(self, row, contender, number):
        out = run(contender.command + ["--row=" + row.name, "--scale=%g" % self.scale],
                  environment(None), self.timeout_seconds)
        values, result, operations, version = parse(out, row, contender)
        wanted = self.expected.setdefault(row.name, (result, operations))
        if wanted != (result, operations):
            raise Failure("its result is %d of %d operations, others have %d of %d"
                          % ((result, operations) + wanted))
        self.results.samples.setdefault((row.name, contender.name), {})[number] = values
        self.results.versions[contender.name] = version

    def run_round(self, number):
        for index, row in enumerate(self.results.rows):
            self.say("round %d: %s" % (number + 1, row.name))
            for contender in order_of(row.contenders, number, index):
                if (row.name, contender.name) in self.results.failures:
                    continue
                try:
                    self.measure(row, contender, number)
                except Failure as failure:
                    self.results.failures[row.name, contender.name] = failure
                    self.say("\n".join(["%s: %s: %s" % (row.name, contender.name, failure)]
                                       + ["    " + line for line in failure.detail]))


def bases_of(row):
    """Those that the subject is held against; nobody, where it has no such row."""
    names = [contender.name for contender in row.contenders]
    return [name for name in names if name != SUBJECT] if SUBJECT in names else []
