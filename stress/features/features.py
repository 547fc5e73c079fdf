#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The README's table of features is what the allocators show:

    features.py PROGRAM LIBRARY README            compares
    features.py PROGRAM LIBRARY README --write    writes the table
    features.py --self-test

PROGRAM is that of features.c, LIBRARY is libpoolmalloc.so. The others are those that Debian's
packages have installed; the column of one that is missing is left as it is.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile

BEGIN, END = "<!-- features: begin -->", "<!-- features: end -->"

COLUMNS = [("poolmalloc", None), ("jemalloc 5.3", "libjemalloc.so.2"),
           ("mimalloc 2.0", "libmimalloc.so.2"), ("tcmalloc (gperftools 2.10)", "libtcmalloc.so.4"),
           ("glibc 2.36", "")]

ROWS = [
    ("reused", "blocks of a thread that sleeps, freed by another, serve a third"),
    ("gives-back", "memory that an ended thread's blocks had goes back on request"),
    ("limit", "a limit in bytes for the process: NULL, not a kill"),
    ("heaps", "heaps of one's own, all of whose blocks go at once"),
    ("walk", "walks over all blocks of a heap"),
    ("tables", "domains with replaceable functions (PEP 445)"),
    ("page-hooks", "hooks for the memory that comes from the system"),
    ("both-names", "names of its own beside malloc's, in one library"),
    ("cxx", "C++'s operators, also sized and aligned ones"),
    ("jemalloc-names", "`mallctl`, `mallocx` and their family"),
    ("glibc-names", "`mallinfo2`, `malloc_info`, `mallopt`, `malloc_trim`"),
    ("foreign", "free of what malloc did not return"),
    ("interior", "free of a pointer into a block"),
    ("large-twice", "a large block freed twice"),
    ("twice", "a small block freed twice, other frees between"),
    ("profiler", "a heap profiler"),
]
MISUSE = {"foreign", "interior", "twice", "large-twice"}


def run(program, row, library):
    environment = dict(os.environ, TCMALLOC_HEAP_LIMIT_MB="64") if row == "limit" else \
        dict(os.environ)
    environment.pop("POOLMALLOC_OPTIONS", None)
    if row == "limit":
        environment["POOLMALLOC_OPTIONS"] = "limit_bytes=64m"
    if library:
        environment["LD_PRELOAD"] = library
    ended = subprocess.run([program, row], env=environment, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                           errors="replace")
    if "cannot be preloaded" in ended.stderr:
        return None
    return cell(row, ended.returncode, ended.stdout, ended.stderr)


def cell(row, code, output, errors):
    if row in MISUSE:
        if code == -signal.SIGABRT and errors.strip():
            return "named"
        return "not seen" if code == 0 else "a crash"
    if code != 0 or not output.startswith(("yes", "no")):
        raise ValueError("the row %s ended with %d: %s%s" % (row, code, output, errors))
    return "yes" if output.startswith("yes") else "–"


def table_of(measured, known):
    """Lines of Markdown; a cell that could not be measured is what the README says."""
    lines = ["| | " + " | ".join(name for name, _ in COLUMNS) + " |",
             "|---|" + "---|" * len(COLUMNS)]
    for row, text in ROWS:
        cells = [measured.get((row, name)) or known.get((text, name), "?") for name, _ in COLUMNS]
        lines.append("| %s | %s |" % (text, " | ".join(cells)))
    return "\n".join(lines) + "\n"


def known_cells(table):
    known = {}
    for line in table.splitlines()[2:]:
        words = [word.strip() for word in line.strip().strip("|").split("|")]
        for (name, _), word in zip(COLUMNS, words[1:]):
            known[(words[0], name)] = word
    return known


def split(text):
    before, rest = text.split(BEGIN + "\n", 1)
    table, after = rest.split(END, 1)
    return before, table, after


def check(readme, measured, write=False):
    with open(readme, encoding="utf-8") as file:
        before, found, after = split(file.read())
    wanted = table_of(measured, known_cells(found))
    if write:
        with open(readme, "w", encoding="utf-8") as file:
            file.write(before + BEGIN + "\n" + wanted + END + after)
        return []
    old = found.splitlines()
    return ["the table lacks: " + line for line in wanted.splitlines() if line not in old] + \
        ["the table has: " + line for line in old if line not in wanted.splitlines()]


def measure(program, library):
    measured = {}
    for name, soname in COLUMNS:
        for row, _ in ROWS:
            found = run(program, row, library if soname is None else soname)
            if found is None:
                print("features: %s is not installed: its column is not checked" % name)
                break
            measured[(row, name)] = found
    return measured


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        readme = os.path.join(folder, "README.md")
        with open(readme, "w", encoding="utf-8") as file:
            file.write("before\n%s\n%s\nafter\n" % (BEGIN, END))
        measured = {(row, name): "yes" for row, _ in ROWS for name, _ in COLUMNS}
        assert check(readme, measured), "an empty table was taken"
        check(readme, measured, write=True)
        assert not check(readme, measured), "the table that was written is not taken"
        other = {key: value for key, value in measured.items() if key[1] != "mimalloc 2.0"}
        assert not check(readme, other), "a missing allocator is no fault"
        measured[("walk", "glibc 2.36")] = "–"
        assert len(check(readme, measured)) == 2, "a wrong cell was taken"
        with open(readme, encoding="utf-8") as file:
            text = file.read()
        assert text.startswith("before\n") and text.endswith("\nafter\n"), "the rest was changed"
    assert cell("twice", 0, "no\n", "") == "not seen"
    assert cell("twice", -6, "", "freed twice\n") == "named"
    assert cell("twice", -6, "", "") == "a crash" and cell("twice", -11, "", "") == "a crash"
    assert cell("heaps", 0, "yes\n", "") == "yes" and cell("heaps", 0, "no\n", "") == "–"
    print("features: self-test ok")
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("library")
    parser.add_argument("readme")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    problems = check(options.readme, measure(options.program, options.library), options.write)
    for problem in problems:
        print(problem)
    if problems:
        print("features: the README's table is not what was seen: features.py ... --write")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
