#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs a program of this folder under several allocators, in turn, and compares its figures.

compare.py [--ours LIBRARY] [--allocators glibc,jemalloc,ours] [--rounds N]
           [--ratio FIGURE=MOST]... [--more FIGURE=MOST]... PROGRAM [ARGUMENT...]

PROGRAM must call the standard names and be linked to no allocator; it is run N
times under each by LD_PRELOAD, a round of all before the next. Printed are the
medians of its figures. --ratio: the median over the rounds of ours divided by
glibc's must be at most MOST; --more: of ours less glibc's. Without either it is
for reading: a missed bar of the program itself does not count then.
Exit status 1: a bar was missed; 77: the program, or an allocator, was not to be had.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile

SKIPPED = 77
SECONDS = 250
FIGURE = re.compile(r"^(\w+) +(-?[0-9.]+) +(-|-?[0-9.]+) (ok|MISSED|-)$")
JEMALLOC = ("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
            "/usr/lib/aarch64-linux-gnu/libjemalloc.so.2", "/usr/lib/libjemalloc.so.2")


class Trouble(Exception):
    pass


def library_of(allocator, ours):
    """What to preload; None: the allocator is not here."""
    if allocator == "glibc":
        return ""
    if allocator == "jemalloc":
        return next((name for name in JEMALLOC if os.path.exists(name)), None)
    if allocator != "ours" or not ours:
        raise Trouble("allocator %s is not known" % allocator)
    return os.path.realpath(ours)


def check_served(statistics_file, allocator):
    """A preload that failed is silent: the library's own counters tell."""
    text = ""
    if os.path.exists(statistics_file):
        with open(statistics_file, encoding="utf-8") as file:
            text = file.read()
    if ("mallocs: " in text) != (allocator == "ours"):
        raise Trouble("poolmalloc's counters do not fit a run under %s" % allocator)


def run(command, allocator, library):
    """The figures of one run, by name."""
    with tempfile.TemporaryDirectory() as folder:
        counters = os.path.join(folder, "statistics")
        environment = dict(os.environ, POOLMALLOC_OPTIONS="stats_at_exit=" + counters)
        environment["LD_PRELOAD"] = library
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment,
                              timeout=SECONDS, check=False)
        if done.returncode == SKIPPED:
            sys.stdout.write(done.stdout)
            sys.exit(SKIPPED)
        if done.returncode not in (0, 1):
            raise Trouble("%s ended with status %d under %s" % (command[0], done.returncode,
                                                                allocator))
        check_served(counters, allocator)
    found = (FIGURE.match(line) for line in done.stdout.splitlines())
    figures = {match.group(1): float(match.group(2)) for match in found if match}
    if not figures:
        raise Trouble("%s printed no figures under %s" % (command[0], allocator))
    return figures


def measure(command, libraries, rounds):
    """Per round: allocator -> figures. Each round starts with another allocator."""
    result = []
    names = list(libraries)
    for number in range(rounds):
        turn = number % len(names)
        order = names[turn:] + names[:turn]
        result.append({name: run(command, name, libraries[name]) for name in order})
    return result


def print_table(results, names):
    figures = []
    for name in names:
        figures += [figure for figure in results[0][name] if figure not in figures]
    print("%-34s" % "median" + "".join("%14s" % name for name in names))
    for figure in figures:
        cells = []
        for name in names:
            values = [one[name][figure] for one in results if figure in one[name]]
            cells.append("%14.2f" % statistics.median(values) if values else "%14s" % "-")
        print("%-34s" % figure + "".join(cells))


def judge(results, text, kind):
    """One bar, given as FIGURE=MOST."""
    figure, _, most = text.partition("=")
    try:
        pairs = [(one["ours"][figure], one["glibc"][figure]) for one in results]
        bar = float(most)
    except (KeyError, ValueError):
        raise Trouble("no bar can be made of %s" % text) from None
    if kind == "ratio":
        value = statistics.median(ours / glibc for ours, glibc in pairs)
    else:
        value = statistics.median(ours - glibc for ours, glibc in pairs)
    good = value <= bar
    words = {"ratio": "ours / glibc", "more": "ours - glibc"}[kind]
    print("%-32s %14.2f %14.2f %s" % ("%s, %s" % (figure, words), value, bar,
                                      "ok" if good else "MISSED"))
    return good


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", metavar="LIBRARY")
    parser.add_argument("--allocators", default="glibc,ours")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ratio", action="append", default=[], metavar="FIGURE=MOST")
    parser.add_argument("--more", action="append", default=[], metavar="FIGURE=MOST")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="PROGRAM [ARGUMENT...]")
    arguments = parser.parse_args()
    if not arguments.command or arguments.rounds < 1:
        parser.error("a program is needed, and at least one round")
    return arguments


def main():
    arguments = arguments_of()
    try:
        names = arguments.allocators.split(",")
        libraries = {name: library_of(name, arguments.ours) for name in names}
        for name in [name for name in names if libraries[name] is None]:
            print("skipped: %s is not installed" % name)
            return SKIPPED
        results = measure(arguments.command, libraries, arguments.rounds)
        print_table(results, names)
        good = True
        for kind in ("ratio", "more"):
            for text in getattr(arguments, kind):
                good &= judge(results, text, kind)
    except (Trouble, OSError, subprocess.TimeoutExpired) as trouble:
        print("compare.py: %s" % trouble, file=sys.stderr)
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
