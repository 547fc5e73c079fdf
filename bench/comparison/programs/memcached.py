# SPDX-License-Identifier: MIT
"""The row that loads a memcached over a unix socket.

memcached keeps items in slabs of its own, pages of 1 MiB each from malloc; what else it allocates
are buffers of connections and the tables. So allocators differ little here, and should.
"""

import os
import random
import re

from comparison.process import Failure
from comparison.programs import replay, tools
from comparison.programs.server import Server

MEGABYTES = 48  # fewer than the values need: the rest is evicted
START_MALLOCS = 100


def commands(count):
    """Reads and writes as 10 to 3, keys of 16 to 45 bytes, values from 2 bytes to 8 KiB, most below
    500, popular keys far more often than others. Source: the pools that Atikoglu, Xu, Frachtenberg,
    Jiang, Paleczny, "Workload Analysis of a Large-Scale Key-Value Store", SIGMETRICS 2012,
    describe, with more writes than the largest of them, since only writes allocate."""
    draw = random.Random(2)
    text = bytes(draw.choices(b"abcdefghijklmnopqrstuvwxyz", k=8192))

    def key():
        number = int(60000 * draw.random() ** 3)
        return b"key:%08d:%s" % (number, text[:4 + number % 30])

    def one():
        chance = draw.random()
        if chance < 0.75:
            return b"get %s\r\n" % key()
        if chance < 0.98:
            value = text[:int(2 * 4096 ** draw.random())]
            return b"set %s 0 0 %d\r\n%s\r\n" % (key(), len(value), value)
        return b"delete %s\r\n" % key()

    return [one() for _ in range(count)]


class MemcachedRow(replay.ReplayRow):
    last = b"mn\r\n"  # of the meta commands: does nothing
    ending = b"MN\r\n"

    def start(self, provider, scale, folder):
        argv = [tools.program("memcached", "memcached"), "-s", "socket", "-a", "700",
                "-m", str(MEGABYTES), "-t", "2"]
        if os.geteuid() == 0:
            argv += ["-u", "root"]  # it refuses to run as root unless told so
        return Server(self.program, argv, provider.server_environment(), folder)

    def least_mallocs(self, requests):
        return START_MALLOCS

    def check(self, allocator, server):
        counted = dict(re.findall(r"STAT (cmd_get|cmd_set) (\d+)",
                                  self.ask(server, b"stats\r\n", b"END\r\n")))
        if min((int(n) for n in counted.values()), default=0) == 0:
            raise Failure("memcached counted no requests")


def all_rows():
    return [MemcachedRow("memcached/mixed", "memcached: gets and sets of 2 to 8192 bytes; "
                         "p99 of a batch of 16", "memcached", commands, 400000, threads=2)]
