# SPDX-License-Identifier: MIT
"""The bars of rare events: the slowest calls in a thousand, slow paths, page faults.

They are counted in rows, of which none may be above its best peer by more than the spread.
"""

import os
import statistics

from comparison import stats
from comparison.bars import peers
from comparison.bars.bar import Bar, of_count

LATENCY, EVENTS = "p99.9", "rare events"
# A clock of this step cannot tell calls apart that differ by less (docs/benchmarks.md).
CLOCK_STEP_NS = 10
BUCKET = 1 / 32  # of a power of two: the histogram of the calls has none that are narrower
# Allocators other than these keep no count of the calls that leave their fast paths.
COUNTS_SLOW_PATHS = ("jemalloc",)
UNCOUNTED = tuple(peer for peer in peers.PEERS if peer not in COUNTS_SLOW_PATHS)


def tails(results, row, name, call):
    """The 99.9th percentiles of the instrumented runs of a row, in their order."""
    latency = results.details.get(row.name, {}).get(name, {}).get("latency_ns") or {}
    calls = latency.get(call) or {}
    return [value for value in calls.get("p999_runs", [calls.get("p999")]) if value is not None]


def best_tail(results, row, call):
    """(peer, its values) of the least median; None."""
    known = [(peer, tails(results, row, peer, call)) for peer in peers.PEERS]
    known = [one for one in known if one[1]]
    return min(known, key=lambda one: statistics.median(one[1])) if known else None


def tail_ratio(results, row, name, call):
    """(peer, Ratio, difference of medians in ns) of the best peer; None where there is no tail."""
    best, ours = best_tail(results, row, call), tails(results, row, name, call)
    if best is None or not ours:
        return None
    pairs = [(one, other) for one, other in zip(ours, best[1]) if one > 0 and other > 0]
    ratio = stats.ratio_of([one / other for one, other in pairs])
    return ratio and (best[0], ratio, statistics.median(ours) - statistics.median(best[1]))


def tail_bar(results, name, call):
    bar = Bar(LATENCY, "p99.9 of %s, rows above the best peer's" % call, 0,
              why=peers.missing(results),
              is_about=lambda row: row.kind != "program" and row.threads <= (os.cpu_count() or 1))
    found = {row.name: tail_ratio(results, row, name, call) for row in results.rows}
    found = {row: one for row, one in found.items() if one is not None}
    known = {row: one for row, one in found.items() if one[1].low is not None}
    if found and not known:
        bar.why = "one run of each has no spread"
    over = sorted(((row, peer, ratio) for row, (peer, ratio, more_ns) in known.items()
                   if ratio.low > 1 and ratio.median > 1 + BUCKET and more_ns > CLOCK_STEP_NS),
                  key=lambda one: -one[2].median)
    of_count(bar, ["%s %s (%s)" % (row, ratio, peer) for row, peer, ratio in over], len(known))
    if found:
        mean = stats.geometric_mean([ratio.median for _, ratio, _ in found.values()])
        bar.notes += ("geometric mean %.2f of the best peer's" % mean,)
    return bar


def slow_paths(results, row, name):
    details = results.details.get(row.name, {}).get(name, {})
    return (details.get("counters_per_million") or {}).get("slow_paths")


def slow_paths_bar(results, name):
    """In one run of each, in which they are the same but where threads meet."""
    bar = Bar(EVENTS, "slow paths, rows above %s's" % ", ".join(COUNTS_SLOW_PATHS), 0,
              is_about=lambda row: row.kind != "program")
    pairs = {row.name: (slow_paths(results, row, name), slow_paths(results, row, peer))
             for row in results.rows for peer in COUNTS_SLOW_PATHS}
    pairs = {row: pair for row, pair in pairs.items() if None not in pair}
    if not pairs:
        bar.why = "peers' slow paths are counted with --full"
    over = sorted((pair for pair in pairs.items() if pair[1][0] > pair[1][1]),
                  key=lambda one: one[1][1] - one[1][0])
    of_count(bar, ["%s %.0f for %.0f" % (row, *pair) for row, pair in over], len(pairs))
    bar.notes += ("per million operations; not counted by " + ", ".join(UNCOUNTED),)
    return bar


FAULTS = "faults_per_million"


def faults_of(results, row, name):
    """All values of a row, in whole faults: less than one in a million operations is none. Empty
    when it failed."""
    if results.has_failed(row, name):
        return []
    return [round(value) for value in results.values(row, name, FAULTS).values()]


def faults_bar(results, name):
    """A row is above when its least value is above the largest of its best peer."""
    bar = Bar(EVENTS, "page faults, rows above the best peer's", 0, why=peers.missing(results),
              is_about=lambda row: row.kind != "program")
    over, compared = [], 0
    for row in results.rows:
        ours = faults_of(results, row, name)
        theirs = {peer: faults_of(results, row, peer) for peer in peers.PEERS}
        theirs = {peer: values for peer, values in theirs.items() if values}
        if not ours or not theirs:
            continue
        compared += 1
        peer = min(theirs, key=lambda one: statistics.median(theirs[one]))
        if min(ours) > max(theirs[peer]):
            over.append((row.name, statistics.median(ours), statistics.median(theirs[peer]), peer))
    over.sort(key=lambda one: one[2] - one[1])
    of_count(bar, ["%s %.0f for %.0f (%s)" % one for one in over], compared)
    bar.notes += ("per million operations, of the row alone",)
    return bar


def bars(results, name):
    return [tail_bar(results, name, "malloc"), tail_bar(results, name, "free"),
            slow_paths_bar(results, name), faults_bar(results, name)]
