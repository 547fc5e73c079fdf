# SPDX-License-Identifier: MIT
"""What needs no quiet cores is done while others slow them; the rest of it at the end."""

import collections


class Chores:
    """`quiet`: a Quiet."""

    def __init__(self, quiet):
        self.quiet = quiet
        self.waiting = collections.deque()

    def add(self, seconds, work):
        """work() takes about so long."""
        self.waiting.append((seconds, work))

    def seconds_needed(self):
        return sum(seconds for seconds, _ in self.waiting)

    def one(self):
        _, work = self.waiting.popleft()
        work()

    def pass_time(self, row):
        """Until the row's cores are likely to be quiet, or nothing is left to do."""
        while self.waiting and self.quiet.is_unlikely(row):
            self.one()

    def finish(self):
        while self.waiting:
            self.one()
