# SPDX-License-Identifier: MIT
"""The table on stdout and the JSON file. Neither holds host names or paths."""

import datetime
import json
import os
import re

from comparison import allocators, requirements, stats

JSON_FORMAT = 1


def time_words(ns):
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return "%.2f %s" % (ns / size, unit)
    return "%.1f ns" % ns


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            found = re.search(r"model name\s*:\s*(.*)", file.read())
    except OSError:
        found = None
    return found.group(1) if found else "unknown processor"


def subjects(results):
    """The allocators that are compared to the baselines; the last baseline when there is none."""
    others = [name for name in results.names if name not in allocators.BASELINES]
    return others or results.names[-1:]


def bases(results, name):
    return [base for base in allocators.BASELINES if base in results.names and base != name]


def cell(value):
    return str(value) if value is not None else "-"


def table_line(label, cells):
    return ("%-21s" % label + "".join("%13s" % text for text in cells)).rstrip()


def row_line(results, row, name):
    if (row.name, name) in results.failures:
        return "%-21s  failed" % row.name
    time_ns = results.median(row, name, "time_ns")
    rss_kib = results.median(row, name, "rss_kib")
    if time_ns is None:
        return "%-21s  not measured" % row.name
    cells = [time_words(time_ns)]
    cells += [cell(results.ratio(row, name, b, "time_ns")) for b in bases(results, name)]
    cells += ["%.1f MiB" % (rss_kib / 1024)]
    cells += [cell(results.ratio(row, name, b, "rss_kib")) for b in bases(results, name)]
    return table_line(row.name, cells)


def mean_line(results, name, label, mean):
    cells = []
    for field in ("time_ns", "rss_kib"):
        cells.append("")
        for base in bases(results, name):
            value = mean(results.medians(name, base, field))
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
    lines += ["", "geometric means"]
    for family in dict.fromkeys(row.family for row in results.rows):
        lines.append(mean_line(results, name, "  " + family,
                               lambda m, f=family: stats.family_means(m).get(f)))
    lines.append(mean_line(results, name, "all families", stats.family_mean))
    return lines


def requirement_lines(results, name):
    lines = ["", "%s must reach%s" % (name, ", in a full run; this one was not"
                                      if results.partial else "")]
    for needed in requirements.all_requirements(results, name):
        words = {True: "met", False: "MISSED", None: "not measured"}[needed.met]
        measured = "-" if needed.measured is None else "%.2f" % needed.measured
        lines.append("  %-52s %s %.2f   %6s   %s" % (needed.text, ">=" if needed.at_least else "<=",
                                                   needed.limit, measured, words))
        if needed.detail:
            lines.append("      above: " + needed.detail)
    return lines


def failure_lines(results):
    lines = []
    for (row, name), failure in results.failures.items():
        lines += ["", "FAILED: %s under %s: %s" % (row, name, failure)]
        lines += ["    " + line for line in failure.detail]
    return lines


def text(results, rounds, scale):
    lines = ["%s, %d cores, %s; rounds: %d%s" % (
        cpu_model(), os.cpu_count(), datetime.date.today(), rounds,
        "" if scale == 1 else ", %g of the operations" % scale),
        "Each ratio is the median over the rounds, ± half the interquartile range."]
    for name in subjects(results):
        lines += table(results, name)
    if allocators.SUBJECT in results.names:
        lines += requirement_lines(results, allocators.SUBJECT)
    return "\n".join(lines + failure_lines(results)) + "\n"


def row_as_json(results, row):
    samples = {name: {field: list(results.values(row, name, field).values())
                      for field in ("time_ns", "rss_kib")} for name in results.names}
    ratios = {}
    for name in subjects(results):
        for base in bases(results, name):
            for field in ("time_ns", "rss_kib"):
                ratio = results.ratio(row, name, base, field)
                if ratio is not None:
                    ratios.setdefault(name, {}).setdefault(base, {})[field] = {
                        "median": ratio.median, "spread": ratio.spread}
    return {"name": row.name, "family": row.family, "clock": row.clock, "what": row.what,
            "samples": samples, "ratios": ratios}


def as_json(results, rounds, scale):
    means = {name: {base: {field: stats.family_mean(results.medians(name, base, field))
                           for field in ("time_ns", "rss_kib")}
                    for base in bases(results, name)} for name in subjects(results)}
    needed = requirements.all_requirements(results, allocators.SUBJECT) \
        if allocators.SUBJECT in results.names else []
    return {
        "format": JSON_FORMAT,
        "date": str(datetime.date.today()),
        "machine": {"processor": cpu_model(), "cores": os.cpu_count()},
        "rounds": rounds,
        "partial": results.partial,
        "scale": scale,
        "allocators": results.names,
        "rows": [row_as_json(results, row) for row in results.rows],
        "geometric_means": means,
        "requirements": [{"text": n.text, "limit": n.limit, "at_least": n.at_least,
                          "measured": n.measured, "met": n.met} for n in needed],
        # Only the one-line reason: what a program said may hold paths.
        "failures": [{"row": row, "allocator": name, "reason": str(failure)}
                     for (row, name), failure in results.failures.items()],
    }


def write_json(path, results, rounds, scale):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(as_json(results, rounds, scale), file, indent=1)
        file.write("\n")
