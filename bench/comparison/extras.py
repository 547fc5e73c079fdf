# SPDX-License-Identifier: MIT
"""What is measured besides the rounds: instrumented runs for latencies and memory over time, the
events that poolmalloc counts, instructions of the fast paths. In a thorough run also what only bars
need: shares of instructions, instruction budgets, slow paths of other allocators."""

import os

from comparison import allocators, budget_run, details, instructions, peer_counts, shares
from comparison.process import Failure, as_failure

INSTRUCTIONS_SECONDS = 3.0  # of a row and an allocator, to plan with
INSTRUMENTED_PART = 1.5  # what an instrumented run takes, of a plain one
SHARE_SECONDS, PROGRAM_SHARE_SECONDS, BUDGET_SECONDS = 1.5, 8.0, 40.0
INSTRUMENTED, COUNTED_INSTRUCTIONS = "latency and memory", "instructions"
SHARE, PEER_COUNTS = "share of instructions", "slow paths"


def label(row, what):
    return "%s (%s)" % (row.name, what)


class Extras:
    def __init__(self, measuring, build):
        self.measuring = measuring
        self.results = measuring.results
        self.mode = measuring.mode
        self.program = os.path.join(build, "bench", "pm_bench")
        self.detail_program = os.path.join(build, "bench", "pm_detail")
        self.build = build
        self.counted = allocators.counted(build)
        self.rows = [row for row in self.results.rows if row.kind != "program"]
        self.counted_rows = [row for row in self.rows if instructions.applies(row)]

    def detail_runs_of(self, row):
        """Several are for the spread of single calls, which rows of many threads do not have."""
        many = row.threads > (os.cpu_count() or 1)
        return min(self.mode.detail_runs, 1) if many else self.mode.detail_runs

    def seconds_needed(self):
        """What measure() will take, once each row was measured."""
        return INSTRUMENTED_PART * sum(
            self.measuring.cost_seconds.get(row.name, 0) * self.detail_runs_of(row)
            for row in self.rows)

    def without_failure(self, row, allocator, what, measure):
        """What `measure(folder)` returns. A failure is that of `what`, not of the row: its time was
        measured, and stays."""
        if {(row.name, allocator.name), (label(row, what), allocator.name)} \
                & self.results.failures.keys():
            return None
        try:
            folder = self.measuring.folders.make()
            try:
                return measure(folder)
            finally:
                self.measuring.folders.drop(folder)
        except (Failure, OSError) as error:
            failure = as_failure(error)
            self.results.failures[label(row, what), allocator.name] = failure
            self.results.notes.append("Not measured: %s under %s: %s"
                                      % (label(row, what), allocator.name, failure))
            return None

    def instrumented_once(self, row, allocator, folder):
        found, _ = self.measuring.quiet.run(row, lambda core: details.run_details(
            self.detail_program, row, allocator, self.mode.scale, core))
        if self.counted is not None and allocator.name == self.counted.name:
            found["counters_per_million"] = details.run_counted(
                self.detail_program, row, self.counted, self.mode.scale, folder)
        return found

    def instrumented(self, row, contestants):
        """The allocators take turns, as in the rounds."""
        runs = {allocator.name: [] for allocator in contestants}
        for _ in range(self.detail_runs_of(row)):
            for allocator in contestants:
                runs[allocator.name].append(self.without_failure(
                    row, allocator, INSTRUMENTED,
                    lambda folder, one=allocator: self.instrumented_once(row, one, folder)))
                self.measuring.later.collect()
        for name, found in runs.items():
            if None not in found:
                self.results.add_details(row, name, details.combine(found))

    def count_slow_paths(self, row, allocator):
        count = self.without_failure(row, allocator, PEER_COUNTS, lambda _: peer_counts.measure(
            self.detail_program, row, allocator, self.mode.scale))
        if count is not None:
            self.results.add_details(row, allocator.name,
                                     {"counters_per_million": {"slow_paths": count}})

    def count_share(self, row, allocator):
        share = self.without_failure(
            row, allocator, SHARE,
            lambda folder: shares.measure(self.program, row, allocator, folder))
        if share is not None:
            self.results.add_details(row, allocator.name, {"allocator_share": share})

    def count_budgets(self):
        """Only where the build has the program that is counted."""
        try:
            self.results.budgets = budget_run.measure(self.build)
        except (Failure, OSError) as error:
            self.results.notes.append("Not measured: instruction budgets: %s" % as_failure(error))
        self.measuring.progress.line("[instruction budgets]")

    def count_instructions(self, row, allocator):
        count = self.without_failure(
            row, allocator, COUNTED_INSTRUCTIONS,
            lambda folder: instructions.measure(self.program, row, allocator, folder))
        if count is not None:
            self.results.add_details(row, allocator.name, {"instructions": count})

    def of_row(self, row, step, measure, only=None):
        """`only`: the name of the one allocator that it is about."""
        for allocator in self.measuring.contestants(row):
            if only in (None, allocator.name):
                measure(row, allocator)
                self.measuring.later.collect()
        self.measuring.progress.line("[%s] %s" % (step, row.name))

    def add_chores(self):
        """Instructions, of which there are as many at every moment."""
        if not self.mode.instructions:
            return
        if not instructions.available():
            self.results.notes.append("valgrind is not installed: no instructions were counted.")
            return
        for row in self.counted_rows:
            self.measuring.chores.add(
                INSTRUCTIONS_SECONDS * len(self.results.names),
                lambda row=row: self.of_row(row, COUNTED_INSTRUCTIONS, self.count_instructions))
        if self.mode.thorough and allocators.SUBJECT in self.results.names:
            self.add_thorough_chores()

    def add_thorough_chores(self):
        chores = self.measuring.chores
        for row in self.results.rows:
            if shares.applies(row):
                chores.add(PROGRAM_SHARE_SECONDS if row.kind == "program" else SHARE_SECONDS,
                           lambda row=row: self.of_row(row, SHARE, self.count_share,
                                                       allocators.SUBJECT))
        chores.add(BUDGET_SECONDS, self.count_budgets)

    def measure(self):
        """The rest, which should have quiet cores, and then the chores that are left."""
        if self.mode.detail_runs:
            for index, row in enumerate(self.rows):
                self.measuring.chores.pass_time(row)
                self.instrumented(row, self.measuring.contestants(row))
                self.measuring.progress.line("[%s, row %d/%d] %s" % (
                    INSTRUMENTED, index + 1, len(self.rows), row.name))
        if self.mode.thorough and self.mode.detail_runs:
            for row in self.rows:
                self.of_row(row, PEER_COUNTS, self.count_slow_paths, peer_counts.COUNTS)
        self.measuring.chores.finish()
