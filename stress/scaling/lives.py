#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a thread's life costs, under each allocator that is installed.

    lives.py BENCH LIBRARY   BENCH is pm_bench (bench/), LIBRARY libpoolmalloc.so

Of the rows lifecycle/*: instructions by callgrind, system calls by strace, page faults by the
kernel, each of a run with many threads less one with few. No times, so it does not matter what else
the machine does. Threads that run at the same moment share a core under callgrind.
"""

import glob
import json
import os
import re
import resource
import subprocess
import sys
import tempfile

ROWS = ("one", "classes", "left")
FEW, MANY = 0.05, 0.15  # of the threads of a row
OTHERS = (("jemalloc", "libjemalloc.so.2"), ("mimalloc", "libmimalloc.so.*"),
          ("tcmalloc", "libtcmalloc_minimal.so.4"), ("tbbmalloc", "libtbbmalloc_proxy.so.2"))


def allocators(library):
    """Names and what to preload."""
    found = [("poolmalloc", library), ("glibc", "")]
    for name, pattern in OTHERS:
        paths = sorted(glob.glob("/usr/lib/*/" + pattern))
        found += [(name, paths[0])] if paths else []
    return found


def run(wrapper, bench, preload, row, scale):
    """Threads, page faults, and what went to stderr."""
    command = list(wrapper) + (["-E", "LD_PRELOAD=" + preload] if wrapper[:1] == ["strace"] else [])
    command += [bench, "--row=lifecycle/" + row, "--scale=%g" % scale, "--benchmark_format=json"]
    environment = dict(os.environ, LC_ALL="C")
    if wrapper[:1] != ["strace"]:
        environment["LD_PRELOAD"] = preload
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("%s: status %d\n%s" % (" ".join(command), done.returncode, done.stderr))
    faults = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt - before
    return json.loads(done.stdout)["benchmarks"][0]["iterations"], faults, done.stderr


def faults(*arguments):
    threads, count, _ = run([], *arguments)
    return threads, count


def instructions(*arguments):
    wrapper = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    threads, _, text = run(wrapper, *arguments)
    return threads, int(re.search(r"Collected *: *(\d+)", text).group(1))


def system_calls(*arguments):
    with tempfile.NamedTemporaryFile("r") as out:
        threads, _, _ = run(["strace", "-f", "-c", "-U", "calls,name", "-o", out.name], *arguments)
        total = re.search(r"^ *(\d+) total$", out.read(), re.MULTILINE)
    return threads, int(total.group(1))


def of_a_thread(count, *arguments):
    few, many = count(*arguments, FEW), count(*arguments, MANY)
    return (many[1] - few[1]) / (many[0] - few[0])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    bench, library = sys.argv[1], os.path.abspath(sys.argv[2])
    print("| thread | allocator | instructions | system calls | page faults |")
    print("|---|---|---|---|---|")
    for row in ROWS:
        for name, preload in allocators(library):
            counts = [of_a_thread(count, bench, preload, row)
                      for count in (instructions, system_calls, faults)]
            print("| %s | %s | %.0f | %.2f | %.3f |" % ((row, name) + tuple(counts)))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
