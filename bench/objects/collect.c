/* SPDX-License-Identifier: MIT */
/*
 * Collectors. A graph of 1,000,000 objects with three references each: to two children, as in a
 * heap, so that all hang on the first, and to any other, so that nearly all are in cycles. It is
 * collected while it lives (what a collector costs that finds nothing) and when it is trash. And
 * programs that make cycles and drop them, without a word to the collector, alone and beside
 * objects that live. After Hans Boehm's GCBench (1997), whose live data is beside its short-lived
 * trees, and CPython's own benchmark of gc.collect() (pyperformance: gc_traversal, gc_collect).
 */
#include "contender.h"
#include "row.h"

#if CONTENDER_COLLECTS

enum { GRAPH_NODES = 1000000, LIVE_NODES = 300000, RING_NODES = 10, COLLECTIONS = 3 };

/* As in structures.c; Python draws the same. */
static uint64_t next_random(uint64_t random)
{
    return random * 48271 % 2147483647;
}

/* The first of the nodes, with a reference, which is the caller's. */
static struct vertex *graph_new(uint64_t nodes)
{
    struct vertex **all = collect_table(nodes);
    uint64_t random = 1;
    for (uint64_t i = 0; i < nodes; i++)
        all[i] = vertex_new();
    for (uint64_t i = 0; i < nodes; i++) {
        random = next_random(random);
        vertex_refer(all[i], 2, all[random % nodes]);
        for (uint64_t side = 0; side < 2; side++)
            if (2 * i + 1 + side < nodes)
                vertex_refer(all[i], side, all[2 * i + 1 + side]);
    }
    struct vertex *first = all[0];
    for (uint64_t i = 1; i < nodes; i++)
        vertex_drop(all[i]);
    collect_table_drop(all, nodes);
    return first;
}

static uint64_t graph_nodes(struct vertex *vertex)
{
    uint64_t nodes = 1;
    for (size_t side = 0; side < 2; side++) {
        struct vertex *child = vertex_edge(vertex, side);
        if (child != NULL)
            nodes += graph_nodes(child);
    }
    return nodes;
}

/* The clock of these rows is elapsed time: a collector may have threads of its own. */
static void live(struct measured *measured)
{
    uint64_t nodes = measured->operations / COLLECTIONS;
    nodes = nodes < 2 ? 2 : nodes > GRAPH_NODES ? GRAPH_NODES : nodes;
    collect_begin(false);
    struct vertex *volatile graph = graph_new(nodes);
    collect_all(); /* they are old after it */
    for (int i = 0; i < COLLECTIONS; i++) {
        row_clock_on(measured);
        collect_all();
        row_clock_off(measured);
    }
    measured->pause_seconds = collect_pause_seconds();
    measured->operations = nodes * COLLECTIONS;
    measured->result = graph_nodes(graph);
    vertex_drop(graph);
}

#if CONTENDER_COUNTS

static void trash(struct measured *measured)
{
    uint64_t nodes = measured->operations < 2 ? 2 : measured->operations;
    collect_begin(false);
    struct vertex *graph = graph_new(nodes);
    vertex_drop(graph);
    row_clock_on(measured);
    measured->result = collect_all();
    row_clock_off(measured);
    measured->pause_seconds = collect_pause_seconds();
    measured->operations = nodes;
}

#endif

static __attribute__((noinline)) void make_ring(void)
{
    struct vertex *first = vertex_new(), *last = first;
    for (unsigned i = 1; i < RING_NODES; i++) {
        struct vertex *vertex = vertex_new();
        vertex_refer(vertex, 1, last);
        vertex_refer(last, 0, vertex);
        if (last != first)
            vertex_drop(last);
        last = vertex;
    }
    vertex_refer(last, 0, first);
    vertex_refer(first, 1, last);
    vertex_drop(last);
    vertex_drop(first);
}

static void churn(struct measured *measured, uint64_t live_nodes)
{
    uint64_t rings = measured->operations / RING_NODES;
    if (rings == 0)
        rings = 1;
    if (live_nodes > measured->operations)
        live_nodes = measured->operations;
    collect_begin(true);
    struct vertex *volatile graph = live_nodes > 0 ? graph_new(live_nodes) : NULL;
    row_clock_on(measured);
    for (uint64_t i = 0; i < rings; i++)
        make_ring();
    row_clock_off(measured);
    measured->pause_seconds = collect_pause_seconds();
    measured->operations = rings * RING_NODES;
    measured->result = graph != NULL ? graph_nodes(graph) : 0;
    if (graph != NULL)
        vertex_drop(graph);
}

static void rings(struct measured *measured)
{
    churn(measured, 0);
}

static void rings_beside_live(struct measured *measured)
{
    churn(measured, LIVE_NODES);
}

#endif

const struct object_row collect_rows[] = {
#if CONTENDER_COLLECTS
    {"collect/live-1m", "object", "a graph of a million objects that live, collected three times",
     (uint64_t)GRAPH_NODES *COLLECTIONS, ROW_WALL, live},
#if CONTENDER_COUNTS
    {"collect/trash-1m", "object", "a graph of a million objects that is trash, collected",
     GRAPH_NODES, ROW_WALL, trash},
#endif
    {"cycles/dropped", "node", "rings of 10 nodes made and dropped, collections by themselves",
     2000000, ROW_WALL, rings},
    {"cycles/beside-live", "node", "the same beside a graph of 300,000 objects that live", 2000000,
     ROW_WALL, rings_beside_live},
#endif
    {0},
};
