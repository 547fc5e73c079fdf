# SPDX-License-Identifier: MIT
"""What the check_*.py scripts share: reporting, fixtures, self-tests.

A check is a function that returns a list of problems, each one line that says
where and what. Its self-test feeds it small trees: the good one must give no
problem, and each bad one must give the problem that it was made for.
"""

import os
import re
import sys
import tempfile

# In include/poolmalloc, of libpoolobject; the other headers are of libpoolmalloc.
OBJECT_HEADERS = ("object.h", "qsbr.h", "weak.h", "deferred.h", "values.h")


def finish(name, problems):
    """Print the problems and return the exit code."""
    for problem in problems:
        print(problem)
    print("%s: %s" % (name, "%d problems" % len(problems) if problems else "ok"))
    return 1 if problems else 0


def strip_comments(text):
    """C source without comments, its line numbers kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0)) if match.group(0)[0] == "/" else match.group(0)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write_tree(root, tree):
    """Create the files of {relative path: content} below root."""
    for name, content in tree.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)


def self_test(check, good, bad):
    """Run check(root) on a good tree and on its spoilt copies.

    bad is a list of (files to add or replace, words expected in a problem).
    """
    failures = []
    with tempfile.TemporaryDirectory() as root:
        write_tree(root, good)
        for problem in check(root):
            failures.append("the good tree was refused: " + problem)
    for changes, expected in bad:
        with tempfile.TemporaryDirectory() as root:
            write_tree(root, {**good, **changes})
            problems = check(root)
            if not any(expected in problem for problem in problems):
                failures.append("not found: '%s' in %s" % (expected, problems))
    return finish("self-test", failures)


def fail_usage(message):
    print(message, file=sys.stderr)
    sys.exit(2)
