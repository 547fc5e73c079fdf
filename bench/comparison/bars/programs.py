# SPDX-License-Identifier: MIT
"""The bars of real programs: Python beside its own allocator, servers beside every peer."""

from comparison.bars import peers
from comparison.bars.bar import Bar, mean_of, of_count, of_mean

PYTHON, SERVERS = "Python", "servers"
PYMALLOC = "pymalloc"
# JSON, object churn, nested containers, text, and objects of several threads.
PYTHON_ROWS = tuple("python/" + load for load in ("json", "objects", "containers", "text",
                                                  "threads"))
PYTHON_TIME, PYTHON_RSS = 0.97, 1.03
# What a row has that is a server: the field that no other row has.
OF_SERVERS = "rss_after_kib"
FIELDS = {"time_ns": "processor time of a request", "peak_rss_kib": "peak RSS"}
REDIS = "redis"


def python_bar(results, name, field, text, limit):
    def is_about(row):
        return row.name in PYTHON_ROWS
    rows = [row for row in results.rows if is_about(row)]
    missing = [row for row in PYTHON_ROWS if row not in {row.name for row in rows}]
    bar = Bar(PYTHON, "%s, geometric mean, of %s's" % (text, PYMALLOC), limit, is_about=is_about,
              why="without " + ", ".join(missing) if missing else "")
    ratios = peers.ratios_to(results, name, PYMALLOC, field, rows)
    if ratios:
        bar.notes += (", ".join("%s %s" % (row.split("/")[1], ratio)
                                for (_, row), ratio in ratios.items()),)
    return of_mean(bar, ratios)


def is_server(results, row):
    return any(results.values(row, name, OF_SERVERS) for name in results.names)


def server_bar(results, name, field):
    """Rows of which the whole interval is above the best peer."""
    rows = [row for row in results.rows if is_server(results, row)]
    ratios, names = peers.ratios_to_best(results, name, field, rows)
    over, compared = peers.above_spread(ratios, names)
    bar = Bar(SERVERS, "%s, rows above the best peer's" % FIELDS[field], 0,
              why=peers.missing(results), is_about=lambda row: is_server(results, row))
    if ratios and not compared:
        bar.why = "one round has no spread"
    mean = mean_of(ratios)
    if mean is not None:
        bar.notes += ("geometric mean %s of the best peer's" % mean,)
    return of_count(bar, over, compared)


def redis_bar(results, name, field, base="jemalloc"):
    def is_about(row):
        return row.family == REDIS
    bar = Bar(SERVERS, "Redis, %s, geometric mean, of %s's" % (FIELDS[field], base), 1.00,
              below=True, is_about=is_about)
    return of_mean(bar, peers.ratios_to(results, name, base, field,
                                        [row for row in results.rows if is_about(row)]))


def bars(results, name):
    return [python_bar(results, name, "time_ns", "time", PYTHON_TIME),
            python_bar(results, name, "peak_rss_kib", "peak RSS", PYTHON_RSS)] \
        + [server_bar(results, name, field) for field in FIELDS] \
        + [redis_bar(results, name, field) for field in FIELDS]
