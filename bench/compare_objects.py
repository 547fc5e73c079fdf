#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the object layer with counts by hand, GLib's boxes, Python's objects and the Boehm
collector: time, memory, pauses.

Runs the same rows by each contender in interleaved rounds, a process each, and prints medians with
the ratios of poolmalloc to each other as Markdown, which with the JSON goes to build/objects.
`sh bench/objects.sh` builds everything first and passes its arguments on.
docs/object-benchmarks.md explains the rows and the method.

Exit status: 0 when every row ran by every contender, whatever the ratios; 1 when a run failed; 2
for a wrong option; 130 after Ctrl-C, which keeps what was measured so far.
"""

import argparse
import os
import sys
import time

from comparison import document, options
from comparison.process import Failure
from objects import contenders, measuring, report

ROUNDS, QUICK_ROUNDS, QUICK_SCALE = 9, 2, 0.1


def say(text):
    print("objects: " + text, file=sys.stderr, flush=True)


def parse():
    parser = options.Parser(prog="objects.sh", description=__doc__,
                            formatter_class=argparse.RawTextHelpFormatter, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true",
                        help="%d rounds of a tenth of the operations: a smoke test" % QUICK_ROUNDS)
    parser.add_argument("--only", type=options.regex, metavar="REGEX", default=options.regex(""),
                        help="only rows whose name matches, as counts/ or list|tree")
    parser.add_argument("--rounds", type=options.positive(int), metavar="N",
                        help="so many rounds of every row (%d)" % ROUNDS)
    parser.add_argument("--scale", type=options.scale, metavar="X",
                        help="so many times the operations of a default run")
    parser.add_argument("--timeout", type=options.positive(float), metavar="SECONDS", default=120,
                        help="a run that takes longer has failed (120)")
    parser.add_argument("--output", metavar="DIR", help="for objects.json and objects.md\n"
                        "(build/objects)", default=os.path.join(options.ROOT, "build", "objects"))
    parser.add_argument("--build-dir", metavar="DIR", help="where the release build is",
                        default=os.path.join(options.ROOT, "build", "release"))
    parser.add_argument("--list", action="store_true", help="list the rows and stop")
    parser.add_argument("--check-options", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    arguments.scale = arguments.scale or (QUICK_SCALE if arguments.quick else 1)
    return parser, arguments


def find_rows(parser, arguments):
    """The rows that were asked for, the contenders there are, and words on those that are not."""
    every = contenders.every(arguments.build_dir)
    found = [contender for contender in every if contender.is_there]
    notes = [contenders.missing_words(contender) for contender in every if not contender.is_there]
    if every[0] not in found:
        raise Failure("it is not built: run sh bench/objects.sh")
    rows = contenders.rows_of(found)
    selected = [row for row in rows if arguments.only.search(row.name)]
    if not selected:
        parser.error("no row matches --only %s: known are %s"
                     % (arguments.only.pattern, ", ".join(row.name for row in rows)))
    return selected, found, notes


def measure(arguments, rows):
    """The results, how many rounds were begun, and whether Ctrl-C ended them."""
    measured = measuring.Measuring(rows, arguments.scale, arguments.timeout, say)
    begun = 0
    try:
        for begun in range(1, arguments.rounds + 1):
            measured.run_round(begun - 1)
    except KeyboardInterrupt:
        say("interrupted: what was measured so far:")
        return measured.results, begun, True
    return measured.results, begun, False


def write(output, made):
    text = report.markdown(made)
    document.write(os.path.join(output, "objects.json"), made)
    with open(os.path.join(output, "objects.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text, end="", flush=True)


def compare(parser, arguments):
    start = time.monotonic()
    rows, found, notes = find_rows(parser, arguments)
    if arguments.list:
        for row in rows:
            print("%-22s %-5s %s (%s)" % (row.name, row.clock, row.what,
                                          ", ".join(c.name for c in row.contenders)))
        return 0
    for note in notes:
        say(note)
    os.makedirs(arguments.output, exist_ok=True)
    results, rounds, interrupted = measure(arguments, rows)
    extent = {"rounds": rounds, "scale": arguments.scale,
              "partial": interrupted or arguments.only.pattern != "",
              "seconds": round(time.monotonic() - start)}
    write(arguments.output, report.make(results, found, extent, notes))
    if interrupted:
        return 130
    return 1 if results.failures else 0


def main():
    parser, arguments = parse()
    if arguments.check_options:
        return 0
    try:
        return compare(parser, arguments)
    except Failure as failure:
        say("\n".join([str(failure)] + ["    " + line for line in failure.detail]))
    except OSError as error:
        say("%s: %s" % (error.filename, error.strerror))
    return 1


if __name__ == "__main__":
    sys.exit(main())
