#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What an operation costs on a machine with many cores: counted by stress_scaling, turned into time
by model.py. docs/scaling.md has the tables and says what they mean.

    scaling.py FOLDER              all tables, as Markdown; FOLDER has the programs
    scaling.py FOLDER --plot FILE  and a plot (SVG, by gnuplot)
    scaling.py FOLDER --check      a part of it, against bars: the test
"""

import argparse
import json
import os
import re
import subprocess
import sys

import bars
import model

THREADS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SHOWN = (2, 16, 64, 256)
CORES = (16, 64, 256)
NAMES = 3  # of one line
TIMES = 5  # of which the least counts
# What is remembered by the clock would depend on how slow the machine is.
ENVIRONMENT = dict(os.environ, POOLMALLOC_OPTIONS="purge_delay_ms=3600000")


class Trouble(Exception):
    pass


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=ENVIRONMENT)
    if done.returncode != 0:
        raise Trouble("%s: status %d: %s" % (" ".join(command), done.returncode, done.stderr))
    return done.stdout


class Names:
    """Of variables, by the line that they are in."""
    def __init__(self, program):
        self.symbols = []
        for line in run("nm", "--print-size", "--defined-only", program).splitlines():
            found = re.match(r"([0-9a-f]+) ([0-9a-f]+) [bBdD] (\S+)$", line)
            if found:
                self.symbols.append((int(found.group(1), 16), int(found.group(2), 16),
                                     found.group(3)))

    def __call__(self, address, kind):
        if kind not in ("lock", "static"):
            return kind
        names = [name for start, size, name in sorted(self.symbols)
                 if start < address + model.LINE_BYTES and start + size > address]
        return ", ".join(names[:NAMES]) + (", ..." if len(names) > NAMES else "") or kind


class Programs:
    def __init__(self, folder):
        self.counting = os.path.join(folder, "stress_scaling")
        self.plain = os.path.join(folder, "stress_scaling_plain")
        self.names = Names(self.counting)

    def workloads(self):
        return run(self.counting, "--list").split()

    def count(self, workload, threads, percent=100):
        text = run(self.counting, workload, str(threads), str(percent))
        return model.count_of(json.loads(text), self.names)

    def local_ns(self, workload):
        found = []
        for _ in range(TIMES):
            document = json.loads(run(self.plain, workload, "1"))
            found.append(document["cpu_ns"] / document["operations"])
        return min(found)


def number(value):
    return "0" if value == 0 else "%.1e" % value if value < 0.0001 else "%.3g" % value


def print_table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def print_counts(title, counts, what):
    print("**%s**\n" % title)
    print_table(["workload"] + ["%d" % threads for threads in THREADS],
                [[name] + [number(what(of[threads])) for threads in THREADS]
                 for name, of in counts.items()])


def print_kinds(counts, threads):
    print("**Transfers at %d threads, by what is transferred**\n" % threads)
    kinds = list(next(iter(counts.values()))[threads].by_kind)
    print_table(["workload"] + kinds,
                [[name] + [number(of[threads].by_kind[kind]) for kind in kinds]
                 for name, of in counts.items()])


def by_name(locks):
    """Those of an array together: the sums, and of how many."""
    found = {}
    for name, taken, transfers, accesses in locks:
        if taken > 0:
            sums = found.get(name, (0, 0, 0, 0))
            found[name] = tuple(map(sum, zip(sums, (taken, transfers, accesses, 1))))
    return found.items()


def print_locks(counts, threads):
    print("**Locks at %d threads: acquisitions for each operation, and what one takes**\n"
          % threads)
    rows = []
    for name, of in counts.items():
        for lock, same in sorted(by_name(of[threads].locks), key=lambda found: -found[1][1]):
            taken, transfers, accesses, several = same
            rows.append([name, "`%s`" % lock + (", %d of them" % several if several > 1 else ""),
                         number(taken), "%.1f" % (transfers / taken), "%.0f" % (accesses / taken)])
    print_table(["workload", "lock", "acquisitions", "transfers", "accesses"], rows)


def print_outlook(counts, local):
    print("**What so many cores would do, of what one does**\n")
    rows = []
    for name, of in counts.items():
        last = model.outlook(of[CORES[-1]], local[name])
        rows.append([name, "%.0f ns" % local[name]]
                    + ["%.3g" % model.outlook(of[cores], local[name]).speedup for cores in CORES]
                    + ["`%s`" % last.bottleneck if last.bottleneck else "none",
                       "%.3g" % last.cores_full])
    print_table(["workload", "one core"] + ["%d cores" % cores for cores in CORES]
                + ["first bottleneck", "full at"], rows)


def plot(counts, local, path):
    """Speedup over cores, both logarithmic."""
    script = ["set terminal svg size 760,520 background rgb 'white'", "set output '%s'" % path,
              "set logscale xy 2", "set xlabel 'cores'", "set ylabel 'times one core'",
              "set key outside right", "set grid", "set xrange [1:256]", "set yrange [0.25:256]"]
    curves = ["x title 'ideal' with lines dashtype 2 linecolor 'grey'"]
    for index, name in enumerate(counts):
        script.append("$of%d << end" % index)
        script += ["%d %g" % (cores, model.outlook(counts[name][cores], local[name]).speedup)
                   for cores in THREADS]
        script.append("end")
        curves.append("$of%d using 1:2 title '%s' with linespoints" % (index, name))
    script.append("plot " + ", ".join(curves))
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)


def show(programs, path):
    names = programs.workloads()
    local = {name: programs.local_ns(name) for name in names}
    counts = {name: {threads: programs.count(name, threads) for threads in THREADS}
              for name in names}
    print_counts("Transfers", counts, lambda count: count.transfers)
    print_counts("Transfers by the program", counts, lambda count: count.program_transfers)
    print_counts("Updates", counts, lambda count: count.updates)
    print_counts("Locks", counts, lambda count: count.acquisitions)
    print_kinds(counts, SHOWN[2])
    print_locks(counts, SHOWN[2])
    print_outlook(counts, local)
    if path:
        plot(counts, local, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    try:
        programs = Programs(arguments.folder)
        if arguments.check:
            return 0 if bars.check(programs) else 1
        show(programs, arguments.plot)
    except (Trouble, OSError) as trouble:
        print("scaling.py: %s" % trouble, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
