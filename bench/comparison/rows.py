# SPDX-License-Identifier: MIT
"""The rows that pm_bench runs: one process for each row, allocator and round."""

import dataclasses
import json

from comparison import allocators
from comparison.process import Failure, environment, run

TIMEOUT_SECONDS = 120


@dataclasses.dataclass
class Sample:
    time_ns: float  # per operation
    rss_kib: float  # peak


class MicroRow:
    def __init__(self, program, name, clock, what):
        self.program = program
        self.name = name
        self.family = name.split("/")[0]
        self.clock = clock
        self.what = what

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
        sample = Sample(result["real_time" if clock == "wall" else "cpu_time"],
                        result["peak_rss_kib"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failure("the report could not be read: %r" % error) from None
    if not allocators.is_provider(allocator, provider):
        raise Failure("malloc was served by another library")
    if result["time_unit"] != "ns" or not sample.time_ns > 0:
        raise Failure("no time was measured")
    return sample


def all_rows(program):
    out = run([program, "--rows"], environment(None), TIMEOUT_SECONDS)
    return [MicroRow(program, *line.split("\t")) for line in out.splitlines()]
