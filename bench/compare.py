#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares poolmalloc with glibc's malloc and jemalloc: time and peak memory.

Runs the same program under each allocator by LD_PRELOAD, in interleaved
rounds, and prints medians of per-round ratios. `sh bench/compare.sh` builds
everything first and passes its arguments on. bench/README.md explains the rows.

Exit status: 0 when every row ran under every allocator, whatever the ratios;
1 when a run failed or an allocator did not take effect; 2 for a wrong option.
"""

import argparse
import os
import re
import sys
import tempfile
import time

from comparison import allocators, redis_row, report, rows
from comparison.process import Failure
from comparison.stats import Results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEFAULT_ROUNDS, QUICK_ROUNDS = 9, 2
QUICK_SCALE = 0.25


def positive(kind):
    def parse(word):
        value = kind(word)
        if not value > 0:
            raise argparse.ArgumentTypeError("%s is not above 0" % word)
        return value
    parse.__name__ = kind.__name__
    return parse


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
    return name, path


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, "%s: %s\n" % (self.prog, message))


def parse_arguments():
    parser = Parser(
        prog="compare.sh", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true",
                        help="all rows, %d rounds of %g of the operations: a smoke test"
                        % (QUICK_ROUNDS, QUICK_SCALE))
    parser.add_argument("--rounds", type=positive(int), metavar="N",
                        help="rounds (%d, quick %d)" % (DEFAULT_ROUNDS, QUICK_ROUNDS))
    parser.add_argument("--scale", type=positive(float), metavar="X",
                        help="so many times the operations of a full run (1, quick %g)"
                        % QUICK_SCALE)
    parser.add_argument("--only", type=regex, metavar="REGEX", default=regex(""),
                        help="only rows whose name matches, as pairs/ or prodcons|threads")
    parser.add_argument("--allocators", metavar="LIST", default=",".join(allocators.DEFAULT),
                        help="of %s (%%(default)s)" % ", ".join(allocators.KNOWN))
    parser.add_argument("--allocator", type=named_library, action="append", default=[],
                        metavar="NAME=PATH", help="compare this library too; may be repeated")
    parser.add_argument("--json", metavar="FILE", help="write samples and ratios there too")
    parser.add_argument("--build-dir", metavar="DIR", help="where the release build is",
                        default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--list", action="store_true", help="list the rows and stop")
    # For compare.sh: to refuse a wrong option before it builds.
    parser.add_argument("--check-options", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else DEFAULT_ROUNDS)
    arguments.scale = arguments.scale or (QUICK_SCALE if arguments.quick else 1.0)
    arguments.allocators = [name for name in arguments.allocators.split(",") if name]
    for name in arguments.allocators:
        if name not in allocators.KNOWN:
            parser.error("unknown allocator %s: known are %s; any other by --allocator NAME=PATH"
                         % (name, ", ".join(allocators.KNOWN)))
    return parser, arguments


def find_allocators(arguments, program, folder):
    """All that were asked for, each shown to serve a probe run."""
    found = [allocators.find(name, arguments.build_dir) for name in arguments.allocators]
    for name, path in arguments.allocator:
        if not os.path.isfile(path):
            raise Failure("%s: no such library: %s" % (name, path))
        found = [other for other in found if other.name != name]
        found.append(allocators.Allocator(name, os.path.realpath(path)))
    for allocator in found:
        allocators.probe(allocator, program, folder)
    return found


class Progress:
    def __init__(self, rounds, count):
        self.rounds, self.count = rounds, count
        self.start = time.monotonic()

    def say(self, round_number, index, row, results, names):
        seconds = int(time.monotonic() - self.start)
        cells = []
        for name in names:
            value = results.values(row, name, "time_ns").get(round_number)
            cells.append("%s %s" % (name, "failed" if value is None
                                    else report.time_words(value)))
        print("[round %d/%d, row %2d/%d, %d:%02d] %-20s %s" % (
            round_number + 1, self.rounds, index + 1, self.count, seconds // 60, seconds % 60,
            row.name, "  ".join(cells)), file=sys.stderr, flush=True)


def measure_round(round_number, results, served, scale, folder, progress):
    for index, row in enumerate(results.rows):
        turn = (round_number + index) % len(served)
        for allocator in served[turn:] + served[:turn]:
            if (row.name, allocator.name) in results.failures:
                continue
            try:
                sample = row.measure(allocator, scale, folder)
                results.add(row, allocator.name, round_number, sample)
            except Failure as failure:
                results.failures[row.name, allocator.name] = failure
        progress.say(round_number, index, row, results, results.names)


def check_writable(path):
    """Before the runs, whose results would else be lost."""
    try:
        with open(path, "a", encoding="utf-8"):
            pass
    except OSError as error:
        raise Failure("--json: %s" % error) from None


def compare(arguments, selected, program, folder):
    if arguments.json:
        check_writable(arguments.json)
    served = find_allocators(arguments, program, folder)
    results = Results(selected, [allocator.name for allocator in served])
    progress = Progress(arguments.rounds, len(selected))
    finished, stopped = 0, False
    try:
        for round_number in range(arguments.rounds):
            measure_round(round_number, results, served, arguments.scale, folder, progress)
            finished += 1
    except KeyboardInterrupt:
        stopped = True
        print("interrupted: what was measured so far:", file=sys.stderr)
    results.partial = stopped or arguments.scale != 1 or arguments.only.pattern != ""
    print(report.text(results, finished, arguments.scale), end="")
    if arguments.json:
        report.write_json(arguments.json, results, finished, arguments.scale)
    if stopped:
        return 130
    return 1 if results.failures else 0


def main():
    parser, arguments = parse_arguments()
    if arguments.check_options:
        return 0
    program = os.path.join(arguments.build_dir, "bench", "pm_bench")
    if not os.path.isfile(program):
        print("compare: pm_bench is not built: run sh bench/compare.sh", file=sys.stderr)
        return 1
    every = rows.all_rows(program) + redis_row.all_rows()
    selected = [row for row in every if arguments.only.search(row.name)]
    if not selected:
        parser.error("no row matches --only %s: see --list" % arguments.only.pattern)
    if arguments.list:
        for row in selected:
            print("%-22s %-5s %s" % (row.name, row.clock, row.what))
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="pm-bench-") as folder:
            return compare(arguments, selected, program, folder)
    except Failure as failure:
        print("\n".join(["compare: %s" % failure] + ["    " + d for d in failure.detail]),
              file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
