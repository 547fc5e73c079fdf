# SPDX-License-Identifier: MIT
"""The rows that load a redis-server over a unix socket.

Debian's redis-server is linked to jemalloc. So for glibc the C library itself is preloaded, which
puts its malloc first again; and after each run jemalloc's own counters (MEMORY MALLOC-STATS) must
say that it served most of it (jemalloc), or not (all others).
"""

import random
import re

from comparison import allocators
from comparison.process import Failure, environment
from comparison.programs import replay, tools
from comparison.programs.server import Load, Server

CONNECTIONS = 20
VALUE_BYTES = 512
KEYS = 20000
CACHE_BYTES_PER_COMMAND = 64
ENTRY_BYTES = 60  # of the key and its place in the table, about


def encode(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


# The loads: each a list of commands, for `count` of them.

def mixed_commands(count):
    """What a web application keeps in Redis, as the tests of redis-benchmark (SET, GET, LPUSH,
    RPOP, SADD, SPOP, HSET, ZADD, INCR) but mixed, with values of 8 to 4096 bytes, most small."""
    draw = random.Random(1)
    text = bytes(draw.choices(b"abcdefghijklmnopqrstuvwxyz", k=4096))

    def value(most):
        return text[:int(8 * (most / 8) ** draw.random())]

    def key(kind, keys):
        return b"%s:%d" % (kind, int(draw.random() * keys))

    makers = {
        "set": (30, lambda: encode(b"SET", key(b"s", 30000), value(4096))),
        "get": (20, lambda: encode(b"GET", key(b"s", 30000))),
        "del": (4, lambda: encode(b"DEL", key(b"s", 30000))),
        "lpush": (8, lambda: encode(b"LPUSH", key(b"l", 300), value(256))),
        "rpop": (6, lambda: encode(b"RPOP", key(b"l", 300))),
        "hset": (10, lambda: encode(b"HSET", key(b"h", 500), key(b"f", 100), value(512))),
        "hget": (4, lambda: encode(b"HGET", key(b"h", 500), key(b"f", 100))),
        "hdel": (2, lambda: encode(b"HDEL", key(b"h", 500), key(b"f", 100))),
        "zadd": (6, lambda: encode(b"ZADD", key(b"z", 100), b"%d" % int(draw.random() * 1e6),
                                   key(b"m", 1000))),
        "zrem": (2, lambda: encode(b"ZREM", key(b"z", 100), key(b"m", 1000))),
        "sadd": (4, lambda: encode(b"SADD", key(b"u", 200), key(b"x", 5000))),
        "spop": (2, lambda: encode(b"SPOP", key(b"u", 200))),
        "incr": (2, lambda: encode(b"INCR", key(b"n", 1000))),
    }
    weights = [weight for weight, _ in makers.values()]
    chosen = draw.choices([maker for _, maker in makers.values()], weights, k=count)
    return [maker() for maker in chosen]


def churn_commands(count):
    """A cache that is full, whose values become twice as large: four fifths of the writes hold 240
    bytes, the rest 492, and the oldest keys are deleted to make room. Source: the Redis experiment
    of Powers, Tench, Berger, McGregor, "Mesh: Compacting Memory Management for C/C++ Applications",
    PLDI 2019, at a quarter of its size; there it is Redis that evicts, by what malloc_usable_size
    says, so that every allocator would get other work."""
    commands, sizes, held, oldest = [], [], 0, 0
    while len(commands) < count:
        value = b"v" * (240 if len(commands) < count * 2 // 3 else 492)
        commands.append(encode(b"SET", b"key:%d" % len(sizes), value))
        sizes.append(len(value) + ENTRY_BYTES)
        held += sizes[-1]
        while held > count * CACHE_BYTES_PER_COMMAND:
            commands.append(encode(b"DEL", b"key:%d" % oldest))
            held -= sizes[oldest]
            oldest += 1
    return commands[:count]


def check_served(allocator, memory, counters):
    """Raises Failure unless this allocator, and no other, served the server."""
    # Of now: those of INFO are up to 100 ms old. None when redis was built without jemalloc.
    allocated = re.search(r"Allocated: (\d+)", counters)
    if allocated is None:
        return
    # jemalloc, or who answers to its names.
    speaker = re.search(r"Begin (\w+) statistics", counters)
    speaker = speaker.group(1) if speaker else "jemalloc"
    served = int(allocated.group(1))
    used = int(re.search(r"used_memory:(\d+)", memory).group(1))
    if allocator.name not in allocators.KNOWN:
        return  # it may be a jemalloc of the user's own
    if (served > used / 2) != (allocator.name == speaker):
        raise Failure("%s served %d of the %d bytes in use" % (speaker, served, used))


class RedisRow(replay.ReplayRow):
    last = encode(b"ECHO", b"end")
    ending = b"$3\r\nend\r\n"
    c_library = True

    def __init__(self, name, what, make_commands, count, options=()):
        super().__init__(name, what, "redis-server", make_commands, count)
        self.options = list(options)

    def start(self, provider, scale, folder):
        path = tools.program("redis-server", "redis-server")
        argv = [path, "--port", "0", "--unixsocket", "socket", "--save", "", "--appendonly", "no",
                "--loglevel", "warning", "--crash-log-enabled", "no"] + self.options
        return Server(self.program, argv, provider.server_environment(), folder)

    def question(self, server, *words):
        return self.ask(server, encode(*words) + self.last, self.ending)

    def check(self, allocator, server):
        check_served(allocator, self.question(server, b"INFO", b"memory"),
                     self.question(server, b"MEMORY", b"MALLOC-STATS"))
        errors = re.search(r"total_error_replies:(\d+)", self.question(server, b"INFO", b"stats"))
        if errors is not None and int(errors.group(1)) > 0:
            raise Failure("redis-server refused %s commands" % errors.group(1))


class StandardRow(RedisRow):
    """redis-benchmark instead of our own commands: a request at a time on each connection, so that
    p99 is that of a single request. It draws its keys anew each time, from the same number."""

    TESTS = ("set", "get", "lpush", "rpop", "hset", "zadd")

    def load(self, server, scale):
        path = tools.program("redis-benchmark", "redis-tools")
        said = server.run_tool(
            [path, "-s", self.socket_path(server), "--csv", "-c", str(CONNECTIONS), "-n",
             str(tools.times(self.count, scale)), "-d", str(VALUE_BYTES), "-r", str(KEYS),
             "-t", ",".join(self.TESTS)], environment(None))
        return parse_csv(said, len(self.TESTS), tools.times(self.count, scale))


def parse_csv(said, tests, count):
    """The sum of all tests; of the latencies the worst."""
    try:
        rows = [[cell.strip('"') for cell in line.split(",")] for line in said.splitlines()
                if line.startswith('"')]
        names = rows[0]
        per_second = [float(row[names.index("rps")]) for row in rows[1:]]
        p99_ms = [float(row[names.index("p99_latency_ms")]) for row in rows[1:]]
        if len(per_second) != tests:
            raise ValueError("%d tests, not %d" % (len(per_second), tests))
        return Load(count * tests, sum(count / each for each in per_second), max(p99_ms) * 1000)
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise Failure("the report of redis-benchmark could not be read: %r" % error) from None


def all_rows():
    return [
        RedisRow("redis/mixed", "redis-server: 13 commands mixed, values of 8 to 4096 bytes; "
                 "p99 of a batch of 16", mixed_commands, 240000),
        RedisRow("redis/churn", "redis-server: a full cache whose values grow from 240 to 492 "
                 "bytes; p99 of a batch of 16", churn_commands, 300000),
        StandardRow("redis/standard", "redis-server: six tests of redis-benchmark, 20 clients; "
                    "p99 of the slowest test", None, 16000),
    ]
