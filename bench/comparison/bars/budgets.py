# SPDX-License-Identifier: MIT
"""The bars of the instruction budgets: none is exceeded, and no scenario takes more instructions
than docs/results/budget.txt has recorded."""

import os

from comparison.bars.bar import Bar
from comparison.options import ROOT

GROUP = "instruction budgets"
RECORDED = os.path.join(ROOT, "docs", "results", "budget.txt")


def parse(text):
    """{scenario: (budget, measured)} of a table that stress/budget.py has printed."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3 and words[-1] in ("ok", "FAIL"):
            found[" ".join(words[:-3])] = (float(words[-3]), float(words[-2]))
    return found


def recorded(path=RECORDED):
    """Empty where the file is not, as of sources without documentation."""
    try:
        with open(path, encoding="utf-8") as file:
            return parse(file.read())
    except OSError:
        return {}


def unmeasured():
    return "they are counted with --full, by a release build with its tests"


def within_budget(counted):
    bar = Bar(GROUP, "scenarios over their budget", 0)
    if not counted:
        bar.why = unmeasured()
        return bar
    over = {name: one for name, one in counted.items() if one[1] > one[0]}
    bar.measured = len(over)
    bar.above = tuple("%s %.2f for %.0f" % (name, measured, budget)
                      for name, (budget, measured) in over.items())
    bar.notes += ("of %d scenarios" % len(counted),)
    return bar


def never_raised(counted, before):
    """Of counts that are not 0, which one is for atomics."""
    bar = Bar(GROUP, "worst scenario, of what was recorded", 1.00)
    ratios = {name: round(counted[name][1] / before[name][1], 4) for name in counted
              if before.get(name, (0, 0))[1] > 0}
    if not ratios:
        bar.why = unmeasured()
        return bar
    bar.measured = max(ratios.values())
    bar.above = tuple("%s %.2f for %.2f" % (name, counted[name][1], before[name][1])
                      for name in sorted(ratios, key=ratios.get, reverse=True)
                      if ratios[name] > 1)
    bar.notes += ("lowered: %d of %d" % (sum(one < 1 for one in ratios.values()), len(ratios)),)
    return bar


def bars(results, _name):
    return [within_budget(results.budgets), never_raised(results.budgets, recorded())]
