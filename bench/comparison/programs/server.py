# SPDX-License-Identifier: MIT
"""Rows of servers: a fresh server for each sample, on loopback or a unix socket, always ended.

Time is the CPU time of the server, user and system, all its processes, per request of the load.
Throughput and the latencies are the load generator's, which runs on the same machine, without a
preload. Of the memory: after the start, at the peak, right after the load when its
clients have gone, and LATER_SECONDS after that; until then the server lingers, and other rows run.
"""

import os
import signal
import subprocess
import time

from comparison.process import Failure, exit_words, last_lines
from comparison.programs.family import Family, Sampler
from comparison.programs.provider import Provider
from comparison.rows import Row, Sample

LATER_SECONDS = 60
LATER_SECONDS_QUICK = 5  # when the scale is below 1: says little, but shows that it works
START_SECONDS = 20
LOAD_SECONDS = 120
STOP_SECONDS = 30
POLL_SECONDS = 0.01
SAMPLE_SECONDS = 0.05
SAMPLE_SECONDS_OF_MANY = 0.2  # reading what processes share takes a lock of each
LINGER_SAMPLE_SECONDS = 10
# The server has to notice that its clients have gone; and one process a client has to end.
AFTER_SECONDS = 0.2
PROCESSES_GONE_SECONDS = 5


class Load:
    """What a load was: so many requests, their seconds, the latency of which 99 % are below."""

    def __init__(self, requests, seconds, p99_us):
        if requests <= 0 or seconds <= 0:
            raise Failure("no request was measured")
        self.requests = requests
        self.seconds = seconds
        self.p99_us = p99_us


class Server:
    """A started server: `name` in messages, what it prints in a file, its processes in a family."""

    def __init__(self, name, argv, env, folder, *, many=False, user=None):
        self.name = name
        self.folder = folder
        self.log_path = os.path.join(folder, "log")
        with open(self.log_path, "wb") as log:
            child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=subprocess.STDOUT, start_new_session=True, cwd=folder,
                                     **(user or {}))
        self.child = child
        self.family = Family(child, many)
        self.sampler = Sampler(self.family, SAMPLE_SECONDS_OF_MANY if many else SAMPLE_SECONDS)

    def failure(self, words):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return Failure("%s: %s" % (self.name, words), last_lines(log.read()))

    def check_lives(self):
        code = self.child.poll()
        if code is not None:
            raise self.failure(exit_words(code))

    def wait_ready(self, is_ready):
        """`is_ready()` may raise OSError, as connections do that are refused."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self.check_lives()
            try:
                if is_ready():
                    return
            except (OSError, subprocess.SubprocessError):
                pass
            time.sleep(POLL_SECONDS)
        raise self.failure("did not start in %g s" % START_SECONDS)

    def run_tool(self, argv, env):
        """What a load generator prints. Raises Failure when it, or the server, fails or hangs."""
        with open(os.path.join(self.folder, "tool"), "wb+") as out:
            tool = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=subprocess.STDOUT, start_new_session=True,
                                    cwd=self.folder)
            try:
                code = self.wait_for(tool)
            finally:
                if tool.poll() is None:
                    tool.kill()
                    tool.wait()
            out.seek(0)
            said = out.read().decode("utf-8", "replace")
        if code != 0:
            self.give_a_moment()
            self.check_lives()
            failure = self.failure("%s: %s" % (os.path.basename(argv[0]), exit_words(code)))
            failure.detail = last_lines(said) + failure.detail
            raise failure
        return said

    def wait_for(self, tool):
        end = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < end:
            try:
                return tool.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                self.check_lives()
        raise self.failure("the load did not end in %g s: killed" % LOAD_SECONDS)

    def give_a_moment(self):
        """For a server that breaks its connections because it is dying: so that it can be said of
        what."""
        try:
            self.child.wait(1)
        except subprocess.TimeoutExpired:
            pass

    def stop(self, stop_signal):
        self.check_lives()
        self.child.send_signal(stop_signal)
        try:
            code = self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise self.failure("did not stop in %g s: killed" % STOP_SECONDS) from None
        if code != 0:
            raise self.failure("at its end: " + exit_words(code))

    def kill(self):
        self.sampler.stop()
        self.family.kill()


def wait_until_clients_are_gone(family, processes):
    """`processes`: how many there were before the load."""
    time.sleep(AFTER_SECONDS)
    end = time.monotonic() + PROCESSES_GONE_SECONDS
    while len(family.look()) > processes and time.monotonic() < end:
        time.sleep(POLL_SECONDS)


class Later:
    """A server that lingers after its load. collect() may raise Failure: a server that has died
    since, or does not stop, or was not served by its allocator."""

    def __init__(self, row, server, provider, requests, seconds):
        self.row = row
        self.server = server
        self.provider = provider
        self.requests = requests
        self.due = time.monotonic() + seconds

    def collect(self):
        try:
            self.server.check_lives()
            resident = self.server.family.resident_kib()
            self.server.sampler.stop()
            self.server.stop(self.row.stop_signal)
            self.provider.check_counters(self.row.program, self.row.least_mallocs(self.requests))
        finally:
            self.server.kill()
        return {"rss_later_kib": resident}

    def abandon(self):
        self.server.kill()


class ServerRow(Row):
    """`program` is the server as the kernel calls it. Subclasses start it, say when it is ready,
    and load it."""

    many = False
    stop_signal = signal.SIGTERM
    copied = False  # see Provider
    c_library = False

    def __init__(self, name, what, program, threads=1):
        super().__init__(name, "program", "cpu", threads, what, "request")
        self.program = program

    def start(self, provider, scale, folder):
        """A Server. What fails for lack of a package, fails here."""
        raise NotImplementedError

    def is_ready(self, server):
        raise NotImplementedError

    def load(self, server, scale):
        raise NotImplementedError

    def check(self, allocator, server):
        """After the load, for what the server itself can say."""

    def least_mallocs(self, requests):
        """So many allocations the busiest process must have made."""
        return requests // 4

    def measure(self, allocator, scale, folder, _core=None):
        provider = Provider(allocator, folder, self.copied, self.c_library)
        server = self.start(provider, scale, folder)
        try:
            server.wait_ready(lambda: self.is_ready(server))
            provider.check(self.program)
            values, requests = self.measure_load(server, scale)
            self.check(allocator, server)
        except BaseException:
            server.kill()
            raise
        seconds = LATER_SECONDS if scale >= 1 else LATER_SECONDS_QUICK
        server.sampler.interval_seconds = LINGER_SAMPLE_SECONDS
        return Sample(values, Later(self, server, provider, requests, seconds),
                      {"memory": server.sampler.samples})

    def measure_load(self, server, scale):
        family, sampler = server.family, server.sampler
        start_kib, processes = family.resident_kib(), len(family.look())
        cpu_before, faults_before = family.cpu_seconds(), family.faults()
        sampler.start()
        load = self.load(server, scale)
        wait_until_clients_are_gone(family, processes)
        server.check_lives()
        spent = family.cpu_seconds() - cpu_before
        faults = family.faults() - faults_before
        return {
            "time_ns": spent * 1e9 / load.requests,
            "throughput_per_s": load.requests / load.seconds,
            "p99_us": load.p99_us,
            "rss_start_kib": start_kib,
            "rss_after_kib": family.resident_kib(),
            "peak_rss_kib": family.peak_kib() or sampler.peak_kib(),
            "page_faults": faults,
        }, load.requests
