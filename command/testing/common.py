# SPDX-License-Identifier: MIT
"""What the tests of report, diff and convert share: the command, and recordings to give it.

    X_test.py COMMAND CXX [-v]

COMMAND is that of the build. Exit status 77: something is missing that all tests need.
"""

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = 77
COMMAND, CXX = "", ""
BUILD_FOLDER = tempfile.TemporaryDirectory()
BUILT = {}

# Addresses in no mapping: their names are they themselves.
STACKS = ((3, 3000, "0x1001 0x2001 0x3001"), (5, 400, "0x1001 0x2002 0x3001"), (1, 7, "0x9001"))
MAPS = "7f0000000000-7f0000001000 r-xp 00000000 08:01 42   /no/such/library.so\n"


def snapshot(stacks=STACKS, domains=(0, 1, 2), maps=MAPS):
    rows = "".join("%d %d %d @ %s\n" % (blocks, size, domain, frames)
                   for (blocks, size, frames), domain in zip(stacks, domains))
    return ("poolmalloc snapshot 1\npid 4711\nprogram /usr/bin/program\n"
            "time 2026-11-27T12:00:00Z\ntraceback_limit 8\ntraced_bytes 3407\npeak_bytes 5000\n"
            "stacks %d\n%s\nMAPPED_LIBRARIES:\n%send\n" % (len(stacks), rows, maps))


def gperftools(mean=524288, stacks=STACKS, maps=MAPS):
    """Of all allocations there were twice as many."""
    rows = "".join("%6d: %8d [%6d: %8d] @ %s\n" % (blocks, size, 2 * blocks, 2 * size, frames)
                   for blocks, size, frames in stacks)
    return "heap profile: 9: 3407 [18: 6814] @ heap_v2/%d\n%s\nMAPPED_LIBRARIES:\n%s" % (
        mean, rows, maps)


def jemalloc(mean=524288, stacks=STACKS, maps=MAPS):
    rows = "".join("@ %s\n  t*: %d: %d [%d: %d]\n  t1: 1: 1 [0: 0]\n" % (
        frames, blocks, size, 2 * blocks, 2 * size) for blocks, size, frames in stacks)
    return "heap_v2/%d\n  t*: 9: 3407 [18: 6814]\n  t1: 9: 3407 [18: 6814]\n%s\n" \
        "MAPPED_LIBRARIES:\n%s" % (mean, rows, maps)


FORMS = {"snapshot": snapshot, "gperftools": gperftools, "jemalloc": jemalloc}


def scaled(blocks, size, mean=524288):
    """As documented: a sample of s bytes stands for 1 / (1 - exp(-s / mean))."""
    weight = 1 / (1 - math.exp(-(size / blocks) / mean))
    return round(blocks * weight), round(size * weight)


def rows_of(output):
    """{name: [numbers]} of a printed table, and its total; lines of further frames are left out."""
    rows = {}
    for line in output.split("\n\n", 1)[1].splitlines()[1:]:
        found = re.match(r" *([-+]?\d+) +([\d.]+%|\d+) +([-+]?\d+) +(?:(\d+) +)?(\S.*)$", line)
        if found:
            rows[found[5]] = [int(one) for one in found.groups()[:4]
                              if one is not None and "%" not in one]
    return rows


class FilesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return self.path(name)

    def run_command(self, *words, status=0, command=None, **more):
        """(stdout, stderr); bytes where text=False and errors=None."""
        more = {"text": True, "errors": "replace", **more}
        done = subprocess.run([command or COMMAND, *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False,
                              timeout=60, **more)
        self.assertEqual(done.returncode, status, (words, done.stderr))
        return done.stdout, done.stderr

    def rows(self, *words):
        output, errors = self.run_command(*words)
        self.assertEqual(errors, "")
        return rows_of(output)

    def recorder(self, *flags):
        """The program that records itself, in the test's own folder; built once for all tests."""
        if flags not in BUILT:
            name = os.path.join(BUILD_FOLDER.name, str(len(BUILT)))
            subprocess.run([CXX, "-std=c++17", "-O1", "-o", name,
                            os.path.join(HERE, "recorder.cc"), *flags], check=True)
            BUILT[flags] = name
        shutil.copy(BUILT[flags], self.path("recorder"))
        os.utime(self.path("recorder"), (1000000000, 1000000000))  # older than any recording of it
        return self.path("recorder")

    def record(self, program, form, *words):
        done = subprocess.run([program, form, *map(str, words)], stdout=subprocess.PIPE, check=True)
        return self.write(form + "-" + "-".join(map(str, words)), done.stdout)


    def linked(self, source):
        """A program of this folder that is linked to the library of the build."""
        library = os.path.join(os.path.dirname(os.path.dirname(COMMAND)), "lib")
        subprocess.run(["cc", "-g", "-O1", "-I" + os.path.join(HERE, "../../include"), "-o",
                        self.path("linked"), os.path.join(HERE, source), "-L" + library,
                        "-lpoolmalloc", "-Wl,-rpath," + library], check=True)
        return self.path("linked")


def needs(*tools):
    """Skips a test, or all of a class, where a tool is missing: (program, package)..."""
    for program, package in tools:
        if not shutil.which(program):
            return unittest.skip("needs the package " + package)
    return lambda test: test


def main(missing=""):
    global COMMAND, CXX
    if missing:
        print("skipped:", missing)
        sys.exit(SKIPPED)
    COMMAND, CXX = sys.argv[1:3]
    if not shutil.which(CXX):
        print("skipped: needs a C++ compiler")
        sys.exit(SKIPPED)
    for name in ("LD_PRELOAD", "POOLMALLOC_OPTIONS", "DEBUGINFOD_URLS"):
        os.environ.pop(name, None)
    os.environ["LC_ALL"] = "C"
    unittest.main(module="__main__", argv=sys.argv[:1] + sys.argv[3:])
