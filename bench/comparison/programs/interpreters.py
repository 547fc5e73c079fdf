# SPDX-License-Identifier: MIT
"""The rows of Lua, ruby and sqlite3, each with a script of loads/."""

from comparison.programs import tools
from comparison.programs.batch import BatchRow


class ScriptRow(BatchRow):
    """PROGRAM OPTION... SCRIPT COUNT; with nothing to do, PROGRAM OPTION... EMPTY..."""

    def __init__(self, name, what, program, package, script, count, *, options=(), empty=()):
        super().__init__(name, what, program, package, count)
        self.script = script
        self.options = list(options)
        self.empty = list(empty)

    def command(self, scale):
        return [self.program, *self.options, tools.load(self.script),
                str(tools.times(self.count, scale))]

    def start_command(self):
        return [self.program, *self.options, *self.empty]


class SqliteRow(ScriptRow):
    def command(self, scale):
        return [self.program, *self.options, ":memory:",
                ".parameter set :rows %d" % tools.times(self.count, scale),
                ".read " + tools.load(self.script)]


def all_rows():
    return [
        ScriptRow("lua/strings", "lua5.4: strings built, split and kept in tables; trees dropped",
                  "lua5.4", "lua5.4", "strings.lua", 24, empty=["-e", ""]),
        # Without gems, whose number differs from machine to machine.
        ScriptRow("ruby/text", "ruby: log lines parsed into hashes, pages rendered as strings",
                  "ruby", "ruby", "text.rb", 9, options=["--disable=gems"], empty=["-e", ""]),
        SqliteRow("sqlite/memory", "sqlite3: inserts, an index, joins and groups in memory",
                  "sqlite3", "sqlite3", "tables.sql", 60000, options=["-batch", "-bail"],
                  empty=[":memory:", ""]),
    ]
