#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The probes that docs/probes.md lists are those of the library:

    check_probes.py ROOT --library SO [--readelf READELF]
    check_probes.py --self-test

The table stands between the marks "probes: begin" and "probes: end": a row has
the probe's name, when it fires, and its arguments, a cell each. The library's
side are the notes that readelf -n shows, of which a probe may have several.
Every argument is 8 bytes without a sign.
"""

import argparse
import re
import subprocess
import sys

from check_common import finish, read, self_test

DOCUMENT = "docs/probes.md"
BEGIN, END = "probes: begin", "probes: end"
PROVIDER = "poolmalloc"
ARGUMENT = re.compile(r"-?\d+@")  # what follows may have blanks: 8@[sp, 8]


def documented(text):
    """{name: number of arguments}, by the table."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError("%s: not one \"%s\" and one \"%s\"" % (DOCUMENT, BEGIN, END))
    probes = {}
    for line in text.split(BEGIN)[1].split(END)[0].split("\n"):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        name = re.fullmatch(r"`(\w+)`", cells[0])
        if name:
            probes[name.group(1)] = sum(1 for cell in cells[2:] if cell)
    return probes


def of_library(notes):
    """(name, [arguments]) of each note of ours."""
    for provider, name, arguments in re.findall(
            r"Provider: (\S+)\s+Name: (\S+)\s+Location:[^\n]*\s+Arguments: ?([^\n]*)", notes):
        if provider == PROVIDER:
            yield name, ARGUMENT.findall(arguments)


def check(root, notes):
    try:
        listed = documented(read(root + "/" + DOCUMENT))
    except ValueError as trouble:
        return [str(trouble)]
    problems, seen = [], set()
    for name, arguments in of_library(notes):
        seen.add(name)
        if name not in listed:
            problems.append("%s: lacks the probe %s" % (DOCUMENT, name))
        elif len(arguments) != listed[name]:
            problems.append("%s: %s has %d arguments, not %d" % (DOCUMENT, name, len(arguments),
                                                                listed[name]))
        problems += ["%s: argument %s is not 8 bytes without a sign" % (name, argument)
                     for argument in arguments if argument != "8@"]
    problems += ["%s: the library has no probe %s" % (DOCUMENT, name)
                 for name in sorted(set(listed) - seen)]
    return problems


NOTES = "".join("  stapsdt 0x0001 NT_STAPSDT (SystemTap probe descriptors)\n"
                "    Provider: poolmalloc\n    Name: %s\n"
                "    Location: 0x1, Base: 0x2, Semaphore: 0x0\n    Arguments: %s\n" % note
                for note in (("one", "8@%rax 8@$1"), ("two", "8@[sp, 8]"), ("two", "8@%rdi")))
ROWS = ["| probe | fires | arg0 | arg1 |", "|---|---|---|---|", "| `one` | now | a | b |",
        "| `two` | then | a | |"]


def document(*rows):
    text = "<!-- %s -->\n%s\n<!-- %s -->\n" % (BEGIN, "\n".join(rows), END)
    return {"notes": NOTES, DOCUMENT: text}


BAD = [
    (document(*ROWS[:3]), "lacks the probe two"),
    (document(*ROWS, "| `three` | | a | |"), "the library has no probe three"),
    (document(*ROWS[:3], "| `two` | then | a | b |"), "two has 1 arguments, not 2"),
    ({DOCUMENT: "nothing"}, "not one"),
    ({"notes": NOTES.replace("8@$1", "-4@$1")}, "argument -4@ is not 8 bytes"),
    ({"notes": ""}, "the library has no probe one"),
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("root", nargs="?")
    parser.add_argument("--library")
    parser.add_argument("--readelf", default="readelf")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        sys.exit(self_test(lambda root: check(root, read(root + "/notes")), document(*ROWS), BAD))
    if not (options.root and options.library):
        parser.error("ROOT and --library SO are needed")
    sys.exit(finish("probes", check(options.root, subprocess.run(
        [options.readelf, "-n", options.library], check=True, text=True,
        stdout=subprocess.PIPE).stdout)))
