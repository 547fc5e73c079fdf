# SPDX-License-Identifier: MIT
"""The rows that pm_bench runs: one process for each row, allocator and round."""

import dataclasses
import json

from comparison import allocators
from comparison.process import Failure, environment, run

ROWS_SECONDS = 60  # for the list of rows
MILLION = 1e6


@dataclasses.dataclass
class Sample:
    """What one run measured: {field: value}. `later`, if any, has values that come after a wait:
    it is `due` at a time of time.monotonic(), then asked to `collect()` them, or `abandon()`ed."""
    values: dict
    later: object = None
    details: dict = None  # of the report, as {"memory": [[ms, resident_kib, None], ...]}


class Row:
    """A row of the table. What it measures for an allocator, measure() says, or raises Failure."""

    timeout_seconds = 60  # a run that takes longer has failed
    series = None  # the name that rows share which differ in their threads alone

    def __init__(self, name, kind, clock, threads, what, unit="operation"):
        self.name = name
        self.family = name.split("/")[0]
        self.kind = kind
        self.clock = clock
        self.threads = threads
        self.what = what
        self.unit = unit
        self.repeatable = kind != "program"  # A run that was slowed may be run again at once.
        self.one_core = threads == 1 and self.repeatable
        self.has_share = self.repeatable  # Is the allocator's share of instructions counted?

    def contestants(self, served):
        """Those that this row is run under, of the allocators of the comparison or besides."""
        return served

    def measure(self, allocator, scale, folder, core=None):
        """`core`: the one to run on, of a row with one_core; None: any."""
        raise NotImplementedError


class MicroRow(Row):
    def __init__(self, program, counts, name, kind, clock, threads, unit, series, what):
        super().__init__(name, kind, clock, int(threads), what, unit)
        self.series = None if series == "-" else series
        self.program = program
        self.counts = counts  # of --threads

    def command(self, program, scale, core=None):
        """Runs this row once, by pm_bench or another program of the same options."""
        options = ["--row=" + self.name, "--scale=%g" % scale]
        if self.counts:
            options.append("--threads=" + self.counts)
        if core is not None:
            options.append("--core=%d" % core)
        return [program] + options

    def measure(self, allocator, scale, _folder, core=None):
        out = run(self.command(self.program, scale, core) + ["--benchmark_format=json"],
                  allocator.environment(), self.timeout_seconds)
        return parse(out, allocator)


def parse(out, allocator):
    try:
        report = json.loads(out)
        provider = report["context"]["malloc_provider"]
        (result,) = report["benchmarks"]
        # Named by Google Benchmark after the clock, where that is not the CPU's.
        elapsed = result["name"].endswith(("/real_time", "/manual_time"))
        time_ns = result["real_time" if elapsed else "cpu_time"]
        sample = Sample({"time_ns": time_ns, "peak_rss_kib": result["peak_rss_kib"],
                         "page_faults": result["page_faults"],
                         "faults_per_million":
                             result["row_page_faults"] / result["iterations"] * MILLION})
    except (ValueError, KeyError, TypeError) as error:
        raise Failure("the report could not be read: %r" % error) from None
    if not allocators.is_provider(allocator, provider):
        raise Failure("malloc was served by another library")
    if result["time_unit"] != "ns" or not time_ns > 0:
        raise Failure("no time was measured")
    return sample


def all_rows(program, threads=None):
    """`threads`: counts for the rows that have several, as "1,2,8"; None: their own."""
    counts = ["--threads=" + threads] if threads else []
    out = run([program, "--rows"] + counts, environment(None), ROWS_SECONDS)
    return [MicroRow(program, threads, *line.split("\t")) for line in out.splitlines()]
