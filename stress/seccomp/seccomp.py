#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The system calls that docs/seccomp.md lists are all that the library makes:

    seccomp.py PROGRAM DOCUMENT start|one|purged|threads|asked|left-out|refused

PROGRAM is that of seccomp.c. Calls and arguments come from the document's
tables: a row has the calls, then limits of arguments as
"name: `VALUE`, `VALUE`; name: ...".
"""

import errno
import os
import re
import signal
import subprocess
import sys

SKIPPED = 77
SECONDS = 100
# Of the kernel's headers, for all machines that the library runs on.
VALUES = {
    "PROT_NONE": 0, "PROT_READ": 1, "PROT_WRITE": 2,
    "MAP_PRIVATE": 2, "MAP_ANONYMOUS": 0x20, "MAP_NORESERVE": 0x4000, "MAP_FIXED": 0x10,
    "MAP_FIXED_NOREPLACE": 0x100000,
    "MADV_DONTNEED": 4, "MADV_DONTDUMP": 16, "MADV_DODUMP": 17, "MADV_HUGEPAGE": 14,
    "MADV_NOHUGEPAGE": 15,
    "MREMAP_MAYMOVE": 1, "MREMAP_FIXED": 2, "MREMAP_DONTUNMAP": 4,
    "FUTEX_WAIT_PRIVATE": 128, "FUTEX_WAKE_PRIVATE": 129,
    "PR_SET_VMA": 0x53564d41,
}
PLACES = {("mmap", "prot"): 2, ("mmap", "flags"): 3, ("mmap", "fd"): 4, ("mprotect", "prot"): 2,
          ("madvise", "advice"): 2, ("mremap", "flags"): 3, ("futex", "op"): 1,
          ("prctl", "option"): 0}
# What the C library needs: to end; besides for threads and fork; to start a program.
ENDS = ["exit_group", "exit"]
THREADS = ENDS + [
    "clone", "clone3", "rseq", "set_robust_list", "rt_sigprocmask", "rt_sigaction", "gettid",
    "wait4", "mmap", "munmap", "mprotect", "madvise", "futex", "sched_getaffinity",
    "brk", "getrandom"]  # its own malloc, which serves it beside the pm_ names
STARTS = ENDS + [
    "execve", "brk", "mmap", "mprotect", "munmap", "openat", "read", "pread64", "close", "fstat",
    "newfstatat", "faccessat", "set_tid_address", "set_robust_list", "rseq", "getrandom",
    "prlimit64"] + (["arch_prctl", "access"] if os.uname().machine == "x86_64" else [])
OPTIONS = {"none": "",
           "default": "window_bytes=16m",
           "asked": "window_bytes=16m,mapping_names=on,numa=interleave,huge_pages=never"}


def value_of(text):
    if re.fullmatch(r"-?\d+", text):
        return int(text) & 0xffffffff
    return sum(VALUES[part] for part in text.replace("\\", "").split("|"))


def table(text, name):
    """{call: {argument: set of values}} of a marked table."""
    calls = {}
    rows = text.split("<!-- %s: begin -->" % name)[1].split("<!-- %s: end -->" % name)[0]
    for row in rows.strip().split("\n")[2:]:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]
        for call in re.findall(r"`(\w+)`", cells[0]):
            limits = calls.setdefault(call, {})
            for argument, values in re.findall(r"`(\w+)`: ((?:`[^`]+`(?:, )?)+)", cells[1]):
                limits.setdefault(PLACES[call, argument], set()).update(
                    value_of(value) for value in re.findall(r"`([^`]+)`", values))
    return calls


def merge(*tables):
    merged = {}
    for calls in tables:
        for call, limits in calls.items():
            for argument, values in limits.items():
                merged.setdefault(call, {}).setdefault(argument, set()).update(values)
            merged.setdefault(call, {})
    return merged


def rules(calls, more):
    """As the program reads them; what is in `more` has no limits. The C library writes fstat as
    newfstatat, and our own fstat is the call of that name."""
    lines = [call + "".join(":%d=%s" % (argument, ",".join(str(value) for value in sorted(values)))
                            for argument, values in sorted(limits.items()))
             for call, limits in calls.items() if call not in more]
    return lines + list(more)


# ENOSYS where an old kernel gives it, too: the library asks for the reason.
REFUSALS = {"madvise": [errno.EPERM, errno.ENOSYS], "mremap": [errno.EPERM, errno.ENOSYS],
            "mbind": [errno.ENOSYS]}


class Run:
    """Runs of the program, and what is wrong with their ends."""

    def __init__(self, program):
        self.program, self.problems = program, []

    def run(self, how, work, lines, options="default"):
        done = subprocess.run([self.program, how, work, *lines], timeout=SECONDS, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, "POOLMALLOC_OPTIONS": OPTIONS[options]})
        if done.returncode == SKIPPED:
            print(done.stdout)
            sys.exit(SKIPPED)
        return done

    def passes(self, *arguments):
        done = self.run(*arguments)
        if done.returncode != 0:
            self.problems.append("%s: status %d: %s" % (arguments, done.returncode,
                                                        done.stdout[-2000:]))

    def is_hit(self, call, *arguments):
        """Without the call, the program is ended."""
        done = self.run(*arguments)
        if done.returncode != -signal.SIGSYS:
            self.problems.append("without %s: status %d, not SIGSYS: %s" % (
                call, done.returncode, done.stdout[-2000:]))


def without(calls, call):
    return {name: limits for name, limits in calls.items() if name != call}


def left_out(run, after, purge, asked, start):
    """Each call that is listed is made."""
    for call in ("mprotect", "madvise", "mmap", "munmap", "mremap"):
        run.is_hit(call, "allow", "purged", rules(merge(without(after, call), asked), ENDS))
    for call in purge:
        # The library opens, reads and closes for nothing else here.
        run.is_hit(call, "allow", "one", rules(merge(after, without(purge, call), asked), ENDS))
    for call in ("prctl", "get_mempolicy", "write"):
        run.is_hit(call, "allow", "purged", rules(merge(after, without(asked, call)), ENDS),
                   "asked")
    for call in ("sysinfo", "madvise"):  # the others the C library needs, too
        run.is_hit(call, "start", "nothing", rules(without(start, call), STARTS), "none")


def main():
    program, document, what = sys.argv[1:]
    with open(document, encoding="utf-8") as file:
        text = file.read()
    start, after, purge, asked = (table(text, name) for name in
                                  ("start", "after", "first-purge", "asked"))
    run = Run(program)
    if what == "start":
        for options in OPTIONS:
            run.passes("start", "nothing", rules(start, STARTS), options)
    elif what == "one":
        run.passes("allow", "one", rules(merge(after, purge, asked), ENDS))
    elif what == "purged":
        run.passes("allow", "purged", rules(merge(after, asked), ENDS))
    elif what == "threads":
        run.passes("allow", "threads", rules(merge(after, purge, asked), THREADS))
    elif what == "asked":
        run.passes("allow", "purged", rules(merge(after, asked), ENDS), "asked")
    elif what == "left-out":
        left_out(run, after, purge, asked, start)
    else:
        for call in ("madvise", "mremap", "prctl", "mbind", "get_mempolicy", "openat", "munmap",
                     "mmap"):
            for error in REFUSALS.get(call, [errno.EPERM]):
                options = "asked" if call in asked else "default"
                run.passes("refuse=%d" % error, "one", [call], options)
    for problem in run.problems:
        print(problem)
    print("seccomp %s: %s" % (what, "%d problems" % len(run.problems) if run.problems else "ok"))
    sys.exit(1 if run.problems else 0)


main()
