# SPDX-License-Identifier: MIT
"""The rows of collect.c in Python, for python_rows.py: graphs and rings of objects with __slots__,
and of lists."""

import gc
import time

GRAPH_NODES, LIVE_NODES, CYCLE_NODES, COLLECTIONS = 1000000, 300000, 10, 3


class Vertex:
    __slots__ = ("left", "right", "other")

    def __init__(self):
        self.left = self.right = self.other = None


class Pauses:
    """How long the collector holds the interpreter, and with it all threads."""

    def __init__(self):
        self.start = self.longest = 0
        gc.callbacks.append(self.called)

    def called(self, phase, _info):
        if phase == "start":
            self.start = time.perf_counter()
        else:
            self.longest = max(self.longest, time.perf_counter() - self.start)


def slots_graph(nodes):
    vertices = [Vertex() for _ in range(nodes)]
    random = 1
    for i, vertex in enumerate(vertices):
        random = random * 48271 % 2147483647
        vertex.other = vertices[random % nodes]
        if 2 * i + 1 < nodes:
            vertex.left = vertices[2 * i + 1]
        if 2 * i + 2 < nodes:
            vertex.right = vertices[2 * i + 2]
    return vertices[0]


def list_graph(nodes):
    vertices = [[None, None, None] for _ in range(nodes)]
    random = 1
    for i, vertex in enumerate(vertices):
        random = random * 48271 % 2147483647
        vertex[2] = vertices[random % nodes]
        if 2 * i + 1 < nodes:
            vertex[0] = vertices[2 * i + 1]
        if 2 * i + 2 < nodes:
            vertex[1] = vertices[2 * i + 2]
    return vertices[0]


def slots_graph_nodes(graph):
    return 1 + sum(slots_graph_nodes(child) for child in (graph.left, graph.right) if child)


def list_graph_nodes(graph):
    return 1 + sum(list_graph_nodes(child) for child in graph[:2] if child)


def slots_rings(rings):
    for _ in range(rings):
        first = last = Vertex()
        for _ in range(CYCLE_NODES - 1):
            vertex = Vertex()
            vertex.right = last
            last.left = vertex
            last = vertex
        last.left = first
        first.right = last


def list_rings(rings):
    for _ in range(rings):
        first = last = [None, None, None]
        for _ in range(CYCLE_NODES - 1):
            vertex = [None, last, None]
            last[0] = vertex
            last = vertex
        last[0] = first
        first[1] = last


def collect_live(measured, kind):
    nodes = min(max(2, measured.operations // COLLECTIONS), GRAPH_NODES)
    graph = kind.graph_new(nodes)
    gc.collect()
    pauses = Pauses()
    for _ in range(COLLECTIONS):
        measured.run(gc.collect)
    measured.pause_seconds = pauses.longest
    measured.operations = nodes * COLLECTIONS
    measured.result = kind.graph_nodes(graph)


def collect_trash(measured, kind):
    nodes = max(2, measured.operations)
    gc.collect()
    kind.graph_new(nodes)
    pauses = Pauses()
    measured.result = measured.run(gc.collect)
    measured.pause_seconds = pauses.longest
    measured.operations = nodes


def dropped_rings(measured, kind, live_nodes=0):
    rings = max(1, measured.operations // CYCLE_NODES)
    live_nodes = min(live_nodes, measured.operations)
    gc.enable()
    pauses = Pauses()
    graph = kind.graph_new(live_nodes) if live_nodes > 0 else None
    measured.run(kind.rings, rings)
    measured.pause_seconds = pauses.longest
    measured.operations = rings * CYCLE_NODES
    measured.result = kind.graph_nodes(graph) if graph else 0


def rings_beside_live(measured, kind):
    dropped_rings(measured, kind, LIVE_NODES)


class Slots:
    graph_new, graph_nodes = staticmethod(slots_graph), staticmethod(slots_graph_nodes)
    rings = staticmethod(slots_rings)


class Lists:
    graph_new, graph_nodes = staticmethod(list_graph), staticmethod(list_graph_nodes)
    rings = staticmethod(list_rings)


# As in the table of collect.c: operations, clock.
ROWS = {
    "collect/live-1m": (collect_live, GRAPH_NODES * COLLECTIONS, "wall"),
    "collect/trash-1m": (collect_trash, GRAPH_NODES, "wall"),
    "cycles/dropped": (dropped_rings, 2000000, "wall"),
    "cycles/beside-live": (rings_beside_live, 2000000, "wall"),
}
KINDS = {"python": Slots, "python-list": Lists}
