# SPDX-License-Identifier: MIT
"""What the project has promised to reach, beside what was measured: a module for each group.

docs/benchmarks.md says what each line means.
"""

from comparison.bars import budgets, events, first, memory, programs, timing


def add_failed_rows(results, name, bars):
    """Without: what crashes on its worst row has the better means for it. A row that failed under
    everybody says nothing about `name`: its program may not be installed."""
    def failed(row, one):
        return (row.name, one) in results.failures
    rows = [row for row in results.rows if failed(row, name)
            and not all(failed(row, other) for other in results.names_of(row))]
    for bar in bars:
        bar.failed = tuple(row.name for row in rows if bar.is_about(row))
    return bars


def all_bars(results, name):
    """Every Bar, those of a group one after the other."""
    return add_failed_rows(results, name, [
        *timing.bars(results, name), *events.bars(results, name), *memory.bars(results, name),
        *programs.bars(results, name), timing.many_threads(results, name),
        *budgets.bars(results, name), *first.bars(results, name)])
