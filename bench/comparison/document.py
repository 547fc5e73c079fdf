# SPDX-License-Identifier: MIT
"""The results as one JSON document, from which the report is made. Neither holds host names or
paths: of failures only the one-line reason, as what a program said may hold some."""

import datetime
import json
import os
import platform
import re
import subprocess

from comparison import allocators, stats
from comparison.bars import all_bars, lines as bars
from comparison.options import ROOT

FORMAT = 2


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            found = re.search(r"model name\s*:\s*(.*)", file.read())
    except OSError:
        found = None
    return found.group(1) if found else platform.machine()


def memory_gib():
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 ** 30, 1)


def setting(path):
    """What a file of the kernel says; of several choices, the one in brackets."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read().strip()
    except OSError:
        return "unknown"
    chosen = re.search(r"\[(.*?)\]", text)
    return chosen.group(1) if chosen else text


def machine():
    return {"processor": cpu_model(), "architecture": platform.machine(),
            "cores": os.cpu_count(), "memory_gib": memory_gib(),
            "kernel": platform.release().split("-")[0],
            "page_bytes": os.sysconf("SC_PAGE_SIZE"),
            "libc": " ".join(platform.libc_ver()).strip() or "unknown",
            "huge_pages": setting("/sys/kernel/mm/transparent_hugepage/enabled"),
            "randomize_va_space": setting("/proc/sys/kernel/randomize_va_space"),
            "overcommit_memory": setting("/proc/sys/vm/overcommit_memory")}


def version():
    """Of the sources: what git says of them, or the number in CMakeLists.txt."""
    try:
        done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--tags"],
                              capture_output=True, text=True, check=True)
        described = done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        described = ""
    try:
        with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as file:
            number = re.search(r"VERSION (\d+\.\d+\.\d+)", file.read()).group(1)
    except (OSError, AttributeError):
        number = "unknown"
    return "%s (%s)" % (number, described) if described else number


def bases(results, name):
    """The allocators that `name` is held against: the subject against everybody, the others
    against the baselines and the subject."""
    if name == allocators.SUBJECT:
        return [base for base in results.names if base != name]
    wanted = allocators.BASELINES + (allocators.SUBJECT,)
    return [base for base in wanted if base in results.names and base != name]


def fields_of(results, row):
    return [field for field in stats.FIELDS
            if any(field in values for rounds in results.samples.get(row.name, {}).values()
                   for values in rounds.values())]


def ratio_as_json(ratio, field):
    return {"median": ratio.median, "low": ratio.low, "high": ratio.high, "spread": ratio.spread,
            "rounds": ratio.rounds, "verdict": ratio.verdict(field)}


def row_ratios(results, row, fields):
    ratios = {}
    names = results.names_of(row)
    for name in names:
        others = [base for base in names if base not in results.names]
        for base in bases(results, name) + others:
            for field in fields if base != name else ():
                ratio = results.ratio(row, name, base, field)
                if ratio is not None:
                    ratios.setdefault(name, {}).setdefault(base, {})[field] = \
                        ratio_as_json(ratio, field)
    return ratios


def row_samples(results, row, name, fields):
    rounds = results.samples.get(row.name, {}).get(name, {})
    numbers = range(max(rounds, default=-1) + 1)
    known = any(stats.SLOWDOWN in values for values in rounds.values())
    return {field: [rounds.get(number, {}).get(field) for number in numbers]
            for field in fields + [stats.SLOWDOWN] * known}


def row_as_json(results, row):
    fields = fields_of(results, row)
    names = results.names_of(row)
    return {
        "name": row.name, "family": row.family, "kind": row.kind, "clock": row.clock,
        "threads": row.threads, "what": row.what, "unit": row.unit, "series": row.series,
        "rounds": results.rounds_of(row),
        "samples": {name: row_samples(results, row, name, fields) for name in names},
        "medians": {name: {field: results.median(row, name, field) for field in fields
                           if results.median(row, name, field) is not None} for name in names},
        "ratios": row_ratios(results, row, fields),
        "details": results.details.get(row.name, {}),
        "failures": {name: str(failure) for (row_name, name), failure in results.failures.items()
                     if row_name == row.name},
    }


def mean_as_json(results, name, base, field):
    medians = results.medians(name, base, field)
    kinds = {row.kind: None for row in results.rows}
    for kind in kinds:
        kinds[kind] = stats.family_mean(results.medians(name, base, field, kind))
    return {"mean": stats.family_mean(medians), "kinds": kinds,
            "families": stats.family_means(medians)}


def extra_names(results):
    """Of allocators that only some rows have, as pymalloc."""
    return sorted({name for row in results.rows for name in results.names_of(row)}
                  - set(results.names))


def summary(results):
    extra = extra_names(results)
    return {name: {base: {field: mean_as_json(results, name, base, field)
                          for field in ("time_ns", "peak_rss_kib")}
                   for base in bases(results, name) + extra} for name in results.names}


def requirements_as_json(results):
    if allocators.SUBJECT not in results.names:
        return []
    return [bars.as_json(bar) for bar in all_bars(results, allocators.SUBJECT)]


def make(results, served, skipped, mode, seconds):
    """`served`: the allocators of the comparison; `skipped`: names of those that do not serve."""
    return {
        "format": FORMAT, "date": str(datetime.date.today()), "mode": mode.name,
        "scale": mode.scale, "partial": results.partial, "seconds": round(seconds),
        "options": {"rounds": mode.rounds, "program_rounds": mode.program_rounds,
                    "rounds_cap": mode.rounds_cap, "detail_runs": mode.detail_runs},
        "version": version(), "machine": machine(), "subject": allocators.SUBJECT,
        "baselines": [name for name in allocators.BASELINES if name in results.names],
        "allocators": [{"name": a.name, "version": a.version, "serves": True} for a in served]
        + [{"name": name, "version": None, "serves": True} for name in extra_names(results)]
        + [{"name": name, "version": None, "serves": False} for name in skipped],
        "fields": {name: {"title": field.title, "unit": field.unit, "better": field.better}
                   for name, field in stats.FIELDS.items()},
        "rows": [row_as_json(results, row) for row in results.rows],
        "summary": summary(results),
        "requirements": requirements_as_json(results),
        "budgets": results.budgets,
        "notes": results.notes,
    }


def rounded(value):
    """To six digits, which is more than anything here is good for."""
    if isinstance(value, float):
        return float("%.6g" % value)
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return value


def lines_of(document):
    """A line for each key, and for each row: what is wrong with one is found with grep."""
    for key, value in document.items():
        text = json.dumps(value, separators=(",", ":"))
        if key == "rows":
            rows = [json.dumps(row, separators=(",", ":")) for row in value]
            text = "[\n%s\n]" % ",\n".join(rows)
        yield "%s: %s" % (json.dumps(key), text)


def write(path, document):
    with open(path, "w", encoding="utf-8") as file:
        file.write("{\n%s\n}\n" % ",\n".join(lines_of(rounded(document))))
