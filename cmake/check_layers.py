#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The layers of lib/ hold: check_layers.py ROOT | --self-test

- a file in lib/<layer> includes "layer/x.h" of its own or a lower layer only
  (lib/LAYERS ranks them), or the public header;
- no .c file is included;
- only lib/os asks which operating system it is compiled for.
"""

import glob
import os
import re
import sys

from check_common import finish, fail_usage, read, self_test, strip_comments

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
OS_MACROS = re.compile(
    r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b[^\n]*\b(__linux__|__linux|__gnu_linux__|_WIN32|_WIN64"
    r"|__CYGWIN__|__APPLE__|__MACH__|__FreeBSD__|__NetBSD__|__OpenBSD__|__DragonFly__"
    r"|__ANDROID__|__sun|__unix__)\b", re.M)


def layers_of(root):
    lines = read(os.path.join(root, "lib/LAYERS")).splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def line_of(text, match):
    return text.count("\n", 0, match.start(match.lastindex)) + 1


def include_problem(layers, layer, kind, name):
    if name.endswith((".c", ".cc", ".cpp")):
        return "includes a source file: " + name
    if kind == "<" or name.startswith("poolmalloc/"):
        return None
    folder = name.split("/")[0] if "/" in name else None
    if folder not in layers:
        return 'write "layer/%s": this names no layer' % name
    if layers.index(folder) > layers.index(layer):
        return "layer %s includes %s of the higher layer %s" % (layer, name, folder)
    return None


def check(root):
    layers = layers_of(root)
    problems = []
    for folder in sorted(glob.glob(os.path.join(root, "lib/*/"))):
        layer = os.path.basename(folder.rstrip("/"))
        sources = sorted(glob.glob(folder + "**/*.[ch]", recursive=True))
        if layer not in layers:
            if sources:
                problems.append("lib/%s: not named in lib/LAYERS" % layer)
            continue
        for path in sources:
            where = os.path.relpath(path, root)
            text = strip_comments(read(path))
            for match in INCLUDE.finditer(text):
                problem = include_problem(layers, layer, *match.groups())
                if problem:
                    problems.append("%s:%d: %s" % (where, line_of(text, match), problem))
            if layer == "os":
                continue
            for match in OS_MACROS.finditer(text):
                problems.append("%s:%d: %s belongs into lib/os"
                                % (where, line_of(text, match), match.group(1)))
    return problems


GOOD = {
    "lib/LAYERS": "# lowest first\nbase  low\nos    system\narena high\n",
    "lib/base/x.h": '#include <stddef.h>\n/* #include "arena/a.h" */\n',
    "lib/os/os_linux.c": '#include "base/x.h"\n#ifdef __linux__\n#endif\n',
    "lib/arena/a.c": '#include "arena/a.h"\n#include "os/os.h"\n#include "poolmalloc/p.h"\n',
}
BAD = [
    ({"lib/base/y.h": '\n#  include "arena/a.h"\n'}, "lib/base/y.h:2: layer base includes"),
    ({"lib/arena/b.c": '#include "b.h"\n'}, "names no layer"),
    ({"lib/arena/b.c": '#include "arena/a.c"\n'}, "includes a source file"),
    ({"lib/arena/b.c": "#if 1 && defined(__linux__)\n#endif\n"}, "belongs into lib/os"),
    ({"lib/stray/b.c": "int x;\n"}, "not named in lib/LAYERS"),
]

if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test(check, GOOD, BAD))
    if len(sys.argv) != 2:
        fail_usage(__doc__)
    sys.exit(finish("layers", check(sys.argv[1])))
