/* SPDX-License-Identifier: MIT */
/*
 * Structures that one thread makes and another one drops, as a server's that parses in one thread
 * and answers in another. An owner that counts for itself has to be told what others drop; this is
 * what it costs. After the producer and consumer of Lever, Boreham, "malloc() Performance in
 * a Multithreaded Linux Environment", USENIX 2000, with lists for blocks.
 */
#include "contender.h"
#include "row.h"
#include "workloads/cores.h"

#if CONTENDER_SHARES

enum { LIST_NODES = 100, LISTS = 16 };

/* A ring of lists: one thread puts in, one takes out. */
struct ring {
    uint64_t lists; /* to go through it */
    uint64_t sum;   /* of the values that came out */
    struct node *list[LISTS];
    _Alignas(64) uint64_t put;
    _Alignas(64) uint64_t taken;
};

static struct node *list_new(void)
{
    struct node *list = NULL;
    for (uint64_t i = 0; i < LIST_NODES; i++)
        list = node_new(NULL, list, i);
    return list;
}

/* With safepoints, so that nobody waits for this thread in turn. */
static void wait_while(const uint64_t *count, uint64_t value)
{
    for (unsigned spins = 0; __atomic_load_n(count, __ATOMIC_ACQUIRE) == value; spins++) {
        contender_safepoint();
        bench_wait_a_little(spins);
    }
}

static void put_lists(struct ring *ring)
{
    for (uint64_t i = 0; i < ring->lists; i++) {
        struct node *list = list_new();
        wait_while(&ring->taken, i - LISTS); /* the ring is full */
        ring->list[i % LISTS] = list;
        /* With the nodes; take_lists acquires it. */
        __atomic_store_n(&ring->put, i + 1, __ATOMIC_RELEASE);
        contender_safepoint();
    }
}

static void take_lists(struct ring *ring)
{
    for (uint64_t i = 0; i < ring->lists; i++) {
        wait_while(&ring->put, i); /* the ring is empty */
        struct node *list = ring->list[i % LISTS];
        /* The place is free; put_lists acquires it. */
        __atomic_store_n(&ring->taken, i + 1, __ATOMIC_RELEASE);
        for (const struct node *node = list; node != NULL; node = node->right)
            ring->sum += node->value;
        node_drop(list);
        contender_safepoint();
    }
}

static void begin(void *context, size_t index)
{
    (void)context;
    (void)index;
    contender_begin();
}

static void work(void *context, size_t index)
{
    if (index == 0)
        put_lists(context);
    else
        take_lists(context);
}

static void end(void *context, size_t index)
{
    (void)context;
    (void)index;
    contender_end();
}

static void handover(struct measured *measured)
{
    struct ring ring = {.lists = measured->operations / LIST_NODES};
    if (ring.lists == 0)
        ring.lists = 1;
    struct bench_team team = {2, begin, work, end, &ring};
    contender_wait_begin();
    measured->seconds = bench_team_run(&team);
    contender_wait_end();
    measured->operations = ring.lists * LIST_NODES;
    measured->result = ring.sum;
}

#endif

const struct object_row threads_rows[] = {
#if CONTENDER_SHARES
    {"handover/lists", "node", "lists of 100 nodes that one thread makes and another one drops",
     1000000, ROW_WALL, handover},
#endif
    {0},
};
