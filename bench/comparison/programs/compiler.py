# SPDX-License-Identifier: MIT
"""The row of g++, which compiles a file of templates of the standard library."""

from comparison.programs import tools
from comparison.programs.batch import BatchRow

# To assembly, on stdout, so that the result can be compared and no file is written.
OPTIONS = ["-std=c++17", "-O1", "-S", "-o", "-"]


class CompilerRow(BatchRow):
    def __init__(self, *args):
        super().__init__(*args)
        self.has_share = False  # callgrind would take a minute

    def command(self, scale):
        return ["g++", *OPTIONS, "-DCOPIES=%d" % tools.times(self.count, scale),
                tools.load("templates.cc")]

    def start_command(self):
        return ["g++", *OPTIONS, "-x", "c++", "/dev/null"]


def all_rows():
    # It is cc1plus that works; g++ itself only starts it.
    return [CompilerRow("g++/templates", "g++: maps and variants of several types, -O1",
                        "cc1plus", "g++", 1)]
