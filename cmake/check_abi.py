#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pm_ functions are those of the last release, in name, version and types:

    check_abi.py ROOT --shared SO --cc CC [--object-shared SO] [--abidiff ABIDIFF]
    check_abi.py ROOT --write       after a change that is meant
    check_abi.py --self-test --cc CC [--abidiff ABIDIFF]

cmake/abi/ has what the public headers declared, without their comments, and the
version script. A library of empty functions is compiled from these, and abidiff
compares that with the one that was built: both come from one compiler, so the
files do not depend on which. The object layer's library has files of its own. The
names without pm_ are in check_exports.py, and their types in the standards. Exit
status 77: abidiff is missing.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from check_common import OBJECT_HEADERS, finish, read, self_test, strip_comments, write_tree

STORED = "cmake/abi/declarations.h"
MAP = "lib/poolmalloc.map"
STORED_MAP = "cmake/abi/poolmalloc.map"
OBJECT_STORED = "cmake/abi/object_declarations.h"
OBJECT_MAP = "lib/poolobject.map"
OBJECT_STORED_MAP = "cmake/abi/poolobject.map"
HEAD = """/* SPDX-License-Identifier: MIT */
/* The binary interface, as it was: check_abi.py --write makes this of the public headers. */
"""
SUPPRESSIONS = """[suppress_function]
    symbol_name_not_regexp = ^pm_
    drop = yes
"""
SKIPPED = 77
UPDATE = "python3 cmake/check_abi.py . --write"


INCLUDE = re.compile(r"^#include \"poolmalloc/(.*)\"$", re.M)


def in_order(texts):
    """The names of headers, each behind those that it includes."""
    done = []

    def add(name):
        if name in texts and name not in done:
            for included in INCLUDE.findall(texts[name]):
                add(included)
            done.append(name)

    for name in sorted(texts, key=lambda name: (name != "poolmalloc.h", name)):
        add(name)
    return done


def declarations_of(root, of_objects):
    """The public headers of one library in one, without comments and empty lines."""
    texts = {os.path.basename(path): strip_comments(read(path))
             for path in glob.glob(os.path.join(root, "include/poolmalloc/*.h"))
             if (os.path.basename(path) in OBJECT_HEADERS) == of_objects}
    lines = []
    for name in in_order(texts):
        lines += [line.rstrip() for line in INCLUDE.sub("", texts[name]).splitlines()
                  if line.strip()]
    return HEAD + "\n".join(lines) + "\n"


def stored_of(root):
    """{path: content} of what is stored."""
    return {STORED: declarations_of(root, False), STORED_MAP: read(os.path.join(root, MAP)),
            OBJECT_STORED: declarations_of(root, True),
            OBJECT_STORED_MAP: read(os.path.join(root, OBJECT_MAP))}


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)


def stub_of(declarations):
    """The same with a body for each function, and memory for each variable."""
    bodies = re.sub(r"^(PM_API\b(?! extern)[^;{]*?\))(?:\s+__attribute__\(\([^;]*\)\))?;",
                    r"\1 { __builtin_trap(); }", declarations, flags=re.M)
    return re.sub(r"^PM_API extern ", "PM_API ", bodies, flags=re.M)


def build_stub(root, shared, folder, cc, stored, version_map):
    """The path of the library of empty functions, or a problem."""
    found = re.search(r"\(SONAME\).*\[(.*)\]", run("readelf", "-dW", shared).stdout)
    soname = found.group(1) if found else ""
    source, library = os.path.join(folder, "stub.c"), os.path.join(folder, "stub.so")
    head = "" if stored == STORED else read(os.path.join(root, STORED))
    write_tree(folder, {"stub.c": head + stub_of(read(os.path.join(root, stored)))})
    done = run(cc, "-std=gnu17", "-g", "-fPIC", "-fno-builtin", "-fvisibility=hidden", "-w",
               "-shared", "-Wl,-soname," + soname, "-o", library, source,
               "-Wl,--version-script=" + os.path.join(root, version_map))
    if done.returncode != 0:
        return None, ["%s: does not compile: %s" % (stored, done.stdout.strip())]
    return library, []


def compare(abidiff, stub, shared, suppressions, *options):
    """abidiff's report: empty, nothing differs."""
    done = run(abidiff, "--suppressions", suppressions, *options, stub, shared)
    if done.returncode & 3:
        return "abidiff failed: " + done.stdout.strip()
    return done.stdout.strip() if done.returncode else ""


def check(root, shared, cc, abidiff, stored=STORED, version_map=STORED_MAP):
    with tempfile.TemporaryDirectory() as folder:
        stub, problems = build_stub(root, shared, folder, cc, stored, version_map)
        if problems:
            return problems
        write_tree(folder, {"suppressions": SUPPRESSIONS})
        words = [abidiff, stub, shared, os.path.join(folder, "suppressions")]
        report = compare(*words, "--no-added-syms")
        if report:
            return [report, "programs that were linked to the library before may fail: leave the "
                    "old function as it is and add another. If this is meant (nothing was "
                    "released yet, or SOVERSION was raised): " + UPDATE]
        report = compare(*words)
        if report:
            return [report, "added, and compatible: %s puts it into %s" % (UPDATE, stored)]
    return []


def check_object(root, shared, cc, abidiff):
    return check(root, shared, cc, abidiff, OBJECT_STORED, OBJECT_STORED_MAP)


def check_fixture(root, cc, abidiff):
    """Builds the fixture's libraries and compares them with what the fixture stored."""
    problems = []
    for source, version_map, compared in (("x.c", MAP, check), ("o.c", OBJECT_MAP, check_object)):
        shared = os.path.join(root, "libx.so")
        done = run(cc, "-g", "-fPIC", "-fvisibility=hidden", "-shared", "-Wl,-soname,libx.so.0",
                   "-I" + os.path.join(root, "include"), "-o", shared, os.path.join(root, source),
                   "-Wl,--version-script=" + os.path.join(root, version_map))
        assert done.returncode == 0, done.stdout
        problems += compared(root, shared, cc, abidiff)
    return problems


HEADER = """#define PM_API __attribute__((visibility("default")))
struct pm_s {
    int a; /* the first */
    long b;
};
enum pm_e { PM_ONE, PM_TWO };

/* One; not; a function(). */
PM_API int pm_one(const struct pm_s *s,
                  enum pm_e e);
PM_API void pm_two(void (*call)(void *arg), void *arg);
"""
SOURCE = """#include "poolmalloc/poolmalloc.h"
int pm_one(const struct pm_s *s, enum pm_e e) { return s->a + (int)e; }
void pm_two(void (*call)(void *arg), void *arg) { call(arg); }
PM_API int other(void) { return 1; }
int pm_hidden(void) { return 2; }
"""
THREE = "PM_API int pm_three(void) { return 3; }\n"
VERSIONS = "POOLMALLOC_0.1 { global: pm_*; };\n"
OBJECT_HEADER = """#include "poolmalloc/poolmalloc.h"
PM_API extern __thread int pm_mine __attribute__((tls_model("initial-exec")));
PM_API void pm_thing(struct pm_s *s) __attribute__((nonnull(1)));
"""
OBJECT_SOURCE = """#include "poolmalloc/object.h"
__thread int pm_mine;
void pm_thing(struct pm_s *s) { s->a = pm_mine; }
"""
GOOD = {"include/poolmalloc/poolmalloc.h": HEADER, "x.c": SOURCE, MAP: VERSIONS,
        "include/poolmalloc/object.h": OBJECT_HEADER, "o.c": OBJECT_SOURCE,
        OBJECT_MAP: VERSIONS.replace("MALLOC", "OBJECT")}


def changed(*changes):
    """The fixture's header and source with texts replaced."""
    header, source = HEADER, SOURCE
    for old, new in changes:
        assert old in header + source, old
        header, source = header.replace(old, new), source.replace(old, new)
    return {"include/poolmalloc/poolmalloc.h": header, "x.c": source}


BAD = [
    (changed(("PM_API void pm_two", "void pm_two")), "pm_two"),
    (changed(("enum pm_e e)", "long e)"), ("(int)e", "1")), "pm_one"),
    (changed(("int a;", "int z, a;")), "struct pm_s"),
    (changed(("long b;", "long b, c;")), "type size changed"),
    (changed(("PM_ONE,", "PM_ZERO, PM_ONE,")), "enum pm_e"),
    (changed(("int pm_one", "long pm_one")), "return type changed"),
    ({MAP: VERSIONS.replace("0.1", "0.2")}, "pm_one@@POOLMALLOC_0.1"),
    ({"x.c": SOURCE + THREE}, "added, and compatible"),
    ({STORED: HEAD + "nonsense"}, "does not compile"),
    ({"include/poolmalloc/object.h": OBJECT_HEADER.replace("PM_API void", "void")}, "pm_thing"),
    ({"o.c": OBJECT_SOURCE + "PM_API int pm_three(void) { return 3; }\n"},
     "added, and compatible"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?")
    parser.add_argument("--shared")
    parser.add_argument("--object-shared")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--abidiff", default="abidiff")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.write and options.root:
        write_tree(options.root, stored_of(options.root))
        return 0
    if shutil.which(options.abidiff) is None:
        print("abi: skipped: abidiff is missing (Debian: abigail-tools)")
        return SKIPPED
    if options.self_test:
        with tempfile.TemporaryDirectory() as root:
            write_tree(root, GOOD)
            good = {**GOOD, **stored_of(root)}
        return self_test(lambda root: check_fixture(root, options.cc, options.abidiff), good, BAD)
    if not (options.root and options.shared):
        parser.error("ROOT and --shared SO are needed")
    problems = check(options.root, options.shared, options.cc, options.abidiff)
    if options.object_shared:
        problems += check_object(options.root, options.object_shared, options.cc, options.abidiff)
    return finish("abi", problems)


if __name__ == "__main__":
    sys.exit(main())
