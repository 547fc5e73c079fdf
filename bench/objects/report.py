# SPDX-License-Identifier: MIT
"""The results as a JSON document, and that as Markdown."""

import datetime
import statistics

from comparison import document
from comparison.words import size_words
from objects import promises
from objects.contenders import SUBJECT
from objects.measuring import FIELDS, bases_of

FORMAT = 1
MEMORY = ("peak_rss_kib", "grown_kib")


def ratio_as_json(ratio):
    return {"median": ratio.median, "low": ratio.low, "high": ratio.high, "rounds": ratio.rounds}


def row_as_json(results, row):
    names = [contender.name for contender in row.contenders]
    fields = [field for field in FIELDS if results.has(row, field)
              and not (field in MEMORY and results.is_small(row))]
    samples = {name: {field: list(results.values(row, name, field).values()) for field in fields
                      if results.values(row, name, field)} for name in names}
    ratios = {base: {field: results.ratio(row, SUBJECT, base, field) for field in fields}
              for base in bases_of(row)}
    return {
        "name": row.name, "family": row.family, "unit": row.unit, "clock": row.clock,
        "what": row.what, "contenders": names, "samples": samples,
        "medians": {name: {field: statistics.median(values) for field, values in fields.items()}
                    for name, fields in samples.items() if fields},
        "ratios": {base: {field: ratio_as_json(ratio) for field, ratio in found.items()
                          if ratio is not None} for base, found in ratios.items()},
        "failures": {name: str(results.failures[row.name, name]) for name in names
                     if (row.name, name) in results.failures},
    }


def make(results, contenders, extent, notes):
    """`extent`: {rounds, scale, partial, seconds}."""
    return {
        "format": FORMAT, "kind": "objects", "date": str(datetime.date.today()), **extent,
        "version": document.version(), "machine": document.machine(), "subject": SUBJECT,
        "contenders": [{"name": contender.name, "what": contender.what,
                        "version": results.versions.get(contender.name, "")}
                       for contender in contenders],
        "fields": {field: {"title": title, "unit": unit} for field, (title, unit)
                   in FIELDS.items()},
        "rows": [row_as_json(results, row) for row in results.rows],
        "promises": [{"text": promise.text, "limit": promise.limit,
                      "measured": promise.measured, "met": promise.met}
                     for promise in promises.all_promises(results)],
        "notes": notes,
    }


# ---- Markdown ----

def value_words(field, value):
    if field in MEMORY:
        return size_words(value)
    ns = value * 1e3 if FIELDS[field][1] == "µs" else value
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return "%.3g %s" % (ns / size, unit)
    return "%.3g ns" % ns


def ratio_words(ratio):
    if ratio["low"] is None:
        return "%.2f" % ratio["median"]
    half = (ratio["high"] - ratio["low"]) / 2
    return "%.2f ± %s" % (ratio["median"], "%.2f" % half if half < 9.995 else "more than 9")


def cell(row, name, field):
    if name in row["failures"]:
        return "failed"
    value = row["medians"].get(name, {}).get(field)
    if value is None:
        return ""
    words = value_words(field, value)
    ratio = row["ratios"].get(name, {}).get(field)
    return words if ratio is None else "%s (%s)" % (words, ratio_words(ratio))


def table(made, field):
    """Of the rows that have the field; the contenders that have a value in one of these."""
    rows = [row for row in made["rows"]
            if any(field in medians for medians in row["medians"].values())]
    names = [contender["name"] for contender in made["contenders"]
             if any(field in row["medians"].get(contender["name"], {})
                    or contender["name"] in row["failures"] for row in rows)]
    if not rows:
        return []
    lines = ["", "## %s" % made["fields"][field]["title"], "",
             "| row | %s |" % " | ".join(names), "|---|%s|" % "|".join("---:" for _ in names)]
    return lines + ["| `%s` | %s |" % (row["name"], " | ".join(cell(row, name, field)
                                                               for name in names))
                    for row in rows]


def promise_lines(made):
    known = [promise for promise in made["promises"] if promise["met"] is not None]
    return [""] * bool(known) + ["- %s: %.2f (wanted: at most %.2f): %s"
                                 % (promise["text"], promise["measured"], promise["limit"],
                                    "met" if promise["met"] else "**missed**")
                                 for promise in known]


def head(made):
    machine = made["machine"]
    rounds = "%d round%s" % (made["rounds"], "s" * (made["rounds"] != 1))
    yield "# How the object layer compares"
    yield ""
    yield "%s, %s, %d cores, %s GiB, Linux %s, %s; poolmalloc %s; %s, scale %g.%s" % (
        made["date"], machine["processor"], machine["cores"], machine["memory_gib"],
        machine["kernel"], machine["libc"], made["version"], rounds, made["scale"],
        " Partial." if made["partial"] else "")
    yield ""
    for contender in made["contenders"]:
        version = " " + contender["version"] if contender["version"] else ""
        yield "- %s%s: %s" % (contender["name"], version, contender["what"])
    yield ""
    yield ("Medians; in brackets the ratio of %s to that contender, median of the rounds ± half "
           "its 95 %% interval: below 1, %s needs less." % (made["subject"], made["subject"]))


def markdown(made):
    lines = list(head(made)) + promise_lines(made)
    for field in FIELDS:
        lines += table(made, field)
    lines += ["", "## The rows", ""]
    lines += ["- `%s`, per %s: %s" % (row["name"], row["unit"], row["what"])
              for row in made["rows"]]
    failed = ["- `%s`, %s: %s" % (row["name"], name, words) for row in made["rows"]
              for name, words in row["failures"].items()]
    if failed:
        lines += ["", "## What failed", ""] + failed
    if made["notes"]:
        lines += [""] + ["- " + note for note in made["notes"]]
    return "\n".join(lines) + "\n"
