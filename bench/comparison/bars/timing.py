# SPDX-License-Identifier: MIT
"""The bars of time: against each peer, against the best of them, and with many threads."""

from comparison.bars import peers
from comparison.bars.bar import Bar, of_mean, rows_above

GROUP = "time"
TO_EACH = 0.90
TO_BEST = 1.00
TO_BEST_WHERE_IT_COUNTS = 0.95
COUNTS_FROM = 0.30  # of the instructions
ROW_TO_BEST = 1.10
MANY_TO_FEW_THREADS = 1.10
FEW_THREADS, MANY_THREADS = "threads/2", "threads/256"


def to_each(results, name):
    return [of_mean(Bar(GROUP, "time, geometric mean, of %s's" % peer, TO_EACH,
                        why=peers.missing(results, (peer,))),
                    peers.ratios_to(results, name, peer, "time_ns", results.rows))
            for peer in peers.PEERS]


def to_best(results, name):
    ratios, names = peers.ratios_to_best(results, name, "time_ns", results.rows)
    return of_mean(Bar(GROUP, "time, geometric mean, of the row-wise best peer's", TO_BEST,
                       why=peers.missing(results)), ratios, names)


def share_of(results, row, name):
    """Of the row's instructions, those of the allocator; None: they were not counted."""
    return results.details.get(row.name, {}).get(name, {}).get("allocator_share")


def where_it_counts(results, name):
    """Rows whose share was not counted, as of servers, are named by their families."""
    shares = [(row, share_of(results, row, name)) for row in results.rows]
    rows = [row for row, share in shares if share is not None and share >= COUNTS_FROM]
    bar = Bar(GROUP, "the same, where it is at least %.0f %% of instructions" % (100 * COUNTS_FROM),
              TO_BEST_WHERE_IT_COUNTS)
    uncounted = dict.fromkeys(row.family for row, share in shares if share is None)
    if all(share is None for _, share in shares):
        bar.why = "shares of instructions are counted with --full"
        return bar
    bar.why = peers.missing(results)
    if uncounted:
        bar.notes += ("no share was counted of: " + ", ".join(uncounted),)
    return of_mean(bar, *peers.ratios_to_best(results, name, "time_ns", rows))


def worst_row(results, name):
    ratios, names = peers.ratios_to_best(results, name, "time_ns", results.rows)
    bar = Bar(GROUP, "time of the worst row, of its best peer's", ROW_TO_BEST,
              why=peers.missing(results))
    if ratios:
        worst = max(ratios.values(), key=lambda ratio: ratio.median)
        bar.measured, bar.low, bar.high = worst.median, worst.low, worst.high
        bar.above, bar.lists_all = rows_above(ratios, ROW_TO_BEST, names), True
    return bar


def many_threads(results, name):
    bar = Bar("threads", "time with 256 threads, of that with 2", MANY_TO_FEW_THREADS,
              is_about=lambda row: row.name in (FEW_THREADS, MANY_THREADS))
    rows = {row.name: row for row in results.rows}
    if FEW_THREADS not in rows or MANY_THREADS not in rows:
        return bar
    ratios = {one: results.ratio_between_rows(rows[MANY_THREADS], rows[FEW_THREADS], one,
                                              "time_ns") for one in results.names}
    own = ratios.pop(name, None)
    if own is not None:
        bar.measured, bar.low, bar.high = own.median, own.low, own.high
    others = ["%s %s" % (peer, ratio) for peer, ratio in ratios.items() if ratio is not None]
    if others:
        bar.notes += ("others: " + ", ".join(others),)
    return bar


def bars(results, name):
    return to_each(results, name) + [to_best(results, name), where_it_counts(results, name),
                                     worst_row(results, name)]
