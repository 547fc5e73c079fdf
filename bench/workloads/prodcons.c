/* SPDX-License-Identifier: MIT */
/*
 * Producer and consumer: one thread only allocates, the other only frees: a pipeline of messages,
 * a log writer, an event loop with a worker. Blocks go through a bounded ring one at a time, or as
 * lists of LIST_BLOCKS linked through the blocks themselves, as queues that are drained at once.
 * `many`: half of the threads allocate, half free, and lists go through one bounded queue that all
 * of them share, so that a thread frees the blocks of all producers: a pool of workers.
 * Source: Lever, Boreham, "malloc() Performance in a Multithreaded Linux Environment", USENIX 2000,
 * and xmalloc-test of SuperMalloc (Kuszmaul, ISMM 2015), here with a bound on the queues.
 */
#include "cores.h"
#include "workload.h"

#include <stdatomic.h>
#include <stdalign.h>

enum { RING_SLOTS = 1024, GROUP = 16, LIST_RING_SLOTS = 16, LIST_BLOCKS = 64 };
enum { MANY_SLOTS = 256 };
enum { LINE = 64 };

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

/* Waits until `*position` is no longer `stale`. Acquire: what the other side did to the slots
 * before it moved on is visible. */
static uint64_t wait_for_move(_Atomic(uint64_t) *position, uint64_t stale)
{
    for (unsigned spins = 0;; spins++) {
        uint64_t seen = atomic_load_explicit(position, memory_order_acquire);
        if (seen != stale)
            return seen;
        bench_wait_a_little(spins);
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

static struct node *alloc_list(const struct bench_sizes *sizes, int64_t first)
{
    struct node *list = NULL;
    for (int64_t i = first; i < first + LIST_BLOCKS; i++) {
        struct node *node = bench_alloc(bench_size(sizes, (uint64_t)i));
        node->next = list;
        list = node;
    }
    return list;
}

static uint64_t free_list(struct node *list)
{
    uint64_t sum = 0;
    while (list != NULL) {
        struct node *next = list->next;
        sum += bench_free(list);
        list = next;
    }
    return sum;
}

static void produce_lists(struct run *run)
{
    for (int64_t i = 0; i < run->blocks; i += LIST_BLOCKS)
        ring_put(&run->ring, alloc_list(&run->sizes, i));
}

static void consume_lists(struct run *run)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < run->blocks; i += LIST_BLOCKS)
        sum += free_list(ring_take(&run->ring));
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

/* Many to many. Each put and each take draws a ticket; ticket T is for slot T % MANY_SLOTS, whose
 * turn is 2 * (T / MANY_SLOTS) when the putter may use it, and one more for the taker. As many
 * lists are taken as are put, so that every ticket is served in the end. */
struct many_slot {
    alignas(LINE) _Atomic(uint64_t) turn;
    struct node *list;
};

struct many {
    alignas(LINE) _Atomic(uint64_t) put_ticket;
    alignas(LINE) _Atomic(uint64_t) take_ticket;
    struct many_slot slot[MANY_SLOTS];
    int64_t lists;
    size_t producers, consumers;
    struct bench_sizes sizes;
    _Atomic(uint64_t) sum;
};

/* The slot, once it is the turn of what drew the ticket. Acquire: the last user is done with it. */
static struct many_slot *many_enter(struct many *many, uint64_t ticket, uint64_t side)
{
    struct many_slot *slot = &many->slot[ticket % MANY_SLOTS];
    uint64_t awaited = 2 * (ticket / MANY_SLOTS) + side;
    for (unsigned spins = 0; atomic_load_explicit(&slot->turn, memory_order_acquire) != awaited;
         spins++)
        bench_wait_a_little(spins);
    return slot;
}

/* Only the holder of the ticket changes the turn now. Release: publishes the slot and the list. */
static void many_leave(struct many_slot *slot)
{
    uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_relaxed);
    atomic_store_explicit(&slot->turn, turn + 1, memory_order_release);
}

static void many_produce(struct many *many, int64_t first, int64_t end)
{
    for (int64_t i = first; i < end; i++) {
        struct node *list = alloc_list(&many->sizes, i * LIST_BLOCKS);
        /* Relaxed: the ticket orders nothing, the turn of the slot does. */
        struct many_slot *slot = many_enter(
            many, atomic_fetch_add_explicit(&many->put_ticket, 1, memory_order_relaxed), PRODUCER);
        slot->list = list;
        many_leave(slot);
    }
}

static void many_consume(struct many *many, int64_t count)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        struct many_slot *slot = many_enter(
            many, atomic_fetch_add_explicit(&many->take_ticket, 1, memory_order_relaxed), CONSUMER);
        struct node *list = slot->list;
        many_leave(slot);
        sum += free_list(list);
    }
    atomic_fetch_add_explicit(&many->sum, sum, memory_order_relaxed);
}

/* Of `lists`, where the share of member `index` of `count` begins. */
static int64_t share_begin(int64_t lists, size_t index, size_t count)
{
    return lists * (int64_t)index / (int64_t)count;
}

static void many_work(void *context, size_t index)
{
    struct many *many = context;
    size_t role = index % ROLES, at = index / ROLES;
    size_t count = role == PRODUCER ? many->producers : many->consumers;
    int64_t first = share_begin(many->lists, at, count);
    int64_t end = share_begin(many->lists, at + 1, count);
    if (role == PRODUCER)
        many_produce(many, first, end);
    else
        many_consume(many, end - first);
}

/* A team of one would wait for itself: it gets a consumer. */
static uint64_t run_many(struct gbench_state *state, const struct bench_run *how)
{
    const size_t threads = how->threads < ROLES ? ROLES : how->threads;
    struct many *many = bench_table(1, sizeof(*many));
    many->lists = how->ops / LIST_BLOCKS;
    many->producers = (threads + 1) / 2;
    many->consumers = threads / 2;
    bench_sizes_log_uniform(&many->sizes, 24, 1024);
    while (gbench_keep_running_batch(state, how->ops))
        gbench_set_iteration_time(
            state, bench_team_run(&(struct bench_team){threads, NULL, many_work, NULL, many}));
    uint64_t sum = atomic_load_explicit(&many->sum, memory_order_relaxed);
    bench_table_drop(many, 1, sizeof(*many));
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
    FLOW("64", "64 bytes, one by one", 400000, 64, 64, false),
    FLOW("mixed", "16 to 1024 bytes, one by one", 250000, 16, 1024, false),
    FLOW("lists-64", "64 bytes, in lists of 64 blocks", 500000, 64, 64, true),
    FLOW("lists-mixed", "24 to 1024 bytes, in lists", 400000, 24, 1024, true),
    {.name = "prodcons/many",
     .what = "half the threads allocate, half free, one queue: 24 to 1024 bytes, in lists of 64",
     .ops = 600000,
     .step = LIST_BLOCKS,
     .clock = GBENCH_MANUAL,
     .run = run_many,
     .thread_counts = BENCH_THREAD_COUNTS(4, 16)},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
