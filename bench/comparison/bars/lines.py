# SPDX-License-Identifier: MIT
"""The bars as lines below the table, and as a part of the JSON document."""

import textwrap

from comparison import stats
from comparison.bars import all_bars

WORDS = {True: "met", False: "MISSED", None: "not measured"}
WIDTH = 100
ROWS_SHOWN = 10  # of those above a mean, which need not be below it


def verdict(bar):
    """A figure that is only a part of what the bar is about is shown, and says of what."""
    words = WORDS[bar.met]
    if bar.met is None and bar.measured is not None:
        words = "not decided"
    return "%s: %s" % (words, bar.why) if bar.why else words


def measured(bar):
    if bar.measured is None:
        return "-"
    if isinstance(bar.measured, int):
        return str(bar.measured)
    return str(stats.Ratio(bar.measured, bar.low, bar.high, 0))


def limit(bar):
    return "%s %s" % (bar.sign, bar.limit if isinstance(bar.limit, int) else "%.2f" % bar.limit)


def wrapped(text):
    return textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 8,
                         break_long_words=False, break_on_hyphens=False)


def shown(bar):
    more = len(bar.above) - ROWS_SHOWN
    if bar.lists_all or more <= 0:
        return bar.above
    return bar.above[:ROWS_SHOWN] + ("and %d more" % more,)


def of_bar(bar):
    lines = ["  %-56s %7s %10s   %s" % (bar.text, limit(bar), measured(bar), verdict(bar))]
    for title, words in (("above: ", shown(bar)), ("failed: ", bar.failed)):
        if words:
            lines += wrapped(title + ", ".join(words))
    return lines + [line for note in bar.notes for line in wrapped(note)]


def of_results(results, name, mode):
    whole = not results.partial and mode.scale >= 1
    lines = ["", "%s must reach%s" % (name, "" if whole else ", in a whole run; this one was not")]
    group = None
    for bar in all_bars(results, name):
        if bar.group != group:
            lines.append(bar.group)
            group = bar.group
        lines += of_bar(bar)
    return lines


def as_json(bar):
    return {"group": bar.group, "text": bar.text, "limit": bar.limit, "at_least": bar.at_least,
            "below": bar.below, "measured": bar.measured, "low": bar.low, "high": bar.high,
            "met": bar.met, "detail": bar.detail, "notes": list(bar.notes), "why": bar.why,
            "failed": list(bar.failed)}
