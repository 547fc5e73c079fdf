#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do two comparisons of one machine say the same?

    repeatability.py FIRST.json SECOND.json [--field time_ns]

Reads two results.json of compare.sh. Of each row, poolmalloc against each baseline,
it says whether the verdicts contradict each other (faster here, slower there), and
whether a difference of 5 % would have been seen (the interval is within ±5 %).
Prints the rows that fail, then the shares. The status is 0 when at least 95 % of
the verdicts do not contradict each other and at least 80 % resolve 5 %; else 1; 2 for
files that cannot be read.
"""

import argparse
import json
import sys

CONSISTENT_WANTED, RESOLVED_WANTED = 0.95, 0.80
RESOLUTION = 0.05


def ratios_of(document, field):
    """{(row, base): ratio} of the subject."""
    found = {}
    for row in document["rows"]:
        for base in document["baselines"]:
            ratio = row["ratios"].get(document["subject"], {}).get(base, {}).get(field)
            if ratio is not None and ratio["spread"] is not None:
                found[row["name"], base] = ratio
    return found


def contradict(one, other):
    return (one["low"] > 1 and other["high"] < 1) or (one["high"] < 1 and other["low"] > 1)


def overlap(one, other):
    return one["low"] <= other["high"] and other["low"] <= one["high"]


def words(ratio):
    return "%.3f (%.3f to %.3f), %s" % (ratio["median"], ratio["low"], ratio["high"],
                                        ratio["verdict"])


def compare(first, second, field):
    """Lines to print, and whether both shares are reached."""
    ours, theirs = ratios_of(first, field), ratios_of(second, field)
    keys = [key for key in ours if key in theirs]
    if not keys:
        return ["no row was measured by both"], False
    against = [key for key in keys if contradict(ours[key], theirs[key])]
    apart = [key for key in keys if not overlap(ours[key], theirs[key])]
    resolved = [ratio for found in (ours, theirs) for ratio in found.values()
                if ratio["spread"] <= RESOLUTION]
    lines = ["%s / %s: %s; %s" % (*key, words(ours[key]), words(theirs[key]))
             for key in against + [key for key in apart if key not in against]]
    consistent_share = 1 - len(against) / len(keys)
    resolved_share = len(resolved) / (len(ours) + len(theirs))
    lines += [
        "%d verdicts; not contradicting each other: %.1f %% (wanted: %g %%)"
        % (len(keys), 100 * consistent_share, 100 * CONSISTENT_WANTED),
        "a difference of %g %% would be seen by: %.1f %% (wanted: %g %%)"
        % (100 * RESOLUTION, 100 * resolved_share, 100 * RESOLVED_WANTED),
        "intervals that do not overlap: %.1f %%" % (100 * len(apart) / len(keys))]
    return lines, consistent_share >= CONSISTENT_WANTED and resolved_share >= RESOLVED_WANTED


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        if document["format"] != 2:
            raise ValueError("its format is %s, not 2" % document["format"])
        return document
    except (OSError, ValueError, KeyError, TypeError) as error:
        print("repeatability: %s: %s" % (path, error), file=sys.stderr)
        sys.exit(2)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--field", default="time_ns")
    arguments = parser.parse_args()
    lines, reached = compare(read(arguments.first), read(arguments.second), arguments.field)
    print("\n".join(lines))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
