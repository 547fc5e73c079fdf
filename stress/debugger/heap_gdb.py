#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The gdb script finds in a live process, and in a core file, what is in the heap:

    heap_gdb.py PROGRAM SCRIPT [all|tables]

PROGRAM is that of heap.c, SCRIPT poolmalloc_gdb.py; the third argument is the
option core_dump that the process has: with `tables`, a core file has no block.
"""

import os
import re
import sys
import tempfile

from gdb_run import Checker, gdb_run, skip

# The reservation is to be larger than what a core file may have.
WINDOW = "window_bytes=1g"
MOST_CORE_BYTES = 256 << 20
SAID = {"live": ", live, ", "freed": "free", "inside": "inside it", "foreign": "not of poolmalloc"}


# Asks of each address that the program wants to be asked of.
ASK = """
import gdb
for i in range(int(gdb.parse_and_eval("question_count"))):
    question = gdb.parse_and_eval("questions[%d]" % i)
    print("asked %s %#x" % (question["state"].string(), int(question["address"])))
    gdb.execute("pm block %d" % int(question["address"]))
"""


def lives_of(text):
    """{bytes of a class: (live, free bytes)}, by pm summary."""
    return {int(size): int(live) for size, live in
            re.findall(r"^ +\d+ +(\d+) +\d+ +(\d+) +\d+ +\d+$", text, re.M)}


def printed(pattern, output):
    return re.findall("^" + pattern + "$", output, re.M)


def compare(checker, where, said, found, blocks_there):
    """What the program said, and what the script found."""
    lives = lives_of(found)
    for size, count in printed(r"live (\d+) (\d+)", said):
        checker.expect(lives.get(int(size)) == int(count) or not blocks_there, (
            "%s: %s blocks of %s bytes are live, not %s" % (where, count, size,
                                                           lives.get(int(size)))))
        checker.expect(int(size) in lives, "%s: no class of %s bytes" % (where, size))
    for count, size in printed(r"large (\d+) (\d+)", said):
        checker.expect("large blocks: %s, %s bytes" % (count, size) in found,
                       "%s: not %s large blocks of %s bytes" % (where, count, size))
    checker.expect(re.search(r"^pm check: .*: ok$", found, re.M), where + ": pm check is not ok")
    checker.expect("current of heap" in found,
                   where + ": no pool is current")
    questions = re.findall(r"^asked (\w+) (0x\w+)\n(.*\n(?:    .*\n)*)", found, re.M)
    checker.expect(len(questions) > 10, where + ": nothing was asked")
    for state, address, answer in questions:
        if blocks_there or state not in ("live", "freed"):
            checker.expect(SAID[state] in answer, "%s: %s is %s, not: %s" % (
                where, address, state, answer))


def main():
    program, script = sys.argv[1], sys.argv[2]
    option = sys.argv[3] if len(sys.argv) > 3 else "default"
    environment = {"POOLMALLOC_OPTIONS": "%s,core_dump=%s" % (WINDOW, option)}
    checker = Checker()
    with tempfile.TemporaryDirectory() as folder:
        core, ask = os.path.join(folder, "core"), os.path.join(folder, "ask.py")
        with open(ask, "w", encoding="utf-8") as file:
            file.write(ASK)
        commands = ["source " + script, "pm summary", "pm heaps", "pm pools", "pm check",
                    "pm find own[4]", "source " + ask]
        live = gdb_run([program], ["break stopped", "run", *commands,
                                   "generate-core-file " + core, "kill"], environment)
        if not os.path.exists(core) and "holds 0x" in live:
            skip("gdb wrote no core file: " + live[-300:])
        size = os.stat(core).st_blocks * 512 if os.path.exists(core) else 0
        checker.expect(size <= MOST_CORE_BYTES, "the core file has %d bytes" % size)
        dead = gdb_run([program, core], commands)
    said = "\n".join(re.findall(r"^(?:live|large) \d+ \d+$", live, re.M))
    checker.expect(said, "the program did not run")
    compare(checker, "live", said, live, True)
    compare(checker, "core", said, dead, option != "tables")
    for value, holder in printed(r"holds (0x\w+) (0x\w+)", live):
        found = "%s in %s: large block" % (holder, holder)
        checker.expect(found in live, "live: pm find does not find %s" % value)
        checker.expect(found in dead or option == "tables", "core: pm find does not find " + value)
    owners = set(re.findall(r"^heap 0x\w+: thread (\d+)$", live, re.M))
    checker.expect(owners == {"1", "3"}, "live: heaps of threads %s, not of 1 and 3" % owners)
    checker.finish("heap (core_dump=%s)" % option, "--- live ---\n%s\n--- core ---\n%s" % (
        live, dead))


main()
