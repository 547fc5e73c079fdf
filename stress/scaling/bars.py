# SPDX-License-Identifier: MIT
"""What was counted may not grow: bars for each operation, with many threads."""

import dataclasses

PERCENT = 100  # of the operations of a table; with fewer, threads are still at their first blocks
FEW, MANY = 4, 64  # threads


@dataclasses.dataclass
class Bar:
    workload: str
    transfers: float     # by the library
    static: float        # of these: of variables that all threads share
    acquisitions: float  # of locks


BARS = (
    Bar("pairs", 0.0, 0.0, 0.0),
    Bar("batches", 0.001, 0.001, 0.001),
    Bar("threads", 0.025, 0.002, 0.002),
    Bar("any", 5.5, 0.006, 0.003),
    Bar("handover", 2.8, 0.001, 0.001),
    Bar("handover-any", 3.8, 0.001, 0.001),
    Bar("large", 0.5, 0.1, 0.1),
    Bar("life", 17.0, 1.5, 1.5),
    Bar("life-classes", 900, 80, 112),
)


def judge(name, threads, what, measured, bar):
    good = measured <= bar
    print("%-14s %4d  %-22s %9.4f  %9.4f  %s" % (name, threads, what, measured, bar,
                                                 "ok" if good else "ABOVE"))
    return good


def check_bar(programs, bar):
    many = programs.count(bar.workload, MANY, PERCENT)
    return all([judge(bar.workload, MANY, "transfers", many.transfers, bar.transfers),
                judge(bar.workload, MANY, "of static lines", many.by_kind["static"], bar.static),
                judge(bar.workload, MANY, "acquisitions", many.acquisitions, bar.acquisitions)])


def check_repeats(programs):
    """A count that differs from one run to the next is none to hold against a bar."""
    first, second = (programs.count("handover-any", 8, PERCENT) for _ in range(2))
    same = first == second
    print("%-14s %4d  counted twice: %s" % ("handover-any", 8, "the same" if same else "DIFFERENT"))
    return same


def check_sees(programs):
    """And one that sees nothing is none either: blocks that change hands are transferred, and a
    large one takes an update."""
    handed, large = (programs.count(name, FEW, PERCENT) for name in ("handover", "large"))
    sees = handed.transfers >= 1 and handed.program_transfers >= 1 and large.updates > 0
    print("transfers and updates are %s" % ("seen" if sees else "NOT SEEN"))
    return sees


def check(programs):
    return all([check_sees(programs), check_repeats(programs)]
               + [check_bar(programs, bar) for bar in BARS])
