# SPDX-License-Identifier: MIT
"""The mutant runner on a make-believe project: what is caught, what survives,
and what is an error of the table."""

import json
import os
import shlex
import subprocess
import tempfile

import build
import run
import table

LIBRARY = "int guard(int n);\nint guard(int n)\n{\n    return n > 3 ? 3 : n;\n}\n"
TEST = """
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int guard(int n);
int main(void)
{
    if (guard(1) != 1)
        for (;;)
            pause();
    if (guard(2) != 2)
        abort();
    if (guard(9) != 3)
        puts("not held");
    return guard(9) == 3 ? 0 : 1;
}
"""
ENTRY = ("mutant %s\nwhy w\ntraps 1\nbuilds release\ntest %s\nfails %s\n"
         "file pool/guard.c\n-%s\n+%s\n")
GUARD = "n > 3 ? 3 : n"

# name, test, how it shall fail, old text, new text, what the outcome says
CASES = [
    ("removed", "prog", "exit not held", GUARD, "n", "removed: caught by prog"),
    ("aborts", "prog", "abort", GUARD, "n == 2 ? 7 : n > 3 ? 3 : n", "aborts: caught by prog"),
    ("hangs", "prog", "hang", GUARD, "n == 1 ? 7 : n > 3 ? 3 : n", "hangs: caught by prog"),
    ("nothing", "prog", "exit not held", GUARD, "n > 3 ? 3 : (n)", "nothing SURVIVED"),
    ("other-text", "prog", "exit not held", "n > 4", "n", "found 0 times"),
    ("twice", "prog", "exit not held", "int guard(int n)", "int x(int n)", "found 2 times"),
    ("other-way", "prog", "abort", GUARD, "n",
     "should end with \"abort\", but ended with \"exit\""),
    ("says-other", "prog", "exit held fast", GUARD, "n", "does not say \"held fast\""),
    ("no-c", "prog", "exit", GUARD, "n >", "failed:"),
    ("no-test", "none", "exit", GUARD, "n", "the build has no test \"none\""),
    ("bad-test", "broken", "exit", GUARD, "n", "fails unmutated"),
]
BAD_TABLES = [
    ("mutant a\nwhy w\n", "\"traps\" is missing"),
    ("why w\n", "must come first"),
    ((ENTRY % CASES[0][:5]) * 2, "the name is used twice"),
    ((ENTRY % CASES[0][:5]).replace("builds release", "builds all"), "is none of"),
    ((ENTRY % CASES[0][:5]).replace("fails exit", "fails somehow"), "the first word is one of"),
    ((ENTRY % CASES[0][:5]).replace("why w", "what w"), "unknown key \"what\""),
    ((ENTRY % CASES[0][:5]).replace("test prog", "test x/y.sh"), "a script needs a program"),
]


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def make_project(root):
    """lib/pool/guard.c in an archive, and two tests: one passes, the other does not."""
    folder = os.path.join(root, "build")
    write(os.path.join(root, "lib/pool/guard.c"), LIBRARY)
    write(os.path.join(root, "prog.c"), TEST)
    write(os.path.join(root, "broken.c"), "int main(void)\n{\n    return 1;\n}\n")
    entries = []
    for target, source in [("pm_core", "lib/pool/guard.c"), ("prog", "prog.c"),
                           ("broken", "broken.c")]:
        path = os.path.join(root, source)
        place = "lib/CMakeFiles/%s.dir/%s.o" % (target, os.path.basename(source))
        os.makedirs(os.path.join(folder, os.path.dirname(place)), exist_ok=True)
        command = ["cc", "-O1", "-o", place, "-c", path]
        subprocess.run(command, cwd=folder, check=True)
        entries.append({"directory": folder, "command": shlex.join(command), "file": path})
    write(os.path.join(folder, "compile_commands.json"), json.dumps(entries))
    write(os.path.join(folder, "CMakeCache.txt"), "CMAKE_HOME_DIRECTORY:INTERNAL=%s\n" % root)
    archive = os.path.join(folder, "lib/libpoolmalloc_pm.a")
    member = os.path.join(folder, "lib/CMakeFiles/pm_core.dir/guard.c.o")
    subprocess.run(["ar", "rc", archive, member], check=True)
    for target in ["prog", "broken"]:
        objects = os.path.join(folder, "lib/CMakeFiles/%s.dir/%s.c.o" % (target, target))
        subprocess.run(["cc", "-o", os.path.join(folder, "lib", target), objects, archive],
                       check=True)
    return folder


def outcome(tree, text):
    try:
        return run.try_mutant(tree, table.parse(text)[0])[1]
    except (run.Failure, build.Problem, table.Problem) as problem:
        return str(problem)


def check_memory(tree, wrong):
    """That a test passes is remembered until it is built anew; that it fails, never."""
    runs = []
    real, run.run_test = run.run_test, lambda *how: runs.append(how) or real(*how)
    try:
        for step, name, expected in [("again", "prog", 0), ("built anew", "prog", 1),
                                     ("again", "prog", 0), ("failing", "broken", 1),
                                     ("failing again", "broken", 1)]:
            if step == "built anew":
                os.utime(os.path.join(tree.folder, "lib", name), ns=(1, 1))
            del runs[:]
            said = outcome(tree, ENTRY % ("memory", name, "exit not held", GUARD, "n"))
            mutated = "caught" in said
            if len(runs) - mutated != expected:
                wrong.append("%s: %s was run %d times unmutated" % (
                    step, name, len(runs) - mutated))
    finally:
        run.run_test = real


def main():
    wrong = []
    run.HANG_SECONDS = 1
    with tempfile.TemporaryDirectory() as root:
        tree = build.Tree(make_project(root))
        if tree.kind != "release":
            wrong.append("the kind of the build is not seen")
        for name, test, fails, old, new, expected in CASES:
            said = outcome(tree, ENTRY % (name, test, fails, old, new))
            if expected not in said:
                wrong.append("%s: expected \"%s\", got \"%s\"" % (name, expected, said))
        said = outcome(tree, ENTRY % ("flag", "prog", "exit", GUARD, "n") + "flags -O9 => -O1\n")
        if "The flag -O9 is not used" not in said:
            wrong.append("flag: got \"%s\"" % said)
        check_memory(tree, wrong)
        left = [n for n in os.listdir(tree.folder) if n.startswith("mutant-")]
        if left:
            wrong.append("temporary folders are left: " + ", ".join(left))
    for text, expected in BAD_TABLES:
        said = outcome(None, text)
        if expected not in said:
            wrong.append("table: expected \"%s\", got \"%s\"" % (expected, said))
    for line in wrong:
        print(line)
    print("mutants self-test: %s" % ("%d problems" % len(wrong) if wrong else "ok"))
    return 1 if wrong else 0
