# SPDX-License-Identifier: MIT
"""Which allocators are compared, where their libraries are, and whether a preload took effect."""

import dataclasses
import glob
import os
import subprocess

from comparison.process import Failure, environment, mallocs_counted, run, with_stats_file

PROBE_SECONDS = 60
BASELINES = ("glibc", "jemalloc")
SUBJECT = "poolmalloc"
MODES = ("debug", "hardened")  # of the subject, that --mode adds as columns
DEFAULT = BASELINES + (SUBJECT,)
LIBRARIES = {
    "jemalloc": ("libjemalloc.so.2",),
    "mimalloc": ("libmimalloc.so.3", "libmimalloc.so.2.0", "libmimalloc.so.2", "libmimalloc.so"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4"),
    "tbbmalloc": ("libtbbmalloc_proxy.so.2", "libtbbmalloc_proxy.so"),
}
OPTIONAL = ("mimalloc", "tcmalloc", "tbbmalloc")
KNOWN = DEFAULT + OPTIONAL
PACKAGES = {"jemalloc": "libjemalloc2", "mimalloc": "libmimalloc2.0",
            "tcmalloc": "libtcmalloc-minimal4", "tbbmalloc": "libtbbmalloc2"}
# The same as poolmalloc, but that it counts events, and is slower for it.
COUNTED = "libpoolmalloc_counted.so"
FOLDERS = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/lib/*-linux-gnu", "/usr/local/lib")


@dataclasses.dataclass
class Allocator:
    name: str
    preload: str = None  # None: the C library's own, without a preload
    provider: str = None  # the file that served a probe run
    version: str = None
    variables: dict = dataclasses.field(default_factory=dict)  # of its own, in the environment

    def environment(self, **extra):
        return environment(self.preload, **self.variables, **extra)


def ldconfig_paths():
    for tool in ("/sbin/ldconfig", "/usr/sbin/ldconfig"):
        try:
            listed = subprocess.run([tool, "-p"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return [line.split(" => ")[1].strip() for line in listed.stdout.splitlines()
                if " => " in line]
    return []


def find_library(names):
    cached = ldconfig_paths()
    for name in names:
        in_folders = [path for folder in FOLDERS
                      for path in sorted(glob.glob(os.path.join(folder, name)))]
        for path in [p for p in cached if os.path.basename(p) == name] + in_folders:
            if os.path.isfile(path):
                return path
    return None


def find_in_build(build, name):
    for pattern in ("lib/" + name, name, "lib/*/" + name):
        found = sorted(glob.glob(os.path.join(build, pattern)))
        if found:
            return found[0]
    return None


def is_installed(name):
    return find_library(LIBRARIES[name]) is not None


def package_version(path):
    """Of the Debian package that the file is of; None for any other file."""
    try:
        owner = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True,
                               check=True).stdout.split(":")[0]
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", owner],
                              capture_output=True, text=True, check=True).stdout or None
    except (OSError, subprocess.CalledProcessError):
        return None


def libc_version():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION").split()[-1]
    except (ValueError, OSError, AttributeError):
        return None  # another C library


def find(name, build):
    """The allocator of that known name. Raises Failure when its library is not there."""
    if name == "glibc":
        return Allocator(name, version=libc_version())
    if name == SUBJECT:
        path = find_in_build(build, "libpoolmalloc.so")
        advice = "build it first: sh bench/compare.sh does"
    else:
        path = find_library(LIBRARIES[name])
        advice = "install the package " + PACKAGES[name]
    if path is None:
        raise Failure("library not found: %s" % advice)
    path = os.path.realpath(path)
    return Allocator(name, path, version=package_version(path))


def in_mode(mode, build):
    """poolmalloc in another mode than its default, as a column of its own."""
    subject = find(SUBJECT, build)
    return Allocator("%s-%s" % (SUBJECT, mode), subject.preload, version=subject.version,
                     variables={"POOLMALLOC": mode})


def counted(build):
    """poolmalloc with its events counted, or None when it was not built."""
    path = find_in_build(build, COUNTED)
    return Allocator(SUBJECT, os.path.realpath(path)) if path else None


def providers(allocator, program):
    out = run([program, "--provider"], allocator.environment(), PROBE_SECONDS)
    return dict(line.split("\t") for line in out.splitlines())


def is_provider(allocator, path):
    """Is `path`, the file that a run says malloc came from, this allocator's?"""
    if allocator.preload is None:
        return os.path.basename(path).startswith("libc.so")
    return os.path.exists(path) and os.path.samefile(path, allocator.preload)


def probe(allocator, program, folder):
    """Raises Failure unless the allocator really serves a program that is run under it."""
    for function, path in providers(allocator, program).items():
        if not is_provider(allocator, path):
            raise Failure("the preload did not take effect: %s comes from %s"
                          % (function, os.path.basename(path)))
        if function == "malloc":
            allocator.provider = path
    if allocator.name == SUBJECT:
        probe_counters(allocator, program, folder)


def probe_counters(allocator, program, folder):
    """poolmalloc must have counted the probe's allocations itself."""
    stats = os.path.join(folder, "probe-stats")
    env = with_stats_file(allocator.environment(), stats)
    run([program, "--row=batches/64-fifo", "--scale=0.001"], env, PROBE_SECONDS)
    if mallocs_counted(stats) < 5000:
        raise Failure("its own counters do not show the 5000 allocations of a probe run")
