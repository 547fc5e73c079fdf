# SPDX-License-Identifier: MIT
"""How much a comparison measures: --quick, the default and --full."""

import dataclasses

SPREAD_FIRST = 0.05  # rows whose intervals are wider come before all others
SPREAD_WANTED = 0.03  # a row whose ratios' intervals are this narrow needs no more rounds
SPREAD_OF_EQUALS = 0.01  # the same, before it is said that there is no difference
ROUNDS_FOR_EQUALS = 25  # at most, for that


@dataclasses.dataclass
class Mode:
    name: str
    scale: float  # of a row's operations
    rounds: int  # at least
    program_rounds: int  # the same, of real programs
    rounds_cap: int  # at most, of a row
    seconds: float  # rounds are added, or left out, to end in that time
    detail_runs: int  # instrumented runs of a row
    instructions: bool  # count those of the fast paths by callgrind
    optional_every: int  # of the base rounds optional allocators have one in so many; 0: none
    # The row's best peer is decided too; and what only bars need is counted: the allocator's share
    # of instructions, the instruction budgets, slow paths of other allocators.
    thorough: bool = False


QUICK = Mode("quick", 0.25, 2, 1, 2, 210, 1, False, 0)
DEFAULT = Mode("default", 1.0, 6, 4, 60, 26 * 60, 1, True, 3)
FULL = Mode("full", 1.0, 6, 5, 150, 55 * 60, 3, True, 1, True)
