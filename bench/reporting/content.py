# SPDX-License-Identifier: MIT
"""The sections of a report, in their order, for the page and for Markdown."""

from reporting import figures, tables, words
from reporting.model import Section

KINDS = {
    "micro": ("micro", "Microbenchmarks", "One function or habit of a program, alone."),
    "workload": ("workloads", "Workloads", "What programs do, with their sizes, lifetimes and "
                 "threads, written from published descriptions."),
    "program": ("programs", "Programs", "Real programs as Debian ships them. Of servers, time is "
                "the server's CPU time per request; python also runs with its own pymalloc."),
}
BARS = ("Each bar is the median of the ratios within a round; the whisker is the 95 % interval of "
        "that median. A whisker that touches the line at 1 decides nothing.")
TIME_CAPTION = {"micro": "time per operation", "workload": "time per operation",
                "program": "time per request or run"}
READING = ("Every figure is a ratio, {subject} over another allocator, taken between two runs on "
           "quiet cores, or within one round, where the machine was in the same mood for both. "
           "Below 1, {subject} needs less. After "
           "± stands half the width of the 95 % interval; a row whose interval contains 1 says "
           "“no difference”.")
FULL_COMMAND = "sh bench/compare.sh --full --json results.json"


def present(*maybe):
    return [one for one in maybe if one is not None]


def status_words(document):
    """What a reader must know before believing: [] for a whole run."""
    found = []
    if document.mode == "quick":
        found.append("A quick run: few rounds of short runs. It shows that everything works; "
                     "its figures are rough.")
    elif document.mode == "custom":
        found.append("A run with options of its own: not comparable with a default or full run.")
    if document.partial:
        found.append("A partial run: it was interrupted, or rows were left out. Means are those "
                     "of the rows that are here.")
    failures = document.failures(document.rows)
    if failures:
        found.append("Failed: %s. They are marked in the tables, and take no part in any mean."
                     % words.plural(len(failures), "cell"))
    if document.absent:
        found.append("Skipped, as it is not installed or could not be preloaded: %s."
                     % ", ".join(document.absent))
    return found


def subtitle(document):
    others = [name for name in document.allocators if name != document.subject]
    return "%s %s beside %s" % (document.subject, document.version,
                                ", ".join(others) or "nothing else")


def facts(document):
    """(title, words) about the run."""
    rounds = sorted({row.rounds for row in document.rows if row.rounds})
    spread = "" if not rounds else str(rounds[0]) if rounds[0] == rounds[-1] \
        else "%d to %d a row" % (rounds[0], rounds[-1])
    took = "%d min" % round(document.seconds / 60) if document.seconds else ""
    versions = ", ".join("%s %s" % (name, document.versions[name]) for name in document.allocators
                         if document.versions.get(name))
    return [pair for pair in (
        ("Machine", figures.machine_words(document)), ("Date", document.date),
        ("Run", ", ".join(part for part in (document.mode, took) if part)),
        ("Rounds", spread), ("Rows", str(len(document.rows))), ("Versions", versions)) if pair[1]]


def headline_section(document, slots):
    parts = []
    for kind, (_, title, _) in KINDS.items():
        bars = figures.family_bars(document, "time_ns", (kind,))
        if bars:
            parts += figures.bars_figures(
                document, slots, bars, "time_ns", "Time by family: " + title.lower(),
                "The bar is the geometric mean of the family's rows; the whisker reaches from the "
                "lowest of them to the highest.")
    return Section("summary", "By family", [], parts, present(
        tables.means_table(document),
        tables.kinds_table(document, {kind: title for kind, (_, title, _) in KINDS.items()})))


def kind_section(document, slots, kind):
    rows = document.of_kind(kind)
    if not rows:
        return None
    anchor, title, about = KINDS[kind]
    section = Section(anchor, title, [about])
    for field, what in (("time_ns", "Time"), ("peak_rss_kib", "Peak memory")):
        bars = figures.row_bars(document, rows, field)
        if bars:
            section.figures += figures.bars_figures(
                document, slots, bars, field, "%s: %s" % (what, title.lower()), BARS)
    wanted = [("time_ns", TIME_CAPTION[kind]), ("peak_rss_kib", "peak resident memory")]
    if kind == "program":
        wanted[1:1] = [("throughput_per_s", "requests a second (more is better)"),
                       ("p99_us", "99th percentile of the latency, of what the row says")]
    section.tables = present(*(tables.field_table(document, rows, field, "%s: %s" % (title, what))
                               for field, what in wanted))
    if kind == "program":
        section.tables += present(tables.server_memory_table(document, rows))
    section.notes = ["Failed: %s under %s: %s" % failure for failure in document.failures(rows)]
    return section


def threads_section(document, slots):
    found = figures.threads_figures(document, slots)
    return Section("threads", "Throughput over threads", [
        "Operations a second of all threads together; higher is better. With more threads than "
        "cores the lines can only stay level: what falls, pays for crowding."],
        found) if found else None


def latency_section(document, slots):
    found = figures.latency_figures(document, slots)
    shown = present(tables.latency_table(document, "malloc"),
                    tables.latency_table(document, "free"))
    return Section("latency", "Latency of single calls", [
        "Each call is timed, in a run of its own; samples in which the thread was taken off its "
        "core are dropped, and rows with more threads than cores have none. To the right of the "
        "plots are the rare slow calls; both axes give them room. Lower is better. The plots show "
        "a choice of rows, the tables all of them."], found, shown) if found or shown else None


def memory_section(document, slots):
    found = figures.memory_figures(document, slots)
    shown = present(tables.detail_table(
        document, document.rows, "Fragmentation: resident over live, at the moment of most live "
        "bytes (1 is perfect)", ["fragmentation"], words.ratio))
    return Section("memory", "Memory over time", [
        "Lines are resident memory, each over its own allocator's run; the grey area is what the "
        "program had asked for and not yet freed. What lies between is overhead, fragmentation, "
        "and memory that was not given back. Programs are seen from outside, in seconds."],
        found, shown) if found or shown else None


def internals_section(document):
    shown = present(
        tables.field_table(document, document.rows, "page_faults", "Page faults"),
        tables.detail_table(document, document.rows, "Instructions per operation (callgrind)",
                            ["instructions"], words.digits),
        tables.counters_table(document))
    return Section("internals", "Page faults, instructions, counters", [
        "What explains the rest: instructions do not depend on the mood of the machine."],
        [], shown) if shown else None


def method_section(document):
    return Section("method", "Method, limits, and how to repeat it", [
        "The same program runs under each allocator by preload, in a process of its own for each "
        "row, allocator and round. Rounds are interleaved and the order rotates. Rounds are added "
        "until the interval of a row is narrow enough, or a cap is reached. Each row does a fixed "
        "number of operations, writes its blocks when they are allocated, and checks them when "
        "they are freed: an allocator that hands out overlapping blocks fails. Peak memory is that "
        "of the process, program and libraries included.",
        "Limits: one machine, %sgives no word about machines with many cores, other page sizes or "
        "other processors. Threads beyond the cores measure how an allocator bears crowding, not "
        "how it scales. Programs contain much "
        "that is not allocation: small differences are what they are." % (
            "with %s, " % words.plural(int(words.number(document.machine.get("cores"))), "core")
            if words.number(document.machine.get("cores")) else ""),
        "To repeat it, on Debian 12: %s, then bench/report.py results.json --html report.html. "
        "docs/benchmarks.md has the options and the sources of the rows." % FULL_COMMAND],
        notes=document.notes)


def sections(document, slots):
    """All but the head of the report."""
    return present(
        headline_section(document, slots),
        *(kind_section(document, slots, kind) for kind in KINDS),
        threads_section(document, slots), latency_section(document, slots),
        memory_section(document, slots), internals_section(document), method_section(document))
