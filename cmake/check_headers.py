#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every header compiles alone, and twice over:

    check_headers.py [--self-test] --cc CC --cxx CXX [--root ROOT] [--definitions X=1,Y=2]

Those in lib/ are compiled as gnu17, as the library is; those in include/ as
strict C17 and as C++17, .hpp as C++17 alone.
"""

import argparse
import glob
import os
import subprocess
import sys

from check_common import finish, self_test

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wundef"]


def compile_alone(command, name, text):
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return []
    first = next((l for l in run.stderr.splitlines() if "error" in l), run.stderr.strip())
    return ["%s (%s): %s" % (name, command[command.index("-x") + 1], first)]


def check(root, cc, cxx, flags):
    problems = []
    base = WARNINGS + flags + ["-I" + os.path.join(root, "lib"),
                               "-I" + os.path.join(root, "include"), "-fsyntax-only"]
    headers = sorted(glob.glob(os.path.join(root, "lib/**/*.h"), recursive=True)
                     + glob.glob(os.path.join(root, "include/**/*.h"), recursive=True)
                     + glob.glob(os.path.join(root, "include/**/*.hpp"), recursive=True))
    if not headers:
        problems.append("no header found")
    for path in headers:
        name = os.path.relpath(path, root)
        text = '#include "%s"\n' % name.split("/", 1)[1] * 2
        if name.startswith("lib/"):
            problems += compile_alone([cc, "-std=gnu17"] + base + ["-x", "c", "-"], name, text)
        else:
            if not name.endswith(".hpp"):
                problems += compile_alone(
                    [cc, "-std=c17", "-pedantic-errors"] + base + ["-x", "c", "-"], name, text)
            problems += compile_alone(
                [cxx, "-std=c++17", "-pedantic-errors"] + base + ["-x", "c++", "-"], name, text)
    return problems


def guarded(body):
    return "#ifndef X_H\n#define X_H\n%s\n#endif\n" % body


GOOD = {
    "lib/base/x.h": guarded("#include <stddef.h>\nsize_t x(void);"),
    "include/p/p.h": guarded("int y(void);"),
    "include/p/p.hpp": guarded("class z;"),
}
BAD = [
    ({"lib/base/x.h": guarded("size_t x(void);")}, "lib/base/x.h (c): "),
    ({"lib/base/x.h": "enum { X };\n"}, "lib/base/x.h (c): "),
    ({"lib/base/x.h": guarded("#if X_UNDEFINED\n#endif")}, "X_UNDEFINED"),
    ({"include/p/p.h": guarded("int class(void);")}, "include/p/p.h (c++): "),
    ({"include/p/p.hpp": guarded("std::size_t z;")}, "include/p/p.hpp (c++): "),
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--root", default=".")
    parser.add_argument("--cc", required=True)
    parser.add_argument("--cxx", required=True)
    parser.add_argument("--definitions", default="")
    args = parser.parse_args()
    if args.self_test:
        sys.exit(self_test(lambda root: check(root, args.cc, args.cxx, []), GOOD, BAD))
    flags = ["-D" + definition for definition in args.definitions.split(",") if definition]
    sys.exit(finish("headers", check(args.root, args.cc, args.cxx, flags)))
