# SPDX-License-Identifier: MIT
"""The options of compare.py. A wrong one is one line that lists the known ones, with status 2."""

import argparse
import dataclasses
import math
import os
import re

from comparison import allocators, modes

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
THREADS_MAX = 256
SCALE_MAX = 1000


def positive(kind):
    def parse(word):
        value = kind(word)
        if not value > 0:
            raise argparse.ArgumentTypeError("%s is not above 0" % word)
        return value
    parse.__name__ = kind.__name__
    return parse


def scale(word):
    value = positive(float)(word)
    if value > SCALE_MAX:
        raise argparse.ArgumentTypeError("%s is above %d" % (word, SCALE_MAX))
    return value


def regex(word):
    try:
        return re.compile(word)
    except re.error as error:
        raise argparse.ArgumentTypeError("%s is no regular expression: %s" % (word, error)) \
            from None


def named_library(word):
    name, equals, path = word.partition("=")
    if not equals or not re.fullmatch(r"[\w.-]+", name):
        raise argparse.ArgumentTypeError("%s is not NAME=PATH" % word)
    if name in allocators.KNOWN + ("pymalloc",):
        raise argparse.ArgumentTypeError("%s is the name of an allocator that is known: give %s "
                                         "another name" % (name, path))
    if re.search(r"[\s:]", path):
        raise argparse.ArgumentTypeError("%s: LD_PRELOAD takes no path with a blank or a colon"
                                         % path)
    return name, path


def thread_counts(word):
    counts = word.split(",")
    if not all(re.fullmatch(r"[0-9]+", c) and 1 <= int(c) <= THREADS_MAX for c in counts):
        raise argparse.ArgumentTypeError("%s: give numbers of 1 to %d, as 1,2,8"
                                         % (word, THREADS_MAX))
    return ",".join(counts)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        known = " ".join(action.option_strings[-1] for action in self._actions
                         if action.help is not argparse.SUPPRESS)
        listed = "" if "known are" in message else "; the options are: " + known
        self.exit(2, "%s: %s%s\n" % (self.prog, message, listed))


def add_extent(parser):
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", dest="mode", action="store_const", const=modes.QUICK,
                        default=modes.DEFAULT,
                        help="all rows, less of each: a smoke test, under 4 minutes")
    extent.add_argument("--full", dest="mode", action="store_const", const=modes.FULL,
                        help="all that must be reached, measured in all rounds: under an hour")
    parser.add_argument("--no-details", action="store_true",
                        help="no latencies, memory over time, counters and instructions")
    parser.add_argument("--only", type=regex, metavar="REGEX", default=regex(""),
                        help="only rows whose name matches, as pairs/ or prodcons|threads")
    parser.add_argument("--allocators", metavar="LIST",
                        help="of %s (default: the first three, and those of the others\n"
                        "that are installed, unless --quick)" % ", ".join(allocators.KNOWN))
    parser.add_argument("--allocator", type=named_library, action="append", default=[],
                        metavar="NAME=PATH", help="compare this library too; may be repeated")
    parser.add_argument("--mode", dest="modes", action="append", default=[],
                        choices=allocators.MODES,
                        help="compare poolmalloc in this mode too, as poolmalloc-MODE; may be\n"
                        "repeated")
    parser.add_argument("--threads", type=thread_counts, metavar="LIST",
                        help="other thread counts for the rows that have several, as 1,2,8")
    parser.add_argument("--rounds", type=positive(int), metavar="N",
                        help="just so many rounds of every row")
    parser.add_argument("--timeout", type=positive(float), metavar="SECONDS", default=60,
                        help="a run of pm_bench that takes longer has failed (60)")
    parser.add_argument("--scale", type=scale, metavar="X",
                        help="so many times the operations of a default run")


def add_output(parser):
    parser.add_argument("--output", metavar="DIR",
                        help="for results.json, report.html and report.md\n(build/comparison)",
                        default=os.path.join(ROOT, "build", "comparison"))
    parser.add_argument("--json", metavar="FILE", help="write results.json there, too")
    parser.add_argument("--build-dir", metavar="DIR", help="where the release build is",
                        default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--list", action="store_true", help="list the rows and stop")
    # For compare.sh: to refuse a wrong option before it builds.
    parser.add_argument("--check-options", action="store_true", help=argparse.SUPPRESS)


def chosen_mode(arguments):
    mode = dataclasses.replace(arguments.mode)
    if arguments.rounds:
        mode.rounds = mode.program_rounds = mode.rounds_cap = arguments.rounds
        mode.seconds = math.inf  # just so many, however long it takes
    if arguments.scale:
        mode.scale = arguments.scale
    if arguments.no_details:
        mode.detail_runs, mode.instructions = 0, False
    if mode != arguments.mode or arguments.threads:
        mode.name = "custom"
    return mode


def parse(description):
    parser = Parser(prog="compare.sh", description=description,
                    formatter_class=argparse.RawTextHelpFormatter, allow_abbrev=False)
    add_extent(parser)
    add_output(parser)
    arguments = parser.parse_args()
    arguments.mode = chosen_mode(arguments)
    names = [name for name in (arguments.allocators or "").split(",") if name]
    for name in names:
        if name not in allocators.KNOWN:
            parser.error("unknown allocator %s: known are %s; any other by --allocator NAME=PATH"
                         % (name, ", ".join(allocators.KNOWN)))
    arguments.allocators = names
    if names:
        arguments.mode.optional_every = 1  # what is asked for by name is not optional
    return parser, arguments
