# SPDX-License-Identifier: MIT
"""Test that an allocator which hands the same block to everybody gets no time for it.

ctest says in the environment where the programs are; without, nothing is run.
"""

import os
import tempfile
import unittest

from comparison.allocators import Allocator
from comparison.process import Failure
from comparison.rows import all_rows

PROGRAM = os.environ.get("PM_BENCH_PROGRAM")
ALIASING = os.environ.get("PM_BENCH_ALIASING_MALLOC")
SHARED = ("batches/64-fifo", "batches/64-lifo", "batches/64-random", "remote/handover-64",
          "remote/pingpong-64", "prodcons/64")


@unittest.skipUnless(PROGRAM and ALIASING, "run by ctest")
class AliasingTest(unittest.TestCase):
    def test_one_block_for_everybody_fails_the_rows_with_several_live_blocks(self):
        allocator = Allocator("aliasing", os.path.realpath(ALIASING))
        rows = {row.name: row for row in all_rows(PROGRAM)}
        with tempfile.TemporaryDirectory() as folder:
            for name in SHARED:
                with self.subTest(name), self.assertRaises(Failure) as raised:
                    rows[name].measure(allocator, 0.01, folder)
                self.assertIn("overwritten while it was live", raised.exception.detail[-1])


if __name__ == "__main__":
    unittest.main()
