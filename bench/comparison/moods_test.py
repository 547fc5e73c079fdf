# SPDX-License-Identifier: MIT
"""Tests of the ratios of runs on cores of changing speed, on runs whose true ratio is known."""

import math
import random
import statistics
import unittest

from comparison import moods
from comparison.moods import Run


def made_up(time, slope, slowdowns, noise=0.0, seed=1):
    draw = random.Random(seed)
    return {number: Run(time * math.exp(slope * slowed + draw.gauss(0, noise)), slowed)
            for number, slowed in enumerate(slowdowns)}


def both_moods(rounds, seed):
    """A busy neighbour every other time, by chance."""
    draw = random.Random(seed)
    return [draw.choice((0.0, draw.uniform(0.6, 0.8))) for _ in range(rounds)]


def spread(values):
    return statistics.stdev(values) / statistics.fmean(values)


class QuietTest(unittest.TestCase):
    def test_quiet_runs_count_alone_where_there_are_enough(self):
        slowdowns = [0.0] * 6 + [0.7] * 5
        ours, theirs = made_up(10, 0.5, slowdowns), made_up(20, 1.1, slowdowns)
        found = moods.ratios(ours, theirs, 0, 0)
        self.assertEqual(found, [0.5] * 6)

    def runs(self, values):
        """Those with value 0 are slowed."""
        return {number: Run(value, 0.0 if value else 0.7) for number, value in enumerate(values)}

    def test_quiet_runs_without_a_quiet_partner_find_one_in_another_round(self):
        ours, theirs = self.runs([0, 2, 3, 4, 5, 6, 7]), self.runs([14, 4, 6, 8, 10, 12, 0, 9])
        self.assertEqual(moods.ratios(ours, theirs, 0, 0), [0.5] * 6)

    def test_where_all_is_quiet_rounds_stay_together(self):
        ours, theirs = self.runs(range(1, 12)), self.runs(range(2, 24, 2))
        theirs = {number: theirs[number] for number in theirs if number % 2}
        self.assertEqual(moods.ratios(ours, theirs, 0, 0), [0.5] * 5)

    def test_all_rounds_count_where_one_has_few_quiet_runs(self):
        ours = made_up(10, 1, [0.0] * 7)
        theirs = made_up(20, 1, [0.0] * 5 + [0.7, 0.7])
        self.assertEqual(len(moods.ratios(ours, theirs, 1, 1)), 7)

    def test_all_rounds_count_where_few_of_many_are_quiet(self):
        runs = [made_up(time, 1, [0.0] * 6 + [0.7] * more)
                for time in (10, 20) for more in (18, 19)]
        self.assertEqual(len(moods.ratios(runs[0], runs[2], 1, 1)), 6)
        self.assertEqual(len(moods.ratios(runs[1], runs[3], 1, 1)), 25)

    def test_what_is_not_known_is_quiet(self):
        self.assertTrue(moods.is_quiet(moods.log_slowed(None, 0.3)))
        self.assertTrue(moods.is_quiet(moods.log_slowed(0.32, 0.3)))
        self.assertFalse(moods.is_quiet(moods.log_slowed(0.4, 0.3)))

    def test_values_are_of_the_quietest_runs(self):
        self.assertEqual(moods.quietest([Run(n, n / 10) for n in range(9, -1, -1)]),
                         [0, 1, 2, 3, 4, 5])
        self.assertEqual(len(moods.quietest([Run(1, 0)] * 8 + [Run(9, 0.5)])), 8)
        self.assertEqual(moods.quietest([]), [])

    def test_without_common_rounds_there_is_no_ratio(self):
        self.assertEqual(moods.ratios({0: Run(1, 0)}, {1: Run(1, 0)}, 1, 1), [])


class CorrectionTest(unittest.TestCase):
    def test_slopes_are_found(self):
        runs = {"a": list(made_up(10, 0.5, both_moods(40, 1)).values()),
                "b": list(made_up(20, 1.1, both_moods(40, 2)).values())}
        found = moods.slopes(runs)
        self.assertAlmostEqual(found["a"], 0.5, delta=0.03)
        self.assertAlmostEqual(found["b"], 1.1, delta=0.03)

    def test_one_mood_gives_the_slope_of_the_others(self):
        runs = {"a": list(made_up(10, 0.5, both_moods(40, 1)).values()), "b": [Run(20, 0.7)] * 9}
        self.assertAlmostEqual(moods.slopes(runs)["b"], moods.slopes({"a": runs["a"]})["a"],
                               delta=0.01)

    def test_without_moods_there_is_no_slope(self):
        self.assertEqual(moods.slopes({"a": [Run(10, 0.0), Run(11, 0.0)], "b": []}), {"a": 0.0})

    def test_slopes_have_bounds(self):
        runs = {"a": [Run(1, 0.0), Run(1000, 0.5)] * 9}
        self.assertEqual(moods.slopes(runs)["a"], moods.SLOPE_MAX)

    def corrected(self, seed, noise, rounds=12):
        ours = made_up(10, 0.5, both_moods(rounds, seed), noise, seed)
        theirs = made_up(20, 0.9, both_moods(rounds, seed + 999), noise, seed + 999)
        found = moods.slopes({"a": list(ours.values()), "b": list(theirs.values())})
        raw = [ours[r].value / theirs[r].value for r in ours]
        return raw, moods.ratios(ours, theirs, found["a"], found["b"])

    def test_moods_are_taken_out(self):
        raw, corrected = self.corrected(1, noise=0.0)
        self.assertGreater(spread(raw), 0.3)
        self.assertLess(spread(corrected), 0.06)

    def test_the_correction_has_no_bias(self):
        # At the mean mood, about 0.35, the true ratio is 0.5 exp((0.5 - 0.9) 0.35).
        medians = [statistics.median(self.corrected(seed, 0.05, moods.ENOUGH - 1)[1])
                   for seed in range(300)]
        self.assertAlmostEqual(statistics.fmean(medians), 0.5 * math.exp(-0.4 * 0.35), delta=0.01)

    def test_values_that_fall_where_cores_are_slower_are_corrected_too(self):
        ours = made_up(1000, -0.8, both_moods(20, 3))
        theirs = made_up(500, -0.8, both_moods(20, 4))
        found = moods.slopes({"a": list(ours.values()), "b": list(theirs.values())})
        self.assertLess(spread(moods.ratios(ours, theirs, found["a"], found["b"])), 0.05)


if __name__ == "__main__":
    unittest.main()
