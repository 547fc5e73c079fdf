# SPDX-License-Identifier: MIT
"""What is measured besides the rounds: instrumented runs for latencies and memory over time, the
events that poolmalloc counts, instructions of the fast paths."""

import os

from comparison import allocators, details, instructions
from comparison.process import Failure, as_failure

INSTRUCTIONS_SECONDS = 3.0  # of a row and an allocator, to plan with
INSTRUMENTED_PART = 1.5  # what an instrumented run takes, of a plain one
INSTRUMENTED, COUNTED_INSTRUCTIONS = "latency and memory", "instructions"


def label(row, what):
    return "%s (%s)" % (row.name, what)


class Extras:
    def __init__(self, measuring, build):
        self.measuring = measuring
        self.results = measuring.results
        self.mode = measuring.mode
        self.program = os.path.join(build, "bench", "pm_bench")
        self.detail_program = os.path.join(build, "bench", "pm_detail")
        self.counted = allocators.counted(build)
        self.rows = [row for row in self.results.rows if row.kind != "program"]
        self.counted_rows = [row for row in self.rows if instructions.applies(row)]

    def seconds_needed(self):
        """What measure() will take, once each row was measured."""
        cost = sum(self.measuring.cost_seconds.get(row.name, 0) for row in self.rows)
        return cost * self.mode.detail_runs * INSTRUMENTED_PART

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

    def instrumented(self, row, allocator):
        def one_run(folder):
            found, _ = self.measuring.quiet.run(row, lambda core: details.run_details(
                self.detail_program, row, allocator, self.mode.scale, core))
            if self.counted is not None and allocator.name == self.counted.name:
                found["counters_per_million"] = details.run_counted(
                    self.detail_program, row, self.counted, self.mode.scale, folder)
            return found
        runs = [self.without_failure(row, allocator, INSTRUMENTED, one_run)
                for _ in range(self.mode.detail_runs)]
        if None not in runs:
            self.results.add_details(row, allocator.name, details.combine(runs))

    def count_instructions(self, row, allocator):
        count = self.without_failure(
            row, allocator, COUNTED_INSTRUCTIONS,
            lambda folder: instructions.measure(self.program, row, allocator, folder))
        if count is not None:
            self.results.add_details(row, allocator.name, {"instructions": count})

    def of_row(self, row, step, measure):
        for allocator in self.measuring.contestants(row):
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

    def measure(self):
        """The rest, which should have quiet cores, and then the chores that are left."""
        if self.mode.detail_runs:
            for index, row in enumerate(self.rows):
                self.measuring.chores.pass_time(row)
                self.of_row(row, "%s, row %d/%d" % (INSTRUMENTED, index + 1, len(self.rows)),
                            self.instrumented)
        self.measuring.chores.finish()
