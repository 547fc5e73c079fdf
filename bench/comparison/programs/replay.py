# SPDX-License-Identifier: MIT
"""Loads of prepared requests over a unix socket: every allocator's server gets the same bytes.

The requests are drawn once from a fixed seed, sent in batches by pm_load, each batch ending with a
request whose reply no other looks like.
"""

import os
import socket
import struct

from comparison.process import Failure, environment
from comparison.programs import tools
from comparison.programs.server import Load, ServerRow

CONNECTIONS = 4
BATCH = 16
REPLY_SECONDS = 30


def write_batches(path, commands, last):
    with open(path, "wb") as file:
        for start in range(0, len(commands), BATCH):
            data = b"".join(commands[start:start + BATCH]) + last
            file.write(struct.pack("=I", len(data)) + data)


def parse(said, requests):
    try:
        values = dict(line.split() for line in said.splitlines())
        return Load(requests, float(values["seconds"]), float(values["p99_us"]))
    except (ValueError, KeyError) as error:
        raise Failure("the report of pm_load could not be read: %r" % error) from None


class Client:
    """For the few questions that python asks itself."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(REPLY_SECONDS)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, data, ending):
        self.socket.sendall(data)
        got = b""
        while not got.endswith(ending):
            part = self.socket.recv(1 << 16)
            if not part:
                raise ConnectionError("the server closed the connection")
            got += part
        return got.decode("utf-8", "replace")


class ReplayRow(ServerRow):
    """`make_commands(count)` are the requests; `last`, a request, is answered by `ending`."""

    last = ending = b""

    def __init__(self, name, what, program, make_commands, count, threads=1):
        super().__init__(name, what, program, threads)
        self.make_commands = make_commands
        self.count = count
        self.folder = None  # of the prepared batches, removed when the process ends
        self.prepared = {}  # scale: (path, how many requests with those that end a batch)

    def prepare(self, scale):
        if scale not in self.prepared:
            if self.folder is None:
                self.folder = tools.lasting_folder("load")
            path = os.path.join(self.folder, "batches-%g" % scale)
            commands = self.make_commands(tools.times(self.count, scale))
            write_batches(path, commands, self.last)
            self.prepared[scale] = path, len(commands) + -(-len(commands) // BATCH)
        return self.prepared[scale]

    def socket_path(self, server):
        return os.path.join(server.folder, "socket")

    def is_ready(self, server):
        with Client(self.socket_path(server)) as client:
            client.ask(self.last, self.ending)
        return True

    def load(self, server, scale):
        path, requests = self.prepare(scale)
        said = server.run_tool([tools.own("pm_load"), self.socket_path(server), path,
                                self.ending.decode("ascii"), str(CONNECTIONS)], environment(None))
        return parse(said, requests)

    def ask(self, server, data, ending):
        """A question after the load. Raises Failure when the server has gone, or is silent."""
        try:
            with Client(self.socket_path(server)) as client:
                return client.ask(data, ending)
        except OSError as error:
            server.give_a_moment()
            server.check_lives()
            raise server.failure(str(error)) from None
