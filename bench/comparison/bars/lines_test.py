# SPDX-License-Identifier: MIT
"""Tests of the lines that say what must be reached, and of bars.py, which reads a document."""

import contextlib
import io
import json
import os
import tempfile
import types
import unittest

import bars as command
from comparison import document, modes
from comparison.allocators import Allocator
from comparison.bars import budgets, lines, made_up
from comparison.bars.bar import Bar
from comparison.bars.made_up import row, same

US = "poolmalloc"
TABLE = """instructions             scenario                             budget  measured
inside                   malloc(16)                               16     %s  ok
atomic read-mod-writes   in malloc                                 0         0  ok
"""


def words(bar):
    return [" ".join(line.split()) for line in lines.of_bar(bar)]


class LinesTest(unittest.TestCase):
    def test_a_missed_bar_says_so_with_its_rows(self):
        bar = Bar("time", "time", 0.9, 0.95, 0.94, 0.96, above=("a/1 1.20", "a/2 1.10"))
        self.assertEqual(words(bar), ["time <= 0.90 0.95±0.01 MISSED", "above: a/1 1.20, a/2 1.10"])

    def test_a_bar_of_counts_is_of_whole_numbers(self):
        self.assertEqual(words(Bar("", "rows", 0, 3)), ["rows <= 0 3 MISSED"])
        self.assertEqual(words(Bar("", "rows", 0, 0)), ["rows <= 0 0 met"])

    def test_what_was_not_measured_says_why(self):
        self.assertEqual(words(Bar("", "t", 1.0, why="no peer")),
                         ["t <= 1.00 - not measured: no peer"])
        self.assertEqual(words(Bar("", "t", 1.0, 0.5, below=True, why="without glibc")),
                         ["t < 1.00 0.50 not decided: without glibc"])

    def test_of_many_rows_above_a_mean_the_worst_are_shown(self):
        many = tuple("a/%d 2.00" % i for i in range(lines.ROWS_SHOWN + 3))
        self.assertIn("and 3 more", words(Bar("", "t", 1.0, 1.5, above=many))[-1])
        self.assertNotIn("more", words(Bar("", "t", 1.0, 1.5, above=many, lists_all=True))[-1])

    def test_no_line_is_missing_when_nothing_was_measured(self):
        results = made_up.results({row("a/1"): {US: 1}}, [US])
        said = lines.of_results(results, US, types.SimpleNamespace(scale=0.25))
        self.assertIn("this one was not", said[1])
        for group in ("time", "p99.9", "rare events", "peak RSS", "kept after the load", "Python",
                      "servers", "threads", "instruction budgets"):
            self.assertIn(group, said)
        self.assertFalse([line for line in said if line.endswith(" met")])


class BudgetsTest(unittest.TestCase):
    def bars(self, measured, before):
        counted = budgets.parse(TABLE % measured)
        return budgets.within_budget(counted), budgets.never_raised(counted,
                                                                    budgets.parse(TABLE % before))

    def test_instructions_are_held_against_budget_and_record(self):
        self.assertEqual([one.met for one in self.bars("14.00", "14.00")], [True, True])
        within, raised = self.bars("15.00", "14.00")
        self.assertEqual((within.met, raised.met), (True, False))
        self.assertEqual(raised.above, ("inside malloc(16) 15.00 for 14.00",))
        within, _ = self.bars("17.00", "14.00")
        self.assertEqual((within.met, within.above), (False, ("inside malloc(16) 17.00 for 16",)))

    def test_the_record_of_the_repository_can_be_read(self):
        self.assertGreater(len(budgets.recorded()), 20)


class CommandTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "results.json")

    def run_command(self):
        with contextlib.redirect_stdout(io.StringIO()) as out, \
                contextlib.redirect_stderr(io.StringIO()) as err:
            return command.main(["bars.py", self.path]), out.getvalue(), err.getvalue()

    def test_a_document_gives_the_lines_of_the_run_itself(self):
        one, other = row("a/1", "workload"), row("b/1", "program")
        results = made_up.results({one: {US: [9, 9.5, 9.2], **same(10)}, other: same(3)},
                                  failures=[("b/1", US)])
        made_up.add(results, one, "faults_per_million", {US: 0, **same(2)})
        results.add_details(one, US, {"allocator_share": 0.5, "kept_kib": 3})
        results.budgets = budgets.parse(TABLE % "14.00")
        document.write(self.path, document.make(results, [Allocator(n) for n in made_up.NAMES], [],
                                                modes.FULL, 1))
        status, out, _ = self.run_command()
        self.assertEqual(status, 0)
        self.assertEqual(out.splitlines(), lines.of_results(results, US, modes.FULL)[1:])
        with open(self.path, encoding="utf-8") as file:
            written = json.load(file)["requirements"]
        self.assertIn(False, [bar["met"] for bar in written])
        self.assertTrue({"text", "limit", "measured", "met", "detail"} <= set(written[0]))

    def test_what_is_no_document_is_refused_in_a_line(self):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("{}")
        status, out, err = self.run_command()
        self.assertEqual((status, out, err.count("\n")), (2, "", 1))


if __name__ == "__main__":
    unittest.main()
