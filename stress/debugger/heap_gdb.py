#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The gdb script finds in a live process, and in a core file, what is in the heap:

    heap_gdb.py PROGRAM SCRIPT default|tables|kernel

PROGRAM is that of heap.c, SCRIPT poolmalloc_gdb.py. gdb writes the core file,
with that value of the option core_dump: with `tables`, it has no block; or the
kernel writes it.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile

from gdb_run import Checker, gdb_run, skip

# The reservation is to be larger than what a core file may have.
WINDOW = "window_bytes=1g"
MOST_CORE_BYTES = 256 << 20
SAID = {"live": ", live, ", "freed": "free", "inside": "inside it", "foreign": "not of poolmalloc"}


# The link in a block that was freed is written over: what pm check is there to find.
SPOIL = ["echo spoilt\\n", "set var *(void **)own[0] = (void *)8", "pm check"]

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
    checker.expect(said, where + ": the program said nothing")
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
    for word, holder in printed(r"holds (0x\w+) (0x\w+)", said):
        checker.expect("%s in %s: large block" % (holder, holder) in found or not blocks_there,
                       "%s: pm find does not find %s" % (where, word))
    questions = re.findall(r"^asked (\w+) (0x\w+)\n(.*\n(?:    .*\n)*)", found, re.M)
    checker.expect(len(questions) > 10, where + ": nothing was asked")
    for state, address, answer in questions:
        if blocks_there or state not in ("live", "freed"):
            checker.expect(SAID[state] in answer, "%s: %s is %s, not: %s" % (
                where, address, state, answer))


def gdb_core(checker, program, commands, option):
    """Of a process that gdb stops, and whose core file it writes. What was printed."""
    environment = {"POOLMALLOC_OPTIONS": "%s,core_dump=%s" % (WINDOW, option)}
    with tempfile.TemporaryDirectory() as folder:
        core = os.path.join(folder, "core")
        live = gdb_run([program], ["break stopped", "run", *commands,
                                   "generate-core-file " + core, *SPOIL, "kill"], environment)
        if not os.path.exists(core) and "holds 0x" in live:
            skip("gdb wrote no core file: " + live[-300:])
        size = os.stat(core).st_blocks * 512 if os.path.exists(core) else 0
        checker.expect(size <= MOST_CORE_BYTES, "the core file has %d bytes" % size)
        dead = gdb_run([program, core], commands)
    said = "\n".join(re.findall(r"^(?:live|large|holds) \w+ \w+$", live, re.M))
    live, _, spoilt = live.partition("spoilt")
    checker.expect(re.search(r"its list leads to 0x8,", spoilt) and "1 problems" in spoilt,
                   "pm check does not find a spoilt list: " + spoilt)
    compare(checker, "live", said, live, True)
    compare(checker, "core", said, dead, option != "tables")
    owners = set(re.findall(r"^heap 0x\w+: thread (\d+)$", live, re.M))
    checker.expect(owners == {"1", "3"}, "live: heaps of threads %s, not of 1 and 3" % owners)
    return "--- live ---\n%s\n--- core ---\n%s" % (live, dead)


def kernel_core(checker, program, commands):
    """Of a process that crashed."""
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        pattern = file.read()
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if "|" in pattern or "/" in pattern or most == 0:
        skip("the system writes no core files here")
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([program, "crash"], cwd=folder, stdout=subprocess.PIPE, text=True,
                             env={**os.environ, "POOLMALLOC_OPTIONS": WINDOW},
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE,
                                                                   (most, most)))
        checker.expect(run.returncode < 0, "the program did not crash")
        cores = os.listdir(folder)
        if not cores and not checker.problems:
            skip("there is no core file")
        dead = gdb_run([program, os.path.join(folder, *cores)], commands)
    compare(checker, "core", run.stdout, dead, True)
    return dead


def main():
    program, script, what = sys.argv[1:]
    checker = Checker()
    with tempfile.NamedTemporaryFile("w", suffix=".py") as ask:
        ask.write(ASK)
        ask.flush()
        commands = ["source " + script, "pm summary", "pm heaps", "pm pools", "pm check",
                    "pm find own[4]", "source " + ask.name]
        if what == "kernel":
            output = kernel_core(checker, program, commands)
        else:
            output = gdb_core(checker, program, commands, what)
    checker.finish("heap (%s)" % what, output)


main()
