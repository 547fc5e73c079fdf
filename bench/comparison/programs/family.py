# SPDX-License-Identifier: MIT
"""A started program with all its processes: finding, measuring and ending them."""

import atexit
import ctypes
import os
import re
import signal
import threading
import time

from comparison.process import Failure

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
END_SECONDS = 10
_libc = ctypes.CDLL(None)


def read(path):
    """The text of a file of /proc; empty when the process is gone or not ours."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


class Stat:
    """What /proc/PID/stat says. Raises ValueError for a process that is gone."""

    def __init__(self, pid):
        text = read("/proc/%d/stat" % pid)
        if not text:
            raise ValueError(pid)
        # After the name, which may hold blanks and parentheses.
        fields = text[text.rindex(")") + 2:].split()
        self.state = fields[0]
        self.parent = int(fields[1])
        self.faults = sum(int(fields[i]) for i in (7, 8, 9, 10))  # own, and of waited children
        self.children_seconds = (int(fields[13]) + int(fields[14])) / CLOCK_TICKS
        self.start = int(fields[19])


def all_stats():
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found[int(name)] = Stat(int(name))
            except ValueError:
                pass
    return found


def kib(text, field):
    match = re.search(r"^%s:\s*(\d+)" % field, text, re.MULTILINE)
    return int(match.group(1)) if match else 0


def cpu_seconds(pid):
    """User and system time of a living process, all its threads, to the nanosecond."""
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        return 0.0
    try:
        return time.clock_gettime(clock.value)
    except OSError:
        return 0.0


def is_alive(pid):
    """A process that only waits for its parent to notice its end is not."""
    try:
        return Stat(pid).state != "Z"
    except ValueError:
        return False


class Family:
    """A child of ours (`child`, a Popen that was started as the leader of a session) and all that
    descend from it, also those that made a session of their own. A process that was once seen is
    remembered, so that it is ended even when its parent has gone before."""

    living = set()  # of this process, to be ended when it ends

    def __init__(self, child, many=False):
        self.child = child
        self.many = many  # Is it more than one process?
        self.seen = {}  # pid: start time, which tells it from a later process of that number
        self.lock = threading.Lock()
        Family.living.add(self)

    def look(self):
        """{pid: Stat} of those that live now."""
        stats = all_stats() if self.many else {}
        if not self.many:
            try:
                stats = {self.child.pid: Stat(self.child.pid)}
            except ValueError:
                pass
        with self.lock:
            pids = {pid for pid, start in self.seen.items()
                    if pid in stats and stats[pid].start == start} | {self.child.pid}
            while True:
                more = {pid for pid, stat in stats.items() if stat.parent in pids} - pids
                if not more:
                    break
                pids |= more
            family = {pid: stats[pid] for pid in pids if pid in stats and stats[pid].state != "Z"}
            self.seen.update({pid: stat.start for pid, stat in family.items()})
        return family

    def resident_kib(self):
        """Of several processes the sum of their proportional shares (Pss) of anonymous and shared
        memory, so that what they share after fork counts once, and the files of the one that has
        most of these mapped. Not the Pss of files: servers of the same program that linger from
        other samples would have a share in it."""
        if not self.many:
            return kib(read("/proc/%d/status" % self.child.pid), "VmRSS")
        shares, files = 0, 0
        for pid in self.look():
            rollup = read("/proc/%d/smaps_rollup" % pid)
            shares += kib(rollup, "Pss_Anon") + kib(rollup, "Pss_Shmem")
            files = max(files, kib(read("/proc/%d/status" % pid), "RssFile"))
        return shares + files

    def peak_kib(self):
        """None for several processes: the peak of a sum is not the sum of peaks."""
        return None if self.many else kib(read("/proc/%d/status" % self.child.pid), "VmHWM")

    def cpu_seconds(self):
        """Of all that live, and of those that ended and were waited for: these to a hundredth of a
        second only."""
        return sum(cpu_seconds(pid) + stat.children_seconds
                   for pid, stat in self.look().items())

    def faults(self):
        return sum(stat.faults for stat in self.look().values())

    def kill(self):
        """Ends everything at once; whatever happened before."""
        self.many = True
        family = self.look()
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except OSError:
            pass  # nobody is left in it
        # What is forked before its parent is killed is found in the next turn.
        end = time.monotonic() + END_SECONDS
        while family and time.monotonic() < end:
            for pid in family:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            self.child.poll()
            family = self.look()
        self.child.wait()
        Family.living.discard(self)


class Sampler(threading.Thread):
    """Reads the resident memory from outside, until it is stopped."""

    def __init__(self, family, interval_seconds):
        super().__init__(daemon=True)
        self.family = family
        self.interval_seconds = interval_seconds
        self.samples = []  # [ms, resident_kib, None]
        self.begin = time.monotonic()
        self.stopped = threading.Event()

    def run(self):
        while True:
            self.take()
            if self.stopped.wait(self.interval_seconds):
                return

    def take(self):
        resident = self.family.resident_kib()
        if resident > 0:
            self.samples.append([round((time.monotonic() - self.begin) * 1000), resident, None])

    def stop(self):
        self.stopped.set()
        if self.is_alive():
            self.join()

    def peak_kib(self):
        if not self.samples:
            raise Failure("the resident memory cannot be read")
        return max(resident for _, resident, _ in self.samples)


def end_all():
    for family in list(Family.living):
        family.kill()


atexit.register(end_all)
