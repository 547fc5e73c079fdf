# SPDX-License-Identifier: MIT
"""The comparison's JSON document: read, checked in shape, and asked for what is in it.

What a run did not measure is None here, never an exception: a partial document makes a page with
holes in it. What is not a document of this format at all is a BadDocument, one line.
"""

import collections
import json
import math

from reporting import words

FORMAT = 2
KINDS = ("micro", "workload", "program")
BETTER = {"faster", "less"}
WORSE = {"slower", "more"}
SAME = "no difference"
ONE_ROUND = "one round"

Ratio = collections.namedtuple("Ratio", "median low high spread rounds verdict judgement")


class BadDocument(Exception):
    pass


def need(condition, message):
    if not condition:
        raise BadDocument(message)


def part(holder, key, kind, default):
    """holder[key], or the default where it is absent or null; of another type: BadDocument."""
    value = holder.get(key)
    if value is None:
        return default
    need(isinstance(value, kind), "%s is %s, not %s" % (
        key, type(value).__name__, "an object" if kind is dict else kind.__name__))
    return value


def path(holder, *keys):
    """holder[k1][k2]... or None."""
    for key in keys:
        if not isinstance(holder, dict):
            return None
        holder = holder.get(key)
    return holder


def judgement(verdict, better):
    """"better", "worse", "same" or "unsure": what a verdict means for who reads it."""
    if verdict in ("higher", "lower"):
        return "better" if (verdict == "higher") == (better == "higher") else "worse"
    if verdict in BETTER:
        return "better"
    if verdict in WORSE:
        return "worse"
    return "same" if verdict == SAME else "unsure"


class Row:
    def __init__(self, raw, fields):
        need(isinstance(raw, dict), "a row is %s, not an object" % type(raw).__name__)
        self.name = part(raw, "name", str, None)
        need(self.name, "a row has no name")
        self.kind = part(raw, "kind", str, None)
        need(self.kind in KINDS, "row %s: its kind is none of %s" % (self.name, ", ".join(KINDS)))
        self.family = part(raw, "family", str, self.name.split("/")[0])
        self.what = part(raw, "what", str, "")
        self.unit = part(raw, "unit", str, "operation")
        self.clock = part(raw, "clock", str, "cpu")
        self.threads = int(words.number(raw.get("threads")) or 1)
        self.series = part(raw, "series", str, None)
        self.rounds = int(words.number(raw.get("rounds")) or 0)
        self.failures = part(raw, "failures", dict, {})
        self._medians = part(raw, "medians", dict, {})
        self._ratios = part(raw, "ratios", dict, {})
        self._details = part(raw, "details", dict, {})
        self._fields = fields

    def median(self, allocator, field):
        return words.number(path(self._medians, allocator, field))

    def has(self, field):
        return any(self.median(name, field) is not None for name in self._medians)

    def bases(self, allocator):
        found = path(self._ratios, allocator)
        return list(found) if isinstance(found, dict) else []

    def ratio(self, allocator, base, field):
        found = path(self._ratios, allocator, base, field)
        median = words.number(path(found, "median"))
        if median is None or median <= 0:
            return None
        low, high = (words.number(path(found, key)) for key in ("low", "high"))
        verdict = str(found.get("verdict") or ONE_ROUND)
        return Ratio(median, median if low is None else low, median if high is None else high,
                     words.number(found.get("spread")), int(words.number(found.get("rounds")) or 0),
                     verdict, judgement(verdict, path(self._fields, field, "better")))

    def detail(self, allocator, *keys):
        return path(self._details, allocator, *keys)

    def points(self, allocator, *keys):
        """A list of lists of numbers (None for what is none) of the details; [] if absent."""
        found = self.detail(allocator, *keys)
        if not isinstance(found, list):
            return []
        return [[words.number(value) for value in point] for point in found
                if isinstance(point, list) and len(point) >= 2
                and words.number(point[0]) is not None]


class Document:
    def __init__(self, raw):
        need(isinstance(raw, dict), "the document is no JSON object")
        need(raw.get("format") == FORMAT, "its format is %s, this reads format %d: "
             "make it anew with compare.sh --json" % (json.dumps(raw.get("format")), FORMAT))
        self.date = part(raw, "date", str, "")
        self.mode = part(raw, "mode", str, "default")
        self.partial = bool(raw.get("partial"))
        self.seconds = words.number(raw.get("seconds"))
        self.version = part(raw, "version", str, "")
        self.machine = part(raw, "machine", dict, {})
        self.subject = part(raw, "subject", str, "poolmalloc")
        self.baselines = [str(name) for name in part(raw, "baselines", list, [])]
        self.fields = part(raw, "fields", dict, {})
        listed = part(raw, "allocators", list, None)
        need(listed is not None, "it has no list of allocators")
        self.allocators = [str(path(one, "name")) for one in listed]
        self.versions = {str(path(one, "name")): path(one, "version") for one in listed}
        self.absent = [str(one["name"]) for one in listed
                       if isinstance(one, dict) and one.get("serves") is False and "name" in one]
        rows = part(raw, "rows", list, None)
        need(rows is not None, "it has no list of rows")
        self.rows = [Row(row, self.fields) for row in rows]
        self.summary = {name: of for name, of in part(raw, "summary", dict, {}).items()
                        if isinstance(of, dict)}
        self.requirements = [one for one in part(raw, "requirements", list, [])
                             if isinstance(one, dict)]
        self.notes = [str(note) for note in part(raw, "notes", list, [])]

    def of_kind(self, kind):
        return [row for row in self.rows if row.kind == kind]

    def measured(self, rows):
        """The allocators that have anything in these rows, in the order of display."""
        return [name for name in self.allocators if any(
            name in row.failures or name in row._medians for row in rows)]

    def bases(self, rows, allocator=None):
        """What the subject is compared to in these rows: the baselines first."""
        found = dict.fromkeys(base for row in rows for base in row.bases(allocator or self.subject))
        return [b for b in self.baselines if b in found] + [
            b for b in found if b not in self.baselines]

    def mean(self, allocator, base, field):
        found = words.number(path(self.summary, allocator, base, field, "mean"))
        return found if found and found > 0 else None

    def kind_mean(self, allocator, base, field, kind):
        found = words.number(path(self.summary, allocator, base, field, "kinds", kind))
        return found if found and found > 0 else None

    def families(self, allocator, base, field):
        found = path(self.summary, allocator, base, field, "families")
        return {family: mean for family, mean in found.items() if (words.number(mean) or 0) > 0} \
            if isinstance(found, dict) else {}

    def verdicts(self, base, field="time_ns"):
        """How many rows the subject wins, ties and loses against that base."""
        ratios = [row.ratio(self.subject, base, field) for row in self.rows]
        return collections.Counter(ratio.judgement for ratio in ratios if ratio)

    def failures(self, rows):
        return [(row.name, name, str(reason)) for row in rows
                for name, reason in row.failures.items()]


def load(file_name):
    try:
        with open(file_name, encoding="utf-8") as file:
            raw = json.load(file)
    except OSError as error:
        raise BadDocument(error.strerror or str(error)) from None
    except (ValueError, RecursionError) as error:
        raise BadDocument("it is no JSON: %s" % str(error).splitlines()[0]) from None
    return Document(raw)


def log_middle(values):
    """The geometric mean; None of nothing."""
    values = [value for value in values if value and value > 0]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None
