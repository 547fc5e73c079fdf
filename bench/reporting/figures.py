# SPDX-License-Identifier: MIT
"""Which figures a report has, and from which parts of the document each is drawn."""

from reporting import document as documents
from reporting import palette, plots, words
from reporting.model import Figure

BARS_MAX = 30  # in one plot: fifteen rows against two baselines
BASES_MAX = 3  # of a row, in a plot
KIND_TITLES = {"micro": "micro", "workload": "workloads", "program": "programs"}
LATENCY_ROWS = 8
MEMORY_ROWS = 30
HINTS = {"time_ns": "left of 1: less time  ·  right: more", "peak_rss_kib":
         "left of 1: less memory  ·  right: more"}


def bar_legend(document, bases, slots):
    return [("%s / %s" % (document.subject, base), slots[base], "bar") for base in bases]


def family_bars(document, field, kinds=documents.KINDS):
    """[(family, [(base, Ratio)])]: the mean, and whiskers from the least row to the greatest."""
    bars = []
    for family in dict.fromkeys(row.family for row in document.rows if row.kind in kinds):
        rows = [row for row in document.rows if row.family == family and row.kind in kinds]
        ratios = []
        for base in document.bases(rows):
            inside = [r for r in (row.ratio(document.subject, base, field) for row in rows) if r]
            mean = documents.log_middle([ratio.median for ratio in inside])
            if mean:
                medians = [ratio.median for ratio in inside]
                ratios.append((base, documents.Ratio(mean, min(medians), max(medians), None,
                                                     len(inside), "", "")))
        if ratios:
            bars.append((family, ratios))
    return bars


def bases_of_rows(document):
    """Those that each row has a bar for: with many allocators the baselines, and what only some
    rows have, as pymalloc; the others are in the tables."""
    bases = document.bases(document.rows)
    if len(bases) <= BASES_MAX:
        return bases
    rare = [base for base in bases if 2 * sum(
        row.ratio(document.subject, base, "time_ns") is not None for row in document.rows)
        < len(document.rows)]
    return [base for base in bases if base in document.baselines or base in rare] \
        or bases[:BASES_MAX]


def row_bars(document, rows, field):
    bars = []
    for row in rows:
        ratios = [(base, row.ratio(document.subject, base, field))
                  for base in bases_of_rows(document)]
        ratios = [(base, ratio) for base, ratio in ratios if ratio]
        if ratios:
            bars.append((row.name, ratios))
    return bars


def chunks(bars, limit=BARS_MAX):
    """Parts of about the same number of bars, none above the limit."""
    total = sum(len(ratios) for _, ratios in bars)
    parts = -(-total // limit) or 1
    found, done = [[] for _ in range(parts)], 0
    for bar in bars:
        found[min(done * parts // max(total, 1), parts - 1)].append(bar)
        done += len(bar[1])
    return [part for part in found if part]


def bars_figures(document, slots, bars, field, title, caption):
    figures, parts = [], chunks(bars)
    for number, part in enumerate(parts, 1):
        bases = [base for base in slots if any(base == b for _, ratios in part for b, _ in ratios)]
        slotted = [(label, [(slots[base], ratio) for base, ratio in ratios])
                   for label, ratios in part]
        figures.append(Figure(
            title + (" (%d of %d)" % (number, len(parts)) if len(parts) > 1 else ""), caption,
            bar_legend(document, bases, slots),
            lambda slotted=slotted: plots.ratio_bars(slotted, HINTS[field])))
    return figures


def mean_of(bars, base):
    """Over families, each weighing the same, with whiskers from the least to the greatest."""
    means = [dict(ratios)[base].median for _, ratios in bars if base in dict(ratios)]
    return documents.Ratio(documents.log_middle(means), min(means), max(means), None, len(means),
                           "", "") if means else None


def kind_bars(document, field):
    """[(kind, [(base, Ratio)])], with all kinds together first, of what was run in all of them."""
    of_kinds = [(title, family_bars(document, field, (kind,)))
                for kind, title in KIND_TITLES.items()]
    bases = document.bases(document.rows)
    common = [base for base in bases
              if all(mean_of(bars, base) for _, bars in of_kinds if bars)] or bases
    whole = [bar for _, bars in of_kinds for bar in bars]
    found = [(title, [(base, mean_of(bars, base)) for base in common])
             for title, bars in [("all families", whole)] + of_kinds if bars]
    return [(title, [(base, mean) for base, mean in ratios if mean]) for title, ratios in found]


def headline(document, slots):
    """The plot that goes into a README: the means of each kind in one, wide, legend inside."""
    bars = kind_bars(document, "time_ns")
    if not bars:
        return None
    bases = [base for base in slots if any(base == b for _, ratios in bars for b, _ in ratios)]
    slotted = [(label, [(slots[base], ratio) for base, ratio in ratios]) for label, ratios in bars]
    return plots.ratio_bars(slotted, HINTS["time_ns"], width=760, heading=plots.own_heading(
        bases, slots, words.shortened("Time of %s over that of each; %s; %s" % (
            document.subject, document.date, processor_words(document)), 98)))


def series_points(document, rows, name):
    """[(threads, operations a second)]"""
    points = []
    for row in rows:
        ns, rate = row.median(name, "time_ns"), row.median(name, "throughput_per_s")
        if rate or ns:
            points.append((row.threads, rate or 1e9 / ns))
    return sorted(points)


def threads_figures(document, slots):
    figures = []
    for series in dict.fromkeys(row.series for row in document.rows if row.series):
        rows = [row for row in document.rows if row.series == series]
        lines = [(name, series_points(document, rows, name)) for name in document.allocators]
        lines = [(name, points) for name, points in lines if len(points) > 1]
        if lines:
            slotted = [(slots[name], points) for name, points in lines]
            figures.append(Figure(
                series, rows[0].what or "Higher is better.",
                [(name, slots[name], "mark") for name, _ in lines],
                lambda slotted=slotted: plots.threads_plot(slotted)))
    return figures


def latency_rows(document):
    """One of each family in turn, until there are enough: the first one that was sampled."""
    found = {}
    for row in document.rows:
        if row.family not in found and any(
                row.points(name, "latency_ns", call, "curve")
                for name in document.allocators for call in ("malloc", "free")):
            found[row.family] = row
    rows = list(found.values())
    half = LATENCY_ROWS // 2
    micro = [row for row in rows if row.kind == "micro"]
    other = [row for row in rows if row.kind != "micro"]
    return micro[:max(half, LATENCY_ROWS - len(other))] + \
        other[:max(half, LATENCY_ROWS - len(micro))]


def latency_figures(document, slots):
    figures = []
    for row in latency_rows(document):
        for call in ("malloc", "free"):
            lines = [(name, row.points(name, "latency_ns", call, "curve"))
                     for name in document.allocators]
            lines = [(name, points) for name, points in lines if plots.log_points(points)]
            if lines:
                slotted = [(slots[name], points) for name, points in lines]
                figures.append(Figure(
                    "%s: %s" % (row.name, call), row.what,
                    [(name, slots[name], "mark") for name, _ in lines],
                    lambda slotted=slotted: plots.latency_plot(slotted)))
    return figures


def memory_lines(document, row):
    lines = [(name, [point[:2] for point in row.points(name, "memory") if point[1] is not None])
             for name in document.allocators]
    return [(name, plots.thinned(points)) for name, points in lines if len(points) > 1]


def live_line(document, row):
    """The bytes asked for are the same under every allocator: the subject's run shows them."""
    for name in [document.subject] + document.allocators:
        points = [[point[0], point[2]] for point in row.points(name, "memory")
                  if len(point) > 2 and point[2] is not None]
        if len(points) > 1:
            return plots.thinned(points)
    return []


def memory_figures(document, slots):
    figures = []
    for row in document.of_kind("workload") + document.of_kind("program"):
        lines = memory_lines(document, row)
        if not lines or len(figures) == MEMORY_ROWS:
            continue
        live, share = live_line(document, row), row.kind != "program"
        slotted = [(slots[name], points) for name, points in lines]
        legend = [(name, slots[name], "line") for name, _ in lines]
        figures.append(Figure(
            row.name, row.what, legend + ([("live bytes", "live", "bar")] if live else []),
            lambda slotted=slotted, live=live, share=share:
                plots.memory_plot(slotted, live, share)))
    return figures


def slots_of(document):
    return palette.slots(list(document.allocators) + [
        base for base in document.bases(document.rows) if base not in document.allocators])


def processor_words(document):
    cores = words.number(document.machine.get("cores"))
    return ", ".join(part for part in (
        str(document.machine.get("processor") or ""),
        words.plural(int(cores), "core") if cores else "") if part)


def machine_words(document):
    machine = document.machine
    gib = words.number(machine.get("memory_gib"))
    return ", ".join(part for part in (
        processor_words(document), words.digits(gib) + " GiB" if gib else "",
        "Linux " + str(machine["kernel"]) if machine.get("kernel") else "",
        str(machine.get("libc") or "")) if part)
