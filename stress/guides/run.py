#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a guide of docs/guides as its reader would (page.py says what a page is).

  run.py PAGE --build DIR    runs it, with what DIR's `cmake --install` installs
  run.py --check FOLDER      is every page a page, and named in README.md of the folder?

In a temporary folder, with Debian's programs only, and these variables, which the pages leave alone
when they are set: PREFIX (where poolmalloc is installed), SOURCE (its source tree), PORT (of
loopback, free). Exit status 77: something that the page needs is not installed.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from page import Page, PageError
from session import Failure, Session, read, stop_on_signal

NOT_INSTALLED = 77
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = 150  # less than ctest's limit, so that the message is ours
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read_page(path):
    try:
        return Page(read(path))
    except PageError as error:
        raise Failure("%s:%s" % (os.path.basename(path), error)) from None


def is_there(need):
    if need.startswith("/"):
        return os.path.exists(need)
    return shutil.which(need, path=PATH) is not None


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def install(build, prefix, cmake):
    done = subprocess.run([cmake, "--install", build, "--prefix", prefix], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Failure("poolmalloc could not be installed:\n" + done.stdout)


def run_guide(path, build, cmake="cmake", seconds=SECONDS):
    """The exit status. `build` None: the page needs no library. Raises Failure."""
    page, name = read_page(path), os.path.basename(path)
    missing = [need for need in page.needs if not is_there(need)]
    if missing:
        print("%s: skipped, not installed: %s" % (name, ", ".join(missing)))
        return NOT_INSTALLED
    os.umask(0o022)
    folder = tempfile.mkdtemp(prefix="guide-")
    try:
        os.chmod(folder, 0o755)  # a server's own user reads here
        variables = {"PATH": PATH, "LC_ALL": "C.UTF-8", "PREFIX": os.path.join(folder, "prefix"),
                     "SOURCE": SOURCE, "PORT": str(free_port())}
        if build is not None:
            install(build, variables["PREFIX"], cmake)
        session = Session(page, name, folder, variables, seconds)
        session.run()
        for block in session.left_out:
            print("%s:%d: left out, not installed: %s" % (name, block.first, block.condition))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("%s: %d blocks run, the output of %d compared"
          % (name, sum(block.is_run() for block in page.blocks), len(page.outputs)))
    return 0


def check_folder(folder):
    index = read(os.path.join(folder, "README.md"))
    names = sorted(name for name in os.listdir(folder) if name.endswith(".md"))
    names.remove("README.md")
    for name in names:
        read_page(os.path.join(folder, name))
        if "](%s)" % name not in index:
            raise Failure("README.md: %s is not in the list" % name)
    if not names:
        raise Failure("no guides in " + folder)
    print("guides: %d pages" % len(names))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="?")
    parser.add_argument("--build")
    parser.add_argument("--cmake", default="cmake")
    parser.add_argument("--check", metavar="FOLDER")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop_on_signal)
    try:
        if options.check:
            return check_folder(options.check)
        if not options.page or not options.build:
            parser.error("PAGE and --build DIR are needed")
        return run_guide(options.page, options.build, options.cmake)
    except Failure as failure:
        print(failure)
        return 1


if __name__ == "__main__":
    sys.exit(main())
