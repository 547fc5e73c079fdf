# SPDX-License-Identifier: MIT
"""The bars of resident memory: peaks, of workloads and of programs, and what is kept after them."""

from comparison import stats
from comparison.bars import peers
from comparison.bars.bar import Bar, mean_of, of_mean
from comparison.words import size_words

GROUP = "peak RSS"
LEAN_PEERS = ("jemalloc", "mimalloc", "tcmalloc")
WORKLOADS_TO_BEST = 0.95
PROGRAMS_TO_GLIBC = 1.00
KEPT_TO_JEMALLOC = 1.00


def workloads(results, name):
    rows = [row for row in results.rows if row.kind == "workload" and not results.is_small(row)]
    ratios, names = peers.ratios_to_best(results, name, "peak_rss_kib", rows, LEAN_PEERS)
    return of_mean(Bar(GROUP, "workloads, of the row-wise best of %s" % ", ".join(LEAN_PEERS),
                       WORKLOADS_TO_BEST, why=peers.missing(results, LEAN_PEERS),
                       is_about=lambda row: row.kind == "workload"), ratios, names)


def growth(results, row, name, base):
    """{round: KiB} by which the peak is above a start without load, under `base`."""
    peaks = results.values(row, name, "peak_rss_kib")
    starts = results.values(row, base, "rss_start_kib")
    return {number: peaks[number] - starts[number] for number in peaks if number in starts}


def growth_ratio(results, row, name, base, start_of):
    """Of `name` and `base` in the same round; `start_of(one)`: whose start is the baseline."""
    if results.has_failed(row, name) or results.has_failed(row, base):
        return None
    ours, theirs = (growth(results, row, one, start_of(one)) for one in (name, base))
    return stats.ratio_of([ours[number] / theirs[number] for number in sorted(ours)
                           if number in theirs and ours[number] > 0 and theirs[number] > 0])


def programs(results, name, base="glibc"):
    """Each one's own start is its baseline. Beside it stands what it is when glibc's is that of
    both, so that what an allocator takes to start counts."""
    def ratios(start_of):
        found = {(row.family, row.name): growth_ratio(results, row, name, base, start_of)
                 for row in results.rows if row.kind == "program"}
        return {key: ratio for key, ratio in found.items() if ratio is not None}
    bar = of_mean(Bar(GROUP, "programs, baselines subtracted, of %s's" % base, PROGRAMS_TO_GLIBC,
                      is_about=lambda row: row.kind == "program"), ratios(lambda one: one))
    above_one_start = mean_of(ratios(lambda _: base))
    if above_one_start is not None:
        bar.notes += ("with %s's start subtracted from both: %s" % (base, above_one_start),)
    return bar


def servers(results, name, field, when):
    ratios = peers.ratios_to(results, name, "jemalloc", field, results.rows)
    bar = of_mean(Bar("kept after the load", "servers, %s, of jemalloc's" % when,
                      KEPT_TO_JEMALLOC, is_about=lambda row: row.kind == "program"), ratios)
    if ratios and all(ratio.low is None for ratio in ratios.values()):
        bar.notes += ("of one round",)
    return bar


def kept_kib(results, row, name):
    """After a workload has freed all its blocks, more than before it; None: not known."""
    kept = results.details.get(row.name, {}).get(name, {}).get("kept_kib")
    return None if kept is None else max(0, kept)


def workloads_kept(results, name, base="jemalloc"):
    """Of the sums: of many rows both keep nothing, which gives no ratio."""
    rows = [row for row in results.rows if row.kind != "program"]
    pairs = {row.name: (kept_kib(results, row, name), kept_kib(results, row, base))
             for row in rows}
    known = {row: pair for row, pair in pairs.items() if None not in pair}
    ours, theirs = (sum(pair[i] for pair in known.values()) for i in range(2))
    bar = Bar("kept after the load", "workloads, when all is freed, sum, of %s's" % base,
              KEPT_TO_JEMALLOC, is_about=lambda row: row.kind != "program")
    if theirs > 0:
        bar.measured = ours / theirs
        more = sorted(known.items(), key=lambda one: one[1][1] - one[1][0])
        bar.above = tuple("%s %s for %s" % (row, size_words(own), size_words(other))
                          for row, (own, other) in more if own > other)
        bar.notes += ("%s for %s, over %d rows" % (size_words(ours), size_words(theirs),
                                                   len(known)),)
    return bar


def bars(results, name):
    return [workloads(results, name), programs(results, name),
            servers(results, name, "rss_after_kib", "right after it"),
            servers(results, name, "rss_later_kib", "a minute later"),
            workloads_kept(results, name)]
