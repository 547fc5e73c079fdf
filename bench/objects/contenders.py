# SPDX-License-Identifier: MIT
"""Who is compared, how it is started, and which rows it has."""

import dataclasses
import os

from comparison.process import Failure, environment, run

SUBJECT = "poolmalloc"
ROWS_SECONDS = 60  # for a list of rows
PYTHON = "/usr/bin/python3"
HERE = os.path.dirname(os.path.abspath(__file__))


@dataclasses.dataclass
class Contender:
    name: str
    what: str
    command: list
    package: str = ""  # Debian's, without which it is not built; "": it always is

    @property
    def is_there(self):
        return os.path.exists(self.command[0])


@dataclasses.dataclass
class Row:
    name: str
    unit: str
    clock: str
    what: str
    contenders: list = dataclasses.field(default_factory=list)

    @property
    def family(self):
        return self.name.split("/")[0]


def every(build_dir):
    def program(name):
        return [os.path.join(build_dir, "bench", "objects", "objects_" + name)]

    def python(name):
        return [PYTHON, "-B", "-E", "-s", "-S", os.path.join(HERE, "python_rows.py"), name]
    return [
        Contender(SUBJECT, "libpoolobject: biased counts", program("pool")),
        Contender("poolmalloc-list", "lists of libpoolobject", program("pool_list")),
        Contender("plain", "a plain ++ and --, malloc of the C library", program("plain")),
        Contender("atomic", "atomic counts, malloc of the C library", program("atomic")),
        Contender("glib", "g_rc_box, malloc of the C library", program("glib"), "libglib2.0-dev"),
        Contender("glib-atomic", "g_atomic_rc_box, malloc of the C library",
                  program("glib_atomic"), "libglib2.0-dev"),
        Contender("python", "objects of /usr/bin/python3 with __slots__", python("python")),
        Contender("python-tuple", "tuples of /usr/bin/python3", python("python-tuple")),
        Contender("python-list", "lists of /usr/bin/python3", python("python-list")),
        Contender("boehm", "the Boehm collector, nothing counted", program("boehm"), "libgc-dev"),
    ]


def rows_of(contenders):
    """The rows that the subject has, in its order and words, each with who else has it."""
    found = {}
    for contender in contenders:
        out = run(contender.command + ["--rows"], environment(None), ROWS_SECONDS)
        for line in out.splitlines():
            name, unit, clock, what = line.split("\t")
            if contender.name == SUBJECT:
                found[name] = Row(name, unit, clock, what)
            if name not in found:
                continue
            row = found[name]
            if row.clock != clock:
                raise Failure("%s is timed by %s here and %s there" % (name, clock, row.clock))
            row.contenders.append(contender)
    return list(found.values())


def missing_words(contender):
    if contender.package:
        return ("%s is left out: it was not built. Install %s (sh cmake/bootstrap.sh bench) and "
                "build again" % (contender.name, contender.package))
    return "%s is left out: there is no %s" % (contender.name, os.path.basename(
        contender.command[0]))
