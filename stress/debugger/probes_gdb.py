#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gdb lists the library's probes, and stops a program at each with the right arguments:

    probes_gdb.py PROGRAM

PROGRAM is that of probed.c.
"""

import re
import sys
import tempfile

from gdb_run import Checker, gdb_run

BLOCK_BYTES, LARGE_BYTES = 3000, 20000000  # probed.c
CLASS, CLASS_BYTES = 64 + 2 * 8 + 3, 3072  # lib/pool/size_class.h
ARGUMENTS = {"refill": 4, "float": 3, "adopt": 4, "map": 3, "purge": 3}
PAGE = 4096

# Says what each probe has from `started` on, and lets the program go on.
WATCH = """
import gdb
class Probe(gdb.Breakpoint):
    def __init__(self, name):
        super().__init__("-probe-stap poolmalloc:" + name)
        self.name = name
    def stop(self):
        count = int(gdb.parse_and_eval("$_probe_argc"))
        print("hit", self.name, *(int(gdb.parse_and_eval("$_probe_arg%d" % i))
                                  for i in range(count)))
        return False
for name in ("refill", "float", "adopt", "map", "purge"):
    Probe(name)
"""


def of_pools(checker, hits):
    """The pools of the class that the program uses."""
    refills = [hit for hit in hits["refill"] if hit[0] == CLASS]
    checker.expect(refills and hits["refill"][0] == refills[0], "the class does not come first")
    pools = {hit[2] for hit in refills}
    heaps = {hit[3] for hit in refills}
    checker.expect(all(hit[1] == CLASS_BYTES for hit in refills), "other bytes than the class's")
    checker.expect(all(pool % PAGE == 0 for pool in pools), "no pool starts there")
    checker.expect(len(heaps) == 1, "one thread has several heaps")
    floats = [hit for hit in hits["float"] if hit[0] == CLASS]
    adopts = [hit for hit in hits["adopt"] if hit[0] == CLASS]
    checker.expect(floats and adopts, "no pool of the class floats, or none is adopted")
    live = {hit[1]: hit[2] for hit in floats}
    checker.expect(set(live) <= pools, "other pools float than are filled")
    for _, pool, left, heap in adopts:
        checker.expect(0 < left < live.get(pool, 0), "%d blocks live in an adopted pool" % left)
        checker.expect(heap in heaps, "another heap adopts it")


def of_memory(checker, hits):
    sums = {name: sum(hit[1] for hit in hits[name]) for name in ("map", "purge")}
    checker.expect(any(hit[2] == 1 and hit[1] >= LARGE_BYTES for hit in hits["map"]),
                   "the large block's arenas are not committed")
    # Nothing was written to the large block, but for the allocator it may have been.
    checker.expect(sums["purge"] >= LARGE_BYTES, "%d bytes are purged" % sums["purge"])
    checker.expect(all(hit[0] % PAGE == 0 and hit[1] % PAGE == 0 and hit[2] in (0, 1)
                       for name in sums for hit in hits[name]), "no whole pages")


def main():
    checker = Checker()
    with tempfile.NamedTemporaryFile("w", suffix=".py") as watch:
        watch.write(WATCH)
        watch.flush()
        output = gdb_run([sys.argv[1]], ["break started", "run", "info probes stap poolmalloc",
                                         "source " + watch.name, "continue"])
    hits = {name: [] for name in ARGUMENTS}
    for name, numbers in re.findall(r"^hit (\w+)((?: \d+)*)$", output, re.M):
        hits[name].append(tuple(int(number) for number in numbers.split()))
    for name, count in ARGUMENTS.items():
        checker.expect(re.search(r"poolmalloc +%s +0x" % name, output), "no probe " + name)
        checker.expect(hits[name], "gdb did not stop at " + name)
        checker.expect(all(len(hit) == count for hit in hits[name]),
                       "%s has not %d arguments" % (name, count))
    if not checker.problems:
        of_pools(checker, hits)
        of_memory(checker, hits)
    checker.finish("probes", output)


main()
