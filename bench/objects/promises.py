# SPDX-License-Identifier: MIT
"""What the object layer has to reach, beside what was measured."""

import dataclasses

from objects.contenders import SUBJECT

OWNED_TO_PLAIN = 1.3
OWNED_TO_ATOMIC = 0.5
COLLECTED_TO_PYTHON = 0.5  # time for an object
MEMORY_TO_PYTHON = 0.5


@dataclasses.dataclass
class Promise:
    text: str
    row: str
    base: str
    field: str
    limit: float  # of the ratio, which is to be no higher
    measured: float = None  # None: the row was not run, or not by both

    @property
    def met(self):
        return None if self.measured is None else self.measured <= self.limit


def wanted():
    return [
        Promise("an owner's pair of counts, of a plain one's time", "counts/owned-1", "plain",
                "time_ns", OWNED_TO_PLAIN),
        Promise("an owner's pair of counts, of an atomic one's time", "counts/owned-1", "atomic",
                "time_ns", OWNED_TO_ATOMIC),
    ] + [
        Promise("%s of a million objects that live, of %s" % (what, whose), "collect/live-1m",
                base, field, limit)
        for base, whose in (("python", "Python's with __slots__"), ("python-list", "its lists"))
        for what, field, limit in (("collection", "time_ns", COLLECTED_TO_PYTHON),
                                   ("memory", "peak_rss_kib", MEMORY_TO_PYTHON))
    ]


def all_promises(results):
    rows = {row.name: row for row in results.rows}
    promises = wanted()
    for promise in promises:
        if promise.row in rows:
            ratio = results.ratio(rows[promise.row], SUBJECT, promise.base, promise.field)
            promise.measured = None if ratio is None else ratio.median
    return promises
