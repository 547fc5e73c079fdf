#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""valgrind's tools see faults of the program, and none that are no faults, when the allocator tells
them of blocks:

    valgrind_test.py faulty PROGRAM
    valgrind_test.py race PROGRAM SUPPRESSIONS
    valgrind_test.py memcheck|helgrind|drd PROGRAM SUPPRESSIONS

PROGRAM is that of faulty.c, in the last line that of clean.c.
"""

import re
import shutil
import subprocess
import sys

SKIPPED = 77
SECONDS = 200
OURS = ["--soname-synonyms=somalloc=nouserintercepts", "-q", "--num-callers=8"]
# What memcheck says of each function of faulty.c.
FAULTS = {
    "use_after_free": "Invalid read of size 1",
    "use_after_free_of_large": "Invalid read of size 1",
    "write_after_free": "Invalid write of size 1",
    "uninitialised": "depends on uninitialised value",
    "uninitialised_when_used_again": "depends on uninitialised value",
    "uninitialised_after_growth": "depends on uninitialised value",
    "uninitialised_after_growth_in_place": "depends on uninitialised value",
    "overflow": "Invalid write of size 1",
    "overflow_of_calloc": "Invalid read of size 1",
    "overflow_after_shrinking": "Invalid read of size 1",
    "underflow": "Invalid read of size 1",
    "free_twice": "Invalid free()",
    "heap_destroyed": "Invalid read of size 1",
}
LEAKS = {333: 10, 444444: 3}


def run(*arguments):
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        print("skipped: there is no valgrind (Debian: sh cmake/bootstrap.sh test)")
        sys.exit(SKIPPED)
    return subprocess.run([valgrind, *OURS, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=SECONDS)


def reports_of(text):
    """Each error with its stack, without the numbers in front."""
    lines = [re.sub(r"^==\d+== ?", "", line) for line in text.split("\n")]
    return [report for report in "\n".join(lines).split("\n\n") if report.strip()]


def faulty(program):
    done = run("--leak-check=full", "--show-leak-kinds=definite", program)
    reports, problems = reports_of(done.stdout), []
    for function, words in FAULTS.items():
        found = [report for report in reports if re.search(r": %s \(faulty\.c" % function, report)]
        if not any(words in report.split("\n")[0] for report in found):
            problems.append("%s: \"%s\" was not said" % (function, words))
        if len(found) > (2 if function == "write_after_free" else 1):
            problems.append("%s: more than that was said" % function)
    for size, count in LEAKS.items():
        if not re.search(r"definitely lost in loss record", done.stdout) or not re.search(
                r"%s bytes in %d blocks are definitely lost" % (format(size * count, ","), count),
                done.stdout):
            problems.append("leak: not %d blocks of %d bytes" % (count, size))
    if done.returncode != 0:
        problems.append("status %d" % done.returncode)
    return problems, done.stdout


def race(program, suppressions):
    """What the allocator does is not reported, and what the program does is."""
    problems, output = [], ""
    for tool, words in (("helgrind", "Possible data race"), ("drd", "Conflicting store")):
        done = run("--tool=" + tool, "--suppressions=" + suppressions, program, "race")
        reports = done.stdout.split(words)[1:]
        output += done.stdout
        if not reports or not all("write_block" in report for report in reports):
            problems.append("%s: not the race of write_block alone" % tool)
    return problems, output


def clean(tool, program, suppressions):
    arguments = ["--tool=" + tool, "--error-exitcode=9", "--suppressions=" + suppressions]
    if tool == "memcheck":
        arguments += ["--leak-check=full", "--errors-for-leak-kinds=definite,possible"]
    done = run(*arguments, program)
    problems = []
    if done.returncode != 0:
        problems.append("status %d" % done.returncode)
    if done.stdout.strip():
        problems.append("something was said")
    return problems, done.stdout


def main():
    what, program = sys.argv[1:3]
    if what == "faulty":
        problems, output = faulty(program)
    elif what == "race":
        problems, output = race(program, sys.argv[3])
    else:
        problems, output = clean(what, program, sys.argv[3])
    for problem in problems:
        print(problem)
    if problems:
        print(output[-20000:])
    print("valgrind %s: %s" % (what, "%d problems" % len(problems) if problems else "ok"))
    sys.exit(1 if problems else 0)


main()
