# SPDX-License-Identifier: MIT
"""What the user sees while it runs, on stderr: a line for each row that was measured, with the time
that is left."""

import math
import sys
import time

from comparison.words import time_words


def clock_words(seconds):
    return "%d:%02d" % divmod(max(0, int(seconds)), 60)


class Progress:
    def __init__(self, seconds):
        self.start = time.monotonic()
        self.end = self.start + seconds
        self.expected_end = None

    def elapsed(self):
        return time.monotonic() - self.start

    def left(self):
        return self.end - time.monotonic()

    def expect(self, seconds):
        """What is still to do takes about so long, when nothing ends it before."""
        self.expected_end = time.monotonic() + seconds

    def left_words(self):
        if self.left() < math.inf:
            return ", at most %s left" % clock_words(self.left())
        if self.expected_end is None:
            return ""
        return ", about %s left" % clock_words(self.expected_end - time.monotonic())

    def line(self, text):
        print("[%s%s] %s" % (clock_words(self.elapsed()), self.left_words(), text),
              file=sys.stderr, flush=True)

    def row(self, step, row, round_number, results, names):
        """One row in one round: what each allocator took."""
        cells = []
        for name in names:
            value = results.values(row, name, "time_ns").get(round_number)
            cells.append("%s %s" % (name, "failed" if value is None else time_words(value)))
        self.line("%s %-22s %s" % (step, row.name, "  ".join(cells)))
