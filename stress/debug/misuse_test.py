#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Death tests of debug hooks and of mode hardened: misuse_test.py PROGRAM CASES MODE [CASE]

Runs PROGRAM (misuse.c) with POOLMALLOC=MODE once for each case of the table
CASES that the mode has, or for CASE alone, and passes when each was ended by
SIGABRT after a report on stderr: its first line matches the whole of the
table's expression, and what follows has all the words. Where that is SIGSEGV,
the access itself has to trap, and nothing is said; where an expression follows
that word, the report does.
"""

import os
import re
import signal
import subprocess
import sys

SECONDS = 60
# Of what the pools find; where it can be taken.
STACK = re.compile(r"    The error was found in a call by:\n(?:    #\d+ 0x[0-9a-f]+.*\n)+")
EMULATOR_SAYS = "qemu: uncaught target signal"


def table(path, mode, standard_names):
    for line in open(path, encoding="utf-8"):
        if line.startswith("#") or not line.strip():
            continue
        name, modes, first, words = [part.strip() for part in line.split(" | ")]
        if name.startswith("names:"):
            if not standard_names:
                continue
            name = name.split()[1]
        if modes == "both" or mode != "malloc_debug":
            yield name, first, [] if words == "none" else words.split(";")


def judge(done, first, words):
    """What is wrong with the death, or None."""
    if first == "SIGSEGV":
        trapped = done.returncode == -signal.SIGSEGV and not done.stderr
        return None if trapped else "ended with status %d, and should trap" % done.returncode
    by, first = (("SIGSEGV", first[8:]) if first.startswith("SIGSEGV ") else ("SIGABRT", first))
    if done.returncode != -signal.Signals[by]:
        return "ended with status %d, not by %s" % (done.returncode, by)
    pointer = done.stdout.split("\n")[0]
    if not re.fullmatch("0x[0-9a-f]+", pointer):
        return "the program did not say which pointer it misuses"
    line, _, rest = done.stderr.partition("\n")
    wanted = "poolmalloc: (pm_)?" + re.sub(r"\bP\b", pointer, first)
    if not re.fullmatch(wanted, line):
        return "the first line does not match " + wanted
    if not words and rest and not STACK.fullmatch(rest):
        return "more than one line and a stack"
    for word in words:
        if not re.search(word, rest):
            return "the dump has no " + word
    return None


def main():
    if len(sys.argv) not in (4, 5):
        print(__doc__, file=sys.stderr)
        return 2
    program, cases, mode = sys.argv[1:4]
    environment = dict(os.environ, POOLMALLOC=mode)
    emulator = os.environ.get("STRESS_EMULATOR", "").split()
    bad = seen = 0
    for name, first, words in table(cases, mode, "_shared" in program):
        if len(sys.argv) == 5 and name != sys.argv[4]:
            continue
        done = subprocess.run(emulator + [program, name], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=environment,
                              timeout=SECONDS, check=False)
        if emulator:
            done.stderr = "".join(line for line in done.stderr.splitlines(True)
                                  if not line.startswith(EMULATOR_SAYS))
        problem = judge(done, first, words)
        print("%s: %s" % (name, problem or "caught"))
        if problem:
            sys.stdout.write(done.stdout + done.stderr)
        bad += problem is not None
        seen += 1
    print("%d of %d cases caught" % (seen - bad, seen))
    return 0 if seen and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
