#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes the hand-written inputs of the API target from seeds.txt.

  seeds.py           writes corpus/api/seed-*
  seeds.py --check   compares them instead; exit code 1 when one differs

Words of a call, in the order in which api_fuzz.c reads them:
  b7      a byte
  n1000   a number of two bytes: most often a slot
  s4096   a size: below 32, below 65536, a multiple of 16 up to a MiB, or a class border
  a64     an alignment, a power of two up to 4 KiB, or 8 MiB up to 2 GiB (others as b)
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "corpus", "api")
PREFIX = "seed-"

# As in feed.c.
EIGHTHS_FROM = 65
TINY_FROM = EIGHTHS_FROM + 128
TINY = 32
USUAL_ALIGNMENTS = 224


class Problem(Exception):
    """seeds.txt cannot be understood."""


def calls():
    """The numbers of the calls, from the table in api_fuzz.c."""
    with open(os.path.join(HERE, "api_fuzz.c"), encoding="utf-8") as file:
        text = file.read()
    table = re.search(r"const calls\[.*?\{(.*?)\};", text, re.DOTALL).group(1)
    numbers = {}
    for number, word in enumerate(re.findall(r"call_(\w+)|(NULL)", table)):
        numbers.setdefault(word[0] or "end", number)
    return numbers


def number_bytes(number):
    return [number & 255, number >> 8]


def size_bytes(size):
    if size < TINY:
        return [TINY_FROM + size]
    if size < 65536:
        return [TINY_FROM + TINY + 1] + number_bytes(size)
    if size % 16 == 0 and size < 65536 * 16:
        return [TINY_FROM + TINY] + number_bytes(size // 16)
    for part in range(128):
        if (8 + part % 8) << (part // 8 + 6) == size:
            return [EIGHTHS_FROM + part, 1]
    raise Problem("the size %d has no code" % size)


def alignment_bytes(alignment):
    bits = alignment.bit_length() - 1
    if alignment != 1 << bits or bits > 31:
        raise Problem("the alignment %d is no power of two up to 2 GiB" % alignment)
    return [bits if bits < 13 else USUAL_ALIGNMENTS + bits]


ENCODERS = {"b": lambda number: [number], "n": number_bytes, "s": size_bytes,
            "a": alignment_bytes}


def call_bytes(line, numbers):
    words = line.split()
    match = re.fullmatch(r"(\w+)(\+?)(?::([0-3]))?", words[0])
    if not match or match.group(1) not in numbers:
        raise Problem("there is no call \"%s\"" % words[0])
    code = [numbers[match.group(1)] | int(match.group(3) or 0) << 5 | (match.group(2) != "") << 7]
    for word in words[1:]:
        if word[0] not in ENCODERS or not word[1:].isdigit():
            raise Problem("\"%s\" is no word" % word)
        code += ENCODERS[word[0]](int(word[1:]))
    return bytes(code)


def inputs():
    numbers, found, name = calls(), {}, None
    with open(os.path.join(HERE, "seeds.txt"), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            try:
                if line.startswith("input "):
                    name = line.split()[1]
                    found[name] = b""
                else:
                    found[name] += call_bytes(line, numbers)
            except (Problem, KeyError, ValueError) as problem:
                raise Problem("seeds.txt:%d: %s" % (number, problem)) from problem
    return found


def committed():
    return {name[len(PREFIX):] for name in os.listdir(FOLDER) if name.startswith(PREFIX)}


def differing(found):
    names = sorted(set(found) ^ committed())
    for name in sorted(set(found) & committed()):
        with open(os.path.join(FOLDER, PREFIX + name), "rb") as file:
            if file.read() != found[name]:
                names.append(name)
    return names


def main():
    try:
        found = inputs()
    except Problem as problem:
        print("seeds: %s" % problem, file=sys.stderr)
        return 2
    if sys.argv[1:] == ["--check"]:
        names = differing(found)
        for name in names:
            print("corpus/api/%s%s is not what seeds.txt says: run stress/fuzz/seeds.py" %
                  (PREFIX, name))
        print("%d inputs, %d differ" % (len(found), len(names)))
        return 1 if names or not found else 0
    for name in committed():
        os.remove(os.path.join(FOLDER, PREFIX + name))
    for name, data in found.items():
        with open(os.path.join(FOLDER, PREFIX + name), "wb") as file:
            file.write(data)
    print("%d inputs written" % len(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
