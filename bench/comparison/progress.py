# SPDX-License-Identifier: MIT
"""What the user sees while it runs, on stderr: a line for each row that was measured, with the time
that is left."""

import sys
import time

from comparison.words import time_words


def clock_words(seconds):
    return "%d:%02d" % divmod(max(0, int(seconds)), 60)


class Progress:
    def __init__(self, seconds):
        self.start = time.monotonic()
        self.end = self.start + seconds

    def elapsed(self):
        return time.monotonic() - self.start

    def left(self):
        return self.end - time.monotonic()

    def line(self, text):
        print("[%s, at most %s left] %s" % (clock_words(self.elapsed()), clock_words(self.left()),
                                            text), file=sys.stderr, flush=True)

    def row(self, step, row, round_number, results, names):
        """One row in one round: what each allocator took."""
        cells = []
        for name in names:
            value = results.values(row, name, "time_ns").get(round_number)
            cells.append("%s %s" % (name, "failed" if value is None else time_words(value)))
        self.line("%s %-22s %s" % (step, row.name, "  ".join(cells)))
