# SPDX-License-Identifier: MIT
"""The bars of the first comparison, against the baselines alone, which still hold."""

from comparison import stats
from comparison.bars import peers
from comparison.bars.bar import Bar, of_mean

GROUP = "promised before, of the baselines"
TIME = {"jemalloc": 0.85, "glibc": 0.75}
RSS_TO_JEMALLOC = 1.00
PRODCONS = {"glibc": 2.0, "jemalloc": 1.2}
FAMILY = "prodcons"


def mean_bar(results, name, base, field, text, limit):
    rows = [row for row in results.rows
            if field != "peak_rss_kib" or not results.is_small(row)]
    return of_mean(Bar(GROUP, "%s, geometric mean, of %s's" % (text, base), limit),
                   peers.ratios_to(results, name, base, field, rows))


def prodcons_bar(results, name, base, limit):
    family = stats.family_means(results.medians(name, base, "time_ns")).get(FAMILY)
    return Bar(GROUP, "throughput of producer/consumer, of %s's" % base, limit, at_least=True,
               measured=None if family is None else 1 / family,
               is_about=lambda row: row.family == FAMILY)


def bars(results, name):
    return [mean_bar(results, name, base, "time_ns", "time", limit)
            for base, limit in TIME.items()] \
        + [mean_bar(results, name, "jemalloc", "peak_rss_kib", "peak RSS", RSS_TO_JEMALLOC)] \
        + [prodcons_bar(results, name, base, limit) for base, limit in PRODCONS.items()]
