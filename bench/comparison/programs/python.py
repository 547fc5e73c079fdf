# SPDX-License-Identifier: MIT
"""The rows of /usr/bin/python3, every object from malloc, against python's own pymalloc."""

from comparison.allocators import Allocator
from comparison.process import Failure
from comparison.programs import tools
from comparison.programs.batch import BatchRow

PROGRAM = "/usr/bin/python3"
# Without the site's modules. Not -E and not -I: they would ignore PYTHONMALLOC.
OPTIONS = ["-s", "-S", "-B"]
PYMALLOC = "pymalloc"
# Prints statistics of pymalloc when that is in use, and about its free lists in any case.
START = "import os, sys; os.dup2(1, 2); sys._debugmallocstats()"


class PythonRow(BatchRow):
    def __init__(self, name, what, script, count):
        super().__init__(name, what, "python3", "python3", count)
        self.script = script

    def contestants(self, served):
        return list(served) + [Allocator(PYMALLOC)]

    def command(self, scale):
        return [PROGRAM, *OPTIONS, tools.load(self.script), str(tools.times(self.count, scale))]

    def start_command(self):
        return [PROGRAM, *OPTIONS, "-c", START]

    def variables(self, allocator):
        """Hashes of strings must not differ, else the order of sets and the work do."""
        return {"PYTHONHASHSEED": "0",
                "PYTHONMALLOC": "pymalloc" if allocator.name == PYMALLOC else "malloc"}

    def check_start(self, allocator, printed):
        if (b"Small block threshold" in printed) != (allocator.name == PYMALLOC):
            raise Failure("python3: PYTHONMALLOC did not take effect")


def all_rows():
    return [
        PythonRow("python/objects", "python3: instances, tuples, dicts, strings, under its gc",
                  "objects.py", 3),
        PythonRow("python/json", "python3: documents written as JSON and read back",
                  "documents.py", 10),
        PythonRow("python/containers", "python3: lists, dicts, sets in each other, copied, sorted",
                  "containers.py", 6),
        PythonRow("python/text", "python3: lines split, searched, counted, pages rendered",
                  "text.py", 8),
        PythonRow("python/threads", "python3: four threads that drop each other's objects",
                  "threads.py", 6),
        PythonRow("python/compile", "python3: modules of its library parsed and compiled",
                  "sources.py", 7),
    ]
