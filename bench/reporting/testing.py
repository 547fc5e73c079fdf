# SPDX-License-Identifier: MIT
"""Made-up documents for the tests, as the driver would write them: the same ones every time.

To look at a page of one:

    cd bench && python3 -m reporting.testing full > full.json
"""

import json
import random
import statistics
import sys

ALL = ("glibc", "jemalloc", "poolmalloc", "mimalloc", "tcmalloc", "tbbmalloc")
SPEED = {"glibc": 1.0, "jemalloc": 0.85, "poolmalloc": 0.62, "mimalloc": 0.65, "tcmalloc": 0.6,
         "tbbmalloc": 0.9, "pymalloc": 0.7}
MEMORY = {"glibc": 1.0, "jemalloc": 1.08, "poolmalloc": 0.97, "mimalloc": 1.2, "tcmalloc": 1.15,
          "tbbmalloc": 1.4, "pymalloc": 0.95}
SERVERS = ("redis/mixed", "memcached/mixed", "nginx/wrk", "postgresql/pgbench")
MICRO = ["pairs/%s" % size for size in ("8", "64", "512", "4k", "64k", "1m", "64m")] + [
    "batches/64-%s" % order for order in ("fifo", "lifo", "random")] + [
    "calloc/fresh", "calloc/reused", "realloc/1.5x", "aligned/64", "remote/free", "life/threads"]
WORKLOADS = ["larson/server", "prodcons/one", "prodcons/many", "scratch/passive", "thrash/active",
             "phases/survivors", "pareto/large-set", "random/cross", "large/5m-25m", "json/tree",
             "cache/drift", "bursts/requests"]
PROGRAMS = list(SERVERS) + ["python/json", "python/objects", "lua/trees", "sqlite/mix", "g++/boost",
                            "ruby/strings"]
COUNTS = (1, 2, 4, 8, 16, 64, 256)
FIELDS = {
    "time_ns": ("time", "ns", "lower"), "peak_rss_kib": ("peak resident memory", "KiB", "lower"),
    "page_faults": ("page faults", "", "lower"), "throughput_per_s": ("throughput", "/s", "higher"),
    "p99_us": ("p99 of a request", "µs", "lower"),
    "rss_start_kib": ("resident after the start", "KiB", "lower"),
    "rss_after_kib": ("resident after the load", "KiB", "lower"),
    "rss_later_kib": ("resident a minute later", "KiB", "lower")}
WORDS = {"time_ns": ("faster", "slower"), "p99_us": ("faster", "slower"),
         "throughput_per_s": ("lower", "higher")}


class Maker:
    def __init__(self, allocators, rounds, details, seed=1):
        self.allocators, self.rounds, self.details = list(allocators), rounds, details
        self.random = random.Random(seed)

    def sample(self, name, row, ns, kib):
        def noisy(value, share=0.02):
            return round(value * self.random.gauss(1, share), 4)
        speed = SPEED.get(name, 1.1) * row["luck"].setdefault(name, self.random.gauss(1, 0.18))
        memory = MEMORY.get(name, 1.1)
        values = {"time_ns": noisy(ns * speed), "peak_rss_kib": int(noisy(kib * memory, 0.004)),
                  "page_faults": int(noisy(kib / 4 * memory, 0.01))}
        if row["name"] in SERVERS:
            values.update(throughput_per_s=noisy(9e4 / speed), p99_us=noisy(800 * speed, 0.1),
                          rss_start_kib=int(noisy(9000, 0.003)),
                          rss_after_kib=int(noisy(kib * memory * 0.8, 0.01)),
                          rss_later_kib=int(noisy(kib * memory * 0.5, 0.01)))
        return values

    def row(self, name, kind, threads=1, series=None, ns=40.0, kib=40000):
        family = name.split("/")[0]
        row = {"name": name, "family": family, "kind": kind, "threads": threads, "luck": {},
               "clock": "wall" if threads > 1 else "cpu", "series": series, "rounds": self.rounds,
               "what": "made-up %s: what a program of this sort does with its blocks" % family,
               "unit": {"program": "request"}.get(kind, "operation"), "failures": {}}
        names = self.allocators + (["pymalloc"] if family == "python" else [])
        row["samples"] = samples = {}
        for a_name in names:
            runs = [self.sample(a_name, row, ns, kib) for _ in range(self.rounds)]
            samples[a_name] = {f: [run[f] for run in runs] for f in runs[0]}
        row["medians"] = {a: {f: statistics.median(v) for f, v in fields.items()}
                          for a, fields in samples.items()}
        bases = [b for b in ("glibc", "jemalloc", "pymalloc") if b in samples]
        row["ratios"] = {a: {b: self.ratios(samples[a], samples[b]) for b in bases if b != a}
                         for a in names}
        row["details"] = {a: self.detail(a, row, kib) for a in names} if self.details else {}
        del row["luck"]
        return row

    def ratios(self, mine, base):
        return {field: self.ratio(field, [m / b for m, b in zip(mine[field], base[field])])
                for field in mine}

    def ratio(self, field, ratios):
        median, ordered = statistics.median(ratios), sorted(ratios)
        low, high = ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]
        less, more = WORDS.get(field, ("less", "more"))
        verdict = "one round" if len(ratios) < 2 else "no difference" if low <= 1 <= high \
            else less if median < 1 else more
        return {"median": median, "low": low, "high": high, "rounds": len(ratios),
                "spread": (high - low) / 2 / median, "verdict": verdict}

    def detail(self, name, row, kib):
        found = {"memory": self.memory(name, row["kind"] == "program", kib)}
        if row["kind"] != "program":
            found["fragmentation"] = round(1.1 * MEMORY.get(name, 1.2), 3)
            found["latency_ns"] = None if row["threads"] > 2 else {
                "malloc": self.latency(SPEED.get(name, 1)), "free": self.latency(0.7)}
        if row["family"] in ("pairs", "batches"):
            found["instructions"] = round(60 * SPEED.get(name, 1), 1)
        if name == "poolmalloc" and row["kind"] != "program":
            found["counters_per_million"] = {
                key: round(self.random.expovariate(1) * size, 2) for key, size in (
                    ("slow_paths", 900), ("lock_acquisitions", 40), ("lock_contended", 0.5),
                    ("cas", 12), ("purges", 0.1))}
        return found

    def latency(self, speed):
        curve = [[q, round(12 * speed * 1.6 ** nines * self.random.uniform(0.9, 1.2), 1)]
                 for nines, q in ((0, 0.1), (0.3, 0.5), (1, 0.9), (2, 0.99), (4, 0.999),
                                  (6, 0.9999), (9, 0.99999))]
        at = dict((q, ns) for q, ns in curve)
        return {"p50": at[0.5], "p99": at[0.99], "p999": at[0.999], "max": curve[-1][1] * 9,
                "samples": 100000, "dropped": 12, "curve": curve}

    def memory(self, name, outside, kib):
        points, scale = [], MEMORY.get(name, 1.1)
        for step in range(300):
            t = step / 299
            live = kib * (0.2 + 0.7 * t) if t < 0.6 else kib * (0.62 - 0.5 * (t - 0.6))
            resident = max(live * scale * 1.1, kib * scale * (0.3 + 0.6 * min(t, 0.6)))
            points.append([round(t * 500 * SPEED.get(name, 1), 2), int(resident),
                           None if outside else int(live)])
        return points


def geometric(values):
    return statistics.geometric_mean(values) if values else None


def summary(rows, subject, bases):
    found = {}
    for base in bases:
        for field in ("time_ns", "peak_rss_kib"):
            families, kinds = {}, {}
            for row in rows:
                if base in row["ratios"].get(subject, {}):
                    median = row["ratios"][subject][base][field]["median"]
                    families.setdefault(row["family"], []).append(median)
                    kinds.setdefault(row["kind"], []).append(median)
            means = {family: geometric(values) for family, values in families.items()}
            found.setdefault(base, {})[field] = {
                "mean": geometric(list(means.values())), "families": means,
                "kinds": {kind: geometric(values) for kind, values in kinds.items()}}
    return found


def whole(rows, allocators, **changed):
    bases = [base for base in ("glibc", "jemalloc") if base in allocators]
    python = any("pymalloc" in row["samples"] for row in rows)
    names = list(allocators) + (["pymalloc"] if python else [])
    return dict({
        "format": 2, "date": "2026-11-22", "mode": "default", "partial": False, "seconds": 1702,
        "version": "0.1.0 (v0.1.0-12-gabcdef0)", "subject": "poolmalloc", "baselines": bases,
        "machine": {"processor": "Made-up CPU 3000 @ 2.50GHz", "cores": 2, "memory_gib": 23.4,
                    "kernel": "6.1.0", "page_bytes": 4096, "libc": "glibc 2.36"},
        "allocators": [{"name": name, "version": "1.%d" % at, "serves": True}
                       for at, name in enumerate(names)],
        "fields": {key: dict(zip(("title", "unit", "better"), value))
                   for key, value in FIELDS.items()},
        "rows": rows, "notes": ["The document is made up."],
        "summary": {name: summary(rows, name, [b for b in bases + ["pymalloc"] * python
                                               if b != name]) for name in names},
        "requirements": [
            {"text": "time, geometric mean over families, to jemalloc", "limit": 0.85,
             "at_least": False, "measured": 0.73, "met": True},
            {"text": "peak memory, geometric mean, to glibc", "limit": 0.95, "at_least": False,
             "measured": 0.97, "met": False},
            {"text": "speed-up of threads/64 over glibc", "limit": 2.0, "at_least": True,
             "measured": None, "met": None},
            {"text": "page faults, rows above the best peer's", "limit": 0, "at_least": False,
             "measured": 2, "met": False, "detail": "pairs/8 7 for 5, pairs/64 6 for 5"},
            {"text": "redis, of jemalloc's", "limit": 1.0, "below": True, "measured": 0.9,
             "met": None, "why": "without redis/churn"}]}, **changed)


def full(allocators=ALL, rounds=7, details=True):
    maker = Maker(allocators, rounds, details)
    rows = [maker.row(name, "micro", ns=20 * 1.6 ** at, kib=6000 * (at + 1))
            for at, name in enumerate(MICRO)]
    for family, ns in (("threads", 60), ("exchange", 150)):
        rows += [maker.row("%s/%d" % (family, count), "micro", count, family,
                           ns / min(count, 2), 30000 + 200 * count) for count in COUNTS]
    rows += [maker.row(name, "workload", 1 + at % 3, None, 90 + 40 * at, 50000 + 20000 * at)
             for at, name in enumerate(WORKLOADS)]
    rows += [maker.row(name, "program", 1, None, 3e4 * (at + 1), 90000 + 9000 * at)
             for at, name in enumerate(PROGRAMS)]
    if "tcmalloc" in allocators:
        fail(rows, "larson/server", "tcmalloc", "no result after 120 s: killed")
        fail(rows, "nginx/wrk", "tcmalloc", "killed by SIGSEGV")
    return whole(rows, allocators)


def fail(rows, row_name, allocator, reason):
    for row in rows:
        if row["name"] == row_name:
            row["failures"][allocator] = reason
            for part in ("medians", "ratios", "details"):
                row[part].pop(allocator, None)
            row["samples"][allocator] = {"time_ns": [None] * row["rounds"]}
            for ratios in row["ratios"].values():
                ratios.pop(allocator, None)


def large(count=90):
    """As many rows as a run will ever have, with every detail: for the size of the page."""
    document = full()
    rows = document["rows"]
    extra = [dict(row, name="%s-%d" % (row["name"], copy), series=None) for copy in (2, 3)
             for row in rows if row["kind"] != "program"]
    return dict(document, rows=(rows + extra)[:count])


def all_failed():
    document = full(ALL[:3], 1)
    for row in document["rows"]:
        for name in ALL[:3] + ("pymalloc",):
            if name in row["samples"]:
                fail([row], row["name"], name, "killed by SIGSEGV")
    return dict(document, summary={}, partial=True)


STRANGE = 'a<b>&"c"'


def strange():
    """Names that are markup, quotes, tokens, or too long."""
    allocators = ("glibc", STRANGE, "poolmalloc")
    maker = Maker(allocators, 3, True)
    names = [STRANGE + "/x", "it's|`code`/@0@", "back\\slash/%d\ttab\nline",
             "long/" + "name-" * 20, "</script><script>alert(1)</script>/1", "$d0/{/Bold x}_2"]
    rows = [maker.row(name, kind) for name in names for kind in ("micro",)]
    rows += [maker.row(STRANGE + "/" + str(n), "workload", n, STRANGE) for n in (1, 2)]
    rows[0]["what"] = rows[0]["failures"][STRANGE] = STRANGE
    return whole(rows, allocators, notes=[STRANGE], version=STRANGE)


def one_allocator():
    document = full(("poolmalloc",))
    return whole([row for row in document["rows"] if row["family"] != "python"], ("poolmalloc",))


def one_row():
    maker = Maker(ALL[:3], 7, True)
    return whole([maker.row("pairs/64", "micro")], ALL[:3], mode="custom", partial=True)


DOCUMENTS = {
    "full": full,
    "three": lambda: full(ALL[:3]),
    "large": large,
    "one-allocator": one_allocator,
    "one-round": lambda: dict(full(ALL[:4], 1), mode="quick"),
    "no-details": lambda: full(ALL[:3], 7, False),
    "all-failed": all_failed,
    "one-row": one_row,
    "strange": strange,
    "no-rows": lambda: whole([], ALL[:3], summary={}, requirements=[]),
    "bare": lambda: {"format": 2, "allocators": [], "rows": []},
}

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in DOCUMENTS:
        json.dump(DOCUMENTS[sys.argv[1]](), sys.stdout)
    else:
        sys.exit("usage: python3 -m reporting.testing " + " | ".join(DOCUMENTS))
