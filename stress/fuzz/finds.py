#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Do the fuzz targets find faults that were put into the library on purpose?

  finds.py --build DIR [--only NAME]... [--seed N]

DIR is a finished build of the preset "fuzz" (run.sh makes one). For each mutant
of mutants.txt the changed files are compiled and linked with the target's
objects; the target then starts from nothing, or from the committed corpus where
the table says so, and must find the fault within the number of runs that the
table gives. Says after how many runs it did.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "mutants"))
import build  # pylint: disable=wrong-import-position
import table  # pylint: disable=wrong-import-position

SECONDS = 580
SKIP_STATUS = 77
# As in run.sh.
ARGUMENTS = {"fuzz_options": ["-dict=" + os.path.join(HERE, "options.dict"), "-max_len=600",
                              "-len_control=0"],
             "fuzz_api": ["-max_len=400"]}


class Failure(Exception):
    """A mutant that was not found, or in another way than the table says."""


def link_flags(tree, target):
    with open(os.path.join(tree.folder, "build.ninja"), encoding="utf-8") as file:
        match = re.search(r"^build stress/fuzz/%s:.*\n(?:  .*\n)*?  LINK_FLAGS = (.*)\n" % target,
                          file.read(), re.MULTILINE)
    if not match:
        raise build.Problem("%s is no build of the preset \"fuzz\"" % tree.folder)
    return shlex.split(match.group(1))


def mutated_target(tree, mutant, folder):
    tree.write_mutated(mutant, folder)
    objects = tree.compile_mutated(mutant, folder, "pm", set())
    tests = tree.objects_of(mutant.test)
    flags = [w for w in tests[0].command if not w.startswith(("-I", "-D"))]
    program = os.path.join(folder, mutant.test)
    build.run(flags + link_flags(tree, mutant.test) + ["-o", program] +
              [e.object for e in tests] + objects +
              [os.path.join(tree.folder, "lib", build.LIBRARIES["pm"][0]), "-pthread"],
              tree.folder)
    return program


def fuzz(program, mutant, folder, seed):
    """The status and the output of at most so many runs."""
    corpus = os.path.join(folder, "corpus")
    os.mkdir(corpus)
    given = [os.path.join(HERE, "corpus", mutant.test.replace("fuzz_", ""))]
    environment = dict(os.environ, LLVM_PROFILE_FILE=os.path.join(folder, "unused.profraw"),
                       POOLMALLOC_OPTIONS="purge_delay_ms=1000000")
    done = subprocess.run(
        [program, "-runs=" + mutant.arguments[0], "-seed=%d" % seed,
         "-artifact_prefix=" + folder + "/"] + ARGUMENTS[mutant.test] + [corpus] +
        (given if "corpus" in mutant.arguments else []),
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def runs_of(text):
    numbers = re.findall(r"^#(\d+)", text, re.MULTILINE)
    return int(numbers[-1]) if numbers else 0


def find(tree, mutant, seed):
    folder = tempfile.mkdtemp(prefix="finds-" + mutant.name + "-", dir=tree.folder)
    try:
        status, text = fuzz(mutated_target(tree, mutant, folder), mutant, folder, seed)
    except subprocess.TimeoutExpired as error:
        raise Failure("%s: no end after %d seconds" % (mutant.name, SECONDS)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if status == 0:
        raise Failure("%s NOT FOUND by %s runs of %s, seed %d" % (
            mutant.name, mutant.arguments[0], mutant.test, seed))
    match = re.search(mutant.message, text)
    if not match:
        raise Failure("%s: the report does not say \"%s\":\n%s" % (
            mutant.name, mutant.message, text[-4000:]))
    return "%s: found by %s after about %d runs (\"%s\")" % (
        mutant.name, mutant.test, runs_of(text), match.group(0))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", metavar="DIR", required=True)
    parser.add_argument("--only", metavar="NAME", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not os.path.exists(os.path.join(options.build, "stress", "fuzz", "fuzz_api")):
        print("finds: SKIPPED: no build of the preset \"fuzz\" in %s: run.sh makes one, where "
              "there is clang with libFuzzer" % options.build)
        return SKIP_STATUS
    failed = 0
    try:
        mutants = table.read(os.path.join(HERE, "mutants.txt"))
        unknown = set(options.only) - {m.name for m in mutants}
        if unknown:
            raise table.Problem("no such mutant: " + ", ".join(sorted(unknown)))
        tree = build.Tree(options.build)
        for mutant in mutants:
            tree.mutated(mutant)  # it must apply, even where it is not run
        chosen = [m for m in mutants if not options.only or m.name in options.only]
        for number, mutant in enumerate(chosen, 1):
            try:
                line = find(tree, mutant, options.seed)
            except Failure as failure:
                failed += 1
                line = str(failure)
            print("[%d/%d] %s" % (number, len(chosen), line), flush=True)
    except (table.Problem, build.Problem) as problem:
        print("finds: %s" % problem, file=sys.stderr)
        return 2
    print("%d found, %d failed" % (len(chosen) - failed, failed))
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
