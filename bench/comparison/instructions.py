# SPDX-License-Identifier: MIT
"""Instructions that a row takes for each operation, counted by callgrind.

Of two runs that differ in the number of operations only: what the start, the
warm-up and the end take cancels out. Counted is all that the program executes,
as in the time per operation: malloc and free, and the loop around them, which
calls them, writes the block and checks it (24 for a pair, the same for every
allocator). The loop is not subtracted: a pair that takes more instructions takes
as many more here.

The number does not depend on what else the machine does, so it needs no rounds.
It is meaningful where one thread runs one short path: with several, waiting for
each other would be counted too, and large blocks are the kernel's work.
"""

import json
import os
import re
import shutil

from comparison import allocators
from comparison.process import Failure, run

VALGRIND = "valgrind"
ROWS = re.compile(r"pairs/(8|16|32|64|128|256|512|1024|2048|3000|4096)$"
                  r"|calloc/(reused-)?64$")
FEW, MANY = 0.006, 0.036  # scales
SLOWER = 10  # the program with so few operations, of a plain run; generously
SUMMARY = re.compile(r"^(?:summary|totals):\s+(\d+)", re.MULTILINE)


def applies(row):
    return ROWS.match(row.name) is not None


def available():
    return shutil.which(VALGRIND) is not None


def run_once(program, row, allocator, scale, folder):
    """Instructions of a whole run, and its operations."""
    path = os.path.join(folder, "callgrind.out")
    # The preloaded library also serves valgrind's own start: no more than a few calls, uncounted.
    command = [VALGRIND, "--tool=callgrind", "--callgrind-out-file=" + path]
    out = run(command + row.command(program, scale) + ["--benchmark_format=json"],
              allocator.environment(), row.timeout_seconds * SLOWER)
    try:
        report = json.loads(out)
        provider = report["context"]["malloc_provider"]
        operations = report["benchmarks"][0]["iterations"]
        with open(path, encoding="utf-8", errors="replace") as file:
            instructions = max(int(found) for found in SUMMARY.findall(file.read()))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise Failure("callgrind's count could not be read: %r" % error) from None
    if not allocators.is_provider(allocator, provider):
        raise Failure("malloc was served by another library")
    return instructions, operations


def measure(program, row, allocator, folder):
    """Instructions per operation. `program`: pm_bench. Takes 2 to 4 seconds. Raises Failure."""
    if not available():
        raise Failure("valgrind is not installed: install the package valgrind")
    few, few_operations = run_once(program, row, allocator, FEW, folder)
    many, many_operations = run_once(program, row, allocator, MANY, folder)
    return (many - few) / (many_operations - few_operations)
