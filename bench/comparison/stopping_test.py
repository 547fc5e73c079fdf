# SPDX-License-Identifier: MIT
"""Does the rule by which rounds are added leave the intervals what they are said to be?

Allocators with a known ratio and noise are compared a thousand times. A rule that looks at where 1
lies ends when chance favours a verdict.
"""

import math
import random
import unittest

from comparison.rounds_test import MadeUp, measuring, steady
from comparison.stats import ratio_of

COMPARISONS = 1000
ROUNDS, CAP = 7, 40


def decided(ratio, noise):
    """The final Ratio of each comparison."""
    made, draw = measuring([MadeUp("a/1", steady)]), random.Random(1)
    found = []
    for _ in range(COMPARISONS):
        values = [ratio * math.exp(draw.gauss(0, noise)) for _ in range(ROUNDS)]
        while len(values) < CAP and not made.is_known(ratio_of(values), len(values)):
            values.append(ratio * math.exp(draw.gauss(0, noise)))
        found.append(ratio_of(values))
    return found


def share(found, holds):
    return sum(holds(one) for one in found) / len(found)


class StoppingTest(unittest.TestCase):
    def test_equal_allocators_are_seldom_told_apart(self):
        for noise in (0.02, 0.04):
            told = share(decided(1, noise), lambda one: one.verdict("time_ns") != "no difference")
            self.assertLess(told, 0.1, noise)

    def test_a_difference_of_5_percent_is_seen(self):
        for ratio in (0.95, 1.05):
            wanted = "faster" if ratio < 1 else "slower"
            seen = share(decided(ratio, 0.03), lambda one, w=wanted: one.verdict("time_ns") == w)
            self.assertGreater(seen, 0.97, ratio)

    def test_intervals_hold_the_ratio(self):
        for ratio in (0.8, 1, 1.02):
            held = share(decided(ratio, 0.03), lambda one, r=ratio: one.low <= r <= one.high)
            self.assertGreater(held, 0.9, ratio)


if __name__ == "__main__":
    unittest.main()
