# SPDX-License-Identifier: MIT
"""The rows of structures.c, cycles.c and collect.c in Python: what its own objects take, counts,
collector and interpreter included.

    python_rows.py CONTENDER --rows
    python_rows.py CONTENDER --row=NAME [--scale=0.2]

CONTENDER: python, objects with __slots__; python-tuple, tuples of two references and a number;
python-list, lists of three references. The collector is off but in the rows that are about it.
Options, output and results are those of main.c.
"""

import gc
import json
import platform
import sys
import time

import python_collect

LIST_NODES, TREE_DEPTH, SEARCH_NODES, SHALLOW, DEEP, RING_NODES = 100000, 15, 100000, 4, 14, 100


class Node:
    __slots__ = ("left", "right", "value")

    def __init__(self, left, right, value):
        self.left = left
        self.right = right
        self.value = value


class Measured:
    """`clock` as of main.c; what was measured, in seconds."""

    def __init__(self, operations, clock):
        self.operations = operations
        self.clock = clock
        self.seconds = self.drop_seconds = self.pause_seconds = self.result = 0

    def run(self, call, *arguments):
        """What the call returns; its time is added."""
        start = self.clock()
        made = call(*arguments)
        self.seconds += self.clock() - start
        return made

    def drop(self, box):
        """The list's only item, and with it the structure."""
        start = self.clock()
        box.clear()
        seconds = self.clock() - start
        self.seconds += seconds
        self.drop_seconds += seconds


# ---- lists ----

def slots_list(nodes):
    made = None
    for i in range(nodes):
        made = Node(None, made, i)
    return made


def tuple_list(nodes):
    made = None
    for i in range(nodes):
        made = (None, made, i)
    return made


def slots_list_sum(node):
    total = 0
    while node is not None:
        total += node.value
        node = node.right
    return total


def tuple_list_sum(node):
    total = 0
    while node is not None:
        _, node, value = node[0], node[1], node[2]
        total += value
    return total


def lists(measured, kind):
    nodes = min(measured.operations, LIST_NODES)
    turns = measured.operations // nodes
    measured.operations = turns * nodes
    for turn in range(turns):
        box = [measured.run(kind.list_new, nodes)]
        if turn == turns - 1:
            measured.result = kind.list_sum(box[0])
        measured.drop(box)


# ---- complete trees, binary trees ----

def slots_tree(depth):
    if depth == 0:
        return Node(None, None, 1)
    return Node(slots_tree(depth - 1), slots_tree(depth - 1), 1)


def tuple_tree(depth, value=1):
    """The value comes from outside, or all leaves were one constant."""
    if depth == 0:
        return (None, None, value)
    return (tuple_tree(depth - 1), tuple_tree(depth - 1), value)


def slots_tree_sum(tree):
    if tree.left is None:
        return tree.value
    return tree.value + slots_tree_sum(tree.left) + slots_tree_sum(tree.right)


def tuple_tree_sum(tree):
    left, right, value = tree
    if left is None:
        return value
    return value + tuple_tree_sum(left) + tuple_tree_sum(right)


def complete_trees(measured, kind):
    depth = TREE_DEPTH
    while depth > 1 and 2 << depth > measured.operations:
        depth -= 1
    nodes = (2 << depth) - 1
    turns = max(1, measured.operations // nodes)
    measured.operations = turns * nodes
    for turn in range(turns):
        box = [measured.run(kind.tree_new, depth)]
        if turn == turns - 1:
            measured.result = kind.tree_sum(box[0])
        measured.drop(box)


def all_binary_trees(kind, deepest):
    total = kind.tree_sum(kind.tree_new(deepest + 1))
    kept = kind.tree_new(deepest)
    for depth in range(SHALLOW, deepest + 1, 2):
        for _ in range(1 << (deepest - depth + SHALLOW)):
            total += kind.tree_sum(kind.tree_new(depth))
    return total + kind.tree_sum(kept)


def binary_trees(measured, kind):
    deepest = DEEP
    while deepest > SHALLOW and 128 << deepest > measured.operations:
        deepest -= 1
    measured.result = measured.run(all_binary_trees, kind, deepest)
    measured.operations = measured.result


# ---- search trees ----

def search_tree(nodes, key):
    root = None
    for _ in range(nodes):
        key = key * 48271 % 2147483647
        node = root
        while node is not None:
            parent = node
            node = node.left if key < node.value else node.right
        if root is None:
            root = Node(None, None, key)
        elif key < parent.value:
            parent.left = Node(None, None, key)
        else:
            parent.right = Node(None, None, key)
    return root, key


def search_sum(tree):
    return 0 if tree is None else tree.value + search_sum(tree.left) + search_sum(tree.right)


def search_trees(measured, _kind):
    nodes, key = min(measured.operations, SEARCH_NODES), 1
    turns = measured.operations // nodes
    measured.operations = turns * nodes
    for _ in range(turns):
        root, key = measured.run(search_tree, nodes, key)
        measured.result += search_sum(root)
        box = [root]
        del root
        measured.drop(box)


# ---- cycles ----

def ring_new(nodes):
    first = last = Node(None, None, 0)
    for i in range(1, nodes):
        node = Node(last, None, i)
        last.right = node
        last = node
    last.right = first
    first.left = last
    return first


def ring_sum(first):
    total, node = 0, first
    while True:
        total += node.value
        node = node.right
        if node is first:
            return total


def ring_take_apart(first):
    node = first
    while True:
        node.left = None
        last, node = node, node.right
        if node is first:
            break
    last.right = None


def all_rings_by_hand(rings):
    total = 0
    for _ in range(rings):
        ring = ring_new(RING_NODES)
        total += ring_sum(ring)
        ring_take_apart(ring)
    return total


def by_hand(measured, _kind):
    rings = max(1, measured.operations // RING_NODES)
    measured.result = measured.run(all_rings_by_hand, rings)
    measured.operations = rings * RING_NODES


# ---- the program ----

class Slots:
    list_new, list_sum = staticmethod(slots_list), staticmethod(slots_list_sum)
    tree_new, tree_sum = staticmethod(slots_tree), staticmethod(slots_tree_sum)


class Tuples:
    list_new, list_sum = staticmethod(tuple_list), staticmethod(tuple_list_sum)
    tree_new, tree_sum = staticmethod(tuple_tree), staticmethod(tuple_tree_sum)


# As in the tables of the C files: operations, clock.
ROWS = {
    "list/100k": (lists, 2000000, "cpu"),
    "tree/complete": (complete_trees, 2000000, "cpu"),
    "tree/search": (search_trees, 400000, "cpu"),
    "binary-trees/14": (binary_trees, 128 << DEEP, "cpu"),
    "cycles/by-hand": (by_hand, 1000000, "cpu"),
}
SLOTS_ALONE = ("tree/search", "cycles/by-hand")  # tuples do not change


def rows_of(contender):
    """{name: (row, operations, clock, kind)}"""
    found = {}
    for rows, kinds in ((ROWS, {"python": Slots, "python-tuple": Tuples}),
                        (python_collect.ROWS, python_collect.KINDS)):
        for name, row in rows.items() if contender in kinds else ():
            if contender == "python" or name not in SLOTS_ALONE:
                found[name] = (*row, kinds[contender])
    return found


def peak_rss_kib():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


def run(contender, name, scale):
    row, operations, clock, kind = rows_of(contender)[name]
    measured = Measured(max(1, int(operations * scale)),
                        time.process_time if clock == "cpu" else time.perf_counter)
    start_rss_kib = peak_rss_kib()
    gc.disable()
    row(measured, kind)
    each = 1e9 / measured.operations
    report = {"row": name, "contender": contender, "version": platform.python_version(),
              "operations": measured.operations, "result": measured.result,
              "time_ns": measured.seconds * each}
    if measured.drop_seconds > 0:
        report["drop_ns"] = measured.drop_seconds * each
    if measured.pause_seconds > 0:
        report["pause_us"] = measured.pause_seconds * 1e6
    report.update(peak_rss_kib=peak_rss_kib(), start_rss_kib=start_rss_kib)
    print(json.dumps(report))


def main():
    contender, scale, name = sys.argv[1], 1, None
    for word in sys.argv[2:]:
        option, _, value = word.partition("=")
        if option == "--rows":
            for row, (_, _, clock, _) in rows_of(contender).items():
                print("%s\t\t%s\t" % (row, clock))
            return
        if option == "--row":
            name = value
        elif option == "--scale":
            scale = float(value)
        else:
            sys.exit("python_rows: unknown option %s" % word)
    run(contender, name, scale)


if __name__ == "__main__":
    main()
