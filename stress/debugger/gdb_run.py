# SPDX-License-Identifier: MIT
"""What the tests with gdb share: a run of gdb in batch, and when that cannot be."""

import os
import shutil
import subprocess
import sys

SKIPPED = 77
SECONDS = 120
QUIET = ["set pagination off", "set confirm off", "set debuginfod enabled off",
         "set startup-with-shell off", "set width 0", "set print inferior-events off"]


def skip(reason):
    print("skipped: " + reason)
    sys.exit(SKIPPED)


def find_gdb():
    """The path of gdb, or the test is skipped."""
    gdb = shutil.which("gdb")
    if gdb is None:
        skip("there is no gdb (Debian: sh cmake/bootstrap.sh test)")
    return gdb


def gdb_run(arguments, commands, environment=None):
    """What gdb writes, of both streams."""
    command = [find_gdb(), "-batch", "-nx"]
    for line in QUIET:
        command += ["-iex", line]
    for line in commands:
        command += ["-ex", line]
    run = subprocess.run(command + arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=SECONDS,
                         env={**os.environ, **(environment or {})})
    for trouble in ("Could not trace the inferior process", "ptrace: Operation not permitted",
                    "Scripting in the \"Python\" language is not supported"):
        if trouble in run.stdout:
            skip(trouble)
    return run.stdout


class Checker:
    """Collects what is wrong, and says it with gdb's own output."""

    def __init__(self):
        self.problems = []

    def expect(self, condition, words):
        if not condition:
            self.problems.append(words)

    def finish(self, name, output):
        for problem in self.problems:
            print(problem)
        if self.problems:
            print(output)
        print("%s: %s" % (name, "%d problems" % len(self.problems) if self.problems else "ok"))
        sys.exit(1 if self.problems else 0)
