#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manual pages have what there is, and read well:

    check_manual.py ROOT --command COMMAND   names of functions, commands and options
    check_manual.py ROOT --lint              mandoc and groff have nothing to complain of
    check_manual.py --self-test

poolmalloc(3) names every function of the public headers and no other, and
poolobject(3) those of the object layer's; poolmalloc(1) every command and option
that COMMAND's own help names. (The table of poolmalloc(5) is the business of
check_options.py.) Exit status 77 of --lint: both tools are missing.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys

from check_common import OBJECT_HEADERS, finish, read, self_test

SKIPPED = 77
PAGES = ("man/poolmalloc.1", "man/poolmalloc.3", "man/poolmalloc.5", "man/poolobject.3")
LINTS = (["mandoc", "-T", "lint", "-W", "warning"], ["groff", "-man", "-ww", "-Tutf8", "-z"])


def check_functions(root):
    paths = sorted(glob.glob(os.path.join(root, "include/poolmalloc/*")))
    objects = [path for path in paths if os.path.basename(path) in OBJECT_HEADERS]
    yield from check_page(root, PAGES[1], [path for path in paths if path not in objects], [])
    yield from check_page(root, PAGES[3], objects, paths)


def check_page(root, name, paths, others):
    """A page has the functions of the headers, and names nothing that neither they nor the others
    have."""
    page = read(os.path.join(root, name))
    headers = "".join(read(path) for path in paths)
    for function in re.findall(r"^PM_API [^;(]*?\b(pm_\w+)\(", headers, re.M):
        if not re.search(r"\b%s\b" % function, page):
            yield "%s: %s of a public header is missing" % (name, function)
    headers += "".join(read(path) for path in others)
    for word in sorted(set(re.findall(r"\bpm_\w+", page))):
        if not re.search(r"\b%s" % word, headers):
            yield "%s: no public header has %s" % (name, word)


def check_commands(root, help_of):
    """help_of(words...) is what the command prints for --help after these words."""
    page = read(os.path.join(root, PAGES[0])).replace("\\-", "-")
    commands = re.findall(r"^  ([a-z][a-z-]*) ", help_of().split("Commands:\n")[-1], re.M)
    if not commands:
        yield "the command's help names no commands"
    for command in commands:
        if ".SS poolmalloc %s\n" % command not in page:
            yield "%s: the command %s has no section" % (PAGES[0], command)
        for option in re.findall(r"^  (--[a-z-]+)", help_of(command), re.M):
            if not re.search(r"^\.BI? %s\b" % option, page, re.M):
                yield "%s: %s of %s is missing" % (PAGES[0], option, command)


def check(root, help_of):
    return list(check_functions(root)) + list(check_commands(root, help_of))


def lint(root):
    """What the tools that are there say of the pages, a line each; None: none is there."""
    tools = [words for words in LINTS if shutil.which(words[0])]
    said = []
    for words in tools:
        for page in PAGES:
            done = subprocess.run(words + [os.path.join(root, page)], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
            said += ["%s: %s" % (words[0], line) for line in done.stdout.splitlines()]
            if done.returncode != 0 and not done.stdout:
                said.append("%s: status %d of %s" % (words[0], done.returncode, page))
    return said if tools else None


def make_believe(*words):
    helps = {(): "Usage: it\n\nCommands:\n  run   runs\n", ("run",): "Usage\n  --options=L  so\n"}
    return helps[words]


GOOD = {
    "include/poolmalloc/p.h": "struct pm_s;\nPM_API void *pm_one(struct pm_s *s,\n   int);\n",
    PAGES[0]: ".TH P 1 2026-01-02\n.SH NAME\np \\- p\n.SS poolmalloc run\n.TP\n"
              ".BI \\-\\-options= LIST\nset\n",
    PAGES[1]: ".TH P 3 2026-01-02\n.SH NAME\np \\- p\n.BI pm_one(struct pm_s\n",
    PAGES[2]: ".TH P 5 2026-01-02\n.SH NAME\np \\- p\n",
    "include/poolmalloc/object.h": "PM_API void pm_thing(void);\n",
    PAGES[3]: ".TH P 3 2026-01-02\n.SH NAME\no \\- p\npm_thing pm_one\n",
}
BAD = [
    ({PAGES[1]: ".BI pm_one_more\n"}, "pm_one of a public header is missing"),
    ({PAGES[1]: GOOD[PAGES[1]] + "pm_two\n"}, "no public header has pm_two"),
    ({PAGES[1]: GOOD[PAGES[1]] + "pm_thing\n"}, "no public header has pm_thing"),
    ({PAGES[3]: "pm_one\n"}, "pm_thing of a public header is missing"),
    ({PAGES[0]: ".BI \\-\\-options= LIST\n"}, "the command run has no section"),
    ({PAGES[0]: ".SS poolmalloc run\n"}, "--options of run is missing"),
]
BAD_LINT = [({PAGES[2]: GOOD[PAGES[2]] + ".NO such macro\n"}, "NO")]


def all_self_tests():
    status = self_test(lambda root: check(root, make_believe), GOOD, BAD)
    if any(shutil.which(words[0]) for words in LINTS):
        status |= self_test(lint, GOOD, BAD_LINT)
    return status


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?")
    parser.add_argument("--command")
    parser.add_argument("--lint", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return all_self_tests()
    if not (options.root and (options.command or options.lint)):
        parser.error("ROOT and --command COMMAND or --lint are needed")
    if options.lint:
        said = lint(options.root)
        if said is None:
            print("manual: skipped: mandoc and groff are missing (Debian: mandoc)")
            return SKIPPED
        return finish("manual", said)
    return finish("manual", check(options.root, lambda *words: subprocess.run(
        [options.command, *words, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout))


if __name__ == "__main__":
    sys.exit(main())
