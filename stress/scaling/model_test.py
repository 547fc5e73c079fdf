# SPDX-License-Identifier: MIT
"""The model of model.py, where its answers are known."""

import unittest

import model


def count(**fields):
    values = dict(workload="w", threads=4, updates=0, acquisitions=0, transfers=0,
                  program_transfers=0, by_kind={}, locks=[], hottest=("blocks", 0.0))
    values.update(fields)
    return model.Count(**values)


class ThroughputTest(unittest.TestCase):
    def test_without_stations_it_is_linear(self):
        self.assertAlmostEqual(model.throughput(64, 50.0, []), 64 / 50.0)

    def test_one_customer_never_waits(self):
        self.assertAlmostEqual(model.throughput(1, 100.0, [30.0, 20.0]), 1 / 100.0)

    def test_the_busiest_station_is_the_limit(self):
        self.assertAlmostEqual(model.throughput(256, 100.0, [10.0, 2.0]), 1 / 10.0, places=4)
        self.assertLess(model.throughput(10, 100.0, [10.0, 2.0]), 0.9 / 10.0)

    def test_two_customers_of_one_station_and_no_thinking_have_its_rate(self):
        self.assertAlmostEqual(model.throughput(2, 10.0, [10.0]), 1 / 10.0)

    def test_the_machine_repairman_of_textbooks(self):
        # Two customers, thinking 10 and served 10: 2/3 of the time somebody thinks alone or waits.
        # Exact: rate = 2 / (10 + 10 * (1 + 1/2)).
        self.assertAlmostEqual(model.throughput(2, 20.0, [10.0]), 2 / 25.0)

    def test_more_customers_are_never_slower(self):
        rates = [model.throughput(n, 100.0, [5.0, 3.0]) for n in range(1, 100)]
        self.assertTrue(all(later >= earlier * (1 - 1e-12)
                            for earlier, later in zip(rates, rates[1:])))


class StationsTest(unittest.TestCase):
    def test_a_lock_takes_its_transfers_and_accesses(self):
        found = model.stations(count(locks=[("a", 0.5, 2.0, 30.0), ("b", 0.0, 0.0, 0.0)]), 100.0)
        self.assertEqual([(s.name, s.demand_ns) for s in found], [("a", 230.0)])

    def test_a_line_counts_where_no_lock_is_busier(self):
        locks = [("a", 0.5, 2.0, 0.0)]
        cool, hot = ("x", 1.0), ("x", 3.0)
        self.assertEqual([s.name for s in model.stations(count(locks=locks, hottest=cool), 100.0)],
                         ["a"])
        self.assertEqual([s.name for s in model.stations(count(locks=locks, hottest=hot), 100.0)],
                         ["x", "a"])


class OutlookTest(unittest.TestCase):
    def test_without_transfers_it_is_ideal(self):
        found = model.outlook(count(threads=256), 10.0)
        self.assertAlmostEqual(found.speedup, 256.0)
        self.assertEqual((found.bottleneck, found.cores_full), ("", float("inf")))

    def test_transfers_slow_all_threads_alike(self):
        found = model.outlook(count(threads=16, transfers=0.6, program_transfers=0.4), 100.0)
        self.assertAlmostEqual(found.speedup, 8.0)

    def test_a_station_is_full_when_all_time_is_spent_there(self):
        found = model.outlook(count(threads=256, transfers=1.0, locks=[("a", 1.0, 1.0, 0.0)]),
                              300.0)
        self.assertEqual((found.bottleneck, found.cores_full), ("a", 4.0))
        self.assertAlmostEqual(found.speedup, 3.0, places=3)


class CountTest(unittest.TestCase):
    def test_everything_is_for_each_operation(self):
        document = {"workload": "w", "threads": 2, "operations": 10,
                    "updates": {"locks": 20, "static": 5},
                    "transfers": {"locks": 10, model.PROGRAM: 40},
                    "locks": [{"address": 1, "acquisitions": 5, "transfers": 30, "accesses": 60}],
                    "hottest": [{"address": 2, "kind": "static", "transfers": 1}]}
        found = model.count_of(document, lambda address, kind: "%s at %d" % (kind, address))
        self.assertEqual(found, count(threads=2, updates=2.5, acquisitions=0.5, transfers=1.0,
                                      program_transfers=4.0,
                                      by_kind={"locks": 1.0, model.PROGRAM: 4.0},
                                      locks=[("lock at 1", 0.5, 3.0, 6.0)],
                                      hottest=("static at 2", 0.1)))


if __name__ == "__main__":
    unittest.main()
