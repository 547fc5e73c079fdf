# SPDX-License-Identifier: MIT
"""Running one program under one allocator, and saying well what went wrong."""

import os
import signal
import subprocess

STDERR_LINES = 6
# Settings of an allocator in the caller's environment would measure something
# else than what users get. POOLMALLOC_OPTIONS is kept: trying options is what
# this tool is for.
DROPPED_PREFIXES = ("LD_", "MALLOC_", "GLIBC_TUNABLES", "_RJEM_MALLOC_CONF", "MIMALLOC_",
                    "TCMALLOC_", "TBB_MALLOC_",
                    # So would those of the programs of the rows.
                    "PYTHON", "RUBY", "LUA_", "PG")


class Failure(Exception):
    """One run failed. The message is one line; `detail` holds what the program said."""

    def __init__(self, message, detail=()):
        super().__init__(message)
        self.detail = list(detail)


def as_failure(error):
    """A Failure for a Failure or an OSError, as of a full disk; without the folders of a path."""
    if isinstance(error, Failure):
        return error
    words = error.strerror or type(error).__name__
    if isinstance(error.filename, str):
        words = "%s: %s" % (os.path.basename(error.filename), words)
    return Failure(words)


def environment(preload, **extra):
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(DROPPED_PREFIXES)}
    kept["LC_ALL"] = "C"
    if preload:
        kept["LD_PRELOAD"] = preload
    kept.update(extra)
    return kept


def with_stats_file(env, path):
    """The environment that makes poolmalloc append its counters to `path` at exit."""
    options = [o for o in env.get("POOLMALLOC_OPTIONS", "").split(",")
               if o and not o.startswith("stats_at_exit=")]
    return dict(env, POOLMALLOC_OPTIONS=",".join(options + ["stats_at_exit=" + path]))


def mallocs_counted(path):
    """The largest `mallocs:` counter in a statistics file; 0 when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            counts = [line.split(":")[1].split()[0] for line in file
                      if line.strip().startswith("mallocs:")]
    except OSError:
        return 0
    return max((int(count) for count in counts if count.isdigit()), default=0)


def last_lines(text):
    return [line.rstrip() for line in text.splitlines() if line.strip()][-STDERR_LINES:]


def exit_words(code):
    if code < 0:
        try:
            return "killed by " + signal.Signals(-code).name
        except ValueError:
            return "killed by signal %d" % -code
    return "exit status %d" % code


def run(argv, env, timeout_seconds):
    """What the program wrote to stdout. Raises Failure unless it ended with status 0 in time."""
    return run_whole(argv, env, timeout_seconds)[0]


def run_whole(argv, env, timeout_seconds):
    """The same, and what it wrote to stderr."""
    child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        out, err = child.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        raise Failure("no result after %g s: killed" % timeout_seconds, last_lines(err)) from None
    except BaseException:
        child.kill()
        child.communicate()
        raise
    if child.returncode != 0:
        raise Failure(exit_words(child.returncode), last_lines(err))
    return out, err
