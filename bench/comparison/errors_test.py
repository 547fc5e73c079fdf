# SPDX-License-Identifier: MIT
"""Tests of errors of the system during a comparison, as of a full disk."""

import errno
import unittest

from comparison.process import Failure, as_failure
from comparison.rounds_test import Folders, MadeUp, measuring, steady

FULL = OSError(errno.ENOSPC, "No space left on device", "/tmp/somewhere/log")


class FullFolders(Folders):
    def make(self):
        if self.made == 4:
            raise FULL
        return super().make()


class SystemErrorTest(unittest.TestCase):
    def test_an_error_of_the_system_is_a_failed_cell_and_the_others_go_on(self):
        row = MadeUp("a/1", lambda n, b: FULL if n == "jemalloc" and b == 1 else steady(n, b))
        made = measuring([row])
        made.base_rounds()
        self.assertEqual(row.ran.count("poolmalloc"), 6)
        self.assertEqual(str(made.results.failures["a/1", "jemalloc"]),
                         "log: No space left on device")
        self.assertEqual(made.folders.open, set())

    def test_a_folder_that_cannot_be_made_is_a_failed_cell(self):
        row = MadeUp("a/1", steady)
        made = measuring([row])
        made.folders = FullFolders()
        made.base_rounds(lambda: 0)
        self.assertEqual(len(made.results.failures), 3)
        self.assertEqual(len(row.ran), 4)

    def test_the_words_name_no_folder_and_a_failure_stays_what_it_is(self):
        self.assertNotIn("/", str(as_failure(FULL)))
        self.assertEqual(str(as_failure(OSError())), "OSError")
        failure = Failure("killed")
        self.assertIs(as_failure(failure), failure)


if __name__ == "__main__":
    unittest.main()
