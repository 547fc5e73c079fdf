# SPDX-License-Identifier: MIT
"""The tables of a report, from the document."""

from reporting import words
from reporting.document import path
from reporting.model import Cell, Table

SYMBOLS = {"better": "✓", "worse": "✗", "same": "=", "unsure": "?"}
FORMS = {"time_ns": words.time, "p99_us": words.micros, "throughput_per_s": words.rate,
         "page_faults": words.count}
FAILED = "failed"


def form_of(field):
    return FORMS.get(field, words.memory if field.endswith("_kib") else words.count)


def row_cell(row):
    return Cell(row.name, css="name", title=row.what, under=row.what)


def failed_cell(reason):
    return Cell("✗ " + FAILED, css="failed", title=str(reason))


def ratio_title(row, name, base, field):
    ratio = row.ratio(name, base, field)
    if ratio is None:
        return ""
    return "%s / %s: %s (%s to %s), %s" % (
        name, base, words.ratio(ratio.median), words.ratio(ratio.low), words.ratio(ratio.high),
        ratio.verdict)


def value_cell(row, name, field, bases):
    """What that allocator needed, with its own ratios for who rests the pointer on it."""
    if name in row.failures:
        return failed_cell(row.failures[name])
    value = row.median(name, field)
    titles = [ratio_title(row, name, base, field) for base in bases if base != name]
    return Cell(form_of(field)(value), value, title="; ".join(t for t in titles if t))


def ratio_cell(row, subject, base, field):
    ratio = row.ratio(subject, base, field)
    if ratio is None:
        if subject in row.failures or base in row.failures:
            return failed_cell(row.failures.get(subject) or row.failures.get(base))
        return Cell(words.NOTHING)
    spread = "" if ratio.spread is None or ratio.verdict == "one round" \
        else " ±" + words.percent(ratio.spread)
    return Cell(words.ratio(ratio.median) + spread, ratio.median, "verdict " + ratio.judgement,
                "%s; %s" % (ratio_title(row, subject, base, field),
                            words.plural(ratio.rounds, "round")),
                under="%s %s" % (SYMBOLS[ratio.judgement], ratio.verdict))


def best(document, field, cells):
    """The allocator's cells of a row: the best value stands out, if more than one is there."""
    measured = [cell for cell in cells if cell.sort is not None]
    if len(measured) > 1:
        higher = path(document.fields, field, "better") == "higher"
        (max if higher else min)(measured, key=lambda cell: cell.sort).strong = True
    return cells


def field_table(document, rows, field, caption):
    """A row for each row: the value under each allocator, the subject's ratio to each base."""
    rows = [row for row in rows if row.has(field) or row.failures]
    if not any(row.has(field) for row in rows) and field != "time_ns" or not rows:
        return None
    names, subject = document.measured(rows), document.subject
    bases = document.bases(rows)
    return Table(
        caption, [("row", False)] + [("%s /\u00a0%s" % (subject, base), True) for base in bases]
        + [(name, True) for name in names],
        [[row_cell(row)] + [ratio_cell(row, subject, base, field) for base in bases]
         + best(document, field, [value_cell(row, name, field, bases) for name in names])
         for row in rows])


RESIDENT = (("rss_start_kib", "after the start"), ("peak_rss_kib", "peak"),
            ("rss_after_kib", "right after the load"), ("rss_later_kib", "a minute later"))


def server_memory_table(document, rows):
    """Of servers: each allocator a line, because the four values belong together."""
    lines = []
    for row in (row for row in rows if row.has("rss_start_kib")):
        for name in document.measured([row]):
            if name in row.failures:
                values = [failed_cell(row.failures[name]) for _ in RESIDENT]
            else:
                values = [value_cell(row, name, field, []) for field, _ in RESIDENT]
            lines.append([Cell(row.name, css="name"), Cell(name)] + values)
    return Table("Resident memory: a start without load, the peak, and what servers give back",
                 [("row", False), ("allocator", False)] + [(title, True) for _, title in RESIDENT],
                 lines) if lines else None


def means_table(document):
    """Geometric means over the families, of every allocator that was compared."""
    bases = list(document.baselines) + [
        base for of in document.summary.values() for base in of
        if base not in document.baselines]
    columns = [(base, field, title) for base in dict.fromkeys(bases)
               for field, title in (("time_ns", "time"), ("peak_rss_kib", "peak memory"))
               if any(document.mean(name, base, field) for name in document.summary)]
    rows = []
    for name in document.allocators:
        cells = []
        for base, field, _ in columns:
            mean = document.mean(name, base, field)
            cells.append(Cell(words.NOTHING if base != name else "1", 1.0 if base == name else None)
                         if mean is None else Cell(words.ratio(mean), mean))
        if any(cell.sort is not None for cell in cells):
            version = document.versions.get(name)
            for one in cells:
                one.strong = name == document.subject
            rows.append([Cell(name, css="name", under=str(version) if version else "")] + cells)
    return Table("Geometric means over the families, each family weighing the same; "
                 "below 1 is less than the base", [("allocator", False)] + [
                     ("%s /\u00a0%s" % (title, base), True) for base, _, title in columns],
                 rows) if rows and columns else None


def kinds_table(document, titles):
    """The subject's means, of each kind of rows alone. `titles`: {kind: title}"""
    subject = document.subject
    fields = (("time_ns", "time"), ("peak_rss_kib", "peak memory"))
    columns = [(base, field, title) for base in document.bases(document.rows)
               for field, title in fields
               if any(document.kind_mean(subject, base, field, kind) for kind in titles)]
    rows = []
    for kind, kind_title in titles.items():
        means = [document.kind_mean(subject, base, field, kind) for base, field, _ in columns]
        if any(means):
            rows.append([Cell(kind_title, css="name")]
                        + [Cell(words.ratio(mean) if mean else words.NOTHING, mean)
                           for mean in means])
    return Table("The same means of %s, of each kind of rows alone" % subject,
                 [("rows", False)] + [("%s /\u00a0%s" % (title, base), True)
                                      for base, _, title in columns], rows) if rows else None


def bar_words(value):
    """A ratio; or a number of rows, which is whole."""
    return str(value) if isinstance(value, int) else words.ratio(words.number(value))


def requirement_cells(one):
    met = ("✓ met", "word better") if one.get("met") is True else (
        "✗ missed", "word worse") if one.get("met") is False else ("? not measured", "word unsure")
    if one.get("met") is None and one.get("measured") is not None:
        met = ("? not decided", "word unsure")
    limit, measured = one.get("limit"), one.get("measured")
    sign = "≥" if one.get("at_least") else "<" if one.get("below") else "≤"
    title = ". ".join(part for part in (
        one.get("why"), one.get("detail") and "Above: %s" % one["detail"]) if part)
    return [Cell(str(one.get("text", "")), css="name wide", title=title),
            Cell(met[0], css=met[1]), Cell(bar_words(measured), words.number(measured)),
            Cell("%s %s" % (sign, bar_words(limit)), words.number(limit))]


def requirements_table(document):
    return Table("What the project has promised to reach, beside what was measured",
                 [("requirement", False), ("verdict", False), ("measured", True), ("limit", True)],
                 [requirement_cells(one) for one in document.requirements]) \
        if document.requirements else None


def detail_table(document, rows, caption, keys, form):
    """One figure of the details under each allocator."""
    found = [row for row in rows if any(
        words.number(row.detail(name, *keys)) is not None for name in document.allocators)]
    names = [name for name in document.allocators if any(
        words.number(row.detail(name, *keys)) is not None for row in found)]

    def cell(row, name):
        value = words.number(row.detail(name, *keys))
        if value is None and name in row.failures:
            return failed_cell(row.failures[name])
        return Cell(form(value), value)

    return Table(caption, [("row", False)] + [(name, True) for name in names],
                 [[Cell(row.name, css="name", title=row.what)]
                  + best(document, "", [cell(row, name) for name in names])
                  for row in found]) if found else None


def latency_cell(found):
    values = [words.number(path(found, key)) for key in ("p50", "p99", "p999")]
    if None in values:
        return Cell(words.NOTHING)
    return Cell(words.times(values), values[1],
                title="longest %s; %s calls, %s dropped" % (
                    words.time(words.number(found.get("max"))),
                    words.count(words.number(found.get("samples"))),
                    words.count(words.number(found.get("dropped")))))


def latency_table(document, call):
    rows = [row for row in document.rows if any(
        isinstance(row.detail(name, "latency_ns", call), dict) for name in document.allocators)]
    names = [name for name in document.allocators if any(
        isinstance(row.detail(name, "latency_ns", call), dict) for row in rows)]
    return Table("One %s: p50 · p99 · p99.9 (sorted by p99)" % call,
                 [("row", False)] + [(name, True) for name in names],
                 [[Cell(row.name, css="name", title=row.what)] + best(document, "", [
                     latency_cell(row.detail(name, "latency_ns", call)) for name in names])
                  for row in rows]) if rows else None


def counters_table(document):
    subject = document.subject
    rows = [row for row in document.rows
            if isinstance(row.detail(subject, "counters_per_million"), dict)]
    keys = list(dict.fromkeys(key for row in rows
                              for key in row.detail(subject, "counters_per_million")))

    def cell(row, key):
        value = words.number(row.detail(subject, "counters_per_million", key))
        return Cell(words.count(value), value)

    return Table("%s's own counters, per million operations" % subject,
                 [("row", False)] + [(key.replace("_", " "), True) for key in keys],
                 [[Cell(row.name, css="name", title=row.what)] + [cell(row, key) for key in keys]
                  for row in rows]) if rows else None
