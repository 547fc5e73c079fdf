# SPDX-License-Identifier: MIT
"""Rows against the allocators that a bar names, and against the best of them.

The best peer of a row is the one to which poolmalloc has the largest ratio of medians: it is chosen
by the same samples, so with noise the ratio to it is a little too large, never too small.
"""

from comparison import allocators

PEERS = allocators.BASELINES + allocators.OPTIONAL


def missing(results, peers=PEERS):
    """What a reader must know of a bar that is about all of these; empty when all ran."""
    absent = [peer for peer in peers if peer not in results.names]
    return "without " + ", ".join(absent) if absent else ""


def ratios_to(results, name, peer, field, rows):
    """{(family, row): Ratio} of the rows that both finished."""
    found = {(row.family, row.name): results.ratio(row, name, peer, field) for row in rows}
    return {key: ratio for key, ratio in found.items() if ratio is not None}


def best_of(results, row, name, field, peers=PEERS):
    """(peer, Ratio) of the row's best peer; None when none has finished it."""
    ratios = [(peer, results.ratio(row, name, peer, field)) for peer in peers
              if peer in results.names]
    known = [one for one in ratios if one[1] is not None]
    return max(known, key=lambda one: one[1].median) if known else None


def ratios_to_best(results, name, field, rows, peers=PEERS):
    """({(family, row): Ratio}, {row: the best peer's name})"""
    ratios, names = {}, {}
    for row in rows:
        best = best_of(results, row, name, field, peers)
        if best is not None:
            names[row.name], ratios[row.family, row.name] = best
    return ratios, names


def above_spread(ratios, names):
    """The rows above their best peer by more than the spread, in words, worst first; and how many
    rows have a spread."""
    known = {key: ratio for key, ratio in ratios.items() if ratio.low is not None}
    over = sorted(((row, ratio) for (_, row), ratio in known.items() if ratio.low > 1),
                  key=lambda one: -one[1].median)
    return ["%s %.3f±%.3f (%s)" % (row, ratio.median, (ratio.high - ratio.low) / 2, names[row])
            for row, ratio in over], len(known)
