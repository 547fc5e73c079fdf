# SPDX-License-Identifier: MIT
"""Tests of what a measured program gets of the caller's environment."""

import os
import unittest
from unittest import mock

from comparison.process import environment

SETTINGS = ("LD_PRELOAD", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "TBB_MALLOC_USE_HUGE_PAGES",
            "PYTHONMALLOC", "PYTHONDEVMODE", "RUBYOPT", "LUA_INIT", "LUA_PATH", "PGOPTIONS")


class EnvironmentTest(unittest.TestCase):
    def test_settings_of_allocators_and_of_the_programs_do_not_reach_a_run(self):
        with mock.patch.dict(os.environ, {name: "1" for name in SETTINGS}):
            kept = environment(None)
        self.assertEqual(set(kept) & set(SETTINGS), set())

    def test_what_the_row_sets_itself_and_the_options_of_poolmalloc_do(self):
        with mock.patch.dict(os.environ, {"POOLMALLOC_OPTIONS": "keep_bytes=0"}):
            kept = environment("/lib/x.so", PYTHONMALLOC="malloc")
        self.assertEqual((kept["PYTHONMALLOC"], kept["LD_PRELOAD"], kept["POOLMALLOC_OPTIONS"]),
                         ("malloc", "/lib/x.so", "keep_bytes=0"))


if __name__ == "__main__":
    unittest.main()
