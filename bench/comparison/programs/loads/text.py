# SPDX-License-Identifier: MIT
"""text.py COUNT: a log of many lines searched, split, counted and rendered again.

Stands for scripts that turn text into other text: lines are split into words, matched by
expressions, joined, replaced, encoded and decoded, and strings of a few hundred bytes to a few
hundred KiB are built piece by piece. Source: the benchmarks regex_effbot, genshi and chameleon of
pyperformance, by their description; written anew.
"""

import hashlib
import re
import sys

LINES = 2200
WORDS = ("request", "étage", "timeout", "user", "session", "cache", "миг", "retry", "disk", "ok")
FIELD = re.compile(r"(\w+)=(\"[^\"]*\"|\S+)")
NUMBER = re.compile(r"\d+")


def line(number):
    words = " ".join(WORDS[(number * k) % len(WORDS)] for k in range(1, 2 + number % 9))
    return "2024-%02d-%02d level=%s id=%d text=\"%s\" took=%dms" % (
        number % 12 + 1, number % 28 + 1, ("info", "warn", "error")[number % 3], number, words,
        number * 7 % 900)


def counted(lines):
    """Words and fields of all lines."""
    words, fields = {}, []
    for text in lines:
        found = dict(FIELD.findall(text))
        fields.append(found)
        for word in found["text"].strip('"').split():
            words[word.title()] = words.get(word.title(), 0) + 1
    return words, fields


def page(fields):
    """Built by appending, as one string in the end."""
    parts = ["<table>"]
    for number, found in enumerate(fields):
        cells = "".join("<td>%s</td>" % value.replace("\"", "&quot;") for value in found.values())
        parts.append("<tr class='row%d'>%s</tr>" % (number % 2, cells))
    return "\n".join(parts + ["</table>"])


def run(count):
    digest = hashlib.sha256()
    for turn in range(count):
        text = "\n".join(line(turn * LINES + number) for number in range(LINES))
        words, fields = counted(text.splitlines())
        shown = page(fields)
        shown = NUMBER.sub(lambda match: match.group()[::-1], shown).upper()
        back = shown.encode("utf-8").decode("utf-8").partition("</TD>")[2]
        digest.update(back.encode("utf-16"))
        digest.update(" ".join("%s:%d" % one for one in sorted(words.items())).encode())
    return digest.hexdigest()


print(run(int(sys.argv[1])))
