# SPDX-License-Identifier: MIT
"""Tests of the numbers as words."""

import unittest

from reporting import palette, words


class WordsTest(unittest.TestCase):
    def test_numbers_have_three_digits_that_mean_something(self):
        self.assertEqual([words.time(ns) for ns in (0, 0.5, 31.24, 312.4, 4567, 1.2e6, 2.5e9)],
                         ["0 ns", "0.5 ns", "31.2 ns", "312 ns", "4.57 µs", "1.20 ms", "2.50 s"])
        self.assertEqual([words.memory(kib) for kib in (12, 2048, 123456, 3 * 2**20)],
                         ["12.0 KiB", "2.00 MiB", "121 MiB", "3.00 GiB"])
        self.assertEqual([words.count(n) for n in (0, 7, 12345, 2e6)], ["0", "7.00", "12.3 k",
                                                                       "2.00 M"])

    def test_a_small_ratio_keeps_two_digits(self):
        self.assertEqual([words.ratio(v) for v in (0.0123, 0.614, 1, 12.34, 123.4)],
                         ["0.012", "0.61", "1.00", "12.3", "123"])

    def test_a_unit_that_all_times_have_is_said_once(self):
        self.assertEqual(words.times([12, 40, 900]), "12.0 · 40.0 · 900 ns")
        self.assertEqual(words.times([12, 40, 9000]), "12.0 ns · 40.0 ns · 9.00 µs")

    def test_what_was_not_measured_is_a_dash(self):
        for form in (words.time, words.memory, words.count, words.ratio, words.rate, words.percent,
                     words.micros):
            self.assertEqual(form(None), words.NOTHING)

    def test_only_finite_numbers_are_numbers(self):
        for value in (None, "1", True, float("nan"), float("inf"), [1]):
            self.assertIsNone(words.number(value))

    def test_a_change_is_said_in_daily_words(self):
        self.assertEqual([words.change(v) for v in (0.63, 1.001, 1.2, 2.5)],
                         ["37 % less", "the same", "20 % more", "2.50 times as much"])


class PaletteTest(unittest.TestCase):
    def test_an_allocator_has_the_same_colour_whoever_else_is_there(self):
        self.assertEqual(palette.slots(["x", "jemalloc", "glibc"])["jemalloc"],
                         palette.slots(["jemalloc"])["jemalloc"])

    def test_no_two_of_the_known_and_three_unknown_share_a_colour(self):
        slots = palette.slots(list(palette.ALLOCATORS) + ["x", "y", "z"])
        self.assertEqual(len(set(slots.values())), len(slots))
        for dark in (0, 1):
            self.assertEqual(len({style[dark] for style in palette.STYLES}), len(palette.STYLES))

    def test_a_class_survives_the_way_through_gnuplot(self):
        for name, _, _ in palette.pairs():
            colour = palette.slot_colour(int(name[1:])) if name[1:].isdigit() \
                else palette.role_colour(name)
            self.assertEqual(palette.class_of(int(colour[1:3], 16), int(colour[3:5], 16)), name)
        self.assertIsNone(palette.class_of(0, 0))


if __name__ == "__main__":
    unittest.main()
