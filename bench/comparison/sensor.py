# SPDX-License-Identifier: MIT
"""How disturbed each core was at a time: slowed, as bench/pm_sensor.c senses it, or given to others
by a hypervisor, as the kernel counts it."""

import dataclasses
import mmap
import os
import statistics
import struct
import subprocess
import time

from comparison.process import Failure, exit_words

RECORDS = 4096  # of a ring; this and HEAD, RECORD as in pm_sensor.c
HEAD, RECORD = struct.Struct("QQ"), struct.Struct("QQ")
RING_BYTES = HEAD.size + RECORDS * RECORD.size
AT_BEST = 0.05  # the quantile of a core's times that counts as undisturbed
REVIEW_SECONDS = 2  # after which it is looked for again
RECENT_SECONDS = 0.02  # four times of a core
HOPE_SECONDS = 3.0  # in which a moment must have been quiet, that there will be one soon
NS = 1e9
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
STOLEN_MAX = 0.95


class Ring:
    """The times of one core."""

    def __init__(self, memory, offset):
        self.memory = memory
        self.offset = offset
        self.core = HEAD.unpack_from(memory, offset)[0]
        self.best_ns = None
        self.review = 0

    def count(self):
        return HEAD.unpack_from(self.memory, self.offset)[1]

    def record(self, number):
        """(when, what the loop took), of the number-th that was ever written."""
        place = self.offset + HEAD.size + number % RECORDS * RECORD.size
        return RECORD.unpack_from(self.memory, place)

    def taken_between(self, begin_ns, end_ns):
        """The latest first."""
        count, found = self.count(), []
        # The oldest few may be written over just now.
        for number in range(count - 1, max(-1, count - RECORDS + 16), -1):
            at_ns, taken_ns = self.record(number)
            if at_ns < begin_ns:
                break
            if at_ns <= end_ns:
                found.append(taken_ns)
        return found

    def best(self):
        """What the loop takes on the undisturbed core: of the best times that were ever seen."""
        if time.monotonic() >= self.review:
            self.review = time.monotonic() + REVIEW_SECONDS
            times = sorted(self.taken_between(0, time.monotonic_ns()))
            if times:
                now = times[int(len(times) * AT_BEST)]
                self.best_ns = min(now, self.best_ns or now)
        return self.best_ns

    def slowdown(self, begin_ns, end_ns):
        """0.1: the loop took 10 % longer than at best. None: nothing is known of that time."""
        best, times = self.best(), self.taken_between(begin_ns, end_ns)
        return statistics.fmean(times) / best - 1 if best and times else None

    def quiet_share(self, begin_ns, end_ns, limit):
        best, times = self.best(), self.taken_between(begin_ns, end_ns)
        if not best or not times:
            return 1.0
        return sum(taken <= best * (1 + limit) for taken in times) / len(times)


def stolen_seconds(text):
    """{core: seconds} that others had the core while something here wanted it, of /proc/stat."""
    words = [line.split() for line in text.splitlines()]
    return {int(line[0][3:]): int(line[8]) * TICK_SECONDS for line in words
            if line and line[0][:3] == "cpu" and line[0][3:].isdigit() and len(line) > 8}


@dataclasses.dataclass
class Moment:
    at: float  # of time.monotonic()
    stolen: dict  # stolen_seconds() until then


def now():
    try:
        with open("/proc/stat", encoding="utf-8") as file:
            stolen = stolen_seconds(file.read())
    except OSError:
        stolen = {}
    return Moment(time.monotonic(), stolen)


def with_stolen(slowdown, core, begin, end):
    """The slowdown of a core that was not even ours all the time."""
    stolen = end.stolen.get(core, 0) - begin.stolen.get(core, 0)
    share = min(STOLEN_MAX, stolen / max(TICK_SECONDS, end.at - begin.at))
    return (1 + slowdown) / (1 - share) - 1


def mean(values):
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


class Sensor:
    """Runs pm_sensor until close(). Raises Failure where it cannot."""

    def __init__(self, program, path):
        try:
            self.child = subprocess.Popen([program, path], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            raise Failure("pm_sensor: %s" % error.strerror) from None
        if self.child.stdout.readline() != b"ready\n":
            said = self.child.communicate()[1].decode(errors="replace").strip()
            raise Failure(said or "pm_sensor: " + exit_words(self.child.returncode))
        with open(path, "rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        os.unlink(path)
        rings = [Ring(memory, offset) for offset in range(0, len(memory), RING_BYTES)]
        self.rings = {ring.core: ring for ring in rings}

    def cores(self):
        return list(self.rings)

    def slowdown(self, cores, begin, end):
        """Of the cores on average, between two moments; None: not known."""
        sensed = {core: self.rings[core].slowdown(begin.at * NS, end.at * NS) for core in cores}
        return mean(with_stolen(value, core, begin, end) for core, value in sensed.items()
                    if value is not None)

    def slowdown_now(self, cores):
        """Of the last hundredths of a second, without what was stolen."""
        end_ns = time.monotonic_ns()
        return mean(self.rings[core].slowdown(end_ns - RECENT_SECONDS * NS, end_ns)
                    for core in cores)

    def quiet_share(self, cores, limit):
        """Of the last seconds, how much of the time the least quiet of the cores was slower by no
        more than `limit`."""
        now_ns = time.monotonic_ns()
        return min(self.rings[core].quiet_share(now_ns - HOPE_SECONDS * NS, now_ns, limit)
                   for core in cores)

    def close(self):
        if self.child.poll() is None:
            self.child.communicate()  # which ends its standard input
