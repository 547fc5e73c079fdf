# SPDX-License-Identifier: MIT
"""Instrumented runs of a row: what single calls take, memory over the run, and the events that
poolmalloc counts. bench/pm_detail.c says how each is measured."""

import json
import os
import statistics

from comparison import allocators
from comparison.process import Failure, run, with_stats_file

# The name in the report: that of the counter in poolmalloc's statistics.
COUNTERS = {
    "slow_paths": "slow_paths",
    "lock_acquisitions": "lock_acquisitions",
    "lock_contended": "lock_contended",
    "cas": "atomic_updates",
    "purges": "purges",
}
MILLION = 1e6


def run_details(program, row, allocator, scale, core=None):
    """The details of a row under an allocator, but for its instructions and events. `program`:
    pm_detail. Raises Failure."""
    details = parse(run(row.command(program, scale, core), allocator.environment(),
                        row.timeout_seconds), allocator)
    del details["operations"]
    details["counters_per_million"] = None
    return details


def run_counted(program, row, counted, scale, folder):
    """The counters_per_million of allocators.counted(), poolmalloc's counting build."""
    path = os.path.join(folder, "counters")
    env = with_stats_file(counted.environment(), path)
    report = parse(run(row.command(program, scale), env, row.timeout_seconds), counted)
    return per_million(read_counters(path), report["operations"])


def parse(out, allocator):
    """pm_detail's report, without the provider."""
    try:
        report = json.loads(out)
        provider = report.pop("malloc_provider")
        details = {key: report[key] for key in ("operations", "latency_ns", "memory",
                                                "fragmentation", "kept_kib")}
    except (ValueError, KeyError, TypeError) as error:
        raise Failure("the report could not be read: %r" % error) from None
    if not allocators.is_provider(allocator, provider):
        raise Failure("malloc was served by another library")
    return details


def read_counters(path):
    """{name: value} of a statistics file with one process in it."""
    counters = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if value.strip().isdigit():
                    counters[name] = int(value)
    except OSError:
        raise Failure("it wrote no statistics") from None
    return counters


def per_million(counters, operations):
    """Events for each million operations of the row, what it does before and after them included.
    Counters that the library does not have are left out."""
    return {key: counters[name] * MILLION / operations for key, name in COUNTERS.items()
            if name in counters}


def median_of(values):
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None


def combine_latency(runs):
    """Of the same calls in several runs: the medians. What only some runs have enough samples for
    is the median of these."""
    runs = [one for one in runs if one is not None]
    if not runs:
        return None
    combined = {key: median_of([one[key] for one in runs])
                for key in ("p50", "p99", "p999", "max")}
    combined.update({key: sum(one[key] for one in runs) for key in ("samples", "dropped")})
    combined["p999_runs"] = [one["p999"] for one in runs]
    curves = [dict(one["curve"]) for one in runs]
    combined["curve"] = [[quantile, median_of([curve.get(quantile) for curve in curves])]
                         for quantile in sorted(set().union(*curves))]
    return combined


def combine(runs):
    """One dictionary of details for several runs of a row: medians, and the memory of the first."""
    combined = dict(runs[0])
    for key in ("fragmentation", "kept_kib"):
        combined[key] = median_of([one[key] for one in runs])
    latencies = [one["latency_ns"] for one in runs if one["latency_ns"] is not None]
    if latencies:
        combined["latency_ns"] = {kind: combine_latency([one[kind] for one in latencies])
                                  for kind in latencies[0]}
    counters = [one["counters_per_million"] for one in runs if one["counters_per_million"]]
    if counters:
        combined["counters_per_million"] = {
            key: median_of([one.get(key) for one in counters]) for key in counters[0]}
    return combined
