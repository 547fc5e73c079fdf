#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Mutants: does a test notice when a guard of the library is taken away?

  run.py --build DIR [--only NAME]...   run those that apply to the build
  run.py --list [--kind KIND]           "first trap, name, traps, test" of each
  run.py --self-test                    shows that this script can fail

A mutant (mutants.txt) is one guard removed from one place in lib/. Its test is
run as it was built, and must pass (once for all its mutants: unmutated.py);
then the mutated files alone are compiled, with the build's own flags, and
linked in front of the library with the test's objects; the test must now fail,
and in the way that the table says.
"""

import argparse
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import build
import table
import unmutated

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 120          # for a run that is not expected to hang
HANG_SECONDS = 3       # at least; and so many times what the unmutated test takes:
HANG_FACTOR = 5
SKIP_STATUS = 77


class Failure(Exception):
    """A mutant that was not caught as the table says, or could not be tried."""


class Ended:
    """How a test ended: a word of table.STATUS_WORDS or "passed" or "skipped"; and its output."""

    def __init__(self, code, text, seconds):
        self.text = text
        self.seconds = seconds
        if code is None:
            self.status = "hang"
        elif code < 0:
            self.status = {signal.SIGABRT: "abort", signal.SIGALRM: "alarm",
                           signal.SIGSEGV: "segv"}.get(-code, "signal %d" % -code)
        else:
            self.status = {0: "passed", SKIP_STATUS: "skipped"}.get(code, "exit")

    def __str__(self):
        tail = self.text.strip().split("\n")[-12:]
        return "ended with \"%s\"; the end of its output:\n    %s" % (
            self.status, "\n    ".join(tail))


def prepare_child():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run_test(command, environment, seconds):
    started = time.monotonic()
    with tempfile.TemporaryFile(mode="w+", errors="replace") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env=environment, start_new_session=True,
                                   preexec_fn=prepare_child)
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        try:
            os.killpg(process.pid, signal.SIGKILL)  # and what it has started
        except ProcessLookupError:
            pass
        process.wait()
        output.seek(0)
        return Ended(code, output.read(), time.monotonic() - started)


def environment_of(mutant, alarm_seconds=None):
    environment = dict(os.environ, **mutant.environment)
    environment.setdefault("TSAN_OPTIONS", "halt_on_error=1")
    if alarm_seconds is not None:
        environment["STRESS_ALARM_SECONDS"] = str(alarm_seconds)
    return environment


def command_of(tree, mutant, subject):
    """The test program, or a script with the subject as its first argument."""
    if mutant.test.endswith(".py"):
        return [sys.executable, "-B", os.path.join(HERE, mutant.test), subject] + mutant.arguments
    if mutant.wants_library():
        return [tree.test_program(mutant)] + [subject if a == "LIBRARY" else a
                                              for a in mutant.arguments]
    script = ["sh", os.path.join(HERE, "..", mutant.script)] if mutant.script else []
    return script + [subject] + mutant.arguments


def judge(mutant, ended):
    if ended.status == "passed":
        raise Failure("%s SURVIVED: %s passes without the guard" % (mutant.name, mutant.test))
    if ended.status not in mutant.status.split("|"):
        raise Failure("%s: the mutated %s should end with \"%s\", but %s" % (
            mutant.name, mutant.test, mutant.status, ended))
    if not re.search(mutant.message, ended.text):
        raise Failure("%s: the mutated %s does not say \"%s\"; it %s" % (
            mutant.name, mutant.test, mutant.message, ended))


def run_unmutated(tree, command, environment):
    """As run_test, or as remembered. One that did not pass is run again each time."""
    memory = unmutated.Memory(tree.folder, command, environment)
    seconds = memory.recall()
    if seconds is not None:
        return Ended(0, "", seconds)
    ended = run_test(command, environment, SECONDS)
    if ended.status == "passed":
        memory.keep(ended.seconds)
    return ended


def try_mutant(tree, mutant):
    """One line about the outcome; False: the test cannot run here."""
    subject = tree.subject(mutant)
    ended = run_unmutated(tree, command_of(tree, mutant, subject), environment_of(mutant))
    if ended.status == "skipped":
        return False, "%s: %s is skipped here" % (mutant.name, mutant.test)
    if ended.status != "passed":
        raise Failure("%s: the test is no proof, %s fails unmutated: it %s" % (
            mutant.name, mutant.test, ended))
    limit = max(HANG_SECONDS, int(HANG_FACTOR * ended.seconds) + 1)
    folder = tempfile.mkdtemp(prefix="mutant-" + mutant.name + "-", dir=tree.folder)
    try:
        subject = tree.mutated_program(mutant, folder)
        seconds = limit if "hang" in mutant.status else SECONDS
        environment = environment_of(mutant, limit if "alarm" in mutant.status else None)
        ended = run_test(command_of(tree, mutant, subject), environment, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    judge(mutant, ended)
    words = [w for w in [mutant.script, mutant.test] + mutant.arguments if w]
    return True, "%s: caught by %s (%s, %.1f s)" % (
        mutant.name, " ".join(words), ended.status, ended.seconds)


def run_all(tree, mutants):
    failed = skipped = 0
    for number, mutant in enumerate(mutants, 1):
        try:
            done, line = try_mutant(tree, mutant)
            skipped += not done
        except (Failure, build.Problem) as problem:
            failed += 1
            line = str(problem)
        print("[%d/%d] %s" % (number, len(mutants), line), flush=True)
    print("%d caught, %d failed, %d skipped" % (len(mutants) - failed - skipped, failed, skipped))
    if failed:
        return 1
    return SKIP_STATUS if skipped == len(mutants) else 0


def chosen(mutants, names, kind):
    unknown = set(names) - {m.name for m in mutants}
    if unknown:
        raise table.Problem("no such mutant: " + ", ".join(sorted(unknown)))
    picked = [m for m in mutants if (not names or m.name in names) and kind in m.builds]
    if not picked:
        raise table.Problem("none of them applies to a build of kind \"%s\"" % kind)
    return picked


def list_mutants(mutants, kind):
    for m in mutants:
        if kind is None or kind in m.builds:
            print("%s %s %s %s" % (m.traps[0], m.name, ",".join(m.traps),
                                   " ".join(shlex.quote(w) for w in [m.test] + m.arguments)))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", metavar="DIR")
    parser.add_argument("--only", metavar="NAME", action="append", default=[])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--kind", choices=table.KINDS)
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        import self_test  # not needed otherwise
        return self_test.main()
    if not options.list and options.build is None:
        parser.error("one of --build, --list and --self-test is needed")
    try:
        mutants = table.read(os.path.join(HERE, "mutants.txt"))
        if options.list:
            return list_mutants(mutants, options.kind)
        tree = build.Tree(options.build)
        return run_all(tree, chosen(mutants, options.only, tree.kind))
    except (table.Problem, build.Problem) as problem:
        print("mutants: %s" % problem, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
