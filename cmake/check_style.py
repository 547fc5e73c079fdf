#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What of the house style a machine can see: check_style.py ROOT | --self-test

In C, C++, Python, shell and CMake files: lines of at most 100 columns, no
trailing blanks, a newline at the end, no unfinished-work markers, and the
licence line first (in scripts after the #! line). In C and C++ no tabs.
"""

import os
import re
import sys

from check_common import finish, fail_usage, read, self_test

COLUMNS_MAX = 100
LICENCE = "SPDX-License-Identifier: MIT"
MARKER = re.compile(r"\b(%s)\b" % "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]))
C_SUFFIXES = (".c", ".h", ".cc", ".cpp", ".hpp")
SCRIPT_SUFFIXES = (".py", ".sh", ".cmake", ".cmake.in")
SCRIPT_NAMES = ("CMakeLists.txt", ".ci/run")
SKIPPED = {".git", "build", "__pycache__"}


def files(root):
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(d for d in subfolders if d not in SKIPPED)
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)


def kind_of(name):
    if name.endswith(C_SUFFIXES):
        return "c"
    if name.endswith(SCRIPT_SUFFIXES) or os.path.basename(name) in SCRIPT_NAMES \
            or name in SCRIPT_NAMES:
        return "script"
    return None


def licence_problem(kind, lines):
    if kind == "c":
        return lines[:1] != ["/* %s */" % LICENCE]
    first = 1 if lines and lines[0].startswith("#!") else 0
    return lines[first:first + 1] != ["# " + LICENCE]


def check_file(name, kind, text):
    problems = []
    lines = text.split("\n")
    if licence_problem(kind, lines):
        problems.append("%s:1: the licence line is not first" % name)
    if not text.endswith("\n"):
        problems.append("%s: no newline at the end" % name)
    for number, line in enumerate(lines, 1):
        where = "%s:%d: " % (name, number)
        if len(line) > COLUMNS_MAX:
            problems.append(where + "%d columns" % len(line))
        if line != line.rstrip():
            problems.append(where + "trailing blanks")
        if kind == "c" and "\t" in line:
            problems.append(where + "tab")
        if MARKER.search(line):
            problems.append(where + "unfinished: " + MARKER.search(line).group(1))
    return problems


def check(root):
    problems = []
    for name in files(root):
        kind = kind_of(name)
        if kind and os.path.isfile(os.path.join(root, name)):
            problems += check_file(name, kind, read(os.path.join(root, name)))
    return problems


C_HEAD = "/* %s */\n" % LICENCE
GOOD = {
    "lib/a.c": C_HEAD + "x" * COLUMNS_MAX + "\n",
    "s.sh": "#!/bin/sh\n# %s\n" % LICENCE,
    "build/generated.c": "whatever",
    "notes.txt": "\t" + "x" * 200,
}
BAD = [
    ({"lib/a.c": "int x;\n"}, "lib/a.c:1: the licence line"),
    ({"s.sh": "#!/bin/sh\necho\n"}, "s.sh:1: the licence line"),
    ({"lib/a.c": C_HEAD + "x" * (COLUMNS_MAX + 1) + "\n"}, "lib/a.c:2: 101 columns"),
    ({"lib/a.c": C_HEAD + "/* TO" + "DO later */\n"}, "lib/a.c:2: unfinished"),
    ({"lib/a.c": C_HEAD + "int x; \n"}, "trailing blanks"),
    ({"lib/a.c": C_HEAD + "\tint x;\n"}, "tab"),
    ({"lib/a.c": C_HEAD + "int x;"}, "no newline"),
]

if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test(check, GOOD, BAD))
    if len(sys.argv) != 2:
        fail_usage(__doc__)
    sys.exit(finish("style", check(sys.argv[1])))
