# SPDX-License-Identifier: MIT
"""Where the programs are that the rows need: our own of the build, and those of Debian."""

import atexit
import os
import shutil
import tempfile

from comparison.process import Failure

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
LOADS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "loads")
# Servers are there, which are not on the PATH of everybody.
MORE_FOLDERS = ("/usr/sbin", "/usr/local/sbin")

TRAVERSABLE = 0o755

_build = [os.path.join(ROOT, "build", "release")]


def use_build(folder):
    _build[0] = folder


def own(name):
    """The path of a program or library of ours. Raises Failure when it is not built."""
    path = os.path.abspath(os.path.join(_build[0], "bench", name))
    if not os.path.isfile(path):
        raise Failure("%s is not built: run sh bench/compare.sh" % name)
    return path


def program(name, package, folders=()):
    """The path of a program of a Debian package. Raises Failure when it is not installed."""
    path = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath), *MORE_FOLDERS])
    found = shutil.which(name, path=path)
    if found is None:
        raise Failure("%s not found: install the package %s" % (name, package))
    return found


def lasting_folder(name):
    """A new folder, that others may enter and that goes when this process ends."""
    path = tempfile.mkdtemp(prefix="pm-bench-%s-" % name)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    os.chmod(path, TRAVERSABLE)
    return path


def load(name):
    return os.path.join(LOADS, name)


def times(count, scale):
    """`count` of a full run, at this scale."""
    return max(1, round(count * scale))
