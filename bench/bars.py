#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Says of a document of compare.py (results.json) what poolmalloc must reach, and what it reaches.

These are the lines that end the table of the comparison, made of the samples in the document: for a
document of an older build, or after a bar was changed. docs/benchmarks.md says what each means.

Exit status: 0, whatever was met; 2 for a document that cannot be read.
"""

import json
import sys
import types

from comparison import allocators
from comparison.bars import lines
from comparison.process import Failure
from comparison.stats import Results

ROW_FIELDS = ("name", "family", "kind", "clock", "threads", "what", "unit", "series")


def samples_of(values):
    """{round: {field: value}} of {field: [value of each round, or null]}."""
    rounds = {}
    for field, column in values.items():
        for number, value in enumerate(column):
            if value is not None:
                rounds.setdefault(number, {})[field] = value
    return rounds


def results_of(document):
    rows = [types.SimpleNamespace(**{field: row[field] for field in ROW_FIELDS})
            for row in document["rows"]]
    served = [one["name"] for one in document["allocators"] if one["serves"]]
    results = Results(rows, [name for name in served if name != "pymalloc"])
    for row in document["rows"]:
        results.samples[row["name"]] = {name: samples_of(values)
                                        for name, values in row["samples"].items()}
        results.details[row["name"]] = row["details"]
        for name, reason in row["failures"].items():
            results.failures[row["name"], name] = Failure(reason)
    results.budgets = {name: tuple(pair) for name, pair in document.get("budgets", {}).items()}
    results.partial = document["partial"]
    return results


def main(argv):
    if len(argv) != 2:
        print("usage: bars.py RESULTS.json", file=sys.stderr)
        return 2
    try:
        with open(argv[1], encoding="utf-8") as file:
            document = json.load(file)
        results = results_of(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print("bars: %s: %r" % (argv[1], error), file=sys.stderr)
        return 2
    mode = types.SimpleNamespace(scale=document.get("scale", 1))
    print("\n".join(lines.of_results(results, allocators.SUBJECT, mode)[1:]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
