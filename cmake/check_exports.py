#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the libraries define and need:

    check_exports.py --shared SO --static A --static-pm A [--nm NM] [--readelf READELF]
    check_exports.py --self-test --cc CC

The shared library exports the malloc family, C++'s operators, pm_ names and
those of other allocators, all that it must and nothing else, and needs the C library only.
Its pm_ names have a version, the others have none.
The static libraries put no other name into a program's namespace, and
poolmalloc_pm no malloc.
"""

import argparse
import itertools
import os
import re
import subprocess
import sys

from check_common import finish, self_test

FAMILY = {
    "malloc", "free", "calloc", "realloc", "reallocarray", "aligned_alloc", "memalign",
    "posix_memalign", "valloc", "pvalloc", "malloc_usable_size", "malloc_trim", "free_sized",
    "free_aligned_sized",
}
DOMAINS = {"pm_get_allocator", "pm_set_allocator"} | {
    "pm_%s_%s" % (domain, name) for domain in ("raw", "mem", "object")
    for name in ("malloc", "calloc", "realloc", "free")}
HOOKS = {"pm_%s_%s" % (verb, name) for verb in ("get", "set")
         for name in ("page_hooks", "arena_allocator")}
# docs/jemalloc-names.md.
JEMALLOC = {
    "mallocx", "rallocx", "xallocx", "sallocx", "dallocx", "sdallocx", "nallocx", "mallctl",
    "mallctlnametomib", "mallctlbymib", "malloc_stats_print",
}
TCMALLOC = {"MallocExtension_" + name for name in (
    "GetAllocatedSize", "GetEstimatedAllocatedSize", "GetNumericProperty", "GetOwnership",
    "GetStats", "GetThreadCacheSize", "MarkThreadBusy", "MarkThreadIdle",
    "MarkThreadTemporarilyIdle", "ReleaseFreeMemory", "ReleaseToSystem", "SetNumericProperty",
    "VerifyAllMemory")}
TCMALLOC |= {"tc_" + name for name in (
    "malloc", "free", "calloc", "realloc", "memalign", "posix_memalign", "valloc", "pvalloc",
    "malloc_size")}
OTHERS = JEMALLOC | TCMALLOC
# Of the C library's extras.
EXTRAS = {"mallinfo", "mallinfo2", "malloc_info", "malloc_stats", "mallopt"}
# Of <sys/sdt.h>: weak and hidden, what addresses in the probes' notes are counted from.
PROBES = {"_.stapsdt.base"}
# operator new and new[], plain and aligned, each with its nothrow form; operator delete and
# delete[], plain, sized, aligned and both, and the nothrow forms.
OPERATORS = {"_Zn%sm%s%s" % form for form in itertools.product(
    "wa", ("", "St11align_val_t"), ("", "RKSt9nothrow_t"))} | {
        "_Zd%sPv%s%s" % form for form in itertools.product(
            "la", ("", "St11align_val_t"), ("", "RKSt9nothrow_t"))} | {
                "_Zd%sPvm%s" % form for form in itertools.product("la", ("", "St11align_val_t"))}
VERSION = re.compile(r"POOLMALLOC_[0-9]+\.[0-9]+")
NEEDED_ALLOWED = re.compile(r"^(libc\.so(\.6)?|libc\.musl-.*|ld-(linux|musl).*)$")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def defined(nm, path, *options):
    """Names that path defines for others; versions (@@V) cut off."""
    names = set()
    for line in run(nm, *options, "--defined-only", "-P", path).splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[1].isupper() or len(fields) >= 2 and fields[1] in "vwiu":
            names.add(fields[0].split("@")[0])
    return {name for name in names if not VERSION.fullmatch(name)}


def check_versions(nm, path):
    """Of lib/poolmalloc.map, and docs/decisions/009: a name without version serves a reference to
    any, one with a version serves only that."""
    problems = []
    for line in run(nm, "-D", "--defined-only", "-P", path).splitlines():
        name, _, version = line.split()[0].partition("@@")
        if VERSION.fullmatch(name):
            continue
        if name.startswith("pm_") and not VERSION.fullmatch(version):
            problems.append("%s: %s has no version" % (os.path.basename(path), name))
        elif not name.startswith("pm_") and (version or "@" in name):
            problems.append("%s: %s has a version" % (os.path.basename(path), line.split()[0]))
    return problems


def check_names(where, names, allowed, required):
    problems = ["%s: defines %s" % (where, name) for name in sorted(names)
                if not name.startswith("pm_") and name not in allowed]
    problems += ["%s: lacks %s" % (where, name) for name in sorted(required - names)]
    return problems


def check(args, required=None):
    if required is None:
        required = (FAMILY | EXTRAS | {"pm_" + name for name in FAMILY | EXTRAS} | DOMAINS | HOOKS
                    | OTHERS | OPERATORS)
    where = os.path.basename(args.shared)
    allowed = FAMILY | EXTRAS | OTHERS | OPERATORS
    problems = check_names(where, defined(args.nm, args.shared, "-D"), allowed, required)
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", run(args.readelf, "-dW", args.shared)):
        if not NEEDED_ALLOWED.match(name):
            problems.append("%s: needs %s" % (where, name))
    problems += check_versions(args.nm, args.shared)
    problems += check_names(os.path.basename(args.static), defined(args.nm, args.static, "-g"),
                            allowed | PROBES, required)
    problems += check_names(os.path.basename(args.static_pm),
                            defined(args.nm, args.static_pm, "-g"), PROBES,
                            {name for name in required if name.startswith("pm_")})
    return problems


def check_fixture(root, cc):
    """Build the three libraries of a fixture and check them."""
    def path(name):
        return os.path.join(root, name)
    # The fixture defines malloc: keep the compiler from knowing its type.
    flags = ["-fPIC", "-fvisibility=hidden", "-fno-builtin", "-w", "-DE=visibility(\"default\")"]
    libraries = {"shared": path("libx.so"), "static": path("libx.a"), "static_pm": path("libpm.a")}
    run(cc, *flags, "-shared", "-Wl,--no-as-needed", "-o", libraries["shared"], path("full.c"),
        "-Wl,--version-script=" + path("map"), *open(path("libs"), encoding="utf-8").read().split())
    for archive, source in ((libraries["static"], "full.c"), (libraries["static_pm"], "pm.c")):
        run(cc, *flags, "-c", "-o", path("x.o"), path(source))
        run("ar", "rc", archive, path("x.o"))
    args = argparse.Namespace(nm="nm", readelf="readelf", **libraries)
    return check(args, {"malloc", "pm_malloc"})


PM = "__attribute__((E)) void *pm_malloc(void) { return 0; }\n"
FULL = PM + "__attribute__((E)) void *malloc(void) { return 0; }\n"
GOOD = {"full.c": FULL + "int pm_inner(void) { return 0; }\n", "pm.c": PM, "libs": "",
        "map": "POOLMALLOC_0.1 { global: pm_*; };\n"}
BAD = [
    ({"full.c": FULL + "__attribute__((E)) int helper;\n"}, "libx.so: defines helper"),
    ({"full.c": FULL + "int hidden_helper(void) { return 0; }\n"}, "libx.a: defines hidden_helper"),
    ({"full.c": PM}, "libx.so: lacks malloc"),
    ({"full.c": FULL.replace("__attribute__((E)) void *malloc", "void *malloc")},
     "libx.so: lacks malloc"),
    ({"libs": "-lm"}, "libx.so: needs libm"),
    ({"map": "POOLMALLOC_0.1 { global: pm_*; malloc; };\n"},
     "libx.so: malloc@@POOLMALLOC_0.1 has a version"),
    ({"map": "POOLMALLOC_0.1 { global: pm_other; };\n"}, "libx.so: pm_malloc has no version"),
    ({"pm.c": FULL}, "libpm.a: defines malloc"),
    ({"pm.c": PM + "__attribute__((E)) void _ZdlPv(void) {}\n"}, "libpm.a: defines _ZdlPv"),
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--readelf", default="readelf")
    for option in ("--shared", "--static", "--static-pm"):
        parser.add_argument(option, default=None)
    options = parser.parse_args()
    if options.self_test:
        sys.exit(self_test(lambda root: check_fixture(root, options.cc), GOOD, BAD))
    if not (options.shared and options.static and options.static_pm):
        parser.error("--shared, --static and --static-pm are needed")
    sys.exit(finish("exports", check(options)))
