# SPDX-License-Identifier: MIT
"""The report as one HTML file that needs nothing else."""

import os

from reporting import content, figures, gnuplot, palette, tables, words
from reporting.words import escape

FOLDER = os.path.dirname(os.path.abspath(__file__))
THEMES = (
    "--ground:#f6f7f9;--paper:%s;--line:#d9dde3;--hover:#eef3f9;--good:#0a6b4b;--bad:#b3261e;"
    % palette.PAPER[0],
    "--ground:#0f1216;--paper:%s;--line:#2c333c;--hover:#202731;--good:#4fd1a1;--bad:#ff8f85;"
    % palette.PAPER[1])
ORDER = ("better", "same", "unsure", "worse")


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


def style():
    light, dark = ("color-scheme:%s;" % name + THEMES[at] + palette.variables(at)
                   for at, name in enumerate(("light", "dark")))
    return (":root{%s}@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light])"
            "{%s}}@media screen{:root[data-theme=dark]{%s}}\n" % (light, dark, dark)
            + read("page.css") + palette.rules_by_variable())


def key_sample(slot, shape):
    name = slot if isinstance(slot, str) else "a%d" % slot
    if shape == "bar":
        inside = '<rect class="f-%s" x="4" width="20" height="12" rx="2"/>' % name
    else:
        dash = palette.dashes(slot)
        inside = '<path class="k-%s" d="M0,6H28" stroke-width="2.5"%s/>' % (
            name, ' stroke-dasharray="%s"' % dash if dash else "")
        if shape == "mark":
            inside += gnuplot.marker_shape(slot, 14, 6, 4.2, "f-" + name)
    return '<svg viewBox="0 0 28 12" aria-hidden="true">%s</svg>' % inside


def key(legend):
    return '<ul class="key">%s</ul>' % "".join(
        "<li>%s%s</li>" % (key_sample(slot, shape), escape(name)) for name, slot, shape in legend)


class Drawer:
    """Draws figures with gnuplot, and remembers what it had to say."""

    def __init__(self, program):
        self.program = program
        self.missing = False
        self.failures = []
        self.reason = ""  # why the last plot was not drawn

    def draw(self, plot, title, form):
        """The SVG; None, with the reason kept, where there is none."""
        try:
            return form(plot, gnuplot.render(plot, self.program), title)
        except gnuplot.Missing as missing:
            self.missing, self.reason = True, str(missing)
        except gnuplot.Failed as failed:
            self.failures.append("%s: %s" % (title, failed))
            self.reason = str(failed)
        return None

    def figure(self, figure):
        svg = self.draw(figure.draw(), figure.title, gnuplot.inline)
        if svg is None:
            svg = '<p class="missing">No plot: %s.</p>' % escape(self.reason)
        return "<figure><h3>%s</h3>%s%s<figcaption>%s</figcaption></figure>" % (
            escape(figure.title), key(figure.legend), svg, escape(figure.caption))


def cell(one, heads_row, is_number):
    attributes = ' class="%s"' % " ".join(
        name for name in ("num" if is_number else "", one.css) if name) \
        if is_number or one.css else ""
    if one.sort is not None:
        attributes += ' data-v="%.6g"' % one.sort
    if one.title:
        attributes += ' title="%s"' % escape(one.title)
    text = escape(one.text)
    if heads_row:
        # A long name breaks between its parts, if it must.
        text = "<span>%s</span>" % text.replace("/", "/<wbr>")
    if one.strong:
        text = "<strong>%s</strong>" % text
    if one.under:
        text += '<span class="under">%s</span>' % escape(one.under)
    return ('<th scope="row"%s>%s</th>' if heads_row else "<td%s>%s</td>") % (attributes, text)


def table(one):
    numbers = [is_number for _, is_number in one.columns]
    head = "".join('<th scope="col"%s>%s</th>' % (' class="num"' if is_number else "", escape(name))
                   for name, is_number in one.columns)
    lines = ["<tr>%s</tr>" % "".join(
        cell(value, at == 0, numbers[at]) for at, value in enumerate(row)) for row in one.rows]
    return ('<div class="scroll" tabindex="0" role="region" aria-label="%s"><table><caption>%s'
            "</caption><thead><tr>%s</tr></thead><tbody>\n%s\n</tbody></table></div>" % (
                escape(one.caption), escape(one.caption), head, "\n".join(lines)))


def section(one, drawer):
    parts = ['<section id="%s"><h2>%s</h2>' % (one.anchor, escape(one.title))]
    parts += ["<p>%s</p>" % escape(text) for text in one.text]
    if one.figures:
        parts.append('<div class="plots">%s</div>' % "\n".join(map(drawer.figure, one.figures)))
    parts += map(table, one.tables)
    if one.notes:
        parts.append('<ul class="notes">%s</ul>' % "".join(
            "<li>%s</li>" % escape(note) for note in one.notes))
    return "\n".join(parts + ["</section>"])


def card(document, base):
    """The few figures to remember, against one base; "" if nothing was measured against it."""
    parts = []
    for field, what in (("time_ns", "time"), ("peak_rss_kib", "peak memory")):
        mean = document.mean(document.subject, base, field)
        if mean is not None:
            parts.append('<div><div class="big">%s×</div><div>its %s<br>(%s)</div></div>'
                         % (words.ratio(mean), what, escape(words.change(mean))))
    verdicts = document.verdicts(base)
    families = len(document.families(document.subject, base, "time_ns"))
    if not parts and not verdicts:
        return ""
    named = {"better": "faster", "same": "no difference", "unsure": "one round", "worse": "slower"}
    shares = [(verdicts[j], j) for j in ORDER if verdicts[j]]
    return ('<div class="card"><h3>%s against %s</h3><div class="two">%s</div>'
            '<div class="share" aria-hidden="true">%s</div><div class="muted">%s: %s</div>'
            '<div class="muted small">The big figures are geometric means over %s.</div></div>'
            % (escape(document.subject), escape(base), "".join(parts),
               "".join('<i class="%s" style="flex:%d"></i>' % (j, n) for n, j in shares),
               words.plural(sum(verdicts.values()), "row"),
               ", ".join("%d %s %s" % (n, tables.SYMBOLS[j], named[j]) for n, j in shares),
               words.plural(families, "family")))


def head(document):
    parts = ["<header><h1>How %s compares</h1>" % escape(document.subject),
             '<p class="lead">%s</p>' % escape(content.subtitle(document)),
             '<dl class="facts">%s</dl></header>' % "".join(
                 "<dt>%s</dt><dd>%s</dd>" % (escape(title), escape(text))
                 for title, text in content.facts(document))]
    return "".join(parts)


def opening(document):
    """Between the navigation and the first section."""
    warnings = content.status_words(document)
    parts = ['<div class="warn" role="note">%s</div>' % "".join(
        "<p>%s</p>" % escape(text) for text in warnings)] if warnings else []
    bases = list(document.baselines) + [base for base in document.bases(document.rows)
                                        if base not in document.baselines]
    cards = [card(document, base) for base in bases]
    if any(cards):
        parts += ['<div class="cards">%s</div>' % "".join(cards),
                  "<p>%s</p>" % escape(content.READING.format(subject=document.subject))]
    elif not document.rows:
        parts.append("<p>This document has no rows: nothing was measured.</p>")
    else:
        parts.append("<p>No row has a ratio: there is nothing to compare.</p>")
    requirements = tables.requirements_table(document)
    if requirements:
        parts.append(table(requirements))
    return "\n".join(parts)


def html(document, drawer):
    slots = figures.slots_of(document)
    sections = content.sections(document, slots)
    links = "".join('<a href="#%s">%s</a>' % (one.anchor, one.anchor.capitalize())
                    for one in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>How %s compares</title>\n'
        "<style>%s</style></head>\n<body>%s\n<nav aria-label=\"Sections\"><div>%s"
        '</div><button type="button" id="theme" hidden>Theme</button></nav>\n'
        "<main>%s\n%s\n</main>\n<footer>Made by bench/report.py from the JSON document of "
        "bench/compare.sh; plots by gnuplot.</footer>\n<script>%s</script></body></html>\n" % (
            escape(document.subject), style(), head(document), links, opening(document),
            "\n".join(section(one, drawer) for one in sections), read("page.js")))
