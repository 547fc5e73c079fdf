# SPDX-License-Identifier: MIT
"""The row that loads a PostgreSQL with pgbench, over a unix socket.

PostgreSQL refuses to run as root: then it runs as the user postgres. A database is made once and
copied for every sample. The library is preloaded to the server only, from a copy that this user may
read. Nothing is forced to the disk: that would measure the disk.
"""

import glob
import os
import pwd
import re
import shutil
import signal
import subprocess

from comparison.process import Failure, environment, last_lines, run
from comparison.programs import tools
from comparison.programs.family import Family
from comparison.programs.server import Load, Server, ServerRow

PACKAGE = "postgresql"
USER = "postgres"
CLIENTS = 4
BRANCHES = 2  # of pgbench's scale: 100,000 accounts each
PREPARE_SECONDS = 120
CONNECT_SECONDS = 10
PRIVATE = 0o700

CONFIG = """
listen_addresses = ''
unix_socket_directories = '.'
max_connections = 20
shared_buffers = 16MB
huge_pages = off
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
checkpoint_timeout = 1h
max_wal_size = 1GB
log_checkpoints = off
"""


def folders():
    """Of Debian, that of the newest version; other systems have all on the PATH."""
    found = glob.glob("/usr/lib/postgresql/*/bin")
    return sorted(found, key=lambda path: [int(n) for n in re.findall(r"\d+", path)], reverse=True)


def tool(name):
    return tools.program(name, PACKAGE, folders())


def user_options():
    """For subprocess: who runs the server."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        raise Failure("no user %s, and PostgreSQL refuses to run as root: install the package %s"
                      % (USER, PACKAGE)) from None
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def give(path):
    """Makes a folder that only who runs the server may enter."""
    os.mkdir(path, PRIVATE)
    user = user_options()
    if user:
        os.chown(path, user["user"], user["group"])


def run_as_user(argv, folder):
    child = subprocess.Popen(argv, env=environment(None), cwd=folder, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             start_new_session=True, **user_options())
    family = Family(child, many=True)
    try:
        out, _ = child.communicate(timeout=PREPARE_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure("%s: no result after %d s: killed"
                      % (os.path.basename(argv[0]), PREPARE_SECONDS)) from None
    finally:
        family.kill()
    if child.returncode != 0:
        raise Failure("%s failed" % os.path.basename(argv[0]),
                      last_lines(out.decode("utf-8", "replace")))


def is_ready(folder):
    return subprocess.run([tool("pg_isready"), "-q", "-h", folder, "-t", "1"],
                          env=environment(None), stdin=subprocess.DEVNULL, check=False,
                          timeout=CONNECT_SECONDS).returncode == 0


def p99_of(lines):
    """Of pgbench's log of all transactions: the third column is the latency in microseconds."""
    try:
        latencies = sorted(int(line.split()[2]) for line in lines)
        return latencies[len(latencies) * 99 // 100]
    except (ValueError, IndexError) as error:
        raise Failure("the log of pgbench could not be read: %r" % error) from None


def parse_pgbench(said, lines):
    done = re.search(r"number of transactions actually processed: (\d+)/(\d+)", said)
    failed = re.search(r"number of failed transactions: (\d+)", said)
    rate = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
    if done is None or rate is None or float(rate.group(1)) <= 0:
        raise Failure("the report of pgbench could not be read", last_lines(said))
    if done.group(1) != done.group(2) or (failed and int(failed.group(1)) > 0):
        raise Failure("pgbench: %s of %s transactions" % done.groups(), last_lines(said))
    return Load(int(done.group(1)), int(done.group(1)) / float(rate.group(1)), p99_of(lines))


class PostgresRow(ServerRow):
    many = True
    stop_signal = signal.SIGINT  # a fast shutdown: does not wait for clients
    copied = True

    def __init__(self, name, what, count):
        super().__init__(name, what, "postgres")
        self.count = count
        self.template = None

    def start(self, provider, scale, folder):
        path = tool("postgres")
        tool("pgbench")
        template = self.prepare()
        data = os.path.join(folder, "data")
        done = subprocess.run(["cp", "-a", template, data], capture_output=True, check=False)
        if done.returncode != 0:
            raise Failure("cp failed", last_lines(done.stderr.decode("utf-8", "replace")))
        # Both are written by the server, whose folder this is.
        provider.lines = os.path.join(data, "providers")
        provider.stats = os.path.join(data, "statistics")
        env = provider.server_environment()
        return Server(self.program, [path, "-D", data], env, folder, many=True,
                      user=user_options())

    def prepare(self):
        """The database that is copied for every sample; removed when the process ends."""
        if self.template is None:
            holder = tools.lasting_folder("postgres")
            data = os.path.join(holder, "data")
            give(data)
            run_as_user([tool("initdb"), "-D", data, "-A", "trust", "-U", USER, "--no-sync",
                         "--no-locale", "-E", "UTF8"], holder)
            with open(os.path.join(data, "postgresql.conf"), "a", encoding="ascii") as file:
                file.write(CONFIG)
            self.fill(holder, data)
            self.template = data
        return self.template

    def fill(self, folder, data):
        server = Server(self.program, [tool("postgres"), "-D", data], environment(None), folder,
                        many=True, user=user_options())
        try:
            server.wait_ready(lambda: is_ready(data))
            run([tool("pgbench"), "-h", data, "-U", USER, "-i", "-q", "-s", str(BRANCHES), USER],
                environment(None), PREPARE_SECONDS)
            server.stop(self.stop_signal)
        finally:
            server.kill()

    def is_ready(self, server):
        return is_ready(os.path.join(server.folder, "data"))

    def load(self, server, scale):
        folder = os.path.join(server.folder, "pgbench")
        os.mkdir(folder)
        said = server.run_tool(
            [tool("pgbench"), "-h", os.path.join(server.folder, "data"), "-U", USER, "-n",
             "-c", str(CLIENTS), "-j", "1", "-t", str(tools.times(self.count / CLIENTS, scale)),
             "--random-seed=1", "-b", "tpcb-like@3", "-f", tools.load("transaction.sql") + "@2",
             "--log", "--log-prefix=" + os.path.join(folder, "log"), USER], environment(None))
        lines = []
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="ascii") as file:
                lines += file.readlines()
        shutil.rmtree(folder)
        return parse_pgbench(said, lines)

    def least_mallocs(self, requests):
        return requests // CLIENTS


def all_rows():
    return [PostgresRow("postgres/pgbench", "PostgreSQL: TPC-B and reports by 4 clients; "
                        "memory of all processes (Pss)", 1000)]
