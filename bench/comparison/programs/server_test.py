# SPDX-License-Identifier: MIT
"""Tests of the rows of servers, with servers made up here that do not work.

ctest says in the environment where the programs are; without, nothing is run.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest
from unittest import mock

from comparison.allocators import Allocator
from comparison.process import Failure
from comparison.programs import family, nginx, postgres, provider, replay, server, tools
from comparison.programs.family import is_alive

PROGRAM = os.environ.get("PM_BENCH_PROGRAM")
PYTHON = "/usr/bin/python3"
GLIBC = Allocator("glibc")
# Answers each line by "pong"; what else it does, the argument says.
SCRIPT = """
import os, signal, socket, subprocess, sys, time
mode = sys.argv[1]
print("mode", mode, flush=True)
if mode == "refuse":
    sys.exit("no such configuration")
if mode == "family":  # a child in a session of its own, as PostgreSQL has
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    open("child", "w").write(str(child.pid))
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if mode == "deaf":
    time.sleep(1000)
listener = socket.socket(socket.AF_UNIX)
listener.bind("socket")
listener.listen(20)
answered = 0
connections = []
import select
while True:
    ready, _, _ = select.select([listener] + connections, [], [])
    for one in ready:
        if one is listener:
            connections.append(listener.accept()[0])
            continue
        data = one.recv(65536)
        if not data:
            connections.remove(one)
            continue
        answered += data.count(b"ping")
        if answered > 20 and mode in ("abort", "family"):
            print("this was one too many", flush=True)
            os.abort()
        if answered > 20 and mode == "silent":
            time.sleep(1000)
        one.sendall(b"pong\\n" * data.count(b"ping"))
"""


class FakeRow(replay.ReplayRow):
    last, ending = b"last ping\n", b"pong\n"

    def __init__(self, mode):
        super().__init__("fake/" + mode, "a test", "python3",
                         lambda count: [b"nothing\n"] * count, 1600)
        self.mode = mode
        self.many = mode == "family"
        self.started = None

    def start(self, provider_, scale, folder):
        self.started = server.Server(self.program, [PYTHON, "-S", "-c", SCRIPT, self.mode],
                                     provider_.server_environment(), folder, many=self.many)
        return self.started


@unittest.skipUnless(PROGRAM, "run by ctest")
class ServerTest(unittest.TestCase):
    def setUp(self):
        tools.use_build(os.path.dirname(os.path.dirname(PROGRAM)))
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        for name, value in (("START_SECONDS", 1), ("LOAD_SECONDS", 2), ("STOP_SECONDS", 1),
                            ("LATER_SECONDS_QUICK", 0.2)):
            patch = mock.patch.object(server, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def fails(self, mode, words):
        """The row must fail with those words in bounded time, and leave no process."""
        row = FakeRow(mode)
        start = time.monotonic()
        with self.assertRaisesRegex(Failure, words) as caught:
            row.measure(GLIBC, 0.5, self.folder)
        self.assertLess(time.monotonic() - start, 20)
        self.assertFalse(is_alive(row.started.child.pid))
        return caught.exception

    def test_a_server_that_aborts_under_load_is_named_with_its_last_words(self):
        failure = self.fails("abort", "python3: killed by SIGABRT")
        self.assertIn("this was one too many", failure.detail)

    def test_a_server_that_ends_at_once_is_named_with_its_last_words(self):
        failure = self.fails("refuse", "python3: exit status 1")
        self.assertIn("no such configuration", failure.detail)

    def test_a_server_that_never_listens_is_a_failure_in_bounded_time(self):
        self.fails("deaf", "python3: did not start in 1 s")

    def test_a_server_that_falls_silent_is_a_failure_in_bounded_time(self):
        self.fails("silent", "python3: the load did not end in 2 s: killed")

    def test_what_a_dead_server_leaves_in_another_session_is_ended(self):
        self.fails("family", "python3: killed by SIGABRT")
        with open(os.path.join(self.folder, "child"), encoding="ascii") as file:
            self.assertFalse(is_alive(int(file.read())))

    def test_a_sample_has_all_fields_and_the_last_one_later(self):
        row = FakeRow("serve")
        sample = row.measure(GLIBC, 0.5, self.folder)
        self.assertTrue(is_alive(row.started.child.pid))
        values = dict(sample.values, **sample.later.collect())
        self.assertFalse(is_alive(row.started.child.pid))
        self.assertEqual(sorted(values), [
            "p99_us", "page_faults", "peak_rss_kib", "rss_after_kib", "rss_later_kib",
            "rss_start_kib", "throughput_per_s", "time_ns"])
        self.assertGreater(min(value for name, value in values.items() if name != "page_faults"), 0)
        self.assertGreaterEqual(values["peak_rss_kib"], values["rss_start_kib"])
        self.assertTrue(sample.details["memory"])

    def test_abandon_ends_a_lingering_server(self):
        row = FakeRow("serve")
        row.measure(GLIBC, 0.5, self.folder).later.abandon()
        self.assertFalse(is_alive(row.started.child.pid))

    def test_a_server_that_dies_while_it_lingers_is_a_failure(self):
        row = FakeRow("serve")
        sample = row.measure(GLIBC, 0.5, self.folder)
        os.kill(row.started.child.pid, signal.SIGSEGV)
        row.started.child.wait()
        with self.assertRaisesRegex(Failure, "python3: killed by SIGSEGV"):
            sample.later.collect()

    def test_a_server_that_does_not_stop_is_killed_and_named(self):
        row = FakeRow("stubborn")
        sample = row.measure(GLIBC, 0.5, self.folder)
        with self.assertRaisesRegex(Failure, "python3: did not stop in 1 s: killed"):
            sample.later.collect()
        self.assertFalse(is_alive(row.started.child.pid))

    def test_an_interrupt_ends_the_server(self):
        row = FakeRow("serve")
        row.load = mock.Mock(side_effect=KeyboardInterrupt)
        with self.assertRaises(KeyboardInterrupt):
            row.measure(GLIBC, 0.5, self.folder)
        self.assertFalse(is_alive(row.started.child.pid))

    def test_a_library_without_malloc_is_not_taken_for_an_allocator(self):
        no_malloc = Allocator("none", os.environ["PM_BENCH_NO_MALLOC"])
        row = FakeRow("serve")
        with self.assertRaisesRegex(Failure, "did not take effect: malloc comes from libc"):
            row.measure(no_malloc, 0.5, self.folder)
        self.assertFalse(is_alive(row.started.child.pid))

    def test_counters_that_do_not_show_the_load_are_a_failure(self):
        found = provider.Provider(Allocator("poolmalloc"), self.folder)
        with open(found.stats, "w", encoding="ascii") as file:
            file.write("poolmalloc statistics (pid 1)\nmallocs: 12\n")
        found.check_counters("python3", 12)
        with self.assertRaisesRegex(Failure, "show 12 allocations, not 13"):
            found.check_counters("python3", 13)


class MissingTest(unittest.TestCase):
    def test_a_program_that_is_not_installed_is_named_with_its_package(self):
        with self.assertRaisesRegex(Failure, "nonesuch not found: install the package libnone"):
            tools.program("nonesuch", "libnone")

    def test_a_row_of_a_missing_server_is_there_and_fails(self):
        (row,) = nginx.all_rows()
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(tools, "MORE_FOLDERS", ()), \
                mock.patch.object(provider.tools, "own", lambda name: "/" + name), \
                mock.patch.dict(os.environ, {"PATH": folder}):
            with self.assertRaisesRegex(Failure, "nginx not found: install .* nginx-light"):
                row.measure(GLIBC, 1, folder)

    def test_helpers_that_are_not_built_are_named(self):
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(tools, "_build", [folder]):
            with self.assertRaisesRegex(Failure, "pm_run is not built: run sh bench/compare.sh"):
                tools.own("pm_run")


class FamilyTest(unittest.TestCase):
    def test_a_free_port_can_be_bound(self):
        port = nginx.free_port()
        with socket.socket() as again:
            again.bind(("127.0.0.1", port))

    def test_the_user_of_postgres_is_only_needed_by_root(self):
        with mock.patch.object(os, "geteuid", lambda: 1000):
            self.assertEqual(postgres.user_options(), {})

    def test_memory_of_a_family_counts_children(self):
        # pylint: disable=consider-using-with
        child = subprocess.Popen(["sh", "-c", "sleep 1000 & sleep 1000"], start_new_session=True)
        found = family.Family(child, many=True)
        try:
            end = time.monotonic() + 10
            while len(found.look()) < 3 and time.monotonic() < end:
                time.sleep(0.01)
            self.assertEqual(len(found.look()), 3)
            self.assertGreater(found.resident_kib(), 0)
        finally:
            found.kill()
        self.assertEqual(found.look(), {})


if __name__ == "__main__":
    unittest.main()
