#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""System calls that the allocator makes when threads come and go: cycle_calls.py LIBRARY PROGRAM

Counts, with strace, the system calls of PROGRAM (thread_cycle.c) with many
threads less those with few, under LIBRARY: once with threads that use malloc
(a block; many blocks), once with threads that do not. Both must make the same
calls. Not compared is futex: how often a join has to wait is chance. Addresses
are not randomized: a window that happens to lie aligned takes a munmap less.
Exit status 77: strace cannot be used, or addresses not be fixed, here.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
FEW, MANY = 100, 600
SECONDS = 200
BY_CHANCE = {"futex", "restart_syscall"}
ADDR_NO_RANDOMIZE = 0x0040000  # of <sys/personality.h>


class Trouble(Exception):
    pass


def fix_addresses():
    """Of all that this process starts. False: it must not."""
    return ctypes.CDLL(None).personality(ctypes.c_ulong(ADDR_NO_RANDOMIZE)) != -1


def trace(library, command, output):
    tracer = ["strace", "-f", "-c", "-U", "name,calls", "-o", output, "-E", "LD_PRELOAD=" + library]
    return subprocess.run(tracer + command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, timeout=SECONDS, check=False)


def calls(library, program, use, threads):
    """System call -> how often."""
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "calls")
        done = trace(library, [program, "use=" + use, "threads=%d" % threads], output)
        if done.returncode != 0:
            raise Trouble("strace or the program failed: " + done.stderr.strip())
        with open(output, encoding="utf-8") as file:
            rows = re.findall(r"^(\w+) +(\d+)$", file.read(), re.MULTILINE)
    found = {name: int(number) for name, number in rows if name not in BY_CHANCE}
    if found.pop("total", 0) == 0 or found.get("clone3", 0) + found.get("clone", 0) < threads:
        raise Trouble("strace did not count the threads")
    return found


def calls_of_threads(library, program, use):
    few, many = (calls(library, program, use, threads) for threads in (FEW, MANY))
    rows = {name: many.get(name, 0) - few.get(name, 0) for name in set(few) | set(many)}
    return {name: number for name, number in rows.items() if number != 0}


def judge(use, found, base):
    extra = {name: found.get(name, 0) - base.get(name, 0) for name in set(found) | set(base)}
    extra = {name: number for name, number in extra.items() if number > 0}
    good = not extra
    print("%-32s %14.2f %14.2f %s" % ("calls_of_%d_threads_use_%s" % (MANY - FEW, use),
                                      sum(extra.values()), 0, "ok" if good else "MISSED"))
    for name in sorted(extra):
        print("    %s: %d more than with threads that do not use malloc" % (name, extra[name]))
    return good


def can_trace():
    if not shutil.which("strace"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        done = trace("", ["true"], os.path.join(folder, "calls"))
    return done.returncode == 0


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    library, program = os.path.realpath(sys.argv[1]), sys.argv[2]
    if not can_trace():
        print("skipped: strace is not installed, or must not trace")
        return SKIPPED
    if not fix_addresses():
        print("skipped: addresses stay random here, and system calls depend on them")
        return SKIPPED
    try:
        base = calls_of_threads(library, program, "none")
        good = all([judge(use, calls_of_threads(library, program, use), base)
                    for use in ("one", "many")])
    except (Trouble, OSError, subprocess.TimeoutExpired) as trouble:
        print("cycle_calls.py: %s" % trouble, file=sys.stderr)
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
