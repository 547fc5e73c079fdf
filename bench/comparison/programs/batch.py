# SPDX-License-Identifier: MIT
"""Rows of programs that run once and end: an interpreter, a compiler, a database in memory.

Time is the CPU time, user and system, of the program and its children; the peak is that of its
largest process. What it prints must be the same under every allocator.
"""

import contextlib
import hashlib
import os
import subprocess

from comparison.process import Failure, exit_words, last_lines
from comparison.programs import tools
from comparison.programs.family import Family, Sampler
from comparison.programs.provider import Provider
from comparison.rows import Row, Sample

LIMIT_SECONDS = 120
SAMPLE_SECONDS = 0.025
# Even an empty program allocates for its start.
START_MALLOCS = 20


class Used:
    """What pm_run has reported of one run."""

    def __init__(self, text):
        values = dict(line.split() for line in text.splitlines())
        self.code = int(values["code"])
        self.cpu_ns = (int(values["user_us"]) + int(values["system_us"])) * 1000
        self.peak_kib = int(values["peak_kib"])
        self.faults = int(values["faults"])


@contextlib.contextmanager
def on_core(core):
    """What is started meanwhile runs there; None: anywhere."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run(argv, env, preload, folder, core=None, sampled=False):
    """(Used, what was printed, memory samples) of one run. Raises Failure unless it ended well."""
    report = os.path.join(folder, "used")
    out_path, err_path = os.path.join(folder, "stdout"), os.path.join(folder, "stderr")
    with open(out_path, "wb") as out, open(err_path, "wb") as err, on_core(core):
        child = subprocess.Popen([tools.own("pm_run"), report] + argv,
                                 env=dict(env, PM_RUN_PRELOAD=preload), cwd=folder,
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 start_new_session=True)
    family = Family(child, many=True)
    sampler = Sampler(family, SAMPLE_SECONDS)
    try:
        if sampled:
            sampler.start()
        code = child.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure("no result after %g s: killed" % LIMIT_SECONDS, tail(err_path)) from None
    finally:
        sampler.stop()
        family.kill()
    if code != 0:
        raise Failure("pm_run: " + exit_words(code), tail(err_path))
    with open(report, encoding="ascii") as file:
        used = Used(file.read())
    if used.code != 0:
        raise Failure(exit_words(used.code), tail(err_path))
    with open(out_path, "rb") as file:
        return used, file.read(), sampler.samples


def tail(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return last_lines(file.read())


class BatchRow(Row):
    """`program` is what does the work, as the kernel calls it; of `package`. Subclasses say by
    command() how to run it, and by start_command() how to start it with nothing to do."""

    def __init__(self, name, what, program, package, count):
        super().__init__(name, "program", "cpu", 1, what, "run")
        self.repeatable = self.one_core = self.has_share = True
        self.program = program
        self.package = package
        self.count = count
        self.printed = {}  # scale: (hash, of which allocator), of the first run

    def command(self, scale):
        raise NotImplementedError

    def start_command(self):
        raise NotImplementedError

    def variables(self, _allocator):
        return {}

    def check_start(self, allocator, printed):
        """For what can only be seen by the program itself."""

    def measure(self, allocator, scale, folder, core=None):
        tools.program(self.command(scale)[0], self.package)
        start_kib = self.start(allocator, folder)
        env = allocator.environment(**self.variables(allocator))
        preload = env.pop("LD_PRELOAD", "")
        used, printed, memory = run(self.command(scale), env, preload, folder, core,
                                    sampled=True)
        self.compare_output(allocator, scale, printed)
        if used.cpu_ns <= 0:
            raise Failure("no time was measured")
        return Sample({"time_ns": used.cpu_ns, "peak_rss_kib": used.peak_kib,
                       "rss_start_kib": start_kib, "page_faults": used.faults},
                      details={"memory": memory})

    def start(self, allocator, folder):
        """Starts the program without a load: the memory that this takes, and who serves it."""
        provider = Provider(allocator, folder)
        env = provider.environment(**self.variables(allocator))
        used, printed, _ = run(self.start_command(), env, provider.preload, folder)
        provider.check(self.program)
        provider.check_counters(self.program, START_MALLOCS)
        self.check_start(allocator, printed)
        return used.peak_kib

    def compare_output(self, allocator, scale, printed):
        if not printed:
            raise Failure("%s printed nothing" % self.program)
        digest = hashlib.sha256(printed).hexdigest()
        first, name = self.printed.setdefault(scale, (digest, allocator.name))
        if first != digest:
            raise Failure("the output is not the same as under %s" % name)
