# SPDX-License-Identifier: MIT
"""Tests of the page as a reader sees it: in headless Chromium, light, dark, and on a phone.

PM_BENCH_SCREENSHOTS names a folder that keeps screenshots of the whole pages, for a person to
look at; without it they are of the top only, and go.
"""

import json
import os
import re
import tempfile
import unittest

import report
from reporting import browser, gnuplot, testing

SMALLEST_PIXELS = 9
TOP_PIXELS = 1600
CONTRAST = 4.5  # WCAG AA, of text
MARKS = re.compile(r'(<g class="mark">)(.*?)(</g>)', re.S)


def setUpModule():
    if browser.MISSING or not gnuplot.find():
        raise unittest.SkipTest(browser.MISSING or "needs the package " + gnuplot.PACKAGE)


class PageTest(unittest.TestCase):
    phone = False

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        kept = os.environ.get("PM_BENCH_SCREENSHOTS")
        cls.shots, cls.shot_height = kept or cls.folder, None if kept else TOP_PIXELS
        os.makedirs(cls.shots, exist_ok=True)
        cls.browser = browser.Browser(cls.phone)
        cls.addClassCleanup(cls.browser.quit)
        cls.full = cls.page("full")

    @classmethod
    def page(cls, name):
        """The file of that made-up document's page."""
        path = os.path.join(cls.folder, name)
        with open(path + ".json", "w", encoding="utf-8") as file:
            json.dump(testing.DOCUMENTS[name](), file)
        status = report.main([path + ".json", "--html", path + ".html"])
        assert status == 0, "report.py ended with %d" % status
        return path + ".html"

    def look(self, path, shot, dark=False):
        """Opens it, takes the screenshot, and asserts what must hold of every page."""
        self.browser.open(path, dark)
        target = os.path.join(self.shots, shot + ".png")
        self.browser.screenshot(target, self.shot_height)
        self.assertGreater(os.path.getsize(target), 10000)
        self.assertEqual(self.browser.errors(), [])
        for script, arguments in ((browser.EMPTY_PLOTS, ()), (browser.CROWDED_TEXT, ()),
                                  (browser.OVERFLOW, ()), (browser.IDS, ()),
                                  (browser.SMALL_TEXT, (SMALLEST_PIXELS,)),
                                  (browser.POOR_CONTRAST, (CONTRAST,))):
            self.assertEqual(self.browser.run(script, *arguments), [])


class DesktopTest(PageTest):
    def test_in_light_every_plot_shows_its_data_and_all_words_can_be_read(self):
        self.look(self.full, "desktop-light")
        self.assertGreater(self.browser.run("return document.querySelectorAll('svg.plot').length"),
                           40)

    def test_in_dark_every_plot_shows_its_data_and_all_words_can_be_read(self):
        self.look(self.full, "desktop-dark", dark=True)
        self.assertLess(self.ground(), 60)

    def test_strange_names_are_shown_and_run_nothing(self):
        self.look(self.page("strange"), "desktop-strange")
        self.assertIn(testing.STRANGE, self.browser.run("return document.body.textContent"))
        self.assertEqual(self.browser.run(
            "return document.querySelectorAll('script, b').length"), 1)

    def test_degenerate_documents_make_whole_pages(self):
        for name in ("one-allocator", "one-row", "all-failed", "bare"):
            with self.subTest(name):
                self.look(self.page(name), "desktop-" + name)

    def test_the_headline_plot_alone_shows_its_data_and_cuts_off_no_word(self):
        source, target = (os.path.join(self.folder, "full" + end) for end in (".json", ".svg"))
        self.assertEqual(report.main([source, "--headline", target]), 0)
        with open(target, encoding="utf-8") as file:
            svg = file.read().replace("<svg ", '<svg class="plot" ', 1)
        path = os.path.join(self.folder, "headline.html")
        with open(path, "w", encoding="utf-8") as file:
            file.write("<!DOCTYPE html><title>x</title><figure><h3>headline</h3>%s</figure>" % svg)
        for dark in (False, True):
            self.browser.open(path, dark)
            self.browser.screenshot(os.path.join(
                self.shots, "headline-%s.png" % ("dark" if dark else "light")))
            for script in (browser.EMPTY_PLOTS, browser.CROWDED_TEXT):
                self.assertEqual(self.browser.run(script), [])
            paper = self.browser.run(
                "return getComputedStyle(document.querySelector('.paper')).fill")
            self.assertEqual(int(re.search(r"\d+", paper).group()) < 60, dark)

    def emptied(self, change):
        """What the check says of a page whose first plot was changed so."""
        with open(self.full, encoding="utf-8") as file:
            whole = file.read()
        start, end = whole.index('<svg class="plot"'), whole.index("<figcaption>")
        path = os.path.join(self.folder, "emptied.html")
        with open(path, "w", encoding="utf-8") as file:
            file.write(whole[:start] + change(whole[start:end]) + whole[end:])
        self.browser.open(path)
        return self.browser.run(browser.EMPTY_PLOTS)

    def test_a_plot_whose_data_was_emptied_is_noticed(self):
        for change, words in (
                (lambda svg: svg, None),
                (lambda svg: MARKS.sub(r"\1\3", svg), "nothing to be seen"),
                (lambda svg: MARKS.sub(r"\1\3", svg, count=1), "nothing to be seen"),
                (lambda svg: MARKS.sub("", svg), "no marks"),
                (lambda svg: MARKS.sub(r'\1<path class="k-a0" d="M9,9L9,9"/>\3', svg),
                 "nothing to be seen"),
                (lambda svg: MARKS.sub(r'\1<path class="k-a0" d="M-900,9L-800,9"/>\3', svg),
                 "nothing to be seen"),
                (lambda svg: MARKS.sub(r'\1<path d="M9,9L99,99"/>\3', svg), "nothing to be seen"),
                (lambda svg: MARKS.sub(r'\1<text x="9" y="9">0.5</text>\3', svg), "no data"),
                (lambda svg: '<p class="missing">No plot</p>', "no plot")):
            said = self.emptied(change)
            self.assertEqual(bool(said), words is not None, said)
            for line in said:
                self.assertRegex(line, "Time by family: microbenchmarks: ")
            if words:
                self.assertIn(words, " ".join(said))

    def test_each_other_check_notices_what_it_is_for(self):
        for change, script, arguments in (
                ("document.querySelector('main').style.minWidth = '3000px'", browser.OVERFLOW, ()),
                ("document.querySelector('.plot text').style.fontSize = '5px'",
                 browser.SMALL_TEXT, (SMALLEST_PIXELS,)),
                ("document.querySelector('.lead').style.color = '#ccc'",
                 browser.POOR_CONTRAST, (CONTRAST,)),
                ("document.querySelector('.plot text').style.fill = '#ddd'",
                 browser.POOR_CONTRAST, (CONTRAST,)),
                ("document.querySelector('.plot text').setAttribute('x', 515)",
                 browser.CROWDED_TEXT, ()),
                ("document.querySelector('h2').id = 'theme'", browser.IDS, ())):
            self.browser.open(self.full)
            self.browser.run(change)
            self.assertNotEqual(self.browser.run(script, *arguments), [], change)
        self.browser.run("setTimeout(() => nothing_of_that_name(), 0)")
        self.browser.driver.execute_async_script("setTimeout(arguments[0], 50)")
        self.assertIn("nothing_of_that_name", " ".join(self.browser.errors()))

    COLUMN = """
        const [section, column] = arguments, table = document.querySelector(section + ' table');
        return [...table.tBodies[0].rows].map(row => row.cells[column].dataset.v === undefined
          ? row.cells[column].firstChild.textContent : +row.cells[column].dataset.v);"""

    def sort(self, section, column):
        """Presses the button; the column's values then, and what the heading says of itself."""
        self.browser.run("document.querySelector(arguments[0] + ' table').tHead.rows[0]"
                         ".cells[arguments[1]].querySelector('button').click()", section, column)
        return (self.browser.run(self.COLUMN, section, column), self.browser.run(
            "return [...document.querySelector(arguments[0] + ' table').tHead.rows[0].cells]"
            ".map(head => head.getAttribute('aria-sort'))", section))

    def test_tables_sort_up_and_down_and_say_so(self):
        self.browser.open(self.full)
        before = self.browser.run(self.COLUMN, "#micro", 1)
        up, says_up = self.sort("#micro", 1)
        down, says_down = self.sort("#micro", 1)
        self.assertNotEqual(before, up)
        self.assertEqual(up, sorted(before))
        self.assertEqual(down, up[::-1])
        self.assertEqual((says_up[1], says_down[1]), ("ascending", "descending"))
        self.assertEqual(set(says_down[:1] + says_down[2:]), {"none"})
        names, says = self.sort("#micro", 0)
        self.assertEqual((says[0], says[1]), ("ascending", "none"))
        # Numbers inside names count as numbers.
        self.assertLess(names.index("threads/8"), names.index("threads/16"))

    def test_a_failed_cell_stays_last_whichever_way(self):
        self.browser.open(self.full)
        column = self.browser.run(
            "return [...document.querySelector('#workloads table').tHead.rows[0].cells]"
            ".findIndex(head => head.textContent.startsWith('tcmalloc'))")
        for _ in range(2):
            values, _ = self.sort("#workloads", column)
            self.assertEqual(values[-1], "✗ failed")
            self.assertTrue(all(isinstance(value, (int, float)) for value in values[:-1]))

    def ground(self):
        """How light the page is: 0 to 255."""
        colour = self.browser.run("return getComputedStyle(document.body).backgroundColor")
        return int(re.search(r"\d+", colour).group())

    def test_the_switch_overrides_what_the_system_prefers(self):
        for dark in (False, True):
            self.browser.open(self.full, dark)
            self.browser.run("try { localStorage.clear() } catch (e) {}")
            self.browser.open(self.full, dark)
            grounds = {}
            for _ in range(3):
                self.browser.run("document.getElementById('theme').click()")
                now = self.browser.run("return document.getElementById('theme').textContent")
                grounds[now] = self.ground()
            self.assertGreater(grounds["Theme: light"], 200)
            self.assertLess(grounds["Theme: dark"], 60)
            self.assertEqual(grounds["Theme: auto"] < 60, dark)

    def test_without_script_the_page_is_whole_but_for_the_buttons(self):
        path = os.path.join(self.folder, "scriptless.html")
        with open(self.full, encoding="utf-8") as file:
            whole = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"<script>.*</script>", "", whole, flags=re.S))
        self.look(path, "desktop-scriptless", dark=True)
        self.assertLess(self.ground(), 60)
        self.assertEqual(self.browser.run(
            "return [...document.querySelectorAll('button')].filter(b => b.offsetWidth).length"), 0)

    def test_on_paper_all_of_a_wide_table_is_there_and_the_ground_is_white(self):
        self.browser.open(self.full, dark=True)
        self.browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]})
        self.assertEqual(self.ground(), 255)
        self.assertEqual(self.browser.run(browser.POOR_CONTRAST, CONTRAST), [])
        self.assertEqual(self.browser.run(
            "return getComputedStyle(document.querySelector('.scroll')).overflowX"), "visible")
        self.browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})

    def test_figures_and_tables_say_what_they_are(self):
        self.browser.open(self.full)
        self.assertEqual(self.browser.run("""
            return [...document.querySelectorAll('figure')].filter(f =>
                !f.querySelector('svg[role=img][aria-label]') ||
                !f.querySelector('figcaption').textContent.trim()).length
              + [...document.querySelectorAll('table')].filter(t => !t.caption.textContent).length
              + document.querySelectorAll('th:not([scope])').length
              + document.querySelectorAll('tbody tr > :first-child:not(th)').length"""), 0)


class PhoneTest(PageTest):
    phone = True

    def test_on_a_phone_nothing_scrolls_sideways_and_all_words_can_be_read(self):
        self.look(self.full, "phone-light")
        self.look(self.full, "phone-dark", dark=True)
        self.assertEqual(self.browser.run("return document.documentElement.clientWidth"), 390)

    def test_long_and_strange_names_do_not_widen_the_page(self):
        self.look(self.page("strange"), "phone-strange")


del PageTest  # only a base

if __name__ == "__main__":
    unittest.main()
