#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Death test: misuse_test.py PROGRAM CALL POINTER REASON

Runs PROGRAM (misuse.c), by the command in STRESS_EMULATOR if that is set, and
passes when it was ended by SIGABRT after one line on stderr that names the
function, the pointer and what is wrong with it.
"""

import os
import re
import signal
import subprocess
import sys

REASONS = {
    "foreign": "not a block of this allocator",
    "not-allocated": "not allocated (freed already, or inside a free region)",
    "interior": "points inside a block, not at its start",
    "double-free": "freed twice",
    "wrong-size": "size or alignment",
}
SECONDS = 60
EMULATOR_SAYS = "qemu: uncaught target signal"


def judge(done, call, reason):
    """What is wrong with the death, or None."""
    if done.returncode != -signal.SIGABRT:
        return "ended with status %d, not by SIGABRT" % done.returncode
    pointer = done.stdout.split("\n")[0]
    if not re.fullmatch("0x[0-9a-f]+", pointer):
        return "the program did not say which pointer it misuses"
    if len(done.stderr.splitlines()) != 1:
        return "not one line on stderr"
    wanted = r"poolmalloc: (pm_)?%s\(%s\): %s.*\n" % (call, pointer, re.escape(REASONS[reason]))
    if not re.fullmatch(wanted, done.stderr):
        return "the message does not match " + wanted
    return None


def main():
    if len(sys.argv) != 5 or sys.argv[4] not in REASONS:
        print(__doc__, file=sys.stderr)
        return 2
    program, call, pointer, reason = sys.argv[1:]
    # a window of known size: "never allocated" must lie in it
    environment = dict(os.environ, POOLMALLOC_OPTIONS="window_bytes=1g")
    emulator = os.environ.get("STRESS_EMULATOR", "").split()
    done = subprocess.run(emulator + [program, call, pointer], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=environment, timeout=SECONDS,
                          check=False)
    if emulator:
        done.stderr = "".join(line for line in done.stderr.splitlines(True)
                              if not line.startswith(EMULATOR_SAYS))
    problem = judge(done, call, reason)
    sys.stdout.write(done.stdout + done.stderr)
    print("%s of %s: %s" % (call, pointer, problem or "caught"))
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
