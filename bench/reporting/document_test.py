# SPDX-License-Identifier: MIT
"""Tests of the document: what is asked of it, and that no odd value in it ends the report."""

import copy
import random
import unittest

from reporting import document as documents
from reporting import figures, markdown, page, tables, testing

ODD = (None, "x", "", [], {}, [1], {"a": 1}, -1, 0, float("nan"), float("inf"), True)
CHANGES = 400


def places(value, way=()):
    """The way to every value inside, of lists the first few."""
    if way:
        yield way
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], way + (key,))
    elif isinstance(value, list):
        for at in range(min(len(value), 3)):
            yield from places(value[at], way + (at,))


def small():
    """One row of each kind, with everything a row can have."""
    document = testing.one_row()
    first = document["rows"][0]
    first["series"] = "pairs"
    for detail in first["details"].values():
        detail["memory"] = detail["memory"][:5]
    for number, kind in enumerate(("workload", "program"), 2):
        row = copy.deepcopy(first)
        row.update(kind=kind, name="pairs/%d" % number, threads=number)
        for values in row["medians"].values():
            values.update(rss_start_kib=1, throughput_per_s=3, p99_us=3)
        document["rows"].append(row)
    return document


class DocumentTest(unittest.TestCase):
    def test_an_odd_value_anywhere_makes_a_page_or_one_line_but_never_a_trace(self):
        whole = small()
        chooser = random.Random(7)
        ways = [way for way in places(whole) if "samples" not in way]
        for way in chooser.sample(ways, min(CHANGES, len(ways))):
            changed = copy.deepcopy(whole)
            holder = changed
            for key in way[:-1]:
                holder = holder[key]
            holder[way[-1]] = odd = chooser.choice(ODD)
            with self.subTest(way=way, odd=odd):
                self.read(changed)

    def read(self, raw):
        try:
            document = documents.Document(raw)
        except documents.BadDocument as bad:
            self.assertNotIn("\n", str(bad))
            return
        self.assertIn("</html>", page.html(document, page.Drawer(None)))
        markdown.text(document)
        figures.headline(document, figures.slots_of(document))

    def test_a_verdict_is_good_or_bad_by_what_its_field_wants(self):
        for verdict, better, meant in (
                ("faster", "lower", "better"), ("slower", "lower", "worse"),
                ("less", "lower", "better"), ("more", "lower", "worse"),
                ("higher", "higher", "better"), ("lower", "higher", "worse"),
                ("no difference", "lower", "same"), ("one round", "lower", "unsure")):
            self.assertEqual(documents.judgement(verdict, better), meant)

    def test_a_row_knows_whom_it_was_compared_to_baselines_first(self):
        document = documents.Document(testing.full())
        self.assertEqual(document.bases(document.rows), ["glibc", "jemalloc", "pymalloc"])
        self.assertEqual(document.bases(document.of_kind("micro")), ["glibc", "jemalloc"])

    def test_the_verdicts_of_all_rows_are_counted(self):
        document = documents.Document(testing.full())
        counted = document.verdicts("jemalloc")
        self.assertEqual(sum(counted.values()), len(document.rows))
        self.assertGreater(counted["better"], counted["worse"])

    def test_each_kind_of_rows_has_its_means(self):
        document = documents.Document(testing.full())
        table = tables.kinds_table(document, {"micro": "Micro", "program": "Programs"})
        self.assertEqual([line[0].text for line in table.rows], ["Micro", "Programs"])
        self.assertEqual(table.rows[0][1].sort,
                         document.kind_mean("poolmalloc", "glibc", "time_ns", "micro"))
        self.assertTrue(all(cell.sort for cell in table.rows[1][1:]))
        self.assertIsNone(tables.kinds_table(
            documents.Document(testing.DOCUMENTS["no-rows"]()), {"micro": "Micro"}))

    def test_one_round_decides_nothing(self):
        document = documents.Document(testing.DOCUMENTS["one-round"]())
        self.assertEqual(set(document.verdicts("glibc")), {"unsure"})


if __name__ == "__main__":
    unittest.main()
