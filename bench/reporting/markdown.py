# SPDX-License-Identifier: MIT
"""The report as Markdown, as GitHub shows it: the same words and tables, without plots."""

import re

from reporting import content, figures, tables


def escape(text):
    """Plain text, whatever is in it: nothing becomes a tag, a link, emphasis or a new cell."""
    return re.sub(r"([\\`*_\[\]<>|&#~$])", r"\\\1", " ".join(str(text).split()))


def cell(one):
    text = escape(one.text)
    if one.strong:
        text = "**%s**" % text
    if one.css.startswith("verdict") and one.under:
        text += " " + escape(one.under.split(" ")[0])
    return text


def table(one):
    lines = ["**%s**" % escape(one.caption), "",
             "| %s |" % " | ".join(escape(name) for name, _ in one.columns),
             "|%s|" % "|".join("---:" if is_number else "---" for _, is_number in one.columns)]
    lines += ["| %s |" % " | ".join(map(cell, row)) for row in one.rows]
    return "\n".join(lines)


def head(document):
    lines = ["# How %s compares" % escape(document.subject), "",
             escape(content.subtitle(document)), ""]
    lines += ["- %s: %s" % (title, escape(text)) for title, text in content.facts(document)]
    for warning in content.status_words(document):
        lines += ["", "> " + escape(warning)]
    lines += ["", escape(content.READING.format(subject=document.subject)), "",
              "%s better, %s worse, %s no difference, %s one round." % tuple(
                  tables.SYMBOLS[j] for j in ("better", "worse", "same", "unsure"))]
    requirements = tables.requirements_table(document)
    if requirements:
        lines += ["", table(requirements)]
    return lines


def text(document):
    lines = head(document)
    for section in content.sections(document, figures.slots_of(document)):
        if not section.text and not section.tables and not section.notes:
            continue
        lines += ["", "## " + escape(section.title)]
        for paragraph in section.text:
            lines += ["", escape(paragraph)]
        for one in section.tables:
            lines += ["", table(one)]
        if section.notes:
            lines += [""] + ["- " + escape(note) for note in section.notes]
    return "\n".join(lines) + "\n"
