# SPDX-License-Identifier: MIT
"""The rows that pm_bench runs: one process for each row, allocator and round."""

import dataclasses
import json

from comparison import allocators
from comparison.process import Failure, environment, run

TIMEOUT_SECONDS = 120


@dataclasses.dataclass
class Sample:
    """What one run measured: {field: value}. `later`, if any, has values that come after a wait:
    it is `due` at a time of time.monotonic(), and then asked to `collect()` them, or `abandon()`ed."""
    values: dict
    later: object = None
    details: dict = None  # of the report, as {"memory": [[ms, resident_kib, None], ...]}


class Row:
    """A row of the table. What it measures for an allocator, measure() says, or raises Failure."""

    def __init__(self, name, kind, clock, threads, what, unit="operation"):
        self.name = name
        self.family = name.split("/")[0]
        self.kind = kind
        self.clock = clock
        self.threads = threads
        self.what = what
        self.unit = unit

    def contestants(self, served):
        """Those that this row is run under, of the allocators of the comparison or besides."""
        return served

    def measure(self, allocator, scale, folder):
        raise NotImplementedError


class MicroRow(Row):
    def __init__(self, program, name, kind, clock, threads, what):
        super().__init__(name, kind, clock, int(threads), what)
        self.program = program

    def measure(self, allocator, scale, _folder):
        out = run([self.program, "--row=" + self.name, "--scale=%g" % scale,
                   "--benchmark_format=json"],
                  allocator.environment(), TIMEOUT_SECONDS)
        return parse(out, self.clock, allocator)


def parse(out, clock, allocator):
    try:
        report = json.loads(out)
        provider = report["context"]["malloc_provider"]
        (result,) = report["benchmarks"]
        time_ns = result["real_time" if clock == "wall" else "cpu_time"]
        sample = Sample({"time_ns": time_ns, "peak_rss_kib": result["peak_rss_kib"],
                         "page_faults": result["page_faults"]})
    except (ValueError, KeyError, TypeError) as error:
        raise Failure("the report could not be read: %r" % error) from None
    if not allocators.is_provider(allocator, provider):
        raise Failure("malloc was served by another library")
    if result["time_unit"] != "ns" or not time_ns > 0:
        raise Failure("no time was measured")
    return sample


def all_rows(program):
    out = run([program, "--rows"], environment(None), TIMEOUT_SECONDS)
    return [MicroRow(program, *line.split("\t")) for line in out.splitlines()]
