# SPDX-License-Identifier: MIT
"""threads.py COUNT: four threads that make objects, of which the next thread drops a part.

Stands for services with a pool of threads: the interpreter runs one at a time and switches between
them, so that blocks come from one thread and are freed by another. Each thread makes requests of
dicts, lists and strings, keeps some, and passes the others through a queue. What a thread computes
does not depend on who runs when. Source: the concurrency benchmarks of pyperformance, by their
description; written anew.
"""

import queue
import sys
import threading

THREADS = 4
BATCHES = 15
REQUESTS = 30  # of a batch
OBJECTS = 24


def request(number):
    return {"id": number, "path": "/item/%d/%d" % (number % 97, number),
            "fields": [("field%d" % i, number * i % 1013) for i in range(OBJECTS)],
            "headers": {"h%d" % i: "value %d of %d" % (i, number) for i in range(8)}}


def answer(asked):
    body = ";".join("%s=%d" % field for field in asked["fields"])
    return len(body) + len(asked["path"]) + sum(map(len, asked["headers"].values()))


class Worker(threading.Thread):
    def __init__(self, number, count, inbox, outbox):
        super().__init__()
        self.number, self.count = number, count
        self.inbox, self.outbox = inbox, outbox
        self.total = 0
        self.sessions = {}

    def run(self):
        for turn in range(self.count * BATCHES):
            made = [request((turn * REQUESTS + i) * THREADS + self.number) for i in range(REQUESTS)]
            self.total += sum(answer(one) for one in made)
            self.sessions[turn % 64] = made[::8]
            self.outbox.put(made)
            # What was passed to this thread, whose blocks another has made. With one batch to give
            # before each to take, no more than one of each thread is on its way.
            self.total += sum(answer(one) for one in self.inbox.get())
        self.total += len(self.sessions)


def run(count):
    queues = [queue.Queue() for _ in range(THREADS)]
    workers = [Worker(i, count, queues[i], queues[(i + 1) % THREADS]) for i in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [worker.total for worker in workers]


print(run(int(sys.argv[1])))
