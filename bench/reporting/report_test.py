# SPDX-License-Identifier: MIT
"""Tests of report.py as a whole: what it writes of each made-up document, and what it refuses."""

import contextlib
import html.parser
import io
import json
import os
import re
import tempfile
import unittest
from unittest import mock

import report
from reporting import gnuplot, testing

VOID = {"meta", "br", "wbr", "input", "hr", "img", "link"}


class Balance(html.parser.HTMLParser):
    """Raises AssertionError where a tag is not closed in its order; collects what refers out."""

    def __init__(self):
        super().__init__()
        self.open, self.references, self.scripts = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.references += [value for name, value in attrs
                            if name in ("src", "href", "xlink:href", "srcset", "data")]
        self.references += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, "</%s> in %s at %s" % (
            tag, self.open, self.getpos())
        self.open.pop()


class ReportTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def report(self, *arguments):
        """(status, stderr)"""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            try:
                status = report.main(list(arguments))
            except SystemExit as stopped:
                status = stopped.code
        return status, said.getvalue()

    def made(self, document, without_gnuplot=False):
        """(status, stderr, the page, the Markdown) of a document; files that are not there: ""."""
        with open(self.path("in.json"), "w", encoding="utf-8") as file:
            json.dump(document, file)
        changed = {"PATH": "/nonexistent"} if without_gnuplot else {}
        with mock.patch.dict(os.environ, changed):
            status, said = self.report(self.path("in.json"), "--html", self.path("out.html"),
                                       "--markdown", self.path("out.md"))
        texts = []
        for name in ("out.html", "out.md"):
            with open(self.path(name), encoding="utf-8") as file:
                texts.append(file.read())
        return (status, said, *texts)

    def check_page(self, page):
        parser = Balance()
        parser.feed(page)
        self.assertEqual(parser.open, [])
        self.assertEqual([one for one in parser.references if not one.startswith("#")], [])
        self.assertEqual(parser.scripts, 1)
        self.assertNotRegex(page, r"url\(|@import|https?://")
        for anchor in set(parser.references):
            self.assertIn('id="%s"' % anchor[1:], page)

    def check_markdown(self, text):
        for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
            columns = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            self.assertEqual(len(columns), 1, block[:300])

    def test_every_document_makes_whole_files_without_gnuplot(self):
        for name, make in testing.DOCUMENTS.items():
            with self.subTest(name):
                status, said, page, markdown = self.made(make(), without_gnuplot=True)
                self.assertEqual(status, 0)
                drawn = page.count("<figure>")
                self.assertEqual(page.count("gnuplot-nox"), drawn)
                self.assertEqual("gnuplot-nox" in said, drawn > 0)
                self.check_page(page)
                self.check_markdown(markdown)

    @unittest.skipUnless(gnuplot.find(), "needs the package gnuplot-nox")
    def test_small_and_odd_documents_are_drawn_without_complaint(self):
        for name in ("strange", "one-row", "all-failed"):
            with self.subTest(name):
                status, said, page, _ = self.made(testing.DOCUMENTS[name]())
                self.assertEqual((status, said), (0, ""))
                self.assertEqual(page.count("<figure>"), page.count('<svg class="plot"'))
                self.check_page(page)

    @unittest.skipUnless(gnuplot.find(), "needs the package gnuplot-nox")
    def test_a_page_of_90_rows_and_6_allocators_stays_below_3_mib(self):
        document = testing.large()
        self.assertEqual(len(document["rows"]), 90)
        status, said, page, _ = self.made(document)
        self.assertEqual((status, said), (0, ""))
        self.assertLess(len(page.encode()), 3 * 2**20)

    def test_each_row_and_each_failure_is_in_both_files(self):
        document = testing.full()
        _, _, page, markdown = self.made(document, without_gnuplot=True)
        page, markdown = page.replace("<wbr>", ""), markdown.replace("\\", "")
        for row in document["rows"]:
            self.assertIn("<span>%s</span>" % row["name"], page)
            self.assertIn("| %s |" % row["name"], markdown)
            for name, reason in row["failures"].items():
                for text in (page, markdown):
                    self.assertIn("Failed: %s under %s: %s" % (row["name"], name, reason), text)
        self.assertIn('title="no result after 120 s: killed"', page)

    def test_a_missed_requirement_is_said_at_the_top(self):
        _, _, page, markdown = self.made(testing.full(testing.ALL[:3]), without_gnuplot=True)
        for text in (page, markdown):
            self.assertLess(text.index("✗ missed"), text.index("By family"))
            for words in ("? not measured", "≤ 0.85", "? not decided"):
                self.assertIn(words, text)
        self.assertIn('title="Above: pairs/8 7 for 5, pairs/64 6 for 5"', page)
        self.assertIn("| ✗ missed | 2 | ≤ 0 |", markdown)
        self.assertIn("| 0.90 | \\< 1.00 |", markdown)
        self.assertIn('title="without redis/churn"', page)

    def test_verdicts_have_words_and_symbols_and_throughput_counts_the_other_way(self):
        document = testing.one_row()
        ratios = document["rows"][0]["ratios"]["poolmalloc"]["glibc"]
        ratios["time_ns"]["verdict"] = "slower"
        ratios["peak_rss_kib"]["verdict"] = "no difference"
        ratios["throughput_per_s"] = dict(ratios["time_ns"], verdict="higher")
        document["rows"][0]["kind"] = "program"
        document["rows"][0]["medians"]["poolmalloc"]["throughput_per_s"] = 5
        _, _, page, _ = self.made(document, without_gnuplot=True)
        for words in ("✗ slower", "= no difference", "✓ higher"):
            self.assertIn(words, page)

    def test_a_quick_or_partial_run_says_so(self):
        for change, words in (({"mode": "quick"}, "A quick run"),
                              ({"partial": True}, "A partial run"), ({}, None)):
            document = dict(testing.full(("glibc", "poolmalloc")), **change)
            for text in self.made(document, without_gnuplot=True)[2:]:
                for known in ("A quick run", "A partial run"):
                    self.assertEqual(known in text, known == words)

    def test_what_is_no_document_is_refused_in_one_line(self):
        for text, words in (
                ("{", "no JSON"), ("[1]", "no JSON object"), ("{}", "format is null"),
                ('{"format": 1, "rows": []}', "format is 1, this reads format 2"),
                ('{"format": 2, "rows": []}', "no list of allocators"),
                ('{"format": 2, "allocators": []}', "no list of rows"),
                ('{"format": 2, "allocators": [], "rows": {}}', "rows is dict"),
                ('{"format": 2, "allocators": [], "rows": [1]}', "a row is int"),
                ('{"format": 2, "allocators": [], "rows": [{}]}', "no name"),
                ('{"format": 2, "allocators": [], "rows": [{"name": "x"}]}', "its kind is none"),
                ('{"format": 2, "allocators": [], "rows": [], "machine": 5}', "machine is int"),
                ("\udcff", "no JSON"), ("[" * 100000, "no JSON")):
            with self.subTest(text[:80]):
                with open(self.path("bad.json"), "wb") as file:
                    file.write(text.encode(errors="surrogateescape"))
                status, said = self.report(self.path("bad.json"), "--html", self.path("x.html"))
                self.assertEqual(status, 2)
                self.assertEqual(said.count("\n"), 1)
                self.assertIn(words, said)
                self.assertFalse(os.path.exists(self.path("x.html")))

    def test_a_file_that_is_not_there_and_a_wrong_option_are_refused_in_one_line(self):
        for arguments, words in ((["no.json", "--html", "x"], "No such file"),
                                 (["no.json"], "nothing to write"),
                                 (["no.json", "--pdf", "x"], "unrecognized arguments")):
            status, said = self.report(*arguments)
            self.assertEqual((status, said.count("\n")), (2, 1))
            self.assertIn(words, said)

    def test_a_file_that_cannot_be_written_is_named(self):
        with open(self.path("in.json"), "w", encoding="utf-8") as file:
            json.dump(testing.DOCUMENTS["bare"](), file)
        status, said = self.report(self.path("in.json"), "--markdown", "/nonexistent/out.md")
        self.assertEqual(status, 1)
        self.assertIn("/nonexistent/out.md: No such file", said)

    def test_without_any_ratio_there_is_no_headline_and_that_is_said(self):
        with open(self.path("in.json"), "w", encoding="utf-8") as file:
            json.dump(testing.DOCUMENTS["one-allocator"](), file)
        status, said = self.report(self.path("in.json"), "--headline", self.path("x.svg"))
        self.assertEqual(status, 0)
        self.assertIn("no headline plot", said)
        self.assertFalse(os.path.exists(self.path("x.svg")))


if __name__ == "__main__":
    unittest.main()
