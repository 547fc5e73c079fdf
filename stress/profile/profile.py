#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What readers of profiles say of a program whose blocks are known.

profile.py READER PROGRAM: READER is google-pprof, jeprof or go. PROGRAM (profile.c)
is run with every block sampled, whose figures must be right to the byte, and
with one byte in 64 KiB sampled, whose figures must be as near as chance allows.
The exit status is 77 where the reader is not installed.
"""

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile

SMALL, LARGE = 60000, 600
# Each takes the Perl ones a second.
ASKED = {1: ("inuse_space", "alloc_objects"), 65536: ("inuse_objects", "alloc_space")}
KINDS = ("inuse_objects", "inuse_space", "alloc_objects", "alloc_space")
PERL = {"google-pprof": "gperftools", "jeprof": "jemalloc"}


def run_program(program, rate, form, path):
    """The known figures: of each function, in the order of KINDS."""
    options = f"profile={rate},profile_form={form},profile_at_exit={path}"
    done = subprocess.run([program, str(SMALL), str(LARGE)], check=True, timeout=60,
                          env=dict(os.environ, POOLMALLOC_OPTIONS=options),
                          stderr=subprocess.PIPE, text=True)
    known = {}
    for line in done.stderr.splitlines():
        name, *figures = line.split()
        known[name] = [int(figure) for figure in figures]
    assert sorted(known) == ["make_large", "make_small"], done.stderr
    return known


def flat_of(text, kind):
    """Of a table by functions: what each has itself."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 6 and words[1].endswith("%") and words[-1] in ("make_small", "make_large"):
            found[words[-1]] = float(re.sub("[A-Za-z]+$", "", words[0]))
    assert len(found) == 2, (kind, text)
    return found


def ask_perl(reader, program, path, kind):
    command = [reader, "--text", "--show_bytes", "--" + kind, program, path]
    if kind.endswith("objects"):
        command.remove("--show_bytes")
    return subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout


def ask_go(_, program, path, kind):
    command = ["go", "tool", "pprof", "-top", "-unit=B", "-nodefraction=0",
               "-sample_index=" + kind, program, path]
    home = os.path.dirname(path)
    return subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, HOME=home, PPROF_TMPDIR=home)).stdout


def allowed(known, index, rate):
    """How far chance takes an estimate: six standard deviations."""
    blocks, unit = known[index // 2 * 2], 1
    size = known[index // 2 * 2 + 1] / blocks
    if index % 2 == 1:
        unit = size
    if rate == 1:
        return 0.5
    scale = 1 / (1 - math.exp(-size / rate))
    return 6 * math.sqrt(blocks * (scale - 1) + 1) * unit + 1


def check(reader, program, rate, folder):
    path = os.path.join(folder, "profile")
    known = run_program(program, rate, PERL.get(reader, "gperftools"), path)
    ask = ask_go if reader == "go" else ask_perl
    for kind in ASKED[rate]:
        index = KINDS.index(kind)
        told = flat_of(ask(reader, program, path, kind), kind)
        for name, figures in known.items():
            off = abs(told[name] - figures[index])
            assert off <= allowed(figures, index, rate), (rate, kind, name, told[name], figures)


def main():
    reader, program = sys.argv[1:]
    if shutil.which(reader) is None:
        print(f"skipped: {reader} is not installed (sh cmake/bootstrap.sh test)")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        for rate in ASKED:
            check(reader, program, rate, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
