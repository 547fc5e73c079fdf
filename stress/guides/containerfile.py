#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads a Containerfile as a builder would, without building: containerfile.py FILE... [options]

  --context DIR      what COPY takes without --from has to be there
  --made PATH=DIR    what COPY takes from a stage below PATH has to be below DIR
  --source DIR       -D options and presets that cmake is given have to be in this tree

Instructions and their forms, stages that come before they are copied from, JSON, the shell words of
RUN (by sh -n), and packages that apt-get installs: by apt-cache, where it knows any. Says what is
wrong, a line each; exit status 1 if anything is.
"""

import argparse
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys

WORD = r"[A-Za-z_][A-Za-z0-9_]*"
FROM = re.compile(r"(?:--platform=\S+ +)?[\w./:@-]+(?: +[Aa][Ss] +(?P<stage>[a-z][\w.-]*))?")
SETTINGS = re.compile(r'(?:%s=(?:"[^"]*"|[^"\s]*) ?)+' % WORD)
SIMPLE = {
    "ARG": re.compile(r"%s(?:=\S*)?" % WORD),
    "ENV": SETTINGS,
    "EXPOSE": re.compile(r"(?:\d+(?:/(?:tcp|udp))? ?)+"),
    "LABEL": re.compile(r'(?:[\w.-]+=(?:"[^"]*"|[^"\s]*) ?)+'),
    "STOPSIGNAL": re.compile(r"SIG[A-Z]+|\d+"),
    "USER": re.compile(r"[\w.-]+(?::[\w.-]+)?"),
    "VOLUME": re.compile(r"(?:/\S+ ?)+"),
    "WORKDIR": re.compile(r"/\S*"),
}
COMMANDS = ("RUN", "CMD", "ENTRYPOINT")


def instructions(text):
    """(line number, instruction, the rest) with continued lines joined and comments left out."""
    number, lines = 0, text.split("\n")
    while number < len(lines):
        first, line = number + 1, lines[number].strip()
        number += 1
        if not line or line.startswith("#"):
            continue
        while line.endswith("\\") and number < len(lines):
            following = lines[number].strip()
            number += 1
            if not following.startswith("#"):
                line = line[:-1].rstrip() + " " + following
        word, _, rest = line.partition(" ")
        yield first, word, rest.strip()


class Reader:
    def __init__(self, options):
        self.options = options
        self.stages = []
        self.started = False
        self.has_command = False

    def read(self, text):
        for number, word, rest in instructions(text):
            for problem in self.look_at(word, rest):
                yield "%d: %s" % (number, problem)
        if not self.started:
            yield "1: no FROM"
        elif not self.has_command:
            yield "1: the last stage has neither CMD nor ENTRYPOINT"

    def look_at(self, word, rest):
        if not self.started and word not in ("FROM", "ARG"):
            yield "%s before FROM" % word
        if word == "FROM":
            yield from self.look_at_from(rest)
        elif word == "COPY":
            yield from self.look_at_copy(rest)
        elif word in COMMANDS:
            yield from self.look_at_command(word, rest)
        elif word not in SIMPLE:
            yield "\"%s\" is no instruction" % word
        elif not SIMPLE[word].fullmatch(rest):
            yield "%s does not take \"%s\"" % (word, rest)

    def look_at_from(self, rest):
        found = FROM.fullmatch(rest)
        self.started, self.has_command = True, False
        if not found:
            yield "FROM does not take \"%s\"" % rest
        elif ":" not in rest.split()[0]:
            yield "FROM \"%s\" has no version" % rest
        else:
            self.stages.append(found.group("stage"))

    def look_at_copy(self, rest):
        words = rest.split()
        flags = [word for word in words if word.startswith("--")]
        paths = words[len(flags):]
        if len(paths) < 2:
            yield "COPY needs a source and a destination"
            return
        stage = None
        for flag in flags:
            name, _, value = flag.partition("=")
            if name not in ("--from", "--chown", "--chmod") or not value:
                yield "COPY does not take \"%s\"" % flag
            elif name == "--from":
                stage = value
                if stage not in self.stages[:-1]:
                    yield "there is no stage \"%s\" before" % stage
        for path in paths[:-1]:
            if not self.is_there(path, stage):
                yield "COPY: there is no %s%s" % (path, " in " + stage if stage else "")

    def is_there(self, path, stage):
        if stage is None:
            return has(self.options.context, path)
        return any(path == made or path.startswith(made + "/") and has(folder, path[len(made) + 1:])
                   for made, _, folder in (pair.partition("=") for pair in self.options.made))

    def look_at_command(self, word, rest):
        self.has_command = self.has_command or word != "RUN"
        if rest.startswith("["):
            try:
                words = json.loads(rest)
            except ValueError:
                words = None
            if not words or not all(isinstance(item, str) for item in words):
                yield "%s: not a list of words: %s" % (word, rest)
            return
        done = subprocess.run(["sh", "-n", "-c", rest], stderr=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode != 0 or not rest:
            yield "%s: %s" % (word, done.stderr.strip() or "nothing to run")
        if [] in packages_of(rest):
            yield "apt-get installs nothing"
        yield from self.unknown_settings(rest)

    def unknown_settings(self, command):
        """Of cmake: what the tree's own files do not name."""
        if self.options.source is None:
            return
        for name in re.findall(r" -D(PM_\w+)=", command):
            if not names_in(self.options.source, "CMakeLists.txt", name):
                yield "the tree has no option " + name
        for name in re.findall(r" --preset[ =](\S+)", command):
            if not names_in(self.options.source, "CMakePresets.json", '"%s"' % name):
                yield "the tree has no preset " + name


def has(folder, path):
    """Whether the path, which may end in a pattern, is below the folder."""
    if folder is None:
        return False
    where, name = os.path.split(os.path.join(folder, path.rstrip("/")))
    if name in ("", "."):
        return os.path.isdir(where)
    return os.path.isdir(where) and bool(fnmatch.filter(os.listdir(where), name))


def names_in(folder, file, name):
    with open(os.path.join(folder, file), encoding="utf-8") as opened:
        return name in opened.read()


def packages_of(command):
    """What apt-get installs, a list for each call."""
    for words in re.findall(r"apt-get(?: -\S+)* install ([^&;|]*)", command):
        yield [word for word in words.split() if not word.startswith("-")]


def known_packages(packages):
    """Those that there are. apt-cache reads all its lists at each start: one call for all."""
    done = subprocess.run(["apt-cache", "policy", *packages], stdout=subprocess.PIPE, text=True,
                          check=False, env=dict(os.environ, LC_ALL="C"))
    return set(re.findall(r"^(\S+):\n.*\n  Candidate: (?!\(none\))", done.stdout, re.M))


def unknown_packages(texts):
    wanted = {package for text in texts for _, _, rest in instructions(text)
              for packages in packages_of(rest) for package in packages}
    if not wanted or shutil.which("apt-cache") is None:
        return []
    known = known_packages(sorted(wanted | {"libc6"}))
    return sorted(wanted - known) if "libc6" in known else []


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--context")
    parser.add_argument("--made", action="append", default=[])
    parser.add_argument("--source")
    options = parser.parse_args(arguments)
    problems, texts = [], []
    for path in options.files:
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
        problems += ["%s:%s" % (path, problem) for problem in Reader(options).read(texts[-1])]
    problems += ["apt-cache knows no package " + package for package in unknown_packages(texts)]
    print("".join(problem + "\n" for problem in problems), end="")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
