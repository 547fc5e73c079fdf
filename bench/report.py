#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the report of a comparison from its JSON document (compare.py --json FILE).

Writes any of: one self-contained HTML page, the same as Markdown, and the headline plot as SVG for
a README. The plots are drawn by gnuplot (Debian: gnuplot-nox); without it the page is made all the
same, with a notice in the place of each plot.

Exit status: 0; 1 when gnuplot failed or a file could not be written; 2 for a wrong option or a
document that cannot be read.
"""

import argparse
import sys

from reporting import document, figures, gnuplot, markdown, page


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, "%s: %s\n" % (self.prog, message))


def parse_arguments(argv):
    parser = Parser(prog="report.py", description=__doc__,
                    formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", metavar="RESULTS.json", help="written by compare.py --json")
    parser.add_argument("--html", metavar="FILE", help="write the page there")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables there")
    parser.add_argument("--headline", metavar="FILE.svg",
                        help="write the plot of the mean ratios there")
    arguments = parser.parse_args(argv)
    if not (arguments.html or arguments.markdown or arguments.headline):
        parser.error("nothing to write: give --html, --markdown or --headline")
    return arguments


def say(text):
    print("report: %s" % text, file=sys.stderr, flush=True)


def headline(results, drawer):
    """The SVG; None, having said why, when there is none."""
    plot = figures.headline(results, figures.slots_of(results))
    if plot is None:
        say("no headline plot: no row has a ratio of times")
        return None
    title = "Time of %s over that of each other allocator, by kind of row" % results.subject
    return drawer.draw(plot, title, gnuplot.alone)


def outputs(arguments, results, drawer):
    """(file name, text) of each, made one after the other."""
    if arguments.markdown:
        yield arguments.markdown, markdown.text(results)
    if arguments.headline:
        yield arguments.headline, headline(results, drawer)
    if arguments.html:
        yield arguments.html, page.html(results, drawer)


def write_all(arguments, results, drawer):
    for name, text in outputs(arguments, results, drawer):
        if text is None:
            say("%s is not written" % name)
            continue
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)


def main(argv=None):
    arguments = parse_arguments(argv)
    try:
        results = document.load(arguments.results)
    except document.BadDocument as bad:
        say("%s: %s" % (arguments.results, bad))
        return 2
    drawer = page.Drawer(gnuplot.find())
    try:
        write_all(arguments, results, drawer)
    except OSError as error:
        say("%s: %s" % (error.filename, error.strerror))
        return 1
    if drawer.missing:
        say("no plots: %s" % gnuplot.Missing())
    for failure in drawer.failures:
        say(failure)
    return 1 if drawer.failures else 0


if __name__ == "__main__":
    sys.exit(main())
