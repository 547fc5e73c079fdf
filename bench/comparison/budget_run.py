# SPDX-License-Identifier: MIT
"""The instruction budgets of the fast paths, as the test of the build counts them: ctest
budget.instructions, by stress/budget.py."""

import os
import subprocess
import sys

from comparison import allocators
from comparison.bars import budgets
from comparison.options import ROOT
from comparison.process import Failure, environment, last_lines

SECONDS = 600
# The deadline of purging goes by the clock, and callgrind is slow: as in the test.
OPTIONS = {"POOLMALLOC_OPTIONS": "purge_delay_ms=3600000"}


def measure(build):
    """{scenario: (budget, instructions)}; those over their budget included. Raises Failure."""
    program = os.path.join(build, "stress", "stress_budget_shared")
    library = allocators.find_in_build(build, "libpoolmalloc.so")
    if not os.path.isfile(program) or library is None:
        raise Failure("the build has no stress_budget_shared")
    # Not process.run(): its status is 1 when a budget is exceeded, and the table is there.
    try:
        done = subprocess.run(
            [sys.executable, "-B", os.path.join(ROOT, "stress", "budget.py"), program, library],
            env=environment(None, **OPTIONS), capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure("no result after %g s: killed" % SECONDS) from None
    found = budgets.parse(done.stdout)
    if done.returncode not in (0, 1) or not found or done.stderr:
        raise Failure("exit status %d" % done.returncode, last_lines(done.stderr))
    return found
