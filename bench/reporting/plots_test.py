# SPDX-License-Identifier: MIT
"""Tests of what is plotted, of the way through gnuplot, and of what happens without it."""

import os
import re
import stat
import tempfile
import unittest
from xml.etree import ElementTree

from reporting import document as documents
from reporting import figures, gnuplot, plots, testing

GNUPLOT = gnuplot.find()


def ratio(median, low=None, high=None):
    return documents.Ratio(median, low or median, high or median, 0.0, 3, "", "")


def plot_of(bars=(("pairs/8", [(1, ratio(0.5, 0.4, 0.6))]),)):
    return plots.ratio_bars(list(bars), "hint")


class ShapeTest(unittest.TestCase):
    def test_ticks_of_a_ratio_never_touch_and_1_is_always_there(self):
        for low, high in ((0.99, 1.01), (0.3, 1.2), (0.01, 90), (0.9, 1.15), (1e-3, 1e3)):
            ticks = sorted(plots.log_ticks(low, high, 300))
            self.assertIn(1, ticks)
            self.assertTrue(all(low <= tick <= high for tick in ticks))

    def test_all_bars_and_whiskers_are_inside_the_range(self):
        bars = [("a", [(0, ratio(0.5, 0.4, 0.7)), (1, ratio(3, 2, 4))])]
        low, high = plots.ratio_range(bars)
        self.assertLess(low, 0.4)
        self.assertGreater(high, 4)

    def test_a_whisker_that_reaches_almost_0_does_not_squeeze_the_rest(self):
        low, _ = plots.ratio_range([("a", [(0, ratio(0.5, 1e-9, 0.7))])])
        self.assertGreater(low, 0.05)

    def test_a_thinned_series_keeps_its_ends_and_its_peak(self):
        points = [[ms, 100 + ms % 7] for ms in range(1000)]
        points[437][1] = 5000
        thin = plots.thinned(points)
        self.assertLessEqual(len(thin), plots.POINTS_MAX)
        self.assertEqual((thin[0], thin[-1]), (points[0], points[-1]))
        self.assertIn([437, 5000], thin)
        self.assertEqual(thin, sorted(thin))

    def test_many_bars_are_split_into_plots_that_a_phone_can_show(self):
        bars = [("row%d" % n, [(0, ratio(1)), (1, ratio(1))]) for n in range(47)]
        parts = figures.chunks(bars)
        self.assertEqual(sum(parts, []), bars)
        self.assertEqual(len(parts), 4)
        self.assertTrue(all(len(part) <= 15 for part in parts))

    def test_a_quantile_of_1_has_no_place_on_the_axis_and_is_left_out(self):
        self.assertEqual(plots.log_points([[0.9, 5], [1, 7], [0.99, None], [0.5, 0]]), [[1, 5]])

    def test_the_whisker_of_a_family_spans_its_rows(self):
        document = documents.Document(testing.full(testing.ALL[:3]))
        rows = [row.ratio("poolmalloc", "glibc", "time_ns")
                for row in document.rows if row.family == "pairs"]
        of_family = dict(dict(figures.family_bars(document, "time_ns"))["pairs"])["glibc"]
        self.assertEqual(of_family.low, min(one.median for one in rows))
        self.assertEqual(of_family.high, max(one.median for one in rows))
        self.assertAlmostEqual(of_family.median, documents.log_middle([r.median for r in rows]))


class TroubleTest(unittest.TestCase):
    def script(self, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "gnuplot")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, stat.S_IRWXU)
        return path

    def test_without_gnuplot_the_package_is_named(self):
        for program in (None, "/nonexistent/gnuplot"):
            with self.assertRaisesRegex(gnuplot.Missing, "gnuplot-nox"):
                gnuplot.render(plot_of(), program)

    def test_what_gnuplot_says_is_shown(self):
        for said, shown in (("cat >&2 <<E\nplot x\n     ^\nline 3: undefined variable: x\nE\n"
                             "exit 1\n", "line 3: undefined variable: x"),
                            ("exit 3\n", "exit status 3"),
                            ("echo no picture\n", "no SVG"),
                            ("echo '<svg/>'; echo 'empty x range' >&2\n", "empty x range")):
            with self.assertRaisesRegex(gnuplot.Failed, shown):
                gnuplot.render(plot_of(), self.script(said))


@unittest.skipUnless(GNUPLOT, "needs the package gnuplot-nox")
class GnuplotTest(unittest.TestCase):
    def drawn(self, plot):
        return gnuplot.render(plot, GNUPLOT)

    def test_a_bar_reaches_from_1_to_its_ratio(self):
        svg = self.drawn(plot_of([("a", [(1, ratio(0.5))]), ("b", [(1, ratio(2))])]))
        bars = [[float(x) for x in re.findall(r"([\d.]+),", points)]
                for points in re.findall(r'<polygon class="f-a1" points="([^"]*)"', svg)]
        line = float(re.search(r'class="k-one"[^>]*d="M([\d.]+),', svg).group(1))
        self.assertEqual(len(bars), 2)
        self.assertAlmostEqual(max(bars[0]), line, delta=0.3)
        self.assertAlmostEqual(min(bars[1]), line, delta=0.3)
        # On a logarithmic axis half and double are equally far from 1.
        self.assertAlmostEqual(line - min(bars[0]), max(bars[1]) - line, delta=0.5)

    def test_names_arrive_as_they_are_and_never_as_commands_or_markup(self):
        name = 'a<b>&"c"@0@\\{}$x%d`x`'
        svg = self.drawn(plot_of([(name, [(0, ratio(0.5))])]))
        texts = [text.text for text in ElementTree.fromstring("<svg>%s</svg>" % svg).iter("text")]
        self.assertIn(name, texts)

    def test_no_ids_and_no_colours_are_left(self):
        svg = self.drawn(plot_of())
        self.assertNotRegex(svg, r"\bid=|rgb\(|currentColor|xlink")
        self.assertIn('class="k-whisker"', svg)
        self.assertIn('class="mark"', svg)

    def test_the_mean_of_a_kind_weighs_its_families_alike(self):
        document = documents.Document(testing.full(testing.ALL[:3]))
        families = figures.family_bars(document, "time_ns", ("micro",))
        means = [dict(ratios)["glibc"].median for _, ratios in families]
        of_kind = dict(dict(figures.kind_bars(document, "time_ns"))["micro"])["glibc"]
        self.assertAlmostEqual(of_kind.median, documents.log_middle(means))
        self.assertEqual((of_kind.low, of_kind.high), (min(means), max(means)))

    def test_with_many_allocators_rows_have_bars_against_baselines_and_what_few_rows_have(self):
        document = documents.Document(testing.full(testing.ALL))
        self.assertEqual(figures.bases_of_rows(document), ["glibc", "jemalloc", "pymalloc"])

    def test_a_plot_that_stands_alone_is_well_formed_and_knows_both_themes(self):
        document = documents.Document(testing.full(testing.ALL[:3]))
        plot = figures.headline(document, figures.slots_of(document))
        svg = gnuplot.alone(plot, self.drawn(plot), 'a "title" <&>')
        root = ElementTree.fromstring(svg)
        self.assertEqual(root.find(gnuplot.SVG + "title").text, 'a "title" <&>')
        self.assertIn("prefers-color-scheme:dark", svg)
        used = set(re.findall(r"\b([kf]-\w+)", " ".join(re.findall(r'class="([^"]*)"', svg))))
        for name in used:
            self.assertEqual(svg.count(".%s{" % name), 2, name)

    def test_extreme_values_are_drawn(self):
        for bars in ([("a", [(0, ratio(1e-6, 1e-9, 1e-3))])], [("a", [(0, ratio(1e6, 1, 1e9))])],
                     [("a", [(0, ratio(1, 1, 1))])]):
            self.assertIn("<polygon", self.drawn(plot_of(bars)))
        for points in ([[0.5, 10.0]], [[0.5, 3.0], [0.9, 3.0]], [[0, 1e-3], [0.999999, 1e10]]):
            self.assertIn('class="mark"', self.drawn(plots.latency_plot([(0, points)])))
        for points in ([[5, 100], [5, 100]], [[0, 0], [1, 0]], [[0, 1], [1e9, 1e10]]):
            for share in (False, True):
                self.assertIn('class="mark"', self.drawn(
                    plots.memory_plot([(0, points)], points, share)))
        self.assertIn('class="mark"', self.drawn(plots.threads_plot([(0, [(1, 5.0), (2, 0.1)])])))


if __name__ == "__main__":
    unittest.main()
