#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What pm_stats_json and pm_stats_print write: stats.py PROGRAM | stats.py --self-test

Runs PROGRAM (stats.c), by the command in STRESS_EMULATOR if that is set, and
passes when its JSON is valid, has the keys of docs/statistics.md and no
others, adds up, shows the blocks that the program has, and the table says the
same. Figures are exact: the program's threads rest.
"""

import json
import os
import re
import subprocess
import sys

THREADS, COUNT, SIZE, LARGE, LARGE_BYTES = 4, 1000, 200, 3, 5 << 20

N, S, B = int, str, bool
PARTS = ("live batched available header tail span span_rest kept stash dirty clean "
         "purging").split()
SCHEMA = {
    "format": S, "version": N, "pid": N, "arenas_known": B,
    "geometry": {key: N for key in ("unit_bytes", "arena_bytes", "granule_bytes",
                                    "block_max_bytes")},
    "counters": {key: N for key in """
        mallocs frees remote_frees remote_batches refills adopted_pools floating_pools heaps
        heaps_in_use heap_bytes bytes_reserved arenas arenas_in_use arena_bytes pool_bytes
        floating_bytes kept_bytes stash_bytes spans span_bytes span_held_bytes free_bytes
        dirty_bytes decommitted_bytes purged_arenas purged_bytes purges lock_acquisitions
        lock_contended purging_bytes live_bytes batched_bytes available_bytes header_bytes
        tail_bytes pools live_blocks batched_blocks available_blocks user_heaps
        no_huge_arenas guarded_blocks guarded_bytes""".split()},
    "sum": dict({part + "_bytes": N for part in PARTS}, total_bytes=N),
    "classes": [dict({key: N for key in ("class", "block_bytes", "pools", "pool_bytes",
                                         "live_blocks", "batched_blocks", "available_blocks")},
                     kind=S)],
    "threads": [dict({key: N for key in ("thread_id", "pool_bytes", "live_bytes", "kept_bytes",
                                         "stash_bytes", "batched_blocks", "mallocs", "frees",
                                         "remote_frees")}, name=S)],
    "threads_left_out": N,
    "locks": [{"name": S, "acquisitions": N, "contended": N}],
    "huge_pages": {"option": S, "no_huge_arenas": N},
}


def unique(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), "a key comes twice: %s" % keys
    return dict(pairs)


def check_schema(where, value, schema):
    if isinstance(schema, dict):
        assert isinstance(value, dict) and value.keys() == schema.keys(), \
            (where, sorted(value.keys() ^ schema.keys()))
        for key, part in schema.items():
            check_schema(where + "." + key, value[key], part)
    elif isinstance(schema, list):
        assert isinstance(value, list), where
        for number, element in enumerate(value):
            check_schema("%s[%d]" % (where, number), element, schema[0])
    else:
        assert type(value) is schema, (where, value)  # pylint: disable=unidiomatic-typecheck
        assert schema is not N or 0 <= value < 1 << 63, (where, value)


def check_sums(stats):
    counters, parts, classes = stats["counters"], stats["sum"], stats["classes"]
    total = sum(parts[part + "_bytes"] for part in PARTS)
    assert total == parts["total_bytes"], (total, parts["total_bytes"])
    assert total == counters["arenas"] * counters["arena_bytes"], (total, counters)
    for what in ("live", "batched", "available"):
        blocks = sum(row[what + "_blocks"] for row in classes)
        size = sum(row[what + "_blocks"] * row["block_bytes"] for row in classes)
        assert blocks == counters[what + "_blocks"], (what, blocks)
        assert size == counters[what + "_bytes"] == parts[what + "_bytes"], (what, size)
    assert sum(row["pool_bytes"] for row in classes) == counters["pool_bytes"]
    out = (counters["mallocs"] - counters["frees"] - counters["remote_frees"] -
           counters["batched_blocks"])
    alive = counters["live_blocks"] + counters["spans"] + counters["guarded_blocks"]
    assert out == alive, (out, counters)
    held = sum(row["batched_blocks"] for row in stats["threads"])
    assert held == counters["batched_blocks"], held


def check_known(stats):
    counters = stats["counters"]
    assert counters["live_blocks"] == THREADS * COUNT, counters["live_blocks"]
    assert counters["spans"] == THREADS * LARGE, counters["spans"]
    assert counters["span_bytes"] >= THREADS * LARGE * LARGE_BYTES
    assert counters["mallocs"] == THREADS * (2 * COUNT + LARGE), counters["mallocs"]
    assert len([row for row in stats["classes"] if row["live_blocks"]]) == 1
    assert len(stats["threads"]) == THREADS == counters["heaps_in_use"], stats["threads"]
    ids = [row["thread_id"] for row in stats["threads"]]
    assert all(ids) and len(set(ids)) == THREADS, ids
    names = sorted(row["name"] for row in stats["threads"])
    assert names == ['"worker" %d' % number for number in range(THREADS)], names


def number(table, label):
    found = re.findall(r"^%s +=\s+([\d,]+)$" % re.escape(label), table, re.M)
    assert len(found) == 1, (label, found)
    return int(found[0].replace(",", ""))


def check_table(stats, table):
    parts, counters = stats["sum"], stats["counters"]
    assert number(table, "Total") == parts["total_bytes"]
    for label, value in (("# bytes in allocated blocks", parts["live_bytes"]),
                         ("# bytes in freed blocks held back in batches", parts["batched_bytes"]),
                         ("# bytes in large blocks", parts["span_bytes"]),
                         ("# arenas in use", counters["arenas_in_use"]),
                         ("# blocks freed into pools of others or none",
                          counters["remote_frees"]),
                         ("# purges", counters["purges"])):
        assert number(table, label) == value, (label, value)
    rows = re.findall(r"^ +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)(?:  gc)?$",
                      table.split("\n# ")[0], re.M)
    assert [tuple(map(int, row)) for row in rows] == [
        (row["class"], row["block_bytes"], row["pools"],
         row["live_blocks"] + row["batched_blocks"], row["available_blocks"])
        for row in stats["classes"]], rows
    locks = re.findall(r"^(\w+) +(\d+) +(\d+)$", table, re.M)
    assert [name for name, _, _ in locks] == [row["name"] for row in stats["locks"]], locks
    threads = re.findall(r"^ +(\d+) +(\d+) +\d+ +\d+ +\d+  (.*)$",
                         table[table.index("    thread "):], re.M)
    assert [(int(thread), int(held), name) for thread, held, name in threads] == [
        (row["thread_id"], row["pool_bytes"], row["name"]) for row in stats["threads"]], threads


def check(text):
    first, second, table = text.split("\n", 2)
    reports = [json.loads(line, object_pairs_hook=unique) for line in (first, second)]
    for stats in reports:
        check_schema("stats", stats, SCHEMA)
        assert (stats["format"], stats["version"]) == ("poolmalloc-stats", 1)
        assert stats["arenas_known"] is True
        check_sums(stats)
        check_known(stats)
    check_table(reports[1], table)


def self_test():
    """It fails on what is wrong."""
    good = {"a": 1, "b": [{"c": "x"}]}
    schema = {"a": N, "b": [{"c": S}]}
    check_schema("good", good, schema)
    for bad in ({"a": -1, "b": []}, {"a": True, "b": []}, {"a": 1}, {"a": 1, "b": [{"c": 2}]},
                {"a": 1, "b": [], "d": 1}, {"a": 1 << 63, "b": []}):
        try:
            check_schema("bad", bad, schema)
        except AssertionError:
            continue
        sys.exit("taken for good: %s" % bad)
    try:
        json.loads('{"a":1,"a":2}', object_pairs_hook=unique)
        sys.exit("a key that comes twice is taken")
    except AssertionError:
        print("stats.py: what is wrong is refused")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    command = os.environ.get("STRESS_EMULATOR", "").split()
    command += [sys.argv[1], str(THREADS), str(COUNT), str(SIZE), str(LARGE)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    check(done.stdout.decode("ascii"))
    print("JSON and table are valid, add up, and agree")
    return None


if __name__ == "__main__":
    main()
