# SPDX-License-Identifier: MIT
"""The commands of a page, run by one bash in a folder of their own.

The script has the page's line numbers: fences become calls of the functions below, all that is not
a command an empty line. So bash's own messages, and what failed, name the line of the page.

Whatever the commands leave behind comes to this process, which is its descendants' reaper
(PR_SET_CHILD_SUBREAPER), and is ended and named: a guide that does not end its server is wrong.
"""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time

from page import FILE, matches

PR_SET_CHILD_SUBREAPER = 36
LEFT_SECONDS = 3  # what was asked to end may need a moment
POLL_SECONDS = 0.02
SERVER_LOGS = ("log", "error.log", "pgbench.log")  # what the pages call them

# Sourced in the place of the title, which is line 1.
PRELUDE = """set -euo pipefail
guide_begin() { echo "$1" >"$GUIDE_LOGS/at"; exec >"$GUIDE_LOGS/$1" 2>&1; }
guide_file() { mkdir -p "$(dirname "$2")"; cp "$GUIDE_LOGS/$1.file" "$2"; }
trap 'echo "$LINENO" >"$GUIDE_LOGS/failed"' ERR
"""


class Failure(Exception):
    """What is wrong with the guide, for whoever reads the test's output."""


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def script_of(page, path):
    """The text of the script, and the blocks that a missing program leaves out."""
    lines, left_out = [""] * len(page.lines), []
    lines[0] = '. "$GUIDE_LOGS/prelude"'
    for block in page.blocks:
        if block.kind == FILE:
            lines[block.first - 1] = "guide_file %d '%s'" % (block.first, block.name)
        elif block.is_run() and block.condition and not shutil.which(block.condition, path=path):
            left_out.append(block)
        elif block.is_run():
            lines[block.first - 1] = "guide_begin %d" % block.first
            lines[block.first:block.last - 1] = page.lines[block.first:block.last - 1]
    return "\n".join(lines) + "\n", left_out


def check_syntax(page, name):
    for block in page.blocks:
        if block.is_commands():
            done = subprocess.run(["bash", "-n", "-c", block.text], stderr=subprocess.PIPE,
                                  text=True, check=False)
            if done.returncode != 0:
                raise Failure("%s:%d: bash does not take this:\n%s"
                              % (name, block.first, done.stderr))


def become_reaper():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def children():
    """{pid: its words} of this process's children that have not ended."""
    found, own = {}, str(os.getpid())
    for pid in filter(str.isdigit, os.listdir("/proc")):
        fields = read_process(pid, "stat").rpartition(")")[2].split()
        if len(fields) > 1 and fields[1] == own and fields[0] not in "ZX":
            words = read_process(pid, "cmdline").replace("\0", " ").strip()
            found[int(pid)] = words or "process " + pid
    return found


def read_process(pid, name):
    try:
        return read("/proc/%s/%s" % (pid, name))
    except OSError:  # it has just ended
        return ""


def reap(spared=None):
    """Takes the ended children, as init does, but for one that is waited for elsewhere."""
    try:
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid == spared:
                return
            os.waitpid(ended.si_pid, 0)
    except ChildProcessError:
        pass


def end_all():
    """Kills what is left, with the descendants that come to this process then."""
    while children():
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(POLL_SECONDS)
        reap()


def what_is_left(seconds):
    end = time.monotonic() + seconds
    while True:
        reap()
        left = children()
        if not left or time.monotonic() > end:
            return list(left.values())
        time.sleep(POLL_SECONDS)


def identity(user):
    """For Popen: root becomes the guide's user, if it names one."""
    if user is None or os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Session:
    """run() raises Failure; the folder and everything in it are the caller's to remove."""

    def __init__(self, page, name, folder, variables, seconds):
        self.page = page
        self.name = name
        self.logs = os.path.join(folder, "logs")
        self.work = os.path.join(folder, "work")
        self.variables = dict(variables, HOME=self.work, GUIDE_LOGS=self.logs)
        self.seconds = seconds
        self.left_out = []

    def prepare(self):
        os.mkdir(self.logs)
        os.mkdir(self.work)
        script, self.left_out = script_of(self.page, self.variables["PATH"])
        files = {"prelude": PRELUDE, self.name: script}
        files.update({"%d.file" % block.first: block.text for block in self.page.blocks
                      if block.kind == FILE})
        for name, text in files.items():
            with open(os.path.join(self.logs, name), "w", encoding="utf-8") as file:
                file.write(text)
        become = identity(self.page.user)
        if become:
            os.chown(self.logs, become["user"], become["group"])
            os.chown(self.work, become["user"], become["group"])
        return become

    def start(self, become):
        words = ["bash", os.path.join("..", "logs", self.name)]
        with open(os.path.join(self.logs, "rest"), "wb") as rest:
            return subprocess.Popen(words, cwd=self.work, env=self.variables, stdout=rest,
                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                    start_new_session=True, **become)

    def run(self):
        check_syntax(self.page, self.name)
        become = self.prepare()
        become_reaper()
        shell = self.start(become)
        try:
            code = self.wait(shell)
            left = [] if code is None else what_is_left(LEFT_SECONDS if code == 0 else 0)
        finally:
            end_all()
            shell.poll()
        self.judge(code, left)

    def wait(self, shell):
        """Its exit status, or None: it goes on for too long."""
        end = time.monotonic() + self.seconds
        while shell.poll() is None and time.monotonic() < end:
            reap(shell.pid)
            time.sleep(POLL_SECONDS)
        return shell.poll()

    def judge(self, code, left):
        at = read(os.path.join(self.logs, "at")).strip()
        self.compare(int(at or 0), code == 0)
        if code is None:
            raise Failure("%s:%s: did not end in %g s; its output:\n%s"
                          % (self.name, at, self.seconds, self.said(at)))
        if code != 0:
            line = read(os.path.join(self.logs, "failed")).split()
            raise Failure("%s:%s: failed with %d; the output of its block:\n%s"
                          % (self.name, line[0] if line else at, code, self.said(at)))
        if left:
            raise Failure("%s: left running, and ended now: %s" % (self.name, "; ".join(left)))

    def said(self, line):
        """For failures: by the block, before the first one, and by servers of the page."""
        said = (read(os.path.join(self.logs, line)) if line else "") + \
            read(os.path.join(self.logs, "rest"))
        for name in SERVER_LOGS:
            text = read(os.path.join(self.work, name))
            if text:
                said += "%s:\n%s" % (name, text[-2000:])
        return said

    def compare(self, at, ended):
        """What the blocks that came to their end have printed."""
        for block in self.page.blocks:
            output = self.page.outputs.get(block.first)
            if output is None or block in self.left_out or not (ended or block.first < at):
                continue
            said = read(os.path.join(self.logs, str(block.first)))
            if not matches(output.text, said):
                raise Failure("%s:%d: expected\n%sbut the commands printed\n%s"
                              % (self.name, output.first, output.text, said))


def stop_on_signal(number, _frame):
    """So that all is ended and removed that a guide has left when ctest stops its test."""
    sys.exit(128 + number)
