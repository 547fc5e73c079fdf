#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What each misuse comes to in each mode:

    misuse_modes.py run MODE TABLE POINTERS CASES [--observe]
    misuse_modes.py doc TABLE DOCUMENT [--write]

run: runs each misuse of the table misuse_modes.txt in the mode, and passes when
every one ends as the table says. POINTERS is misuse.c's program, for the rows
CALL/POINTER; CASES is debug/misuse_*.c's, for the others. --observe prints the
rows as they ended.
doc: docs/misuse.md has the table; --write puts it there.
"""

import os
import re
import signal
import subprocess
import sys

SECONDS = 60
MODES = {  # by column
    "default": ("default", ""),
    "debug": ("debug", ""),
    "malloc_debug": ("malloc_debug", ""),
    "hardened": ("hardened", "guarded_one_in=0"),
    "guarded": ("hardened", "guarded_one_in=1,guarded_slots=1000"),
}
WORDS = {  # of the document
    "call": {"named": "at the call", "trapped": "a trap"},
    "write": {"named": "at its free", "trapped": "at the access"},
    "read": {"trapped": "at the access"},
}
COMMON = {"found": "later", "no": "no", "any": "by chance"}
BEGIN, END = "<!-- modes: begin -->\n", "<!-- modes: end -->\n"


def rows(path):
    for line in open(path, encoding="utf-8"):
        if line.startswith("#") or not line.strip():
            continue
        case, kind, *outcomes = [part.strip() for part in line.split("|")]
        assert kind in WORDS and len(outcomes) == len(MODES), line
        yield case, kind, dict(zip(MODES, outcomes))


def outcome_of(done):
    """In one word; None: none of those that the table has."""
    pointer = done.stdout.split("\n")[0]
    line = done.stderr.split("\n")[0]
    if done.returncode == 1 and not done.stderr:
        return "no"
    if done.returncode == -signal.SIGSEGV:
        return "trapped"
    if done.returncode != -signal.SIGABRT or not line.startswith("poolmalloc: "):
        return None
    call = re.match(r"poolmalloc: [a-z_ \[\]]+\((0x[0-9a-f]+)\): ", line)
    return "named" if call and call.group(1) == pointer else "found"


def run_case(case, mode, programs):
    name, options = MODES[mode]
    options = ",".join(["window_bytes=1g"] + ([options] if options else []))
    environment = dict(os.environ, POOLMALLOC=name, POOLMALLOC_OPTIONS=options)
    program, words = (programs[0], case.split("/")) if "/" in case else (programs[1], [case])
    return subprocess.run([program] + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=environment, timeout=SECONDS, check=False)


def run(mode, table, programs, observe):
    bad = seen = 0
    for case, _, wanted in rows(table):
        done = run_case(case, mode, programs)
        outcome = outcome_of(done)
        if observe:
            print(case, outcome or "status %d" % done.returncode)
        elif wanted[mode] != "any" and outcome not in wanted[mode].split("/"):
            print("%s in mode %s: %s, not %s (status %d)\n%s%s"
                  % (case, mode, outcome, wanted[mode], done.returncode, done.stdout, done.stderr))
            bad += 1
        seen += 1
    print("%d of %d misuses end in mode %s as the table says" % (seen - bad, seen, mode))
    return 1 if bad or not seen else 0


def document(table):
    lines = ["| misuse | " + " | ".join(MODES) + " |", "|---" * (len(MODES) + 1) + "|"]
    for case, kind, outcomes in rows(table):
        of_kind = dict(COMMON, **WORDS[kind])
        words = [" or ".join(of_kind[word] for word in outcomes[mode].split("/"))
                 for mode in MODES]
        lines.append("| %s | %s |" % (case, " | ".join(words)))
    return "\n".join(lines) + "\n"


def doc(table, path, write):
    text = open(path, encoding="utf-8").read()
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    new = document(table)
    if old == new:
        return 0
    if write:
        with open(path, "w", encoding="utf-8") as file:
            file.write(head + BEGIN + new + END + tail)
        return 0
    print("%s: the table of modes is not that of %s (misuse_modes.py doc ... --write)"
          % (path, table))
    return 1


def main():
    words = sys.argv[1:]
    if len(words) in (5, 6) and words[0] == "run" and words[1] in MODES:
        return run(words[1], words[2], words[3:5], words[5:] == ["--observe"])
    if len(words) in (3, 4) and words[0] == "doc":
        return doc(words[1], words[2], words[3:] == ["--write"])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
