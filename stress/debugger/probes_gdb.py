#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gdb lists the library's probes, and stops a program at one with the right arguments:

    probes_gdb.py PROGRAM

PROGRAM is that of probed.c.
"""

import re
import sys

from gdb_run import Checker, gdb_run

BLOCK_BYTES = 3000  # probed.c
CLASS, CLASS_BYTES = 64 + 2 * 8 + 3, 3072  # lib/pool/size_class.h
PROBES = ("refill", "float", "adopt", "map", "purge")

COMMANDS = [
    "break started", "run", "info probes stap poolmalloc",
    "break -probe-stap poolmalloc:refill", "continue",
    r'printf "refill: %d %lu %lu %#lx %#lx\n", $_probe_argc, $_probe_arg0, $_probe_arg1, '
    r'$_probe_arg2, $_probe_arg3',
    r'printf "heap: %#lx\n", (unsigned long)&pm_heap_self->real - '
    r'(unsigned long)&((struct pm_heap *)0)->real',
    "info symbol $pc", "kill",
]


def main():
    output = gdb_run([sys.argv[1]], COMMANDS)
    checker = Checker()
    for name in PROBES:
        checker.expect(re.search(r"poolmalloc +%s +0x" % name, output), "no probe " + name)
    found = re.search(r"^refill: (\d+) (\d+) (\d+) (0x\w+) (0x\w+)$", output, re.M)
    checker.expect(found, "gdb did not stop at refill")
    if found:
        checker.expect(found.group(1) == "4", "there are %s arguments" % found.group(1))
        checker.expect(int(found.group(2)) == CLASS, "the class is " + found.group(2))
        checker.expect(int(found.group(3)) == CLASS_BYTES, "the bytes are " + found.group(3))
        # Units are at least 4 KiB, and a pool starts at one.
        checker.expect(int(found.group(4), 16) % 4096 == 0, "no pool lies at " + found.group(4))
        checker.expect("pm_heap_refill" in output.split("refill: 4")[1], "stopped elsewhere")
    checker.finish("probes", output)


main()
