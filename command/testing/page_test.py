# SPDX-License-Identifier: MIT
"""Tests of the pages of report and diff, in headless Chromium. See common.py."""

import json
import os
import re
import sys
import unittest

import common
from common import FilesTest, gperftools, rows_of, scaled, snapshot

sys.path.insert(0, os.path.join(common.HERE, "../../bench"))
from reporting import browser  # noqa: E402

NASTY = "/lib/</script><b onclick=\"x\">&amp;'\\é.so"
ROWS = """
return [...document.querySelectorAll('#table tbody tr, #table tfoot tr')].map(row =>
  [row.lastChild.querySelector('span,summary') ? row.lastChild.querySelector('span,summary')
    .textContent : row.lastChild.textContent,
   [...row.querySelectorAll('td[data-v]')].map(cell => Number(cell.dataset.v))]);
"""
BOXES = """
return [...document.querySelectorAll('.frame')].map(box => {
  const b = box.querySelector('rect').getBoundingClientRect();
  return [box.getAttribute('aria-label').split('\\n')[0], Math.round(b.left), Math.round(b.width),
    Math.round(b.top), box.getAttribute('class')];
});
"""
CLICK = """
const name = arguments[0];
const box = [...document.querySelectorAll('.frame')].find(one =>
  one.getAttribute('aria-label').split('\\n')[0] === name);
box.dispatchEvent(new MouseEvent('click', {bubbles: true}));
"""


class PageTest(FilesTest):
    @classmethod
    def setUpClass(cls):
        cls.browser = browser.Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def tearDown(self):
        self.assertEqual(self.browser.errors(), [])

    def open(self, *words, **more):
        """The page of a command; what the same command prints."""
        output, _ = self.run_command(*words, "--text", "--top=1000", "-o", self.path("page.html"))
        self.browser.open(self.path("page.html"), **more)
        return output

    def rows(self, *words):
        """Of the table that is shown, as rows_of has it."""
        return {name: [int(value) for at, value in enumerate(values)
                       if at != 1 or len(values) > 3]
                for name, values in self.browser.run(ROWS)}

    def boxes(self):
        return {box[0]: box for box in self.browser.run(BOXES)}

    def choose(self, group, name):
        self.browser.run("document.querySelector('#' + arguments[0] + ' [data-choice=\"'"
                         "+ arguments[1] + '\"]').click()", group, name)

    def test_tables_have_the_numbers_of_the_text(self):
        program = self.recorder("-g")
        for form in ("snapshot", "gperftools"):
            path = self.record(program, form, 64)
            for group in ("function", "file", "line", "module", "traceback", "domain"):
                if form != "snapshot" and group == "domain":
                    continue
                wanted = rows_of(self.open("report", path, "--by=" + group))
                if group == "traceback":  # the text has a first frame twice
                    self.assertEqual(self.rows()["total"], wanted["total"])
                    continue
                with self.subTest((form, group)):
                    self.assertEqual(self.rows(), wanted)

    def test_cumulative_tables_and_all_allocations_too(self):
        path = self.record(self.recorder("-g"), "jemalloc", 64)
        for words in (["--cumulative"], ["--all"], ["--all", "--cumulative", "--by=line"]):
            wanted = rows_of(self.open("report", path, *words))
            self.assertEqual(self.rows(), wanted)
        self.choose("sets", 0)
        self.choose("groups", "function")
        self.browser.run("document.getElementById('cumulative').click()")
        self.assertEqual(self.rows(), rows_of(self.open("report", path)))

    def test_the_flame_graph_is_as_wide_as_what_was_allocated(self):
        self.open("report", self.write("snapshot", snapshot()))
        boxes = self.boxes()
        self.assertEqual(set(boxes), {"all", "0x1001", "0x2001", "0x2002", "0x3001", "0x9001"})
        whole = boxes["all"][2]
        for name, size in (("0x3001", 3400), ("0x2001", 3000), ("0x2002", 400), ("0x9001", 7)):
            self.assertAlmostEqual(boxes[name][2], whole * size / 3407, delta=1.1)
        # Who called lies above who was called.
        self.assertLess(boxes["0x3001"][3], boxes["0x2001"][3])
        self.browser.run("document.getElementById('inverted').click()")
        boxes = self.boxes()
        self.assertLess(boxes["0x1001"][3], boxes["0x2001"][3])
        self.assertAlmostEqual(boxes["0x1001"][2], whole * 3400 / 3407, delta=1.1)

    def test_a_click_zooms_and_the_button_zooms_out(self):
        self.open("report", self.write("snapshot", snapshot()))
        whole = self.boxes()["all"][2]
        self.browser.run(CLICK, "0x2002")
        boxes = self.boxes()
        self.assertEqual(boxes["0x2002"][2], whole)
        self.assertIn("above", boxes["0x3001"][4])
        self.assertNotIn("0x2001", boxes)
        self.browser.run("document.getElementById('reset').click()")
        self.assertIn("0x2001", self.boxes())

    def test_keys_move_zoom_and_search(self):
        from selenium.webdriver.common.keys import Keys
        self.open("report", self.write("snapshot", snapshot()))
        element = self.browser.driver.switch_to
        self.browser.run("document.querySelector('.frame').focus()")
        for key, name in ((Keys.ARROW_DOWN, "0x3001"), (Keys.ARROW_RIGHT, "0x9001"),
                          (Keys.ARROW_LEFT, "0x3001"), (Keys.ARROW_DOWN, "0x2001"),
                          (Keys.ARROW_UP, "0x3001")):
            element.active_element.send_keys(key)
            self.assertTrue(element.active_element.get_attribute("aria-label")
                            .startswith(name + "\n"), name)
        tip = self.browser.run("return document.getElementById('tip').textContent")
        self.assertIn("3,400 bytes", tip)
        self.assertIn("8 blocks", tip)
        self.assertIn("99.79 %", tip)
        element.active_element.send_keys(Keys.ENTER)
        self.assertNotIn("0x9001", self.boxes())
        element.active_element.send_keys(Keys.ESCAPE)
        self.assertIn("0x9001", self.boxes())
        element.active_element.send_keys("/")
        element.active_element.send_keys("0X2002")
        self.assertEqual([name for name, box in self.boxes().items() if "found" in box[4]],
                         ["0x2002"])
        self.assertIn("in 11.74 %", self.browser.run(
            "return document.getElementById('status').textContent"))

    def test_heads_sort(self):
        self.open("report", self.write("snapshot", snapshot()), "--by=domain")
        order = [name for name, _ in self.browser.run(ROWS)]
        self.assertEqual(order, ["raw", "mem", "object", "total"])
        click = "document.querySelectorAll('#table thead button')[arguments[0]].click()"
        for at, wanted in ((2, ["mem", "raw", "object"]), (2, ["object", "raw", "mem"]),
                           (3, ["mem", "object", "raw"]), (0, ["raw", "mem", "object"])):
            self.browser.run(click, at)
            self.assertEqual([name for name, _ in self.browser.run(ROWS)][:3], wanted)

    def test_a_profile_switches_to_all_allocations_and_blocks(self):
        self.open("report", self.write("profile", gperftools()))
        self.choose("sets", 1)
        wanted = [scaled(6, 6000), scaled(10, 800), scaled(2, 14)]
        self.assertEqual(self.rows()["total"], [sum(one[1] for one in wanted),
                                                sum(one[0] for one in wanted)])
        self.choose("measures", 0)
        boxes = self.boxes()
        self.assertAlmostEqual(boxes["0x9001"][2], boxes["all"][2] * wanted[2][0]
                               / sum(one[0] for one in wanted), delta=1.1)

    def test_a_difference_has_the_numbers_of_the_text_and_colours(self):
        old = self.write("old", snapshot())
        new = self.write("new", snapshot(
            ((4, 4000, "0x1001 0x2001 0x3001"), (2, 400, "0x6001"))))
        wanted = rows_of(self.open("diff", old, new))
        self.assertEqual(self.rows(), wanted)
        colours = self.browser.run("""
            return [...document.querySelectorAll('.frame')].map(box => [
              box.getAttribute('aria-label').split('\\n')[0], box.getAttribute('style')]);""")
        colours = dict(colours)
        self.assertIn("--h:4;", colours["0x6001"])     # new
        self.assertIn("--h:212;", colours["0x2002"])   # gone, and still to be seen
        self.assertEqual(len(self.browser.run(
            "return [...document.querySelectorAll('td.grow, td.shrink')].map(e => e.className)")),
            2 * len([row for row in wanted.values() if row[0]]))

    def test_odd_names_are_text_and_nothing_else(self):
        maps = "000000001000-000000010000 r-xp 00000000 08:01 42   %s\n" % NASTY
        path = self.write("<i>&", snapshot(maps=maps))
        self.open("report", path)
        self.assertEqual(self.browser.run("return document.querySelectorAll('b, i').length"), 0)
        name = os.path.basename(NASTY) + "+0x1"
        self.assertIn(name, self.boxes())
        self.assertIn(name, self.rows())
        facts = self.browser.run("return document.getElementById('facts').textContent")
        self.assertIn(path, facts)
        self.assertIn("4711", facts)
        self.assertIn("traced", facts)
        # What is no UTF-8 is shown as such.
        self.open("report", self.write("raw", snapshot(maps=maps).encode().replace(
            "é".encode(), b"\xff")))
        self.assertIn(name.replace("é", "\ufffd"), self.boxes())

    def test_pages_need_nothing_else_and_can_be_read_light_and_dark(self):
        path = self.write("snapshot", snapshot())
        for words in (["report", path], ["diff", path, path]):
            for dark in (False, True):
                self.open(*words, dark=dark)
                for check, arguments in ((browser.OVERFLOW, ()), (browser.IDS, ()),
                                         (browser.POOR_CONTRAST, (4.5,))):
                    self.assertEqual(self.browser.run(check, *arguments), [], (words, dark))
            with open(self.path("page.html"), encoding="utf-8") as file:
                page = file.read()
            self.assertNotRegex(page, r"url\(|@import|\bsrc=|\bhref=")
            self.assertEqual(set(re.findall(r"https?://[^\"]*", page)),
                             {"http://www.w3.org/2000/svg"})
            json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])

    def test_a_table_of_many_rows_shows_all_on_request(self):
        stacks = [(1, 16 + i, "0x%x" % (4097 + i)) for i in range(300)]
        self.open("report", self.write("snapshot", snapshot(stacks, [0] * 300)))
        self.assertEqual(len(self.browser.run(ROWS)), 51)
        self.browser.run("document.getElementById('more').click()")
        self.assertEqual(len(self.browser.run(ROWS)), 301)


if __name__ == "__main__":
    common.main(browser.MISSING)
