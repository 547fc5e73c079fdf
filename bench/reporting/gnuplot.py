# SPDX-License-Identifier: MIT
"""Plots drawn by gnuplot, rewritten as small SVG whose colours are classes.

A Plot collects the script. gnuplot never sees a name: texts are tokens in the script, and are put
back into the drawing, escaped; colours are those of palette.py. Of gnuplot's output only lines,
areas, marks and texts are kept, without ids (so that many fit into one page). What belongs to the
data is in <g class="mark">; all else is axes and words.
"""

import re
import shutil
import subprocess
from xml.etree import ElementTree

from reporting import palette, words

SECONDS = 60
PACKAGE = "gnuplot-nox"
SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
FONT_SIZE = 14
# Markers by gnuplot's point type less one, as corners around 0,0; a circle has none.
MARKERS = ((), ((-.9, -.9), (.9, -.9), (.9, .9), (-.9, .9)), ((0, -1.2), (1.1, .8), (-1.1, .8)),
           ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)), ((0, 1.2), (1.1, -.8), (-1.1, -.8)),
           ((-1.3, -.5), (1.3, -.5), (1.3, .5), (-1.3, .5)),
           ((-.5, -1.3), (.5, -1.3), (.5, 1.3), (-.5, 1.3)),
           ((-1, -1), (1, 0), (-1, 1)), ((1, -1), (-1, 0), (1, 1)),
           ((-.6, -1.2), (.6, -1.2), (1.2, 0), (.6, 1.2), (-.6, 1.2), (-1.2, 0)))


class Missing(Exception):
    """There is no gnuplot."""

    def __init__(self):
        super().__init__("gnuplot is not installed: the Debian package is " + PACKAGE)


class Failed(Exception):
    """What gnuplot said, in one line."""


class Plot:
    """The script of one plot, with what it needs to become SVG."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.lines, self.curves, self.blocks, self.texts = [], [], [], []

    def add(self, *lines):
        self.lines += lines

    def text(self, string):
        """A quoted token that stands for the text, whatever is in it."""
        self.texts.append(" ".join(str(string).split()))
        return '"@%d@"' % (len(self.texts) - 1)

    def data(self, rows):
        """The name of a block of these rows of numbers; one with a None is left out."""
        name = "$d%d" % len(self.blocks)
        self.blocks.append([name, [row for row in rows if None not in row]])
        return name

    def draw(self, curve):
        self.curves.append(curve)

    def script(self):
        lines = ['set terminal svg size %d,%d fixed noenhanced font "sans-serif,%d"'
                 % (self.width, self.height, FONT_SIZE), "set encoding utf8", "set key off",
                 'set datafile separator whitespace',
                 'set tics nomirror textcolor rgb "%s"' % palette.role_colour("text"),
                 'set border lc rgb "%s"' % palette.role_colour("axis")] + self.lines
        for name, rows in self.blocks:
            lines += [name + " << END"] + [
                " ".join(v if isinstance(v, str) else "%.10g" % v for v in row) for row in rows]
            lines.append("END")
        return "\n".join(lines + ["plot " + ", \\\n  ".join(self.curves), ""])


def find():
    return shutil.which("gnuplot")


def run(script, program):
    if not program:
        raise Missing()
    try:
        done = subprocess.run([program, "-"], input=script, capture_output=True, text=True,
                              encoding="utf-8", errors="replace", timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise Missing() from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed("gnuplot: %s" % error) from None
    if done.returncode or done.stderr.strip():
        # gnuplot repeats the line and points at it; the last line says what is wrong.
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise Failed("gnuplot: %s" % (said[-1] if said else "exit status %d" % done.returncode))
    return done.stdout


def class_of(colour):
    """"k-"less class of rgb(1, 2, 0); None for none, currentColor and the like."""
    found = re.fullmatch(r"rgb\(\s*(\d+),\s*(\d+),\s*(\d+)\)", (colour or "").strip())
    return palette.class_of(int(found.group(1)), int(found.group(2))) if found else None


def short(numbers):
    """Coordinates with one decimal: a tenth of a pixel is more than a plot shows."""
    text = re.sub(r"-?\d+\.\d+", lambda n: re.sub(r"\.0$", "", "%.1f" % float(n.group())), numbers)
    return re.sub(r" ?([MLz]) ?", r"\1", " ".join(text.split()))


def marker_shape(kind, x, y, size, css):
    shape = MARKERS[kind % len(MARKERS)]
    if not shape:
        return '<circle class="%s" cx="%.1f" cy="%.1f" r="%.1f"/>' % (css, x, y, size)
    return '<path class="%s" d="M%sz"/>' % (css, "L".join(
        "%.1f,%.1f" % (x + dx * size, y + dy * size) for dx, dy in shape))


class Rewriter:
    def __init__(self, texts):
        self.texts = texts
        self.out = []

    def classes(self, element):
        found = [letter + "-" + name for letter, name in (
            ("k", class_of(element.get("stroke"))), ("f", class_of(element.get("fill")))) if name]
        return ' class="%s"' % " ".join(found) if found else ""

    def path(self, element, width):
        d = short(element.get("d", ""))
        if "L" not in d:
            return
        attributes = self.classes(element)
        for name in ("stroke-dasharray", "fill-opacity"):
            # gnuplot dashes the grid whatever it is told.
            if element.get(name) and "k-grid" not in attributes:
                attributes += ' %s="%s"' % (name, short(element.get(name)))
        if "k-" in attributes and width not in (None, "1.00"):
            attributes += ' stroke-width="%s"' % short(width)
        self.out.append('<path%s d="%s"/>' % (attributes, d))

    def polygon(self, element):
        opacity = element.get("fill-opacity")
        self.out.append('<polygon%s%s points="%s"/>' % (
            self.classes(element), ' fill-opacity="%s"' % opacity if opacity else "",
            short(element.get("points", ""))))

    def marker(self, element):
        x, y, size = map(float, re.findall(r"-?\d+\.?\d*", element.get("transform"))[:3])
        kind = int(element.get(XLINK + "href").rsplit("Pt", 1)[1])
        self.out.append(marker_shape(kind, x, y, size, "f-%s" % class_of(element.get("color"))))

    def text(self, group):
        string = "".join(group.itertext()).strip()
        string = re.sub(r"@(\d+)@", lambda token: self.texts[int(token.group(1))], string)
        x, y, *turn = re.findall(r"-?\d+\.?\d*", group.get("transform"))
        place = 'transform="translate(%s,%s) rotate(%s)"' % (short(x), short(y), turn[0]) \
            if turn and float(turn[0]) else 'x="%s" y="%s"' % (short(x), short(y))
        anchor = group.get("text-anchor", "start")
        self.out.append('<text %s%s%s>%s</text>' % (
            place, self.classes(group), "" if anchor == "start" else ' text-anchor="%s"' % anchor,
            words.escape(string)))

    def walk(self, group, width=None):
        for element in group:
            tag = element.tag.replace(SVG, "")
            if tag == "g" and element.get("font-size"):
                self.text(element)
            elif tag == "g" and element.get("id", "").startswith("gnuplot_plot_"):
                self.out.append('<g class="mark">')
                self.walk(element, width)
                self.out.append("</g>")
            elif tag == "g":
                self.walk(element, element.get("stroke-width", width))
            elif tag == "path":
                self.path(element, width)
            elif tag == "polygon":
                self.polygon(element)
            elif tag == "use":
                self.marker(element)


def render(plot, program):
    """The inside of the <svg>: what was drawn. Raises Missing or Failed."""
    try:
        root = ElementTree.fromstring(run(plot.script(), program))
    except ElementTree.ParseError as error:
        raise Failed("gnuplot drew something that is no SVG: %s" % error) from None
    rewriter = Rewriter(plot.texts)
    rewriter.walk(root)
    return "".join(rewriter.out)


def inline(plot, body, title):
    """For a page, which has the style sheet."""
    return ('<svg class="plot" viewBox="0 0 %d %d" role="img" aria-label="%s">%s</svg>'
            % (plot.width, plot.height, words.escape(title), body))


def alone(plot, body, title):
    """A file of its own, light or dark as its reader is."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
        'role="img" aria-label="{title}">\n<title>{title}</title>\n<style>'
        'text{{font:{size}px {font}}}path{{fill:none}}{light}'
        '@media (prefers-color-scheme:dark){{{dark}}}</style>\n'
        '<rect class="paper" width="{w}" height="{h}" rx="8"/>{body}\n</svg>\n').format(
            w=plot.width, h=plot.height, title=words.escape(title), size=FONT_SIZE,
            font=palette.FONT, light=palette.rules_by_colour(0, body),
            dark=palette.rules_by_colour(1, body), body=body)
