# SPDX-License-Identifier: MIT
"""The rows that load a redis-server over a unix socket.

Every allocator gets the same bytes: the commands are drawn once from a fixed
seed. What is measured is the server: its CPU time (user and system, all its
threads) per request, and its peak resident memory. How fast the client is, is
of no account.

Debian's redis-server is linked to jemalloc. So for glibc the C library itself
is preloaded, which puts its malloc first again; and after each run jemalloc's
own counters (MEMORY MALLOC-STATS) must say that it served everything (jemalloc)
or next to nothing (all others).
"""

import ctypes
import os
import random
import re
import shutil
import socket
import subprocess
import time

from comparison import allocators
from comparison.process import (Failure, exit_words, last_lines, mallocs_counted, with_stats_file)
from comparison.rows import Sample

SERVER = "redis-server"
START_SECONDS = 20
STOP_SECONDS = 30
REPLY_SECONDS = 60
CONNECTIONS = 4
PIPELINE = 16
LAST_REPLY = b"$3\r\nend\r\n"


def encode(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


LAST_COMMAND = encode(b"ECHO", b"end")


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


def lru_commands(count):
    """A cache at its memory limit whose values become twice as large: four fifths of the writes
    hold 240 bytes, the rest 492. Source: the Redis experiment of Powers, Tench, Berger, McGregor,
    "Mesh: Compacting Memory Management for C/C++ Applications", PLDI 2019, at a quarter of its
    size."""
    small, large = b"v" * 240, b"w" * 492
    first = count * 4 // 5
    return [encode(b"SET", b"key:%d" % i, small if i < first else large) for i in range(count)]


def batches(commands):
    return [b"".join(commands[i:i + PIPELINE]) + LAST_COMMAND
            for i in range(0, len(commands), PIPELINE)]


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(REPLY_SECONDS)
        self.socket.connect(path)

    def send(self, data):
        self.socket.sendall(data)

    def wait_for(self, ending):
        """Reads up to `ending`, which nothing else in the replies may look like."""
        parts = [b""]
        while not (parts[-1] if len(parts[-1]) >= len(ending)
                   else b"".join(parts)).endswith(ending):
            parts.append(self.socket.recv(1 << 18))
            if not parts[-1]:
                raise ConnectionError("the server closed the connection")
        return b"".join(parts)

    def ask(self, *words):
        self.send(encode(*words) + LAST_COMMAND)
        return self.wait_for(LAST_REPLY).decode("utf-8", "replace")


class Server:
    """A redis-server of our own in `folder`; a context manager that always ends it."""

    def __init__(self, allocator, options, folder):
        self.path = os.path.join(folder, "redis.sock")
        self.stats = os.path.join(folder, "redis-stats")
        for left in (self.path, self.stats):
            if os.path.exists(left):
                os.unlink(left)
        preload = allocator.preload or allocator.provider
        env = with_stats_file(allocator.environment(LD_PRELOAD=preload), self.stats)
        self.log = open(os.path.join(folder, "redis.log"), "w+", errors="replace",
                        encoding="utf-8")
        self.child = subprocess.Popen(
            [SERVER, "--port", "0", "--unixsocket", self.path, "--save", "", "--appendonly", "no",
             "--dir", folder, "--loglevel", "warning", "--crash-log-enabled", "no"] + options,
            env=env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        clock = ctypes.c_int()
        if ctypes.CDLL(None).clock_getcpuclockid(self.child.pid, ctypes.byref(clock)) != 0:
            self.child.kill()
            raise Failure("the server's CPU clock cannot be read")
        self.cpu_clock = clock.value

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.log.close()

    def failure(self, words):
        self.log.seek(0)
        return Failure(words, last_lines(self.log.read()))

    def end_words(self, error):
        """Why a connection broke: what the server died of, if it did."""
        try:
            return exit_words(self.child.wait(STOP_SECONDS))
        except subprocess.TimeoutExpired:
            return str(error)

    def connect(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.child.poll() is not None:
                raise self.failure("redis-server: " + exit_words(self.child.returncode))
            try:
                return Client(self.path)
            except OSError:
                time.sleep(0.01)  # the socket appears when the server is ready
        raise self.failure("redis-server did not start in %d s" % START_SECONDS)

    def cpu_seconds(self):
        return time.clock_gettime(self.cpu_clock)

    def peak_rss_kib(self):
        with open("/proc/%d/status" % self.child.pid, encoding="ascii") as file:
            return int(re.search(r"VmHWM:\s*(\d+)", file.read()).group(1))

    def maps(self, path):
        with open("/proc/%d/maps" % self.child.pid, encoding="utf-8", errors="replace") as file:
            mapped = {line.split()[-1] for line in file if "/" in line}
        return os.path.realpath(path) in {os.path.realpath(file) for file in mapped}

    def stop(self, client):
        client.send(encode(b"SHUTDOWN", b"NOSAVE"))
        try:
            code = self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise self.failure("redis-server did not stop in %d s" % STOP_SECONDS) from None
        if code != 0:
            raise self.failure("redis-server at its end: " + exit_words(code))


def check_served(allocator, server, client):
    """Raises Failure unless this allocator, and no other, served the server."""
    if not server.maps(allocator.preload or allocator.provider):
        raise Failure("the preload is not mapped in redis-server")
    used = re.search(r"used_memory:(\d+)", client.ask(b"INFO", b"memory"))
    # Of now: those of INFO are up to 100 ms old. None when redis was built without jemalloc.
    by_jemalloc = re.search(r"Allocated: (\d+)", client.ask(b"MEMORY", b"MALLOC-STATS"))
    if by_jemalloc is None:
        return
    served, used = int(by_jemalloc.group(1)), int(used.group(1))
    if (served > used / 2) != (allocator.name == "jemalloc"):
        raise Failure("jemalloc served %d of the %d bytes in use" % (served, used))


class RedisRow:
    family = "redis"
    clock = "cpu"

    def __init__(self, name, what, commands, count, options=()):
        self.name = name
        self.what = what
        self.make_commands = commands
        self.count = count
        self.options = list(options)
        self.load = (None, None)

    def batches(self, scale):
        if self.load[0] != scale:
            self.load = (scale, batches(self.make_commands(max(PIPELINE,
                                                               int(self.count * scale)))))
        return self.load[1]

    def measure(self, allocator, scale, folder):
        if shutil.which(SERVER) is None:
            raise Failure("redis-server not found: install the package redis-server")
        load = self.batches(scale)
        with Server(allocator, self.options, folder) as server:
            clients = [server.connect() for _ in range(CONNECTIONS)]
            try:
                sample = self.run_load(server, clients, load, scale)
                check_served(allocator, server, clients[0])
                server.stop(clients[0])
            except OSError as error:
                raise server.failure("redis-server: " + server.end_words(error)) from None
            if allocator.name == allocators.SUBJECT \
                    and mallocs_counted(server.stats) < self.count * scale / 4:
                raise Failure("poolmalloc's own counters do not show the requests")
        return sample

    def run_load(self, server, clients, load, scale):
        clients[0].ask(b"PING")
        before = server.cpu_seconds()
        for start in range(0, len(load), CONNECTIONS):
            parts = list(zip(clients, load[start:start + CONNECTIONS]))
            for client, data in parts:
                client.send(data)
            for client, _ in parts:
                client.wait_for(LAST_REPLY)
        spent = server.cpu_seconds() - before
        requests = max(PIPELINE, int(self.count * scale)) + len(load)
        return Sample(spent * 1e9 / requests, server.peak_rss_kib())


def all_rows():
    return [
        RedisRow("redis/mixed", "redis-server: 13 commands mixed, values of 8 to 4096 bytes",
                 mixed_commands, 240000),
        RedisRow("redis/lru", "redis-server: a full cache whose values grow from 240 to 492 bytes",
                 lru_commands, 215000,
                 ["--maxmemory", "25mb", "--maxmemory-policy", "allkeys-lru"]),
    ]
