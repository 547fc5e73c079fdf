# SPDX-License-Identifier: MIT
"""Figures as a reader likes them."""


def time_words(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return "%.2f %s" % (ns / size, unit)
    return "%.1f ns" % ns


def size_words(kib):
    for unit, size in (("GiB", 1 << 20), ("MiB", 1 << 10)):
        if kib >= size:
            return "%.1f %s" % (kib / size, unit)
    return "%.0f KiB" % kib
