# SPDX-License-Identifier: MIT
"""What the project has promised to reach, beside what was measured."""

import dataclasses

from comparison import stats

TIME_TO_JEMALLOC = 0.85
TIME_TO_GLIBC = 0.75
ROW_TO_BETTER = 1.10
RSS_TO_JEMALLOC = 1.00
PRODCONS_TO_GLIBC = 2.0
PRODCONS_TO_JEMALLOC = 1.2
MANY_TO_FEW_THREADS = 1.10
FEW_THREADS, MANY_THREADS = "threads/2", "threads/256"


@dataclasses.dataclass
class Requirement:
    text: str
    limit: float
    at_least: bool = False
    measured: float = None  # None: the rows it needs were not run
    detail: str = ""
    is_about: object = lambda row: True
    failed: tuple = ()  # rows it is about that failed, and are in no mean

    @property
    def met(self):
        if self.failed:
            return False
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def mean_requirement(results, name, base, field, text, limit):
    mean = stats.family_mean(results.medians(name, base, field))
    return Requirement("%s, geometric mean, of %s's" % (text, base), limit, measured=mean)


def row_requirement(results, name):
    """The worst row, against the better of the two baselines."""
    both = [results.medians(name, base, "time_ns") for base in ("glibc", "jemalloc")]
    worst = {row: max(both[0][row], both[1][row]) for row in both[0] if row in both[1]}
    needed = Requirement("time of the worst row, of the better of both", ROW_TO_BETTER)
    if worst:
        needed.measured = max(worst.values())
        above = sorted((r for r in worst.items() if r[1] > ROW_TO_BETTER), key=lambda r: -r[1])
        needed.detail = ", ".join("%s %.2f" % (row[1], value) for row, value in above)
    return needed


def prodcons_requirement(results, name, base, limit):
    family = stats.family_means(results.medians(name, base, "time_ns")).get("prodcons")
    return Requirement("throughput of producer/consumer, of %s's" % base, limit, at_least=True,
                       measured=None if family is None else 1 / family,
                       is_about=lambda row: row.family == "prodcons")


def threads_requirement(results, name):
    needed = Requirement("time with 256 threads, of that with 2", MANY_TO_FEW_THREADS,
                         is_about=lambda row: row.name in (FEW_THREADS, MANY_THREADS))
    rows = {row.name: row for row in results.rows}
    if FEW_THREADS in rows and MANY_THREADS in rows:
        ratio = results.ratio_between_rows(rows[MANY_THREADS], rows[FEW_THREADS], name, "time_ns")
        needed.measured = ratio.median if ratio is not None else None
    return needed


def add_failed_rows(results, name, requirements):
    """Without: what crashes on its worst row has the better means for it. A row that failed under
    everybody says nothing about `name`: its program may not be installed."""
    def failed(row, one):
        return (row.name, one) in results.failures
    rows = [row for row in results.rows if failed(row, name)
            and not all(failed(row, other) for other in results.names_of(row))]
    for needed in requirements:
        needed.failed = tuple(row.name for row in rows if needed.is_about(row))
    return requirements


def all_requirements(results, name):
    return add_failed_rows(results, name, [
        mean_requirement(results, name, "jemalloc", "time_ns", "time", TIME_TO_JEMALLOC),
        mean_requirement(results, name, "glibc", "time_ns", "time", TIME_TO_GLIBC),
        row_requirement(results, name),
        mean_requirement(results, name, "jemalloc", "peak_rss_kib", "peak RSS", RSS_TO_JEMALLOC),
        prodcons_requirement(results, name, "glibc", PRODCONS_TO_GLIBC),
        prodcons_requirement(results, name, "jemalloc", PRODCONS_TO_JEMALLOC),
        threads_requirement(results, name),
    ])
