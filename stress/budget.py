#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Instruction budgets of the fast paths, counted by callgrind.

budget.py PROGRAM LIBRARY runs PROGRAM (budget.c, linked to LIBRARY with the
standard names) and prints a table of scenario, budget, measured, verdict. It
fails when a budget is exceeded, when malloc or free holds an atomic
read-modify-write, or when a number cannot be obtained. With --objects PROGRAM is
budget_objects.c, and LIBRARY that of the object layer.

What is counted. "inside": the instructions from the entry of malloc (or free)
to its return, divided by the calls. "with the caller's loop": everything the
program executes for a round: arguments, call, loop, and for blocks handed to
another thread the array they go through and 1/1000 of the hand-over. Every
number is the difference of two runs that differ in the rounds only, so start,
warm-up and end cancel out.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

FEW_ROUNDS = 10000
MANY_ROUNDS = 60000

# name, workload, size, function counted ("" = everything), budget
INSIDE = [("malloc(%d)" % size, "pairs", size, "malloc", 16) for size in (16, 64, 512, 1024)] + [
    ("free of %d bytes" % size, "pairs", size, "free", 19) for size in (64, 3000, 16000)] + [
    # Those of malloc and free, and a test whether any domain is hooked: load, test, branch.
    ("object_malloc(64)", "object", 64, "pm_object_malloc", 16 + 3),
    ("object_free of 64 bytes", "object", 64, "pm_object_free", 19 + 3)] + [
    ("operator new(%d)" % size, "new", size, "_Znwm", 16) for size in (64, 1024)]
WITH_LOOP = [
    ("pair of 64 bytes", "pairs", 64, "", 43),
    ("new and sized delete of 64 bytes", "new", 64, "", 44),
    ("calloc(64) + free", "calloc", 64, "", 60),
    # The test of the alignment, what is rounded up, the pointer; with malloc's bound for a pair.
    ("posix_memalign(64, 100) + free", "aligned", 100, "", 56),
    ("posix_memalign(64, 3000) + free", "aligned", 3000, "", 58),
    # Twice: an eighth less, and back.
    ("realloc of 64 bytes in place", "in_place", 64, "", 90),
    # And whether a domain is hooked, and the number of the class.
    ("gc_calloc(64) + gc_free", "gc", 64, "", 60),
    ("pair of 3000 bytes", "pairs", 3000, "", 45),
    # Large: the route and the slot are exchanged, and the clock is asked now and then.
    ("pair of 1 MiB", "pairs", 1 << 20, "", 300),
    ("64 bytes, in batches of 100", "batches", 64, "", 24),
    ("64 bytes, freed by another thread", "handed", 64, "", 95),
]

OBJECTS = [
    # Seven each: load, copy, subtract, compare, branch, add, store. The loop has two.
    ("owner's incref and decref", "owned", 32, "", 7 + 7 + 2),
    ("safepoint, nothing due", "safepoint", 32, "", 3 + 2),
    ("object of 32 bytes, its life", "life", 32, "", 178),
    ("the same, of a type with cycles", "gc", 32, "", 252),
]

ATOMIC = re.compile(r"\block\b|\bxchg\b.*\(|\bcmpxchg|\bxadd")


class Trouble(Exception):
    """Nothing could be measured."""


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Trouble("%s failed (%d):\n%s%s" % (" ".join(command), done.returncode, done.stdout,
                                                 done.stderr))
    return done.stdout


def symbol_addresses(library):
    """Address of each function of the library's dynamic symbol table."""
    found = {}
    for line in run(["nm", "-D", "--defined-only", library]).splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1] in "TtWi":
            found[parts[2].split("@")[0]] = parts[0]
    return found


def names_of(function, addresses):
    """The function's names: callgrind knows aliases of one address by either."""
    if function not in addresses:
        raise Trouble("the library does not export %s" % function)
    return sorted(name for name, address in addresses.items() if address == addresses[function])


def count(program, workload, size, rounds, toggles):
    """Instructions that callgrind collected in one run."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        command = ["valgrind", "--tool=callgrind", "--demangle=no"]
        command += ["--callgrind-out-file=" + out]
        command += ["--toggle-collect=" + name for name in toggles]
        run(command + [program, workload, str(size), str(rounds)])
        with open(out, encoding="utf-8", errors="replace") as file:
            sums = [int(line.split()[1]) for line in file
                    if re.match(r"(summary|totals):\s+\d+", line)]
    if not sums:
        raise Trouble("callgrind reported no instructions for %s %d" % (workload, size))
    return max(sums)


def measure(program, scenario, addresses):
    _, workload, size, function, _ = scenario
    toggles = names_of(function, addresses) if function else []
    few = count(program, workload, size, FEW_ROUNDS, toggles)
    many = count(program, workload, size, MANY_ROUNDS, toggles)
    return (many - few) / (MANY_ROUNDS - FEW_ROUNDS)


def row(title, scenario, measured):
    name, _, _, function, budget = scenario
    good = 0 < round(measured, 2) <= budget  # as printed
    print("%-24s %-36s %6d %9.2f  %s" % (title, name, budget, measured, "ok" if good else "FAIL"))
    sys.stdout.flush()
    return good


def objects_table(program):
    print("%-24s %-36s %6s %9s" % ("instructions", "scenario", "budget", "measured"))
    return all([row("with the caller's loop", scenario, measure(program, scenario, {}))
                for scenario in OBJECTS])


def table(program, addresses):
    print("%-24s %-36s %6s %9s" % ("instructions", "scenario", "budget", "measured"))
    good = True
    for title, scenarios in (("inside", INSIDE), ("with the caller's loop", WITH_LOOP)):
        for scenario in scenarios:
            good &= row(title, scenario, measure(program, scenario, addresses))
    return good


def disassembly(library, names):
    """The instructions of a function, under whichever of its names objdump knows it."""
    for name in names:
        text = run(["objdump", "-d", "--no-show-raw-insn", "--disassemble=" + name, library])
        lines = [line for line in text.splitlines() if re.match(r"\s+[0-9a-f]+:\t", line)]
        if lines:
            return lines
    raise Trouble("objdump shows no code for %s" % ", ".join(names))


def no_atomics(library, addresses):
    """Nothing that is reached without leaving malloc, free or the operators by their tail calls is
    an atomic read-modify-write."""
    good = True
    for function in ("malloc", "free", "_Znwm", "_ZdlPv"):
        lines = disassembly(library, names_of(function, addresses))
        atomics = [line.strip() for line in lines if ATOMIC.search(line)]
        print("%-24s %-36s %6d %9d  %s" % ("atomic read-mod-writes", "in " + function, 0,
                                           len(atomics), "FAIL" if atomics else "ok"))
        for line in atomics:
            print("    " + line)
        good &= not atomics
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("library")
    parser.add_argument("--objects", action="store_true")
    arguments = parser.parse_args()
    try:
        if arguments.objects:
            return 0 if objects_table(arguments.program) else 1
        addresses = symbol_addresses(arguments.library)
        good = no_atomics(arguments.library, addresses)
        good &= table(arguments.program, addresses)
    except (Trouble, OSError) as trouble:
        print("budget.py: %s" % trouble, file=sys.stderr)
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
