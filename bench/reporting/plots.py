# SPDX-License-Identifier: MIT
"""The plots: bars of ratios, throughput over threads, latencies, memory over time.

All are drawn for a width of 520 pixels with letters of 14, so that on a phone, where they shrink
to two thirds, they can still be read.
"""

import math

from reporting import palette, words
from reporting.gnuplot import Plot

WIDTH = 520
POINTS_MAX = 120
BAR_PIXELS, BETWEEN_ROWS = 16, 9
HEADING_PIXELS = 66
LETTER_PIXELS = 8.4  # of the widest usual font, on average
LABEL_LETTERS = 22
# Of a logarithmic axis of ratios, the most wanted first.
TICKS = [1, .5, 2, .2, 5, .1, 10, .05, 20, .02, 50, .01, 100, .001, 1000, .7, 1.5, .3, 3, .9, 1.1,
         .8, 1.2, .6, .4, .15, 7]
TICK_PIXELS = 44


def role(name):
    return 'rgb "%s"' % palette.role_colour(name)


def colour(slot):
    return 'rgb "%s"' % palette.slot_colour(slot)


def log_ticks(low, high, pixels):
    """As many as there is room for, the most wanted first."""
    scale, found = pixels / math.log(high / low), []
    for tick in TICKS:
        if low <= tick <= high and all(abs(scale * math.log(tick / other)) >= TICK_PIXELS
                                       for other in found):
            found.append(tick)
    return found


def ratio_range(bars):
    """Around 1, and all whiskers inside; a whisker to almost 0 does not squeeze the rest."""
    lows = [max(ratio.low, ratio.median / 4) for _, ratios in bars for _, ratio in ratios]
    highs = [min(ratio.high, ratio.median * 4) for _, ratios in bars for _, ratio in ratios]
    low, high = min(lows + [0.87]), max(highs + [1.15])
    return low / (high / low) ** 0.03, high * (high / low) ** 0.03


def bar_rows(bars, low, high):
    """(slot, y, bar's half height, from, to, whisker from, whisker to, median) of each bar."""
    y, found, labels = 0.0, [], []
    for label, ratios in bars:
        top = y
        for slot, ratio in ratios:
            found.append((slot, y, BAR_PIXELS * 0.38, *sorted((1.0, ratio.median)),
                          max(ratio.low, low), min(ratio.high, high), ratio.median))
            y += BAR_PIXELS
        labels.append((label, (top + y - BAR_PIXELS) / 2))
        y += BETWEEN_ROWS
    return found, labels, y - BETWEEN_ROWS - BAR_PIXELS


def ratio_bars(bars, hint, width=WIDTH, heading=None):
    """bars: [(label, [(slot of the base, Ratio), ...]), ...]; hint: what the axis shows.

    heading(plot): draws into a free strip of HEADING_PIXELS above."""
    low, high = ratio_range(bars)
    found, labels, last = bar_rows(bars, low, high)
    top = HEADING_PIXELS if heading else 8
    area = last + BAR_PIXELS * 2
    plot = Plot(width, round(top + area + 58))
    longest = min(LABEL_LETTERS, max(len(label) for label, _ in bars))
    left, right = longest * LETTER_PIXELS + 20, width - 52
    plot.add("set logscale x", "set xrange [%.9g:%.9g]" % (low, high),
             "set yrange [%g:%g]" % (last + BAR_PIXELS, -BAR_PIXELS),
             "set lmargin at screen %g" % (left / width),
             "set rmargin at screen %g" % (right / width),
             "set tmargin at screen %g" % (1 - top / plot.height),
             "set bmargin at screen %g" % (58 / plot.height),
             "set border 1 lc %s" % role("axis"), "set mxtics 1",
             "set grid xtics lc %s lw 1 dt solid" % role("grid"),
             "set ytics scale 0 (%s)" % ", ".join(
                 "%s %g" % (plot.text(words.shortened(label, LABEL_LETTERS)), y)
                 for label, y in labels),
             "set xtics scale 0.4 (%s)" % ", ".join(
                 '"%g" %g' % (tick, tick) for tick in log_ticks(low, high, right - left)),
             "set arrow 1 from 1,graph 0 to 1,graph 1 nohead front lw 1.5 lc %s" % role("one"),
             "set label 1 %s at screen 0.5,%g center tc %s" % (
                 plot.text(hint), 14 / plot.height, role("muted")),
             "set errorbars 0.7", "set style fill solid 1 noborder")
    if heading:
        heading(plot)
    draw_bars(plot, found, high)
    return plot


def draw_bars(plot, found, high):
    for slot in dict.fromkeys(bar[0] for bar in found):
        data = plot.data([[left, y, left, right, y - half, y + half] for
                          s, y, half, left, right, *_ in found if s == slot])
        plot.draw("%s using 1:2:3:4:5:6 with boxxyerror lc %s" % (data, colour(slot)))
    whiskers = plot.data([[bar[7], bar[1], bar[5], bar[6]] for bar in found])
    plot.draw("%s using 1:2:3:4 with xerrorbars lc %s lw 1.6 pt 1 ps 0.35"
              % (whiskers, role("whisker")))
    values = plot.data([[high * 0.9999, bar[1], plot.text(words.ratio(bar[7]))] for bar in found])
    plot.draw("%s using 1:2:3 with labels left offset 0.6,0 tc %s" % (values, role("text")))


def own_heading(names, slots, about):
    """For a plot that stands alone: a swatch and a name for each base, above a line of words."""
    def draw(plot):
        x, y = 16.0, 1 - 20 / plot.height
        for number, name in enumerate(names, 1):
            plot.add("set object %d rectangle from screen %g,%g to screen %g,%g fs solid noborder "
                     "fc %s" % (number, x / plot.width, y - 6 / plot.height,
                                (x + 14) / plot.width, y + 6 / plot.height, colour(slots[name])),
                     "set label %d %s at screen %g,%g left tc %s" % (
                         number + 2, plot.text(name), (x + 20) / plot.width, y,
                         role("text")))
            x += 20 + LETTER_PIXELS * (len(name) + 2)
        plot.add("set label 2 %s at screen %g,%g left tc %s" % (
            plot.text(about), 16 / plot.width, 1 - 44 / plot.height, role("muted")))
    return draw


def frame(height=270, extra=()):
    """Axes of a plot of lines."""
    plot = Plot(WIDTH, height)
    plot.add("set border 3 lc %s" % role("axis"), "set tics scale 0.4",
             "set grid ytics lc %s lw 1 dt solid" % role("grid"),
             "set lmargin at screen %g" % (76 / WIDTH),
             "set rmargin at screen %g" % ((WIDTH - 34) / WIDTH),
             "set tmargin at screen %g" % (1 - 34 / height),
             "set bmargin at screen %g" % (54 / height), *extra)
    return plot


def draw_lines(plot, lines, marked):
    """[(slot, rows)]"""
    for slot, rows in lines:
        style = "linespoints pt %d ps 0.55" % (slot + 1) if marked else "lines"
        dash = palette.dashes(slot)
        plot.draw("%s using 1:2 with %s lw 2 lc %s dt %s" % (
            plot.data(rows), style, colour(slot), "(%s)" % dash if dash else "solid"))


def axis_words(plot, x, y):
    plot.add("set label 1 %s at screen 0.56,%g center tc %s" % (
        plot.text(x), 15 / plot.height, role("muted")),
        "set label 2 %s at screen 0.015,%g left tc %s" % (
            plot.text(y), 1 - 14 / plot.height, role("muted")))


def threads_plot(lines):
    """[(slot, [(threads, operations a second), ...])]"""
    counts = sorted({count for _, points in lines for count, _ in points})
    most = max(rate for _, points in lines for _, rate in points)
    size, unit = next(((s, u) for s, u in ((1e9, "10⁹ "), (1e6, "million "), (1e3, "thousand "))
                       if most >= s), (1, ""))
    low, high = counts[0] / 1.15, counts[-1] * 1.15
    plot = frame(extra=(
        "set logscale x 2", "set xrange [%g:%g]" % (low, high),
        "set yrange [0:%g]" % (most / size * 1.08),
        "set xtics (%s)" % ", ".join('"%d" %d' % (count, count) for count in counts)))
    draw_lines(plot, [(slot, [[count, rate / size] for count, rate in points])
                      for slot, points in lines], True)
    axis_words(plot, "threads", "%soperations a second" % unit)
    return plot


def nines(share):
    """0.5 is 0.3, 0.9 is 1, 0.99 is 2: an axis on which the tail has room."""
    return -math.log10(max(1 - share, 1e-9))


def log_points(points):
    """The points of a curve of latencies that a logarithmic axis can show."""
    return [[nines(point[0]), point[1]] for point in points
            if 0 <= point[0] < 1 and point[1] and point[1] > 0]


def time_ticks(low, high):
    """(text, ns): powers of ten, and what lies between where there are few of them."""
    decades = math.log10(high / low)
    steps = (1, 2, 5) if decades < 2 else (1, 3) if decades < 4 else (1,)
    found = [step * 10.0 ** power for power in range(-1, 12) for step in steps]
    units = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns"))
    return [("%g %s" % next((ns / size, unit) for size, unit in units
                            if ns >= size or size == 1), ns) for ns in found if low <= ns <= high]


def latency_plot(lines):
    """[(slot, [[quantile, ns], ...])]"""
    lines = [(slot, log_points(points)) for slot, points in lines]
    every = [point for _, points in lines for point in points]
    low, high = min(ns for _, ns in every) / 1.4, max(ns for _, ns in every) * 1.4
    last = max(max(x for x, _ in every), 1)
    first = min(min(x for x, _ in every), nines(0.5))
    plot = frame(extra=(
        "set logscale y", "set mytics 1", "set yrange [%.9g:%.9g]" % (low, high),
        "set xrange [%g:%g]" % (first, last * 1.02),
        "set grid xtics lc %s lw 1 dt solid" % role("grid")))
    plot.add("set xtics (%s)" % ", ".join(
        "%s %g" % (plot.text("%g %%" % (share * 100)), nines(share))
        for share in (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999) if nines(share) <= last + 0.01),
        "set ytics (%s)" % ", ".join(
            "%s %g" % (plot.text(text), ns) for text, ns in time_ticks(low, high)))
    draw_lines(plot, lines, True)
    axis_words(plot, "share of the calls that took no longer", "time of one call")
    return plot


def thinned(points):
    """At most POINTS_MAX points: of each stretch the one with the most resident memory."""
    if len(points) <= POINTS_MAX:
        return points
    inner, stretches = points[1:-1], POINTS_MAX - 2
    cuts = [len(inner) * at // stretches for at in range(stretches + 1)]
    return points[:1] + [max(inner[a:b], key=lambda p: p[1] or 0)
                         for a, b in zip(cuts, cuts[1:])] + points[-1:]


def memory_axis(lines, live):
    """(divisor of KiB, unit, top)"""
    most = max(kib for _, points in list(lines) + [(0, live)] for _, kib in points)
    size, unit = (2**20, "GiB") if most >= 2**20 * 2 else (2**10, "MiB")
    return size, unit, max(most / size, 0.1) * 1.08


def memory_plot(lines, live, share):
    """[(slot, [[ms, kib], ...])]; live: [[ms, kib], ...] or []; share: of the run, not seconds."""
    size, unit, top = memory_axis(lines, live)

    def rows(points):
        first, last = points[0][0], points[-1][0]
        scale = 100 / ((last - first) or 1) if share else 0.001
        return [[(ms - (first if share else 0)) * scale, kib / size] for ms, kib in points]

    end = 100 if share else max(points[-1][0] for _, points in lines) / 1000
    plot = frame(extra=("set xrange [0:%g]" % (end or 1), "set yrange [0:%g]" % top))
    if live:
        plot.draw("%s using 1:2 with filledcurves x1 fs solid 1 noborder lc %s"
                  % (plot.data(rows(live)), role("live")))
    draw_lines(plot, [(slot, rows(points)) for slot, points in lines], False)
    axis_words(plot, "share of the run, %" if share else "seconds since the start",
               "resident memory, " + unit)
    return plot

