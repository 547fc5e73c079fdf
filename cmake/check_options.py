#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What users read of the options is what lib/base/options.h says:

    check_options.py ROOT --table PROGRAM            compares
    check_options.py ROOT --table PROGRAM --write    puts the table into the documents
    check_options.py --self-test

PROGRAM is that of options_doc.c. A document has the table between two lines
with the words "options: begin" and "options: end".
"""

import argparse
import os
import subprocess
import sys

from check_common import finish, self_test

DOCUMENTS = {"docs/options.md": "markdown", "man/poolmalloc.5": "man"}
BEGIN, END = "options: begin", "options: end"


def split(path, text):
    """Lines up to the first mark, between the marks, and from the second on."""
    lines = text.splitlines(keepends=True)
    begins = [i for i, line in enumerate(lines) if BEGIN in line]
    ends = [i for i, line in enumerate(lines) if END in line]
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        raise ValueError("%s: not one \"%s\" and one \"%s\" after it" % (path, BEGIN, END))
    first, last = begins[0] + 1, ends[0]
    return "".join(lines[:first]), "".join(lines[first:last]), "".join(lines[last:])


def check(root, table_of, write=False):
    problems = []
    for path, form in DOCUMENTS.items():
        full = os.path.join(root, path)
        with open(full, encoding="utf-8") as file:
            text = file.read()
        try:
            before, found, after = split(path, text)
        except ValueError as trouble:
            problems.append(str(trouble))
            continue
        wanted = table_of(form)
        if write:
            with open(full, "w", encoding="utf-8") as file:
                file.write(before + wanted + after)
        elif found != wanted:
            old, new = found.splitlines(), wanted.splitlines()
            problems += ["%s: lacks: %s" % (path, line) for line in new if line not in old]
            problems += ["%s: has still: %s" % (path, line) for line in old if line not in new]
            problems.append("%s: is not as the table (check_options.py --write)" % path)
    return problems


def make_believe(form):
    return "%s of one\n%s of two\n" % (form, form)


def document(form, *lines):
    return "above\n%s\n%s%s\nbelow\n" % (BEGIN, "".join(form + line + "\n" for line in lines), END)


GOOD = {path: document(form, " of one", " of two") for path, form in DOCUMENTS.items()}
BAD = [
    ({"docs/options.md": document("markdown", " of one")}, "lacks: markdown of two"),
    ({"man/poolmalloc.5": document("man", " of one", " of two", " of three")},
     "has still: man of three"),
    ({"man/poolmalloc.5": document("man", " of two", " of one")}, "is not as the table"),
    ({"docs/options.md": "nothing\n"}, "not one \"options: begin\""),
    ({"docs/options.md": "%s\n%s\n" % (END, BEGIN)}, "not one \"options: begin\""),
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("root", nargs="?")
    parser.add_argument("--table")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        sys.exit(self_test(lambda root: check(root, make_believe), GOOD, BAD))
    if not (options.root and options.table):
        parser.error("ROOT and --table PROGRAM are needed")
    sys.exit(finish("options", check(
        options.root, lambda form: subprocess.run([options.table, form], check=True, text=True,
                                                  stdout=subprocess.PIPE).stdout, options.write)))
