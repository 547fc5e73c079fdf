/* SPDX-License-Identifier: MIT */
/*
 * Producer and consumer: one thread only allocates, the other only frees: a pipeline of messages,
 * a log writer, an event loop with a worker. Blocks go through a bounded ring one at a time, or as
 * lists of LIST_BLOCKS linked through the blocks themselves, as queues that are drained at once.
 * Source: Lever, Boreham, "malloc() Performance in a Multithreaded Linux Environment", USENIX 2000,
 * and xmalloc-test of SuperMalloc (Kuszmaul, ISMM 2015), with one thread on each side.
 */
#include "workload.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdalign.h>

enum { RING_SLOTS = 1024, GROUP = 16, LIST_RING_SLOTS = 16, LIST_BLOCKS = 64 };
enum { SPINS = 200, LINE = 64 };

/* Single producer, single consumer. Each side tells the other about every `group` slots, and looks
 * at the other's position only when it has used up what it last saw: else the cost of the ring's
 * own cache lines going to and fro would hide that of the allocator. */
struct ring {
    alignas(LINE) _Atomic(uint64_t) put;   /* written by the producer */
    uint64_t put_next, taken_seen;         /* the producer's own */
    alignas(LINE) _Atomic(uint64_t) taken; /* written by the consumer */
    uint64_t taken_next, put_seen;         /* the consumer's own */
    alignas(LINE) uint64_t capacity;       /* powers of two; read-only while the threads run */
    uint64_t group;
    alignas(LINE) void *slot[RING_SLOTS];
};

/* Waits until `*position` is no longer `stale`; yields after a while, as the other thread may need
 * this core. Acquire: what the other side did to the slots before it moved on is visible. */
static uint64_t wait_for_move(_Atomic(uint64_t) *position, uint64_t stale)
{
    for (unsigned spins = 0;; spins++) {
        uint64_t seen = atomic_load_explicit(position, memory_order_acquire);
        if (seen != stale)
            return seen;
        if (spins >= SPINS)
            sched_yield();
        else
            __builtin_ia32_pause();
    }
}

static void ring_put(struct ring *ring, void *block)
{
    if (ring->put_next - ring->taken_seen == ring->capacity)
        ring->taken_seen = wait_for_move(&ring->taken, ring->taken_seen);
    ring->slot[ring->put_next++ & (ring->capacity - 1)] = block;
    /* Release: publishes the slots and the blocks; pairs with ring_take. */
    if (ring->put_next % ring->group == 0)
        atomic_store_explicit(&ring->put, ring->put_next, memory_order_release);
}

static void *ring_take(struct ring *ring)
{
    if (ring->taken_next == ring->put_seen)
        ring->put_seen = wait_for_move(&ring->put, ring->put_seen);
    void *block = ring->slot[ring->taken_next++ & (ring->capacity - 1)];
    /* Release: the slots were read before they may be written again; pairs with ring_put. */
    if (ring->taken_next % ring->group == 0)
        atomic_store_explicit(&ring->taken, ring->taken_next, memory_order_release);
    return block;
}

enum role { PRODUCER, CONSUMER, ROLES };

struct flow {
    uint32_t low, high; /* sizes: log-uniform between them, or fixed when they are equal */
    bool lists;
};

struct run {
    struct ring ring;
    const struct flow *flow;
    int64_t blocks;
    struct bench_sizes sizes;
    uint64_t sum;
};

/* Blocks of a list hold their successor behind the size. */
struct node {
    uint64_t size;
    struct node *next;
};

static void produce_blocks(struct run *run)
{
    for (int64_t i = 0; i < run->blocks; i++)
        ring_put(&run->ring, bench_alloc(bench_size(&run->sizes, (uint64_t)i)));
}

static void consume_blocks(struct run *run)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < run->blocks; i++)
        sum += bench_free(ring_take(&run->ring));
    run->sum = sum;
}

static void produce_lists(struct run *run)
{
    for (int64_t i = 0; i < run->blocks;) {
        struct node *list = NULL;
        for (int k = 0; k < LIST_BLOCKS; k++, i++) {
            struct node *node = bench_alloc(bench_size(&run->sizes, (uint64_t)i));
            node->next = list;
            list = node;
        }
        ring_put(&run->ring, list);
    }
}

static void consume_lists(struct run *run)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < run->blocks; i += LIST_BLOCKS) {
        struct node *list = ring_take(&run->ring);
        while (list != NULL) {
            struct node *next = list->next;
            sum += bench_free(list);
            list = next;
        }
    }
    run->sum = sum;
}

static void work(void *context, size_t role)
{
    struct run *run = context;
    if (run->flow->lists)
        (role == PRODUCER ? produce_lists : consume_lists)(run);
    else
        (role == PRODUCER ? produce_blocks : consume_blocks)(run);
}

static uint64_t run_flow(struct gbench_state *state, const struct bench_run *how)
{
    struct run *run = bench_table(1, sizeof(*run));
    run->flow = how->context;
    run->blocks = how->ops;
    run->ring.capacity = run->flow->lists ? LIST_RING_SLOTS : RING_SLOTS;
    run->ring.group = run->flow->lists ? 1 : GROUP;
    if (run->flow->low == run->flow->high)
        bench_sizes_fixed(&run->sizes, run->flow->low);
    else
        bench_sizes_log_uniform(&run->sizes, run->flow->low, run->flow->high);
    while (gbench_keep_running_batch(state, how->ops))
        gbench_set_iteration_time(
            state, bench_team_run(&(struct bench_team){ROLES, NULL, work, NULL, run}));
    uint64_t sum = run->sum;
    bench_table_drop(run, 1, sizeof(*run));
    return sum;
}

#define FLOW(variant, words, count, ...)                                                           \
    {                                                                                              \
        .name = "prodcons/" variant, .what = "2 threads, one allocates, one frees: " words,        \
        .ops = (count), .step = LIST_BLOCKS, .clock = GBENCH_MANUAL, .run = run_flow,              \
        .threads = ROLES, .context = &(const struct flow)                                          \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct bench_row rows[] = {
    FLOW("64", "64 bytes, one by one", 3000000, 64, 64, false),
    FLOW("mixed", "16 to 1024 bytes, one by one", 3000000, 16, 1024, false),
    FLOW("lists-64", "64 bytes, in lists of 64 blocks", 3000000, 64, 64, true),
    FLOW("lists-mixed", "24 to 1024 bytes, in lists", 3000000, 24, 1024, true),
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
