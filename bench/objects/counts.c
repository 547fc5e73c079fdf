/* SPDX-License-Identifier: MIT */
/*
 * A reference taken and dropped again, as by every function that keeps an object while it works on
 * it; the object lives on. One object again and again, whose count is read just after it was
 * written; and 64 in turn, whose counts do not wait for each other. Source: the figures that the
 * object layer has to reach, and PEP 703, which names the three cases: the owner's counts, those
 * of other threads, and objects that many threads count at once.
 */
#include "contender.h"
#include "row.h"

#if CONTENDER_COUNTS

enum { NODES = 64, THREADS = 2 };

/* So that the pair is not taken for nothing. */
#define USE(node) __asm__ volatile("" : : "r"(node) : "memory")

static __attribute__((noinline)) void pairs(struct node *const *nodes, size_t count, uint64_t turns)
{
    while (turns--)
        for (size_t i = 0; i < count; i++) {
            struct node *node = nodes[i];
            node_take(node);
            USE(node);
            node_drop(node);
            USE(node);
        }
}

static __attribute__((noinline)) void pairs_of_one(struct node *node, uint64_t turns)
{
    while (turns--) {
        node_take(node);
        USE(node);
        node_drop(node);
        USE(node);
    }
}

static void count(struct node *const *nodes, size_t number, uint64_t operations)
{
    if (number == 1)
        pairs_of_one(nodes[0], operations);
    else
        pairs(nodes, number, operations / number);
}

/* Each on lines of its own: what is measured is not that two nodes share one. */
static void make_apart(struct node **nodes, struct node **between)
{
    for (size_t i = 0; i < NODES; i++) {
        nodes[i] = node_new(NULL, NULL, i);
        for (size_t j = 0; j < 3; j++)
            between[3 * i + j] = node_new(NULL, NULL, 0);
    }
}

static uint64_t drop_all(struct node **nodes, size_t number)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < number; i++) {
        sum += nodes[i]->value;
        node_drop(nodes[i]);
    }
    return sum;
}

static void owned(struct measured *measured, size_t number)
{
    struct node *nodes[NODES], *between[3 * NODES];
    make_apart(nodes, between);
    if (measured->operations < number)
        measured->operations = number;
    count(nodes, number, measured->operations / 50);
    row_clock_on(measured);
    count(nodes, number, measured->operations);
    row_clock_off(measured);
    measured->result = drop_all(nodes, NODES) + drop_all(between, 3 * NODES);
}

static void owned_1(struct measured *measured)
{
    owned(measured, 1);
}

static void owned_64(struct measured *measured)
{
    owned(measured, NODES);
}

#if CONTENDER_SHARES

struct shared {
    struct node *nodes[THREADS][NODES], *between[THREADS][3 * NODES];
    size_t number;
    uint64_t operations;
    bool contended;     /* all threads count the first one's nodes */
    bool made_by_first; /* which makes them itself */
};

static void begin(void *context, size_t index)
{
    struct shared *shared = context;
    contender_begin();
    if (shared->made_by_first && index == 0)
        make_apart(shared->nodes[0], shared->between[0]);
}

static void end(void *context, size_t index)
{
    (void)context;
    (void)index;
    contender_end();
}

static void count_shared(void *context, size_t index)
{
    struct shared *shared = context;
    count(shared->nodes[shared->contended ? 0 : index], shared->number, shared->operations);
}

/* An operation is a pair of each thread. */
static void share(struct measured *measured, struct shared *shared)
{
    if (measured->operations < shared->number)
        measured->operations = shared->number;
    shared->operations = measured->operations;
    struct bench_team team = {THREADS, begin, count_shared, end, shared};
    contender_wait_begin();
    measured->seconds = bench_team_run(&team);
    contender_wait_end();
    for (size_t i = 0; i < THREADS && shared->nodes[i][0] != NULL; i++)
        measured->result +=
            drop_all(shared->nodes[i], NODES) + drop_all(shared->between[i], (size_t)3 * NODES);
}

static void make_and_share(struct measured *measured, size_t number, bool contended)
{
    struct shared shared = {.number = number, .contended = contended};
    for (size_t i = 0; i < THREADS; i++)
        make_apart(shared.nodes[i], shared.between[i]);
    share(measured, &shared);
}

static void foreign_1(struct measured *measured)
{
    make_and_share(measured, 1, false);
}

static void foreign_64(struct measured *measured)
{
    make_and_share(measured, NODES, false);
}

static void contended_1(struct measured *measured)
{
    make_and_share(measured, 1, true);
}

static void contended_64(struct measured *measured)
{
    make_and_share(measured, NODES, true);
}

static void with_maker_1(struct measured *measured)
{
    struct shared shared = {.number = 1, .contended = true, .made_by_first = true};
    share(measured, &shared);
}

static void with_maker_64(struct measured *measured)
{
    struct shared shared = {.number = NODES, .contended = true, .made_by_first = true};
    share(measured, &shared);
}

/* As contended_64, of objects whose count nobody needs to write, where there are such. */
static void frozen_64(struct measured *measured)
{
    struct shared shared = {.number = NODES, .contended = true};
    for (size_t i = 0; i < THREADS; i++)
        make_apart(shared.nodes[i], shared.between[i]);
#if CONTENDER_FREEZES
    for (size_t i = 0; i < NODES; i++)
        contender_freeze(shared.nodes[0][i]);
#endif
    share(measured, &shared);
}

#endif
#endif

const struct object_row counts_rows[] = {
#if CONTENDER_COUNTS
    {"counts/owned-1", "pair", "the maker of an object takes and drops a reference", 50000000,
     ROW_CPU, owned_1},
    {"counts/owned-64", "pair", "the same with 64 objects in turn", 50000000, ROW_CPU, owned_64},
#if CONTENDER_SHARES
    {"counts/foreign-1", "pair", "two threads, each an object of its own that a third one made",
     10000000, ROW_WALL, foreign_1},
    {"counts/foreign-64", "pair", "the same with 64 objects in turn", 10000000, ROW_WALL,
     foreign_64},
    {"counts/contended-1", "pair", "two threads count one object that a third one made", 3000000,
     ROW_WALL, contended_1},
    {"counts/contended-64", "pair", "the same with 64 objects in turn", 3000000, ROW_WALL,
     contended_64},
    {"counts/with-maker-1", "pair", "two threads count one object that one of them made", 3000000,
     ROW_WALL, with_maker_1},
    {"counts/with-maker-64", "pair", "the same with 64 objects in turn", 3000000, ROW_WALL,
     with_maker_64},
    {"counts/immortal-64", "pair",
     "as contended-64, with immortal objects where there are such, as for a configuration", 3000000,
     ROW_WALL, frozen_64},
#endif
#endif
    {0},
};
