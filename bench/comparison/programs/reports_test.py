# SPDX-License-Identifier: MIT
"""Tests of what is read from the load generators, and of the loads themselves."""

import os
import struct
import tempfile
import unittest

from comparison import programs
from comparison.allocators import Allocator
from comparison.process import Failure
from comparison.programs import memcached, nginx, postgres, redis, replay

WRK = """Running 2m test @ http://127.0.0.1:40123
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.21ms  705.20us  12.07ms   83.34%
    Req/Sec    14.02k     1.15k   15.80k    72.73%
  15999 requests in 1.14s, 90.41MB read
Requests/sec:  14034.21
requests 15999 us 1140000 p99_us 3724 errors 0
"""
PGBENCH = """pgbench (15.13)
number of clients: 4
number of transactions per client: 250
number of transactions actually processed: 1000/1000
number of failed transactions: 0 (0.000%)
latency average = 7.256 ms
initial connection time = 9.872 ms
tps = 500.000000 (without initial connection time)
SQL script 1: <builtin: TPC-B (sort of)>
 - 608 transactions (60.8% of total, tps = 335.176424)
"""
REDIS = '''"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms",\
"p99_latency_ms","max_latency_ms"
"SET","100000.00","0.136","0.064","0.135","0.183","0.239","0.463"
"GET","50000.00","0.129","0.064","0.127","0.175","0.500","0.359"
'''


class ReportsTest(unittest.TestCase):
    def test_wrk(self):
        load = nginx.parse_wrk(WRK)
        self.assertEqual((load.requests, load.seconds, load.p99_us), (15999, 1.14, 3724))

    def test_failed_requests_of_wrk_are_a_failure(self):
        with self.assertRaisesRegex(Failure, "7 of 15999 requests to nginx failed"):
            nginx.parse_wrk(WRK.replace("errors 0", "errors 7"))
        with self.assertRaisesRegex(Failure, "could not be read"):
            nginx.parse_wrk("unable to connect to 127.0.0.1:1 Connection refused")

    def test_pgbench(self):
        lines = ["0 %d %d 0 1700000000 123456\n" % (i, 1000 - i) for i in range(1000)]
        load = postgres.parse_pgbench(PGBENCH, lines)
        self.assertEqual((load.requests, load.seconds, load.p99_us), (1000, 2.0, 991))

    def test_transactions_that_pgbench_did_not_do_are_a_failure(self):
        lines = ["0 1 5 0 1700000000 1\n"]
        for wrong in (PGBENCH.replace("1000/1000", "740/1000"),
                      PGBENCH.replace("failed transactions: 0", "failed transactions: 3")):
            with self.assertRaisesRegex(Failure, "pgbench: .* of 1000 transactions"):
                postgres.parse_pgbench(wrong, lines)
        with self.assertRaisesRegex(Failure, "could not be read"):
            postgres.parse_pgbench("pgbench: error: connection failed", lines)
        with self.assertRaisesRegex(Failure, "log of pgbench"):
            postgres.parse_pgbench(PGBENCH, [])

    def test_redis_benchmark(self):
        load = redis.parse_csv(REDIS, 2, 1000)
        self.assertEqual((load.requests, load.p99_us), (2000, 500.0))
        self.assertAlmostEqual(load.seconds, 0.03)
        with self.assertRaisesRegex(Failure, "2 tests, not 3"):
            redis.parse_csv(REDIS, 3, 1000)
        with self.assertRaisesRegex(Failure, "could not be read"):
            redis.parse_csv("Could not connect to Redis", 2, 1000)

    def test_pm_load(self):
        load = replay.parse("batches 10\nseconds 0.5\np99_us 123.4\n", 170)
        self.assertEqual((load.requests, load.seconds, load.p99_us), (170, 0.5, 123.4))
        with self.assertRaisesRegex(Failure, "pm_load could not be read"):
            replay.parse("pm_load: send: Broken pipe", 170)

    def test_jemalloc_must_serve_redis_for_itself_alone(self):
        memory, all_of_it, nothing = "used_memory:1000\r\n", "Allocated: 990,", "Allocated: 8,"
        redis.check_served(Allocator("jemalloc"), memory, all_of_it)
        redis.check_served(Allocator("poolmalloc"), memory, nothing)
        spoken = "___ Begin poolmalloc statistics ___\n"
        redis.check_served(Allocator("poolmalloc"), memory, spoken + all_of_it)
        with self.assertRaisesRegex(Failure, "poolmalloc served .* of the 1000 bytes in use"):
            redis.check_served(Allocator("glibc"), memory, spoken + all_of_it)
        redis.check_served(Allocator("glibc"), memory, "Stats not supported for this allocator")
        for name, counters in (("jemalloc", nothing), ("poolmalloc", all_of_it)):
            with self.assertRaisesRegex(Failure, "jemalloc served .* of the 1000 bytes in use"):
                redis.check_served(Allocator(name), memory, counters)


class LoadsTest(unittest.TestCase):
    def test_every_allocator_gets_the_same_requests(self):
        for make in (redis.mixed_commands, redis.churn_commands, memcached.commands):
            self.assertEqual(make(500), make(500))

    def test_batches_hold_every_request_and_their_end(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "batches")
            replay.write_batches(path, [b"%02d" % i for i in range(20)], b"!")
            with open(path, "rb") as file:
                data = file.read()
        first = b"".join(b"%02d" % i for i in range(16)) + b"!"
        second = b"16171819!"
        self.assertEqual(data, struct.pack("=I", len(first)) + first
                         + struct.pack("=I", len(second)) + second)

    def test_every_row_has_a_name_of_its_own_and_says_what_it_is(self):
        rows = programs.all_rows()
        self.assertEqual(len({row.name for row in rows}), len(rows))
        for row in rows:
            self.assertEqual((row.kind, row.clock), ("program", "cpu"))
            self.assertIn(row.unit, ("request", "run"))
            self.assertEqual(row.what, row.what.split("\n", maxsplit=1)[0])


if __name__ == "__main__":
    unittest.main()
