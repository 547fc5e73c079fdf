# SPDX-License-Identifier: MIT
"""The table on stdout. It holds no host names; what a failed program said follows it."""

import datetime
import os

from comparison import allocators, stats
from comparison.bars import lines as bars
from comparison.document import cpu_model
from comparison.words import size_words, time_words


def subjects(results):
    """The allocators that get a table: poolmalloc, and libraries given by their paths; without
    them, all that are no baselines, or the last baseline."""
    named = [name for name in results.names
             if name == allocators.SUBJECT or name not in allocators.KNOWN]
    others = [name for name in results.names if name not in allocators.BASELINES]
    return named or others or results.names[-1:]


def bases(results, name):
    wanted = allocators.BASELINES
    if name not in allocators.KNOWN:
        wanted += (allocators.SUBJECT,)
    return [base for base in wanted if base in results.names and base != name]


def cell(value):
    return str(value) if value is not None else "-"


def table_line(label, cells):
    return ("%-23s" % label + "".join("%13s" % text for text in cells)).rstrip()


def verdicts(results, row, name):
    """Against the baselines, in time."""
    ratios = [results.ratio(row, name, base, "time_ns") for base in bases(results, name)]
    words = [ratio.verdict("time_ns") if ratio else "-" for ratio in ratios]
    return "   " + ", ".join(words)


def row_line(results, row, name):
    if (row.name, name) in results.failures:
        return "%-23s  failed" % row.name
    time_ns = results.median(row, name, "time_ns")
    rss_kib = results.median(row, name, "peak_rss_kib")
    if time_ns is None:
        return "%-23s  not measured" % row.name
    cells = [time_words(time_ns)]
    cells += [cell(results.ratio(row, name, b, "time_ns")) for b in bases(results, name)]
    cells += [size_words(rss_kib)]
    cells += [cell(results.ratio(row, name, b, "peak_rss_kib")) for b in bases(results, name)]
    return table_line(row.name, cells) + verdicts(results, row, name)


def mean_line(results, name, label, mean, kind=None):
    cells = []
    for field in ("time_ns", "peak_rss_kib"):
        cells.append("")
        for base in bases(results, name):
            value = mean(results.medians(name, base, field, kind))
            cells.append("-" if value is None else "%.2f     " % value)
    return table_line(label, cells)


def table(results, name):
    against = bases(results, name)
    lines = ["",
             "%s: time per operation and peak resident memory; ratios below 1 are better" % name,
             "", table_line("row", ["time"] + ["/ " + b for b in against]
                            + ["peak RSS"] + ["/ " + b for b in against])]
    family = None
    for row in results.rows:
        if family not in (None, row.family):
            lines.append("")
        family = row.family
        lines.append(row_line(results, row, name))
    lines += ["", "geometric means; of memory over rows of 8 MiB and more"]
    for family in dict.fromkeys(row.family for row in results.rows):
        lines.append(mean_line(results, name, "  " + family,
                               lambda m, f=family: stats.family_means(m).get(f)))
    for kind in dict.fromkeys(row.kind for row in results.rows):
        lines.append(mean_line(results, name, "all of " + kind, stats.family_mean, kind))
    lines.append(mean_line(results, name, "all families", stats.family_mean))
    return lines


def instruction_lines(results):
    """Of rows whose instructions were counted: they do not depend on the machine's mood."""
    def taken(row, name):
        return results.details.get(row.name, {}).get(name, {}).get("instructions")
    rows = [row for row in results.rows if any(taken(row, name) for name in results.names)]
    if not rows:
        return []
    lines = ["", "instructions per operation, with the row's own loop; so many times poolmalloc's",
             table_line("row", results.names)]
    for row in rows:
        own = taken(row, allocators.SUBJECT)
        counts = [taken(row, name) for name in results.names]
        lines.append(table_line(row.name, [instruction_cell(count, own) for count in counts]))
    return lines


def instruction_cell(count, own):
    """With its ratio to poolmalloc's."""
    if not count:
        return "-"
    return "%.1f %.2fx" % (count, count / own) if own and count != own else "%.1f" % count


def extra_lines(results):
    """poolmalloc against what only some rows have: pymalloc."""
    lines = []
    for row in results.rows:
        for name in results.names_of(row):
            ratio = results.ratio(row, allocators.SUBJECT, name, "time_ns")
            if name not in results.names and ratio is not None:
                lines.append("%-23s %s of %s's time, %s" % (row.name, ratio, name,
                                                            ratio.verdict("time_ns")))
    return [""] + lines if lines else []


def failure_lines(results):
    lines = []
    for (row, name), failure in results.failures.items():
        lines += ["", "FAILED: %s under %s: %s" % (row, name, failure)]
        lines += ["    " + line for line in failure.detail]
    return lines


def text(results, mode):
    rounds = [results.rounds_of(row) for row in results.rows]
    lines = ["%s, %d cores, %s; rounds of a row: %d to %d%s" % (
        cpu_model(), os.cpu_count(), datetime.date.today(), min(rounds), max(rounds),
        "" if mode.scale == 1 else ", %g of the operations" % mode.scale),
        "Each ratio is the median over the rounds, ± half of its 95 % interval. The last column "
        "says what that is", "in time: where the interval holds 1 there is no difference."]
    lines += results.notes
    for name in subjects(results):
        lines += table(results, name)
    lines += extra_lines(results) + instruction_lines(results)
    if allocators.SUBJECT in results.names:
        lines += bars.of_results(results, allocators.SUBJECT, mode)
    return "\n".join(lines + failure_lines(results)) + "\n"
