#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Do the tests exist that the documents name?

  check_reliability.py ROOT --tests DIR   the documents, against the build DIR and the sources
  check_reliability.py --self-test        shows that this check can fail

Names are in backquotes. `layer/x_test.c:name` is a test inside a unit test, `pm_x()` a function
of lib/, `mutant.GROUP.NAME` an entry of stress/mutants/mutants.txt, `asan.NAME` a case of
stress/asan/cases.c, `schedule.NAME` a run of that preset; other names with a dot are of ctest, and
"*" stands for the rest of a name. docs/reliability.md besides has each invariant, each trap and
each function of the public headers, and a test in each row of its tables; docs/memory-order.md has
each atomic field.
"""

import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile

DOCUMENTS = ["docs/reliability.md", "docs/life.md", "docs/misuse.md", "docs/design.md"]
MAIN = DOCUMENTS[0]
ORDERS = "docs/memory-order.md"
INVARIANTS, TRAPS = 13, 20
LABELS = ("api arena asan base budget command cxx debug debugger faults giveback guide hardened "
          "heap life limits misuse model mutant os pool profile real schedule seccomp stress tools "
          "trap valgrind").split()
# Of ctest, without a label's dot.
PLAIN = ("abi", "debian", "exports", "guides", "headers", "layers", "manual", "options",
         "package", "probes", "reliability")
DECLARATION = re.compile(  # of an atomic object, without its ";"
    r"\s*(?:extern |static )*(?:struct \w+ \*|\w+ \(\*)?_Atomic(?: \w+)? (\w.*)")
POINTER = re.compile(r"\w+ \*")  # to an atomic object, which another line declares
AFTER_NAME = re.compile(r"\(.*|\[[^\]]*\]|= *\{[^}]*\}|=[^,]*|\)| PM_HIDDEN.*| __attribute__.*")
UNIT_TEST = re.compile(r"(?:(\w+)/)?(\w+_test\.c):([\w*]+)")


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


class Tests:
    """All that a name in a document may stand for."""

    def __init__(self, root, ctest_names):
        self.units, self.functions = {}, set()
        self.ctest = set(ctest_names)
        for folder, _, files in os.walk(os.path.join(root, "lib")):
            for name in files:
                if name.endswith((".c", ".h")):
                    self.add_source(os.path.basename(folder), name, read(folder, name))
        self.add_mutants(read(root, "stress/mutants/mutants.txt"))
        for name in re.findall(r'^    \{"([^"]+)"', read(root, "stress/asan/cases.c"), re.M):
            self.ctest.add("asan." + name)
        runs = re.findall(r"schedule_test\((\S+)", read(root, "stress/CMakeLists.txt"))
        self.ctest.update("schedule." + name.split("{")[0] + "x" for name in runs)

    def add_source(self, layer, name, text):
        if name.endswith("_test.c"):
            self.units[layer + "/" + name] = set(re.findall(
                r"cmocka_unit_test(?:_setup)?\(\s*(\w+)", text))
        self.functions.update(re.findall(r"\b(\w+)\(", text))

    def add_mutants(self, text):
        for name, traps in re.findall(r"^mutant (\S+)\nwhy .*\ntraps +(\S+)", text, re.M):
            self.ctest.add("mutant.%s.%s" % (traps, name))

    def has_unit(self, layer, file, name):
        return any(fnmatch.filter(names, name) for path, names in self.units.items()
                   if path.split("/")[1] == file and layer in (None, path.split("/")[0]))

    def has(self, word):
        """True, False, or None: the word names no test, or stands for any (in capitals)."""
        if re.search(r"\b[A-Z]{3,}\b", word):
            return None
        unit = UNIT_TEST.fullmatch(word)
        if unit:
            return self.has_unit(*unit.groups())
        if re.fullmatch(r"\w+\(\)", word):
            return word[:-2] in self.functions
        if word.count("_") >= 4 and re.fullmatch(r"\w+", word) and word.islower():
            return word in self.functions or any(word in names for names in self.units.values())
        if word in PLAIN:
            return word in self.ctest
        label, dot, _ = word.partition(".")
        is_file = word.endswith((".c", ".h", ".md", ".txt")) or ":" in word
        if dot and label in LABELS and not is_file:
            return any(fnmatch.fnmatchcase(name, word) for name in self.ctest)
        return None


def words_of(text):
    return re.findall(r"`([^`\n]+)`", text)


def rows_of(text):
    """(line number, cells) of the tables' rows, without heads."""
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        following = lines[number] if number < len(lines) else ""
        if line.startswith("|") and not line.startswith("|--") and not following.startswith("|--"):
            yield number, [cell.strip() for cell in line.strip("|").split("|")]


def check_names(path, text, tests):
    for number, line in enumerate(text.split("\n"), 1):
        for word in words_of(line):
            if tests.has(word) is False:
                yield "%s:%d: there is no test `%s`" % (path, number, word)


def check_rows(path, text, tests):
    for number, cells in rows_of(text):
        named = any(tests.has(word) for cell in cells[1:] for word in words_of(cell))
        if not named and not cells[-1].startswith("none: "):
            yield "%s:%d: the row \"%s\" names no test" % (path, number, cells[0][:50])


def check_complete(path, text, header):
    firsts = [cells[0] for _, cells in rows_of(text)]
    wanted = ["I%d" % i for i in range(1, INVARIANTS + 1)]
    wanted += [str(i) for i in range(1, TRAPS + 1)]
    for name in wanted:
        if name not in firsts:
            yield "%s: no row of a table starts with %s" % (path, name)
    for function in re.findall(r"^PM_API [^;(]*?\b(pm_\w+)\(", header, re.M):
        if "`%s`" % function not in text:
            yield "%s: `%s` of a public header is missing" % (path, function)


def atomic_fields(text):
    """The names of the fields and variables that a source declares _Atomic."""
    for line in text.split("\n"):
        code = line.split("/*")[0].rstrip()
        found = DECLARATION.fullmatch(code[:-1]) if code.endswith(";") else None
        if found and not POINTER.match(found.group(1)):
            for name in AFTER_NAME.sub("", found.group(1)).split(","):
                yield name.strip()


def check_atomics(root):
    """docs/memory-order.md lists every atomic field."""
    text = read(root, ORDERS)
    listed = set(re.findall(r"\w+", " ".join(words_of(text))))
    for folder, _, files in os.walk(os.path.join(root, "lib")):
        for name in files:
            if not name.endswith((".c", ".h")) or name.endswith(("_test.c", "testing.h")):
                continue
            for field in atomic_fields(read(folder, name)):
                if field not in listed:
                    yield "%s: the atomic field `%s` of %s is missing" % (ORDERS, field, name)


def public_headers(root):
    """The text of all of them."""
    folder = os.path.join(root, "include/poolmalloc")
    return "".join(read(folder, name) for name in sorted(os.listdir(folder))
                   if name.endswith(".h"))


def check(root, ctest_names):
    tests = Tests(root, ctest_names)
    problems = []
    for path in DOCUMENTS:
        problems += check_names(path, read(root, path), tests)
    text = read(root, MAIN)
    problems += check_rows(MAIN, text, tests)
    problems += check_complete(MAIN, text, public_headers(root))
    problems += check_atomics(root)
    return problems


def ctest_names_of(build):
    done = subprocess.run(["ctest", "--test-dir", build, "-N"], stdout=subprocess.PIPE, text=True,
                          check=True)
    return re.findall(r"^ *Test +#\d+: (\S+)", done.stdout, re.M)


GOOD = {
    "lib/heap/x_test.c": "cmocka_unit_test(it_holds),\n",
    "lib/heap/x.c": "bool pm_x_check(void)\n",
    "lib/heap/x.h": "    _Atomic uint64_t one, two; /* fields */\n"
                    "static void (*_Atomic hook)(void);\n"
                    "static _Atomic uint32_t sets[A + 1] = {1, 2};\n",
    ORDERS: "`one`, `two`, `hook` `sets[i]`\n",
    "include/poolmalloc/poolmalloc.h": "PM_API void *pm_malloc(size_t size);\n",
    "include/poolmalloc/second.h": "PM_API void *pm_heap_new(void);\n",
    "stress/mutants/mutants.txt": "mutant gone\nwhy w\ntraps I1\n",
    "stress/asan/cases.c": '    {"overflow", f, 1},\n',
    "stress/CMakeLists.txt": "schedule_test(${mode} 1)\n",
}
# A change of the good document, and what must be said of it.
BAD = [
    (("it_holds", "it_held"), "there is no test `heap/x_test.c:it_held`"),
    (("trap.one", "trap.two"), "there is no test `trap.two`"),
    (("mutant.I1.gone", "mutant.I1.here"), "there is no test `mutant.I1.here`"),
    (("asan.over*", "asan.under*"), "there is no test `asan.under*`"),
    (("pm_x_check()", "pm_y_check()"), "there is no test `pm_y_check()`"),
    (("| I7 | w | `trap.one` |\n", ""), "no row of a table starts with I7"),
    (("| 20 | w | none: later |\n", ""), "no row of a table starts with 20"),
    (("| 19 | w | `trap.one` |", "| 19 | w | later |"), "the row \"19\" names no test"),
    (("`pm_malloc`", "malloc"), "`pm_malloc` of a public header is missing"),
    (("`pm_heap_new`", "none"), "`pm_heap_new` of a public header is missing"),
]


def good_document():
    names = ("`trap.one` `heap/x_test.c:it_holds` `mutant.I1.gone` `asan.over*` `pm_x_check()` "
             "`pm_malloc` `pm_heap_new` `some/file_that_is_no_test.c`")
    rows = ["| I%d | w | `trap.one` |" % i for i in range(1, INVARIANTS + 1)]
    rows += ["| %d | w | `trap.one` |" % i for i in range(1, TRAPS)] + ["| 20 | w | none: later |"]
    return names + "\n\n| a | b | c |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def problems_with(document, **changes):
    with tempfile.TemporaryDirectory() as root:
        files = {**GOOD, **{path: "" for path in DOCUMENTS[1:]}, MAIN: document, **changes}
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        return check(root, ["trap.one"])


def self_test():
    problems = problems_with(good_document())
    assert problems == [], problems
    for (old, new), wanted in BAD:
        assert old in good_document(), old
        problems = problems_with(good_document().replace(old, new))
        assert any(wanted in problem for problem in problems), (wanted, problems)
    for field in ("one", "two", "hook", "sets"):
        problems = problems_with(good_document(), **{ORDERS: GOOD[ORDERS].replace(field, "x")})
        assert len(problems) == 1 and "`%s`" % field in problems[0], (field, problems)
    print("reliability: the check finds %d kinds of mistakes" % (len(BAD) + 1))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?")
    parser.add_argument("--tests", metavar="DIR")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if options.root is None or options.tests is None:
        parser.error("ROOT and --tests DIR are needed")
    problems = check(options.root, ctest_names_of(options.tests))
    print("\n".join(problems) or "reliability: ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
