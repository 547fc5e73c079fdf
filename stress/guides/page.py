# SPDX-License-Identifier: MIT
"""A guide's page: what of its Markdown is run, written to a file, compared or only shown.

  ```sh                   commands, run in the order of the page by one bash; a command that fails
                          fails the guide
  ```sh if=PROGRAM        the same, left out where PROGRAM is not installed
  ```sh syntax-only       for the machine that the reader sets up: looked at by bash -n alone
  ```LANGUAGE file=NAME   the file NAME, written at this point of the page; its folder is made. ini:
                          a drop-in of a systemd service, whose lines have to be such
  ```output               what the commands before it have printed; in a line "..." stands for
                          anything, on a line of its own for any number of lines
  ```text                 only shown
  <!-- check ... -->      commands that the reader need not type: what the test looks at besides

Anything else in a fence, and code that is indented, is an error, so that nothing on a page is
taken for tested that is not. "Needs `x`, `/y`." names the programs and files without which the
guide is skipped; a comment "<!-- user: NAME -->" the user who runs it where root would.
"""

import re

FENCE = re.compile(r"```(.*)")
# systemd itself ignores, with a line in its log, what it does not know. The keys are those that the
# pages use; one more is to be added here, from systemd.exec(5) or systemd.service(5).
DROP_IN = re.compile(r"(?:\[Service\]\n(?:(?:(?:Environment|ExecPaths)=\S+|#.*|)\n)*)+")
SHELL, FILE, OUTPUT, SHOWN, CHECK = "shell", "file", "output", "shown", "check"


class PageError(Exception):
    """The page is not one; the words say where."""


class Block:
    """Lines `first` to `last` of the page, the fences themselves, and the text between them."""

    def __init__(self, kind, first, lines, *, name=None, condition=None, syntax_only=False):
        self.kind = kind
        self.first = first
        self.last = first + len(lines) + 1
        self.text = "".join(line + "\n" for line in lines)
        self.name = name
        self.condition = condition
        self.syntax_only = syntax_only

    def is_commands(self):
        return self.kind in (SHELL, CHECK)

    def is_run(self):
        return self.is_commands() and not self.syntax_only


def shell_block(words, first, lines):
    condition, syntax_only = None, False
    for word in words:
        if word.startswith("if="):
            condition = word[3:]
        elif word == "syntax-only":
            syntax_only = True
        else:
            raise PageError("%d: \"%s\" means nothing to sh" % (first, word))
    return Block(SHELL, first, lines, condition=condition, syntax_only=syntax_only)


def make_block(info, first, lines):
    words = info.split()
    if not words:
        raise PageError("%d: a fence without a language" % first)
    if words == ["output"]:
        return Block(OUTPUT, first, lines)
    if words == ["text"]:
        return Block(SHOWN, first, lines)
    if words[0] == "sh" and not words[-1].startswith("file="):
        return shell_block(words[1:], first, lines)
    if len(words) == 2 and words[1].startswith("file="):
        name = words[1][5:]
        if not re.fullmatch(r"[\w.@-][\w./@-]*", name) or ".." in name:
            raise PageError("%d: \"%s\" is no name of a file here" % (first, name))
        block = Block(FILE, first, lines, name=name)
        if words[0] == "ini" and not DROP_IN.fullmatch(block.text):
            raise PageError("%d: this is no drop-in of a systemd service" % first)
        return block
    raise PageError("%d: \"%s\" is neither run, written, compared nor text" % (first, info))


def blocks_of(lines):
    number = 0
    while number < len(lines):
        line, first = lines[number], number + 1
        fence = FENCE.fullmatch(line)
        number += 1
        if fence is None and line != "<!-- check":
            if line.startswith("    ") and lines[number - 2].strip() == "":
                raise PageError("%d: indented code is not run: give it a fence" % first)
            continue
        end = "```" if fence else "-->"
        start = number
        while number < len(lines) and lines[number] != end:
            number += 1
        if number == len(lines):
            raise PageError("%d: never closed" % first)
        body = lines[start:number]
        number += 1
        yield make_block(fence.group(1), first, body) if fence else Block(CHECK, first, body)


def pair_outputs(blocks):
    """{line of a block of commands: the block of its output}"""
    pairs, commands = {}, None
    for block in blocks:
        if block.kind == SHELL:
            commands = block
        elif block.kind == OUTPUT:
            if commands is None or commands.syntax_only or commands.first in pairs:
                raise PageError("%d: output of no commands" % block.first)
            pairs[commands.first] = block
    return pairs


class Page:
    def __init__(self, text):
        self.lines = text.split("\n")
        if not self.lines[0].startswith("# "):
            raise PageError("1: the title is not first")
        self.blocks = list(blocks_of(self.lines))
        self.outputs = pair_outputs(self.blocks)
        if not any(block.is_run() for block in self.blocks):
            raise PageError("1: nothing is run")
        needs = re.search(r"^Needs (.*?)(?:\n\n|\Z)", text, re.M | re.S)
        self.needs = re.findall(r"`([^`]+)`", needs.group(1)) if needs else []
        user = re.search(r"^<!-- user: (\w+) -->$", text, re.M)
        self.user = user.group(1) if user else None


def matches(expected, said):
    """Whether `said` is what a block of output expects, but for blanks at the ends of lines."""
    pattern = ""
    for line in expected.split("\n")[:-1]:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + "\n"
    lines = [line.rstrip() + "\n" for line in said.split("\n")]
    if lines[-1] == "\n":
        lines.pop()
    return re.fullmatch(pattern, "".join(lines)) is not None
