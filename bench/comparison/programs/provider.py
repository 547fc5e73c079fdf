# SPDX-License-Identifier: MIT
"""Does a program that runs under an allocator really get its memory from it?

A small library (bench/programs_provider.c), preloaded beside the allocator, writes down which file
each started program has its malloc from.
"""

import os
import shutil

from comparison import allocators
from comparison.process import Failure, mallocs_counted, with_stats_file
from comparison.programs import tools

LIBRARY = "libpm_provider.so"
READABLE_BY_ALL = 0o755


class Provider:
    """The preload of one run and what is found out about it. `copied`: the libraries are copied to
    `folder` first, for a server whose user may not read them where they are. `c_library`: glibc is
    preloaded too, for a program that is linked to an allocator, which else would serve."""

    def __init__(self, allocator, folder, copied=False, c_library=False):
        self.allocator = allocator
        self.lines = os.path.join(folder, "providers")
        self.stats = os.path.join(folder, "statistics")
        self.library = allocator.preload
        if c_library and self.library is None:
            self.library = allocator.provider
        libraries = [path for path in (self.library, tools.own(LIBRARY)) if path]
        if copied:
            libraries = [copy(path, folder) for path in libraries]
            self.library = libraries[0] if self.library else None
        self.preload = ":".join(libraries)

    def environment(self, **extra):
        """Without LD_PRELOAD, which is `preload`."""
        env = self.allocator.environment(PM_PROVIDER_FILE=self.lines, **extra)
        env.pop("LD_PRELOAD", None)
        return with_stats_file(env, self.stats)

    def server_environment(self):
        return dict(self.environment(), LD_PRELOAD=self.preload)

    def check(self, name):
        """Raises Failure unless the program of that name was started and has its malloc from the
        allocator."""
        files = [path for program, path in self.started() if program == name]
        if not files:
            raise Failure("%s: the preload did not take effect" % name)
        for path in files:
            if not self.is_ours(path):
                raise Failure("%s: the preload did not take effect: malloc comes from %s"
                              % (name, os.path.basename(path)))

    def started(self):
        try:
            with open(self.lines, encoding="utf-8", errors="replace") as file:
                return [tuple(line.rstrip("\n").split("\t", 1)) for line in file]
        except OSError:
            return []

    def is_ours(self, path):
        if self.allocator.preload is None:
            return os.path.basename(path).startswith(("libc.so", "ld-musl", "libc.musl"))
        return os.path.exists(path) and os.path.samefile(path, self.library)

    def check_counters(self, name, at_least):
        """After the end: poolmalloc's own counters of the busiest process."""
        if self.allocator.name != allocators.SUBJECT:
            return
        counted = mallocs_counted(self.stats)
        if counted < at_least:
            raise Failure("%s: poolmalloc's own counters show %d allocations, not %d"
                          % (name, counted, at_least))


def copy(path, folder):
    target = os.path.join(folder, os.path.basename(path))
    shutil.copyfile(path, target)
    os.chmod(target, READABLE_BY_ALL)
    return target
