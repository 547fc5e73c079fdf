# SPDX-License-Identifier: MIT
"""From counts to time: what a machine would see that has a core for each thread. docs/scaling.md
says what is assumed."""

import dataclasses

TRANSFER_NS = 100.0  # a cache line from one core to another
LINE_BYTES = 64
ACCESS_NS = 1.0      # a load or store under a lock, of a line at hand
PROGRAM = "the program"


@dataclasses.dataclass
class Station:
    """What one thread at a time can use: a lock, or a line."""
    name: str
    demand_ns: float  # for each operation


@dataclasses.dataclass
class Count:
    """What was counted of a workload with so many threads, for each operation."""
    workload: str
    threads: int
    updates: float
    acquisitions: float
    transfers: float          # by the library
    program_transfers: float  # and besides by the program
    by_kind: dict
    locks: list    # (name, acquisitions, transfers while it is held, accesses likewise)
    hottest: tuple  # (name, transfers) of one line that is no lock's


def count_of(document, name_of):
    """`name_of`: of the lock or variable at an address."""
    operations = document["operations"]
    def each(number):
        return number / operations
    locks = [(name_of(lock["address"], "lock"), each(lock["acquisitions"]),
              each(lock["transfers"]), each(lock["accesses"])) for lock in document["locks"]]
    hot = document["hottest"][0]
    by_kind = {kind: each(number) for kind, number in document["transfers"].items()}
    return Count(document["workload"], document["threads"],
                 each(sum(document["updates"].values())), sum(lock[1] for lock in locks),
                 sum(number for kind, number in by_kind.items() if kind != PROGRAM),
                 by_kind[PROGRAM], by_kind, locks,
                 (name_of(hot["address"], hot["kind"]), each(hot["transfers"])))


def stations(count, transfer_ns=TRANSFER_NS):
    """Busiest first. A line counts where no lock is busier: most hot lines are for a lock to guard.
    """
    found = [Station(name, transfers * transfer_ns + accesses * ACCESS_NS)
             for name, _, transfers, accesses in count.locks]
    busiest = max([station.demand_ns for station in found], default=0.0)
    name, transfers = count.hottest
    if transfers * transfer_ns > busiest:
        found.append(Station(name, transfers * transfer_ns))
    return sorted([station for station in found if station.demand_ns > 0],
                  key=lambda station: -station.demand_ns)


def alone_ns(count, local_ns, transfer_ns=TRANSFER_NS):
    """An operation when nobody is waited for."""
    return local_ns + (count.transfers + count.program_transfers) * transfer_ns


def throughput(cores, alone, demands):
    """Operations per ns of so many threads that queue at the stations: exact mean value analysis
    of a closed network (Reiser, Lavenberg 1980)."""
    thinking = max(0.0, alone - sum(demands))
    queues = [0.0] * len(demands)
    rate = 0.0
    for customers in range(1, cores + 1):
        waits = [demand * (1 + queue) for demand, queue in zip(demands, queues)]
        rate = customers / (thinking + sum(waits))
        queues = [rate * wait for wait in waits]
    return rate


@dataclasses.dataclass
class Outlook:
    speedup: float     # of one thread alone
    bottleneck: str    # "" where nothing is waited for
    cores_full: float  # from about so many cores on it is busy all the time


def outlook(count, local_ns, transfer_ns=TRANSFER_NS):
    alone = alone_ns(count, local_ns, transfer_ns)
    found = stations(count, transfer_ns)
    rate = throughput(count.threads, alone, [station.demand_ns for station in found])
    if not found:
        return Outlook(rate * local_ns, "", float("inf"))
    return Outlook(rate * local_ns, found[0].name, alone / found[0].demand_ns)
