# SPDX-License-Identifier: MIT
"""Reads mutants.txt.

    mutant NAME
    why    one line: the guard that is taken away
    traps  1 3            (the numbers of the list of traps, lowest first; or invariants of
                           docs/design.md, I1 to I13; or "asan", "cxx", "debug")
    builds check release  (kinds of build that show it: KINDS)
    test   PROGRAM [ARGUMENT]...     (or of this folder a SCRIPT.py; or a FOLDER/SCRIPT.sh of
                           stress/, with the program as its first argument)
    env    NAME=VALUE     (for the test; may be repeated)
    fails  STATUS REGEX   (how: STATUS_WORDS, or "abort|segv"; and what the output says)
    flags  OLD => NEW     (of the compiler, or of the shared library's linker; instead of or
                           beside changes of the text)
    file   pool/pool.c    (in lib/; what follows changes it)
    -exact text, which occurs once in the file
    +what stands there instead
    compile heap/free.c   (files that a changed header is compiled into)

A line that starts with "#" is a comment. Texts of several lines have a "-" or
"+" before each; a second "-" text is a second change.
"""

import shlex

KINDS = ["release", "check", "classic", "tsan", "asan", "ubsan", "coverage"]
STATUS_WORDS = ["exit", "abort", "segv", "alarm", "hang"]
NEEDED = ["why", "traps", "builds", "test", "fails"]


class Problem(Exception):
    """The table cannot be understood."""


class Change:
    """One text of one file."""

    def __init__(self, file):
        self.file = file
        self.old, self.new = [], []

    def apply(self, text):
        old, new = "\n".join(self.old), "\n".join(self.new)
        count = text.count(old)
        if count != 1:
            raise Problem("the mutant no longer applies: mend the table. In lib/%s this text was "
                          "found %d times, not once:\n%s" % (self.file, count, old))
        return text.replace(old, new)


class Mutant:
    """One entry; `line` is where it starts."""

    def __init__(self, name, line):
        self.name, self.line = name, line
        self.why, self.traps, self.builds = "", [], []
        self.script, self.test, self.arguments, self.environment = "", "", [], {}
        self.status, self.message = "", ""
        self.flags, self.changes, self.compile = [], [], []
        self.seen = set()

    def fail(self, what):
        raise Problem("line %d, mutant %s: %s" % (self.line, self.name, what))

    def set(self, key, value, file):
        """Returns the file that changes are made to from now on."""
        self.seen.add(key)
        if key == "why":
            self.why = value
        elif key in ("traps", "builds", "compile"):
            setattr(self, key, getattr(self, key) + value.split())
        elif key == "test":
            self.test, *self.arguments = shlex.split(value)
            if self.test.endswith(".sh"):
                if not self.arguments:
                    self.fail("test: a script needs a program")
                self.script = self.test
                self.test, *self.arguments = self.arguments
        elif key == "env":
            name, _, setting = value.partition("=")
            self.environment[name] = setting
        elif key == "fails":
            self.status, _, self.message = value.partition(" ")
        elif key == "flags":
            old, _, new = value.partition("=>")
            self.flags.append((old.strip(), new.strip()))
        elif key == "file":
            return value
        else:
            self.fail("unknown key \"%s\"" % key)
        return file

    def add_text(self, line, file):
        sign, text = line[0], line[1:]
        if file is None:
            self.fail("a text before any \"file\"")
        if sign == "-":
            if not self.changes or self.changes[-1].new or self.changes[-1].file != file:
                self.changes.append(Change(file))
            self.changes[-1].old.append(text)
        elif self.changes and self.changes[-1].file == file:
            self.changes[-1].new.append(text)
        else:
            self.fail("a new text without an old one")

    def units(self):
        """The .c files to compile."""
        changed = {c.file for c in self.changes if c.file.endswith(".c")}
        return sorted(changed | set(self.compile))

    def wants_library(self):
        return "LIBRARY" in self.arguments

    def check(self):
        for key in NEEDED:
            if key not in self.seen:
                self.fail("\"%s\" is missing" % key)
        if not set(self.status.split("|")) <= set(STATUS_WORDS):
            self.fail("fails: the first word is one of " + ", ".join(STATUS_WORDS))
        for kind in self.builds:
            if kind not in KINDS:
                self.fail("builds: \"%s\" is none of %s" % (kind, ", ".join(KINDS)))
        if not self.flags and not (self.changes and self.units()):
            self.fail("nothing is changed, or nothing compiled")


def parse(text):
    mutants, file = [], None
    for number, line in enumerate(text.split("\n"), 1):
        key, _, value = line.partition(" ")
        if not line.strip() or line.startswith("#"):
            continue
        if key == "mutant":
            mutants.append(Mutant(value.strip(), number))
            file = None
        elif not mutants:
            raise Problem("line %d: \"mutant NAME\" must come first" % number)
        elif line[0] in "-+":
            mutants[-1].add_text(line, file)
        else:
            file = mutants[-1].set(key, value.strip(), file)
    names = [m.name for m in mutants]
    for mutant in mutants:
        mutant.check()
        if names.count(mutant.name) > 1:
            mutant.fail("the name is used twice")
    return mutants


def read(path):
    with open(path, encoding="utf-8") as file:
        return parse(file.read())
