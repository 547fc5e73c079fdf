# SPDX-License-Identifier: MIT
"""Slow paths of an allocator other than poolmalloc, where it counts them, as jemalloc does.

Its statistics have, for small blocks, how often a thread's cache had to be filled and flushed, and
for large ones how many came from an arena and went back. Each is a call of malloc or free that left
its fast path, as `slow_paths` of poolmalloc's counting build. What it counts, it counts in its
usual build; so unlike there, nothing is slower for it.
"""

import json

from comparison.details import MILLION, parse
from comparison.process import Failure, run_whole

COUNTS = "jemalloc"
# All arenas together, as JSON on stderr, when the process ends.
SETTINGS = {"MALLOC_CONF": "stats_print:true,stats_print_opts:Ja"}


def slow_paths(text):
    """Of the statistics that jemalloc has written."""
    try:
        merged = json.loads(text[text.index("{"):])["jemalloc"]["stats.arenas"]["merged"]
        small, large = merged["small"], merged["large"]
        return small["nfills"] + small["nflushes"] + large["nmalloc"] + large["ndalloc"]
    except (ValueError, KeyError, TypeError) as error:
        raise Failure("the statistics could not be read: %r" % error) from None


def measure(program, row, allocator, scale):
    """Slow paths for each million operations of the row, what it does before and after them
    included. `program`: pm_detail. Raises Failure."""
    out, err = run_whole(row.command(program, scale), allocator.environment(**SETTINGS),
                         row.timeout_seconds)
    return slow_paths(err) * MILLION / parse(out, allocator)["operations"]
