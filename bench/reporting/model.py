# SPDX-License-Identifier: MIT
"""What a report is made of, before it is HTML or Markdown: sections of text, figures, tables."""

import dataclasses


@dataclasses.dataclass
class Cell:
    text: str
    sort: object = None  # a number to sort by; None: by the text
    css: str = ""
    title: str = ""      # said when the pointer rests on it
    under: str = ""      # a second, smaller line
    strong: bool = False


@dataclasses.dataclass
class Table:
    caption: str
    columns: list  # of (title, is a number)
    rows: list     # of lists of Cell; the first one heads the row


@dataclasses.dataclass
class Figure:
    title: str
    caption: str
    legend: list   # of (name, slot, "bar" | "line" | "mark"); slot may be the role "live"
    draw: object   # () -> gnuplot.Plot


@dataclasses.dataclass
class Section:
    anchor: str
    title: str
    text: list = dataclasses.field(default_factory=list)     # paragraphs
    figures: list = dataclasses.field(default_factory=list)
    tables: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)    # a list of lines below
