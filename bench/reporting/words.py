# SPDX-License-Identifier: MIT
"""Numbers as a reader wants them: three digits that mean something, and a unit."""

import html
import math

NOTHING = "–"


def number(value):
    """`value` as a finite float; None for anything else that a document may hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def digits(value):
    """Three significant digits, without an exponent."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.001:
        return "%.1g" % value
    decimals = max(0, 2 - math.floor(math.log10(size)))
    text = "%.*f" % (decimals, value)
    return text.rstrip("0").rstrip(".") if "." in text and size < 1 else text


def scaled(value, steps):
    """The largest unit of (size, name) steps that leaves at least 1; the last one else."""
    for size, name in steps:
        if abs(value) >= size:
            return "%s %s" % (digits(value / size), name)
    size, name = steps[-1]
    return "%s %s" % (digits(value / size), name)


def time(ns):
    return NOTHING if ns is None else scaled(ns, ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns")))


def times(values):
    """Several times in one cell; a unit that all have is said once."""
    texts = [time(value) for value in values]
    units = {text.rpartition(" ")[2] for text in texts}
    if len(units) == 1:
        texts = [text.rpartition(" ")[0] for text in texts[:-1]] + texts[-1:]
    return " · ".join(texts)


def micros(us):
    return NOTHING if us is None else time(us * 1e3)


def memory(kib):
    return NOTHING if kib is None else scaled(kib, ((2**20, "GiB"), (2**10, "MiB"), (1, "KiB")))


def count(value):
    if value is None:
        return NOTHING
    if abs(value) < 1000:
        return digits(value)
    return scaled(value, ((1e9, "G"), (1e6, "M"), (1e3, "k")))


def rate(per_second):
    return NOTHING if per_second is None else count(per_second) + "/s"


def ratio(value):
    if value is None:
        return NOTHING
    for limit, form in ((0.0995, "%.3f"), (9.995, "%.2f"), (99.95, "%.1f")):
        if value < limit:
            return form % value
    return "%.0f" % value


def percent(share):
    """Of a spread: 0.023 is 2 %."""
    if share is None:
        return NOTHING
    return ("%.1f %%" if share < 0.0095 else "%.0f %%") % (share * 100)


def change(value):
    """A ratio in the words of daily life."""
    if value is None:
        return ""
    if 0.995 <= value < 1.005:
        return "the same"
    if value >= 2:
        return "%s times as much" % digits(value)
    return "%.0f %% %s" % (abs(1 - value) * 100, "less" if value < 1 else "more")


def plural(amount, word):
    if amount != 1:
        word = word[:-1] + "ies" if word.endswith("y") else word + "s"
    return "%d %s" % (amount, word)


def escape(text):
    return html.escape(str(text), quote=True)


def shortened(text, limit):
    return text if len(text) <= limit else text[:limit - 1] + "…"
