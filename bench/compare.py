#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares poolmalloc with glibc's malloc, jemalloc and others: time, memory, latency.

Runs the same programs under each allocator by LD_PRELOAD, in interleaved rounds,
prints medians of per-round ratios, and writes a report: build/comparison/report.html.
`sh bench/compare.sh` builds everything first and passes its arguments on.
docs/benchmarks.md explains the rows and the method.

Exit status: 0 when every row ran under every allocator, whatever the ratios;
1 when a run failed or an allocator could not be preloaded; 2 for a wrong option;
130 after Ctrl-C, which keeps what was measured so far.
"""

import contextlib
import os
import shutil
import signal
import sys
import tempfile

import report
from comparison import allocators, document, extras, moods, options, programs, rows, table
from comparison.process import Failure
from comparison.progress import Progress
from comparison.quiet import Quiet
from comparison.rounds import Measuring
from comparison.sensor import Sensor
from comparison.stats import Results


def say(text):
    print(text, file=sys.stderr, flush=True)


def wanted_names(arguments):
    if arguments.allocators:
        return arguments.allocators
    optional = allocators.OPTIONAL if arguments.mode.optional_every else ()
    return list(allocators.DEFAULT) + [n for n in optional if allocators.is_installed(n)]


def named(name, path):
    if not os.path.isfile(path):
        raise Failure("no such library: %s" % path)
    return allocators.Allocator(name, os.path.realpath(path))


def find_allocators(arguments, program, folder):
    """Those that were asked for and serve a probe run; and how many do not, which are named."""
    finders = {name: lambda name=name: allocators.find(name, arguments.build_dir)
               for name in wanted_names(arguments)}
    for name, path in arguments.allocator:
        finders[name] = lambda name=name, path=path: named(name, path)
    for mode in arguments.modes:
        finders["%s-%s" % (allocators.SUBJECT, mode)] = \
            lambda mode=mode: allocators.in_mode(mode, arguments.build_dir)
    found, failed = [], []
    for name, find in finders.items():
        try:
            allocator = find()
            allocators.probe(allocator, program, folder)
            found.append(allocator)
        except Failure as failure:
            say("\n".join(["compare: %s is skipped: %s" % (name, failure)]
                          + ["    " + line for line in failure.detail]))
            failed.append(name)
    return found, failed


def decided_ratios(arguments, served):
    """The pairs of allocators whose ratios more rounds are spent on."""
    names = [allocator.name for allocator in served]
    bases = [name for name in allocators.BASELINES if name in names]
    chosen = [name for name in names if name not in allocators.KNOWN]
    if allocators.SUBJECT not in names:
        return [(name, base) for name in names[1:] for base in names[:1]]
    bases = bases or [name for name in names if name not in chosen + [allocators.SUBJECT]]
    return [(allocators.SUBJECT, base) for base in bases + ["pymalloc"]] \
        + [(name, allocators.SUBJECT) for name in chosen]


class Folders:
    """An empty folder for each run, that servers of another user may enter."""

    def __init__(self, parent):
        os.chmod(parent, 0o755)
        self.parent = parent
        self.count = 0

    def make(self):
        self.count += 1
        path = os.path.join(self.parent, str(self.count))
        os.mkdir(path)
        os.chmod(path, 0o755)
        return path

    def drop(self, path):
        shutil.rmtree(path, ignore_errors=True)


def check_writable(paths):
    """Before the runs, whose results would else be lost. {path: option}"""
    for path, option in paths.items():
        try:
            if option == "--output":
                os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "a", encoding="utf-8"):
                pass
        except OSError as error:
            raise Failure("%s: %s" % (option, error)) from None


def write_all(paths, made):
    """True when all could be written; of the others it is said why not."""
    written = True
    for path in paths:
        try:
            document.write(path, made)
        except OSError as error:
            say("compare: %s: %s" % (path, error))
            written = False
    return written


@contextlib.contextmanager
def find_sensor(build, folder, results):
    """Without one, moments at which others slow the cores count like any other."""
    try:
        sensor = Sensor(os.path.join(build, "bench", "pm_sensor"), os.path.join(folder, "sensor"))
    except Failure as failure:
        results.notes.append("Quiet moments could not be told from others: %s" % failure)
        yield None
        return
    try:
        yield sensor
    finally:
        sensor.close()


def make_report(output):
    """False: a part of it could not be made, and why was said."""
    page = os.path.join(output, "report.html")
    status = report.main([os.path.join(output, "results.json"), "--html", page,
                          "--markdown", os.path.join(output, "report.md"),
                          "--headline", os.path.join(output, "headline.svg")])
    say("the report: %s" % os.path.relpath(page))
    return status == 0


def print_table(text):
    """After the files were written, which must not depend on whether somebody reads this."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def interrupt(*_):
    raise KeyboardInterrupt


def end_like_ctrl_c():
    """Else servers, in sessions of their own, would go on for ever when this process is ended."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:  # as nohup asks for
            signal.signal(ending, interrupt)


def ignore_interruptions():
    """From now on: a second Ctrl-C must not stop the clearing away, or lose the results."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_IGN)


def note_slowed(results):
    share = results.slowed_share()
    if share is not None:
        results.notes.append("Others slowed the cores by more than %g %% in %.0f %% of the runs; "
                             "see moods in docs/benchmarks.md." % (100 * moods.SLOWED, 100 * share))


def measure_all(measuring, extra):
    """True: all of it; False: Ctrl-C came in between."""
    try:
        extra.add_chores()
        measuring.base_rounds(extra.seconds_needed)
        extra.measure()
        measuring.more_rounds()
        measuring.wait_for_later()
        return True
    except KeyboardInterrupt:
        ignore_interruptions()
        say("interrupted: what was measured so far:")
        return False
    finally:
        ignore_interruptions()
        measuring.later.abandon()


def compare(arguments, selected, program, folder):
    paths = {os.path.join(arguments.output, "results.json"): "--output"}
    if arguments.json:
        paths[arguments.json] = "--json"
    check_writable(paths)
    served, skipped = find_allocators(arguments, program, folder)
    if not served:
        raise Failure("no allocator is left to measure")
    mode = arguments.mode
    results = Results(selected, [allocator.name for allocator in served])
    progress = Progress(mode.seconds)
    with find_sensor(arguments.build_dir, folder, results) as sensor:
        measuring = Measuring(results, served, decided_ratios(arguments, served), mode,
                              Folders(folder), progress, Quiet(sensor))
        finished = measure_all(measuring, extras.Extras(measuring, arguments.build_dir))
    note_slowed(results)
    results.partial = not finished or arguments.only.pattern != ""
    made = document.make(results, served, skipped, mode, progress.elapsed())
    written = write_all(paths, made) and make_report(arguments.output)
    print_table(table.text(results, mode))
    if not finished:
        return 130
    return 1 if results.failures or skipped or not written else 0


def select(parser, arguments, program):
    every = rows.all_rows(program, arguments.threads) + programs.all_rows(arguments.build_dir)
    selected = [row for row in every if arguments.only.search(row.name)]
    if not selected:
        families = dict.fromkeys(row.family for row in every)
        parser.error("no row matches --only %s: known are %s (--list lists the rows)"
                     % (arguments.only.pattern, ", ".join(families)))
    for row in selected:
        row.timeout_seconds = arguments.timeout
    return selected


def print_rows(selected):
    try:
        for row in selected:
            print("%-24s %-9s %-5s %s" % (row.name, row.kind, row.clock, row.what))
        sys.stdout.flush()
    except BrokenPipeError:  # head and its like: nobody reads the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main():
    parser, arguments = options.parse(__doc__)
    if arguments.check_options:
        return 0
    program = os.path.join(arguments.build_dir, "bench", "pm_bench")
    if not os.path.isfile(program):
        say("compare: pm_bench is not built: run sh bench/compare.sh")
        return 1
    end_like_ctrl_c()
    folder = tempfile.mkdtemp(prefix="pm-bench-")
    try:
        selected = select(parser, arguments, program)
        if arguments.list:
            print_rows(selected)
            return 0
        return compare(arguments, selected, program, folder)
    except Failure as failure:
        say("\n".join(["compare: %s" % failure] + ["    " + d for d in failure.detail]))
        return 1
    except KeyboardInterrupt:
        say("interrupted, before anything was measured")
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
