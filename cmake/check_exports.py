#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the libraries define and need:

    check_exports.py --shared SO --static A --static-pm A [--nm NM] [--readelf READELF]
                     [--object-shared SO --object-static A --include DIR]
    check_exports.py --self-test --cc CC

The shared library exports the malloc family, C++'s operators, pm_ names and
those of other allocators, all that it must and nothing else, and needs the C library only.
Its pm_ names have a version, the others have none. If its relocations are packed, a C library
that cannot read them refuses it by name (cmake/relocations.cmake).
The static libraries put no other name into a program's namespace, and
poolmalloc_pm no malloc.
The library of the object layer exports what its headers in DIR declare, with a
version of its own, and needs libpoolmalloc and the C library only.
"""

import argparse
import itertools
import os
import re
import subprocess
import sys

from check_common import OBJECT_HEADERS, finish, read, self_test, strip_comments

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
VERSION = re.compile(r"POOL(MALLOC|OBJECT)_[0-9]+\.[0-9]+")
NEEDED_ALLOWED = re.compile(r"^(libc\.so(\.6)?|libc\.musl-.*|ld-(linux|musl).*)$")
LOWER = "libpoolmalloc.so.0"


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


def check_packed(readelf, path):
    packed = "(RELR)" in run(readelf, "-dW", path)
    if packed and "GLIBC_ABI_DT_RELR" not in run(readelf, "-VW", path):
        return ["%s: an older loader would leave its pointers as they are" % os.path.basename(path)]
    return []


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
    problems += check_packed(args.readelf, args.shared)
    problems += check_names(os.path.basename(args.static), defined(args.nm, args.static, "-g"),
                            allowed | PROBES, required)
    problems += check_names(os.path.basename(args.static_pm),
                            defined(args.nm, args.static_pm, "-g"), PROBES,
                            {name for name in required if name.startswith("pm_")})
    return problems


def declared(folder):
    """The functions and variables that the headers of the object layer declare."""
    paths = [os.path.join(folder, "poolmalloc", name) for name in OBJECT_HEADERS]
    text = "".join(strip_comments(read(path)) for path in paths if os.path.exists(path))
    return set(re.findall(r"^PM_API [^;(]*?\b(pm_\w+)(?:\(|;|\s+__attribute__)", text, re.M))


def check_object(args, lower_names):
    """The object layer's libraries have what its headers declare, and nothing of those below."""
    where = os.path.basename(args.object_shared)
    required = declared(args.include)
    exported = defined(args.nm, args.object_shared, "-D")
    problems = ["%s: exports %s" % (where, name) for name in sorted(exported - required)]
    problems += ["%s: lacks %s" % (where, name) for name in sorted(required - exported)]
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", run(args.readelf, "-dW", args.object_shared)):
        if not NEEDED_ALLOWED.match(name) and name != LOWER:
            problems.append("%s: needs %s" % (where, name))
    problems += ["%s: %s has another version" % (where, line.split()[0])
                 for line in run(args.nm, "-D", "--defined-only", "-P",
                                 args.object_shared).splitlines()
                 if "@@POOLOBJECT_" not in line and not line.startswith("POOLOBJECT_")]
    where = os.path.basename(args.object_static)
    inner = defined(args.nm, args.object_static, "-g")
    problems += check_names(where, inner, set(), required)
    return problems + ["%s: defines %s, as libpoolmalloc does" % (where, name)
                       for name in sorted(inner & lower_names)]


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
    problems = check(args, {"malloc", "pm_malloc"})
    args.object_shared, args.object_static = path("libo.so"), path("libo.a")
    args.include = root
    run(cc, *flags, "-shared", "-Wl,--no-as-needed", "-o", args.object_shared, path("object.c"),
        "-Wl,--version-script=" + path("object_map"))
    run(cc, *flags, "-c", "-o", path("o.o"), path("object.c"))
    run("ar", "rc", args.object_static, path("o.o"))
    return problems + check_object(args, defined("nm", args.static_pm, "-g"))


PM = "__attribute__((E)) void *pm_malloc(void) { return 0; }\n"
FULL = PM + "__attribute__((E)) void *malloc(void) { return 0; }\n"
GOOD = {"full.c": FULL + "int pm_inner(void) { return 0; }\n", "pm.c": PM, "libs": "",
        "map": "POOLMALLOC_0.1 { global: pm_*; };\n",
        "object.c": "__attribute__((E)) void pm_o(void) {}\n__attribute__((E)) int pm_v;\n",
        "object_map": "POOLOBJECT_0.1 { global: pm_*; };\n",
        "poolmalloc/object.h": "PM_API void pm_o(void);\nPM_API extern int pm_v;\n",
        "poolmalloc/qsbr.h": "/* PM_API void pm_none(void); */\n"}
BAD = [
    ({"full.c": FULL + "__attribute__((E)) int helper;\n"}, "libx.so: defines helper"),
    ({"full.c": FULL + "int hidden_helper(void) { return 0; }\n"}, "libx.a: defines hidden_helper"),
    ({"full.c": PM}, "libx.so: lacks malloc"),
    ({"full.c": FULL.replace("__attribute__((E)) void *malloc", "void *malloc")},
     "libx.so: lacks malloc"),
    ({"libs": "-lm"}, "libx.so: needs libm"),
    ({"full.c": FULL + "static int n; int *pm_p = &n;\n",
      "libs": "-nostdlib -Wl,-z,pack-relative-relocs"}, "libx.so: an older loader would leave"),
    ({"map": "POOLMALLOC_0.1 { global: pm_*; malloc; };\n"},
     "libx.so: malloc@@POOLMALLOC_0.1 has a version"),
    ({"map": "POOLMALLOC_0.1 { global: pm_other; };\n"}, "libx.so: pm_malloc has no version"),
    ({"pm.c": FULL}, "libpm.a: defines malloc"),
    ({"pm.c": PM + "__attribute__((E)) void _ZdlPv(void) {}\n"}, "libpm.a: defines _ZdlPv"),
    ({"poolmalloc/object.h": "PM_API void pm_o(void);\n"}, "libo.so: exports pm_v"),
    ({"poolmalloc/qsbr.h": "PM_API int pm_q(int);\n"}, "libo.so: lacks pm_q"),
    ({"object.c": GOOD["object.c"] + PM, "poolmalloc/qsbr.h": "PM_API void *pm_malloc(void);\n"},
     "libo.a: defines pm_malloc, as libpoolmalloc does"),
    ({"object.c": GOOD["object.c"] + "int helper;\n"}, "libo.a: defines helper"),
    ({"object_map": "POOLMALLOC_0.1 { global: pm_*; };\n"}, "has another version"),
]



def bad_cases(cc):
    """Without those that its linker cannot make."""
    known = subprocess.run([cc, "-Wl,--help"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           text=True, check=False).stdout
    return [case for case in BAD
            if "pack-relative-relocs" in known or "older loader" not in case[1]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--readelf", default="readelf")
    for option in ("--shared", "--static", "--static-pm", "--object-shared", "--object-static",
                   "--include"):
        parser.add_argument(option, default=None)
    options = parser.parse_args()
    if options.self_test:
        sys.exit(self_test(lambda root: check_fixture(root, options.cc), GOOD,
                           bad_cases(options.cc)))
    if not (options.shared and options.static and options.static_pm):
        parser.error("--shared, --static and --static-pm are needed")
    found = check(options)
    if options.object_shared:
        found += check_object(options, defined(options.nm, options.static_pm, "-g"))
    sys.exit(finish("exports", found))
