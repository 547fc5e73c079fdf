# SPDX-License-Identifier: MIT
"""Runs at moments when nobody else slows the cores; those that were slowed are run again. What
counts is what the sensor says of the cores, not the result: no allocator has an advantage."""

import time

from comparison import moods, sensor

TRIES = 5  # of a run, at most,
TRIES_SECONDS = 3.0  # as long as those before took less than that
WAIT_SECONDS = 0.3  # for a quiet moment, at most
POLL_SECONDS = 0.005
SHARE = 0.5  # of all time, at most, for waiting and for runs that were slowed
HOPE = 0.1  # of the last seconds were quiet, at least: else waiting would be in vain
LIKELY = 0.25  # of them, at least: else there are better things to do, if any


class Quiet:
    """`sensor`: None where there is none; then every run is the first."""

    def __init__(self, used_sensor):
        self.sensor = used_sensor
        self.started = time.monotonic()
        self.spent_seconds = 0  # for waiting and for slowed runs
        self.least = {}  # row name: the least slowdown that a run of it had

    def may_spend(self, row, place):
        if self.spent_seconds > SHARE * (time.monotonic() - self.started):
            return False
        return self.sensor.quiet_share(place, self.limit(row)) >= HOPE

    def limit(self, row):
        return self.least.get(row.name, 0) + moods.SLOWED

    def is_unlikely(self, row):
        """That a run of the row would be quiet now."""
        return self.sensor is not None and not any(
            self.sensor.quiet_share(place, self.limit(row)) >= LIKELY for place in self.places(row))

    def places(self, row):
        """The sets of cores that the row may be run on."""
        cores = self.sensor.cores()
        if row.one_core:
            return [[core] for core in cores]
        return [cores[:row.threads] if row.kind != "program" else cores]

    def find_place(self, row):
        """The cores that are quiet now, or will be soon; else the quietest."""
        began = time.monotonic()
        while True:
            # What was never sensed is taken for quiet.
            slowdown, place = min((self.sensor.slowdown_now(place) or 0, place)
                                  for place in self.places(row))
            waited = time.monotonic() - began
            if slowdown <= self.limit(row) or waited >= WAIT_SECONDS \
                    or not any(self.may_spend(row, one) for one in self.places(row)):
                self.spent_seconds += waited
                return place
            time.sleep(POLL_SECONDS)

    def try_once(self, row, once):
        place = self.find_place(row)
        began = sensor.now()
        result = once(place[0] if row.one_core else None)
        ended = sensor.now()
        slowdown = self.sensor.slowdown(place, began, ended)
        if slowdown is not None:
            self.least[row.name] = min(slowdown, self.least.get(row.name, slowdown))
        return result, slowdown, place, ended.at - began.at

    def run(self, row, once):
        """What the quietest of a few calls of once(core) returned, and by how much its cores were
        slower than at best, None if that is not known. `core`: where a row of one thread is to be
        run; None: anywhere. Servers are run once: they take long, and some are left running."""
        if self.sensor is None:
            return once(None), None
        result, slowdown, place, seconds = self.try_once(row, once)
        for _ in range(TRIES - 1 if row.repeatable else 0):
            if slowdown is None or slowdown <= self.limit(row) or seconds >= TRIES_SECONDS \
                    or not self.may_spend(row, place):
                break
            again, slowdown_again, place, seconds_again = self.try_once(row, once)
            seconds += seconds_again
            self.spent_seconds += seconds_again
            if slowdown_again is not None and slowdown_again < slowdown:
                result, slowdown = again, slowdown_again
        return result, slowdown
