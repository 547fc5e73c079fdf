# SPDX-License-Identifier: MIT
"""Colours, line styles and markers: one for each allocator, the same in every plot and table.

The hues are those that stay apart for colour-blind readers (after Okabe and Ito), darkened for
white paper and lightened for a dark screen; dashes and markers differ too, so that colour is never
alone. Plots name classes (k-: stroke, f-: fill, t-: text), the style sheets here give them colours.
"""

# name: light, dark, dashes of its lines, in pixels. The place in the list is the slot.
ALLOCATORS = {
    "poolmalloc": ("#0b5cad", "#6cb8ff", ""),
    "glibc": ("#6e6e6e", "#b0b0b0", "7,3"),
    "jemalloc": ("#c04a00", "#ff9d57", "2,2"),
    "mimalloc": ("#007f5c", "#41cfa0", "9,3,2,3"),
    "tcmalloc": ("#a33b86", "#f08fd0", "4,3"),
    "tbbmalloc": ("#7d6500", "#e5cb4f", "12,4"),
    "pymalloc": ("#3b3355", "#d9d2ff", "1,3"),
}
SPARES = (("#00707f", "#5fd3e6", "6,2,1,2"), ("#8c2a3c", "#ff9aa8", "3,5"),
          ("#4f5d00", "#c3d663", "10,2,2,2"))
STYLES = tuple(ALLOCATORS.values()) + SPARES

# What is not data: role: light, dark.
ROLES = {
    "axis": ("#8a8f98", "#757c87"),
    "text": ("#1c2128", "#e6e9ee"),
    "muted": ("#57606a", "#a7afba"),
    "grid": ("#e3e6ea", "#31363e"),
    "one": ("#1c2128", "#e6e9ee"),
    "whisker": ("#14181d", "#f5f7fa"),
    "live": ("#c9d3de", "#3d4a58"),
}
PAPER = ("#ffffff", "#171b21")
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"


def slots(names):
    """{allocator: slot}: known ones have their own, others take spares in order."""
    found, spare = {}, 0
    for name in names:
        if name in ALLOCATORS:
            found[name] = list(ALLOCATORS).index(name)
        else:
            found[name] = len(ALLOCATORS) + spare % len(SPARES)
            spare += 1
    return found


def dashes(slot):
    return STYLES[slot][2]


# To gnuplot, each class is a colour that nothing else has; render() turns them back.
def role_colour(role):
    return "#01%02x00" % list(ROLES).index(role)


def slot_colour(slot):
    return "#02%02x00" % slot


def class_of(red, green):
    """The class that the two functions above wrote as a colour; None for any other."""
    if red == 1 and green < len(ROLES):
        return list(ROLES)[green]
    if red == 2 and green < len(STYLES):
        return "a%d" % green
    return None


def pairs():
    """(class, light, dark) of all."""
    return [(role, light, dark) for role, (light, dark) in ROLES.items()] + [
        ("a%d" % slot, light, dark) for slot, (light, dark, _) in enumerate(STYLES)]


def variables(dark):
    """For the page, whose themes exchange the variables."""
    return "".join("--p-%s:%s;" % (name, two[dark]) for name, *two in pairs())


def rules_by_variable():
    return "".join(".k-%s{stroke:var(--p-%s)}.f-%s{fill:var(--p-%s)}" % ((name,) * 4)
                   for name, _, _ in pairs())


def rules_by_colour(dark, used):
    """For a plot alone in a file: plain colours, which every reader of SVG understands."""
    found = [".paper{fill:%s}" % PAPER[dark]]
    for name, *two in pairs():
        found += [".%s-%s{%s:%s}" % (letter, name, attribute, two[dark])
                  for letter, attribute in (("k", "stroke"), ("f", "fill"))
                  if "%s-%s" % (letter, name) in used]
    return "".join(found)
