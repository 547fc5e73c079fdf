# SPDX-License-Identifier: MIT
"""containers.py COUNT: containers in containers, built, changed, copied and dropped.

Stands for programs that keep their data in the language's own containers: configurations, graphs,
tables of records. Lists, dicts, sets and tuples hold each other, three to five deep; they grow by
appending, are merged and cut, copied as a whole, sorted, and dropped in another order than they
were made. Source: the benchmarks deepcopy, unpack_sequence and the container parts of pickle in
pyperformance, by their description; written anew.
"""

import copy
import sys

NODES = 1500
DEPTH = 4


def tree(number, depth):
    """A nested container whose kinds take turns."""
    if depth == 0:
        return (number, number * 3 % 101, -number)
    kind = (number + depth) % 3
    if kind == 0:
        return [tree(number * 2 + i, depth - 1) for i in range(3)]
    if kind == 1:
        return {number + i: tree(number + i, depth - 1) for i in range(3)}
    return (tree(number + 1, depth - 1), {number % 7, number % 11, number % 13})


def size(value):
    if isinstance(value, dict):
        return 1 + sum(size(one) for one in value.values())
    if isinstance(value, (list, tuple)):
        return 1 + sum(size(one) for one in value)
    return 1


def graph(turn):
    """Neighbours as sets in a dict; edges are taken out and put back in."""
    edges = {node: {(node * k + turn) % NODES for k in (3, 5, 7)} for node in range(NODES)}
    for node in range(0, NODES, 2):
        far = edges.pop(node)
        for one in far:
            edges.setdefault(one, set()).add(node)
    return sum(len(far) for far in edges.values())


def table(turn):
    """Records, grouped and sorted, in lists that grow one by one."""
    groups = {}
    for number in range(NODES * 2):
        record = [number, (number * 37 + turn) % 1009, {"key": number % 10}]
        groups.setdefault(record[1] % 16, []).append(record)
    merged = []
    for key in sorted(groups):
        merged.extend(sorted(groups[key], key=lambda record: record[1])[::2])
    return len(merged) + merged[-1][1]


def run(count):
    total, kept = 0, []
    for turn in range(count):
        forest = [tree(turn + number, DEPTH) for number in range(240)]
        kept.append(copy.deepcopy(forest[turn % 7:120]))
        if len(kept) > 5:
            del kept[turn % 5]
        total += size(forest) + graph(turn) + table(turn)
    return total + sum(size(one) for one in kept)


print(run(int(sys.argv[1])))
