# SPDX-License-Identifier: MIT
"""The share of a row's instructions that are poolmalloc's, counted by callgrind.

The allocator's are those of its own library, and what it calls in others, as the C library's memset
for calloc and memmove for realloc. Of a workload two runs are subtracted that differ in the number
of operations only, as in instructions.py, so that its start does not count; of a program that runs
once and ends, all its processes count, and its start. Threads run in turns there: how long they
wait for each other is not as it is outside. Servers are not counted, nor is g++, which would take
a minute.
"""

import glob
import json
import os
import re

from comparison import instructions
from comparison.process import Failure, run

FEW, MANY = 0.01, 0.05  # scales, of workloads
PROGRAM_SCALE = 0.1
PROGRAM_SECONDS = 300
LIBRARY = "libpoolmalloc.so"
NAME = re.compile(r"(c?ob)=\((\d+)\)(?: (.*))?")


class Counted:
    """Instructions of a file that callgrind has written: all, and the allocator's."""

    def __init__(self, lines, library=LIBRARY):
        self.total = self.own = 0
        self.library = library
        self.names = {}  # number: object file; a name is written out the first time only
        self.inside = False  # the object that the lines are about is the allocator's
        self.called = None  # None: as the object; else whether what is called is the allocator's
        self.is_call = False  # the next line is the cost of a call, all that it does included
        for line in lines:
            self.take(line.rstrip("\n"))

    def take(self, line):
        named = NAME.match(line)
        if named:
            self.take_object(*named.groups())
        elif line.startswith("calls="):
            self.is_call = True
        elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):
            self.take_cost(int(line.split()[-1]))

    def take_object(self, kind, number, path):
        if path is not None:
            self.names[number] = os.path.basename(path)
        own = self.names.get(number, "").startswith(self.library)
        if kind == "ob":
            self.inside = own
        else:
            self.called = own

    def take_cost(self, cost):
        if not self.is_call:
            self.total += cost
            self.own += cost if self.inside else 0
        elif self.inside and self.called is False:
            self.own += cost
        if self.is_call:
            self.is_call, self.called = False, None


def read(pattern):
    """(total, own) over the files of all processes."""
    total = own = 0
    for path in glob.glob(pattern):
        with open(path, encoding="utf-8", errors="replace") as file:
            counted = Counted(file)
        total, own = total + counted.total, own + counted.own
    if total == 0 or own == 0:
        raise Failure("callgrind's count has no instructions of %s" % LIBRARY)
    return total, own


def run_once(command, env, folder, seconds, label):
    """What was printed, and (total, own)."""
    path = os.path.join(folder, "callgrind.%s." % label)
    out = run([instructions.VALGRIND, "--tool=callgrind", "--trace-children=yes",
               "--callgrind-out-file=%s%%p" % path] + command, env, seconds)
    return out, read(path + "*")


def of_workload(program, row, allocator, folder):
    counts, operations = [], []
    for scale in (FEW, MANY):
        command = row.command(program, scale) + ["--benchmark_format=json"]
        out, count = run_once(command, allocator.environment(), folder,
                              row.timeout_seconds * instructions.SLOWER, "%g" % scale)
        counts.append(count)
        operations.append(json.loads(out)["benchmarks"][0]["iterations"])
    (few, few_own), (many, many_own) = counts
    if operations[0] == operations[1]:  # so few that a scale makes no difference
        return many_own / many
    return (many_own - few_own) / (many - few)


def of_program(row, allocator, folder):
    env = allocator.environment(**row.variables(allocator))
    _, (total, own) = run_once(row.command(PROGRAM_SCALE), env, folder, PROGRAM_SECONDS, "run")
    return own / total


def applies(row):
    return row.has_share


def measure(program, row, allocator, folder):
    """Between 0 and 1. `program`: pm_bench. Raises Failure."""
    if row.kind == "program":
        return of_program(row, allocator, folder)
    return of_workload(program, row, allocator, folder)
