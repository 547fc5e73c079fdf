# SPDX-License-Identifier: MIT
"""Tests of what is done while cores are slowed."""

import unittest

from comparison.chores import Chores


class Moments:
    """Says of each moment in turn whether a quiet run is unlikely then."""

    def __init__(self, *unlikely):
        self.unlikely = list(unlikely)

    def is_unlikely(self, _row):
        return self.unlikely.pop(0)


def made(*unlikely):
    done = []
    chores = Chores(Moments(*unlikely))
    for number in range(3):
        chores.add(10, lambda number=number: done.append(number))
    return chores, done


class ChoresTest(unittest.TestCase):
    def test_nothing_is_done_while_the_cores_are_quiet(self):
        chores, done = made(False)
        chores.pass_time(None)
        self.assertEqual(done, [])
        self.assertEqual(chores.seconds_needed(), 30)

    def test_they_pass_the_time_until_the_cores_are_quiet(self):
        chores, done = made(True, True, False)
        chores.pass_time(None)
        self.assertEqual(done, [0, 1])
        self.assertEqual(chores.seconds_needed(), 10)

    def test_when_none_is_left_the_time_is_not_passed(self):
        chores, done = made(True, True, True)
        chores.pass_time(None)
        self.assertEqual(done, [0, 1, 2])

    def test_the_rest_is_done_at_the_end(self):
        chores, done = made(True, False)
        chores.pass_time(None)
        chores.finish()
        self.assertEqual(done, [0, 1, 2])


if __name__ == "__main__":
    unittest.main()
