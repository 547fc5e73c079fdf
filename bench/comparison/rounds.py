# SPDX-License-Identifier: MIT
"""The order of all runs: rounds that are interleaved over the rows, allocators that take turns,
and more rounds for rows whose ratios are not yet known well."""

import itertools
import time

from comparison import allocators, modes
from comparison.bars import peers
from comparison.chores import Chores
from comparison.process import Failure, as_failure
from comparison.stats import SLOWDOWN


def rotated(group, turn):
    turn %= max(1, len(group))
    return group[turn:] + group[:turn]


PROGRAMS_EVERY = 3  # of the rounds that are added
PAUSE_SECONDS = 0.5  # after which a look is taken at the cores again
LINGERING_MAX = 12  # idle servers, beside what is measured


class Later:
    """Values that are due a while after a run, as of an idle server; collected between runs."""

    def __init__(self, results, folders):
        self.results = results
        self.folders = folders
        self.waiting = []
        self.rows_and_names = set()  # that were ever added

    def had(self, row, name):
        return (row.name, name) in self.rows_and_names

    def add(self, later, row, name, round_number, folder):
        self.waiting.append((later, row, name, round_number, folder))
        self.rows_and_names.add((row.name, name))

    def collect(self, wait=None):
        """What is due. With `wait`, a function of the seconds to come, waits for everything."""
        while self.waiting:
            self.waiting.sort(key=lambda entry: entry[0].due)
            later, row, name, round_number, folder = self.waiting[0]
            seconds = later.due - time.monotonic()
            if seconds > 0:
                if wait is None:
                    return
                wait(seconds)
            self.waiting.pop(0)
            try:
                self.results.add(row, name, round_number, later.collect())
            except (Failure, OSError) as error:
                self.results.failures[row.name, name] = as_failure(error)
            self.folders.drop(folder)

    def abandon(self):
        while self.waiting:
            later, _, _, _, folder = self.waiting.pop()
            later.abandon()
            self.folders.drop(folder)


class Measuring:
    """Runs rows under allocators. `decided` are the ratios that more rounds are spent on: pairs
    (name, base)."""

    def __init__(self, results, served, decided, mode, folders, progress, quiet):
        self.results = results
        self.served = served
        self.decided = decided
        self.mode = mode
        self.folders = folders  # make() gives an empty one, drop(folder) removes it
        self.progress = progress
        self.quiet = quiet
        self.chores = Chores(quiet)
        self.later = Later(results, folders)
        self.cost_seconds = {}  # of the last round of a row

    def contestants(self, row):
        return row.contestants(self.served)

    def run_once(self, row, allocator, round_number):
        """An error of the system, too, is one cell's: what was measured is not lost to it."""
        if (row.name, allocator.name) in self.results.failures:
            return
        try:
            self.run_in(self.folders.make(), row, allocator, round_number)
        except (Failure, OSError) as error:
            self.results.failures[row.name, allocator.name] = as_failure(error)

    def run_in(self, folder, row, allocator, round_number):
        lingers = False
        try:
            sample, slowdown = self.quiet.run(
                row, lambda core: row.measure(allocator, self.mode.scale, folder, core))
            self.keep(row, allocator.name, round_number, sample, slowdown)
            lingers = self.let_linger(row, allocator.name, round_number, sample.later, folder)
        finally:
            if not lingers:
                self.folders.drop(folder)

    def keep(self, row, name, round_number, sample, slowdown):
        self.results.add(row, name, round_number, sample.values)
        if slowdown is not None:
            self.results.add(row, name, round_number, {SLOWDOWN: slowdown})
        if sample.details is not None and round_number == 0:
            self.results.add_details(row, name, sample.details)

    def let_linger(self, row, name, round_number, later, folder):
        """Once for each row and allocator is enough; and not many at a time, there are rounds."""
        if later is None:
            return False
        if self.later.had(row, name) or len(self.later.waiting) >= LINGERING_MAX:
            later.abandon()
            return False
        self.later.add(later, row, name, round_number, folder)
        return True

    def of_round(self, row, round_number):
        """The contestants of a base round."""
        if round_number % max(1, self.mode.optional_every) == 0:
            return self.contestants(row)
        return [one for one in self.contestants(row) if one.name not in allocators.OPTIONAL]

    def order(self, row, round_number, contestants):
        """Everybody goes first in turn, and nobody runs after the same one each time. Those of the
        decided ratios run next to each other: the machine's mood changes within seconds."""
        decided = {name for pair in self.decided for name in pair}
        near = [one for one in contestants if one.name in decided]
        far = [one for one in contestants if one.name not in decided]
        turn = round_number + self.results.rows.index(row)
        groups = [rotated(group, turn)[::-1 if round_number % 2 else 1] for group in (near, far)]
        return groups[0] + groups[1] if turn % 2 else groups[1] + groups[0]

    def measure_row(self, row, round_number, contestants, step):
        self.chores.pass_time(row)
        started = time.monotonic()
        for allocator in self.order(row, round_number, contestants):
            self.run_once(row, allocator, round_number)
            self.later.collect()
        self.cost_seconds[row.name] = time.monotonic() - started
        self.progress.row(step, row, round_number, self.results, [a.name for a in contestants])

    def base_rounds_of(self, row):
        return self.mode.program_rounds if row.kind == "program" else self.mode.rounds

    def fits(self, rows, reserve_seconds):
        cost = sum(self.cost_seconds.get(row.name, 0) for row in rows)
        return cost + reserve_seconds <= self.progress.left()

    def expected_seconds(self, rounds_done, reserve_seconds):
        """Of the base rounds that are left, and of other things."""
        return reserve_seconds + sum(
            self.cost_seconds.get(row.name, 0) * max(0, self.base_rounds_of(row) - rounds_done)
            for row in self.results.rows)

    def base_rounds(self, reserve_seconds=lambda: 0):
        """The rounds of every row, programs first, as their servers have values to come. At least
        two rounds, then as many as fit in the time but for chores and `reserve_seconds()`, of other
        things."""
        rounds = max(self.mode.rounds, self.mode.program_rounds)
        for round_number in range(rounds):
            rows = [row for row in self.results.rows if round_number < self.base_rounds_of(row)]
            rows.sort(key=lambda row: row.kind != "program")
            if round_number >= 2 and not self.fits(
                    rows, reserve_seconds() + self.chores.seconds_needed()):
                self.results.notes.append(
                    "The time allowed %d rounds of the %d that were meant."
                    % (round_number, rounds))
                return
            for index, row in enumerate(rows):
                step = "[round %d/%d, row %d/%d]" % (round_number + 1, rounds, index + 1, len(rows))
                self.measure_row(row, round_number, self.of_round(row, round_number), step)
            self.progress.expect(self.expected_seconds(round_number + 1, reserve_seconds()))

    def pairs_of(self, row):
        """The ratios of the row that rounds are added for."""
        names = {allocator.name for allocator in self.contestants(row)}
        return [(name, base) for name, base in self.decided + self.best_pair(row)
                if {name, base} <= names and (row.name, name) not in self.results.failures
                and (row.name, base) not in self.results.failures]

    def best_pair(self, row):
        """In a thorough run that to the row's best peer, where it is none of the others."""
        if not self.mode.thorough:
            return []
        best = peers.best_of(self.results, row, allocators.SUBJECT, "time_ns")
        pair = best and (allocators.SUBJECT, best[0])
        return [pair] if pair and pair not in self.decided else []

    def is_known(self, ratio, rounds):
        """Close to 1, on whichever side of it the interval ends: were it enough that 1 has just
        fallen out of a wide interval, one look in six at equal allocators would see a winner."""
        if ratio is None or ratio.spread is None:
            return False
        narrow = modes.SPREAD_OF_EQUALS
        alike = ratio.low - narrow < 1 < ratio.high + narrow and rounds < modes.ROUNDS_FOR_EQUALS
        return ratio.spread <= (narrow if alike else modes.SPREAD_WANTED)

    def is_settled(self, row):
        rounds = self.results.rounds_of(row)
        if rounds >= self.mode.rounds_cap:
            return True
        return all(self.is_known(self.results.ratio(row, name, base, "time_ns"), rounds)
                   for name, base in self.pairs_of(row))

    def widest(self, row):
        ratios = [self.results.ratio(row, *pair, "time_ns") for pair in self.pairs_of(row)]
        return max((1 if ratio.spread is None else ratio.spread for ratio in ratios if ratio),
                   default=0)

    def unsettled(self):
        """Rows with the widest intervals come first, those that only may be alike last."""
        rows = [row for row in self.results.rows if not self.is_settled(row)]
        for spread in (modes.SPREAD_FIRST, modes.SPREAD_WANTED):
            wide = [row for row in rows if self.widest(row) > spread]
            if wide:
                return wide
        return rows

    def has_quiet_runs(self, row):
        """So that slowed ones would tell nothing more."""
        return all(self.results.has_quiet_runs(row, *pair) for pair in self.pairs_of(row))

    def in_prospect(self, rows):
        """Of rows, one after the other, one whose cores are likely to be quiet. While those of none
        are, the time passes, unless a row has too few quiet runs to wait for more."""
        rows, waits = list(rows), False
        while rows:
            likely = [row for row in rows if not self.quiet.is_unlikely(row)]
            chosen = likely or [row for row in rows if not self.has_quiet_runs(row)]
            if chosen:
                rows.remove(chosen[0])
                yield chosen[0]
            else:
                if not waits:
                    self.progress.line("waiting for quieter cores")
                time.sleep(PAUSE_SECONDS)
            waits = not chosen
            rows = [row for row in rows if self.fits([row], 0)]

    def more_rounds(self):
        """One round more for each row that is not settled, again and again, until all are, or the
        time is up; for programs, of which one costs as much as many other rows, every few times.
        Only those allocators that a decided ratio needs."""
        for turn in itertools.count():
            rows = self.unsettled()
            if not rows:
                return
            if turn % PROGRAMS_EVERY != 0:
                rows = [row for row in rows if row.kind != "program"] or rows
            rows = [row for row in rows if self.fits([row], 0)] or rows
            for index, row in enumerate(self.in_prospect(rows)):
                if not self.fits([row], 0):
                    continue
                needed = {name for pair in self.pairs_of(row) for name in pair}
                contestants = [a for a in self.contestants(row) if a.name in needed]
                self.measure_row(row, self.results.rounds_of(row), contestants,
                                 "[±%.1f %%, %d rows to settle]"
                                 % (100 * self.widest(row), len(rows) - index))
            if not any(self.fits([row], 0) for row in rows):
                self.results.notes.append("%d rows were not settled to ±%g %% when the time was up."
                                          % (len(rows), 100 * modes.SPREAD_WANTED))
                return

    def wait_for_later(self):
        def wait(seconds):
            self.progress.line("waiting %d s for what servers keep" % (seconds + 1))
            time.sleep(seconds)
        self.later.collect(wait)
