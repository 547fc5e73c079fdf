#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a thread costs: cycle_instructions.py LIBRARY PROGRAM

Counts, with callgrind, the instructions of PROGRAM (thread_cycle.c) with many
threads less those with few, under glibc's malloc and under LIBRARY: a thread's
start, its calls, its end. Instructions, since a test must not depend on what
else the machine does; compare.py compares times. Judged is a thread of one
block, as the bar has it; one of many blocks is shown.
Exit status 77: valgrind cannot be used here.
"""

import os
import re
import shutil
import subprocess
import sys

SKIPPED = 77
FEW, MANY = 100, 300
SECONDS = 200
BAR = 1.1


def instructions(library, program, use, threads):
    environment = dict(os.environ)
    if library:
        environment["LD_PRELOAD"] = library
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               program, "use=" + use, "threads=%d" % threads]
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    found = re.search(r"Collected *: *(\d+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit("valgrind or the program failed: " + done.stderr.strip())
    return int(found.group(1))


def of_a_thread(library, program, use):
    few, many = (instructions(library, program, use, threads) for threads in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.splitlines()[0])
    library, program = sys.argv[1:]
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is missing (sh cmake/bootstrap.sh test)")
        return SKIPPED
    good = True
    print("%-28s %10s %10s %8s %8s" % ("instructions of a thread", "glibc", "ours", "ratio", "bar"))
    for use in ("one", "many"):
        base, ours = of_a_thread("", program, use), of_a_thread(library, program, use)
        ratio = ours / base
        judged = use == "one"
        good &= ratio <= BAR or not judged
        bar = "%8.2f %s" % (BAR, "ok" if ratio <= BAR else "MISSED") if judged else "%8s" % "-"
        print("%-28s %10.0f %10.0f %8.2f %s" % (use, base, ours, ratio, bar))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
