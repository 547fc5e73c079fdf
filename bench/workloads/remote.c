/* SPDX-License-Identifier: MIT */
/*
 * Free by another thread, a batch at a time and nothing else. handover: one thread allocates a
 * batch while the other frees the one before, then they meet. pingpong: both allocate a batch,
 * they meet, and each frees what the other made. The batch is large enough that the meeting costs
 * little, and each block of it is freed far from the thread that could use it again.
 * Source: the producers and consumers for which snmalloc was made (Lietar et al., "snmalloc: a
 * message passing allocator", ISMM 2019); xmalloc-test of SuperMalloc (Kuszmaul, ISMM 2015).
 */
#include "workload.h"

#include "cores.h"

#include <stdalign.h>
#include <stdatomic.h>

enum { SIDES = 2, BATCH = 2000, LINE = 64 };

/* A row is what the two threads do in a round, and how many blocks that is. */
struct exchange {
    uint32_t low, high; /* sizes: log-uniform between them, or fixed when they are equal */
    bool both_ways;
};

struct side {
    alignas(LINE) _Atomic(uint64_t) rounds_done; /* written by this side, read by the other */
    uint64_t sum;
};

struct run {
    struct side side[SIDES];
    alignas(LINE) const struct exchange *exchange; /* read-only while the threads run */
    uint64_t rounds;
    struct bench_sizes sizes;
    void *batch[SIDES][BATCH];
};

/* Until the other side has done as many rounds. A barrier of the C library would put the threads
 * to sleep each time, and waking them costs more than the blocks do. */
static void meet(struct run *run, size_t index, uint64_t rounds)
{
    struct side *other = &run->side[1 - index];
    /* Release: publishes the blocks and the table; pairs with the other side's load below. */
    atomic_store_explicit(&run->side[index].rounds_done, rounds, memory_order_release);
    /* Acquire: what the other side did in this round is visible; pairs with its store above. */
    for (unsigned spins = 0;
         atomic_load_explicit(&other->rounds_done, memory_order_acquire) < rounds; spins++)
        bench_wait_a_little(spins);
}

static void allocate_batch(struct run *run, void **batch, uint64_t round)
{
    for (size_t i = 0; i < BATCH; i++)
        batch[i] = bench_alloc(bench_size(&run->sizes, round * BATCH + i));
}

static uint64_t free_batch(void **batch)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < BATCH; i++)
        sum += bench_free(batch[i]);
    return sum;
}

/* Side 0 is one batch ahead; the tables change places after each round. */
static uint64_t hand_over(struct run *run, size_t index)
{
    uint64_t sum = 0;
    for (uint64_t round = 0; round <= run->rounds; round++) {
        if (index == 0 && round < run->rounds)
            allocate_batch(run, run->batch[round % 2], round);
        if (index == 1 && round > 0)
            sum += free_batch(run->batch[(round - 1) % 2]);
        meet(run, index, round + 1);
    }
    return sum;
}

/* Each side's table is filled by itself and emptied by the other: they meet before and after. */
static uint64_t ping_pong(struct run *run, size_t index)
{
    uint64_t sum = 0;
    for (uint64_t round = 0; round < run->rounds; round++) {
        allocate_batch(run, run->batch[index], round);
        meet(run, index, 2 * round + 1);
        sum += free_batch(run->batch[1 - index]);
        meet(run, index, 2 * round + 2);
    }
    return sum;
}

static void work(void *context, size_t index)
{
    struct run *run = context;
    run->side[index].sum = (run->exchange->both_ways ? ping_pong : hand_over)(run, index);
}

static uint64_t run_exchange(struct gbench_state *state, const struct bench_run *how)
{
    struct run *run = bench_table(1, sizeof(*run));
    run->exchange = how->context;
    run->rounds = (uint64_t)how->ops / (run->exchange->both_ways ? SIDES * BATCH : BATCH);
    if (run->exchange->low == run->exchange->high)
        bench_sizes_fixed(&run->sizes, run->exchange->low);
    else
        bench_sizes_log_uniform(&run->sizes, run->exchange->low, run->exchange->high);
    while (gbench_keep_running_batch(state, how->ops))
        gbench_set_iteration_time(
            state, bench_team_run(&(struct bench_team){SIDES, NULL, work, NULL, run}));
    uint64_t sum = run->side[0].sum + run->side[1].sum;
    bench_table_drop(run, 1, sizeof(*run));
    return sum;
}

#define EXCHANGE(variant, words, count, ...)                                                       \
    {                                                                                              \
        .name = "remote/" variant, .what = "batches of 2000 blocks, " words, .ops = (count),       \
        .step = SIDES * BATCH, .clock = GBENCH_MANUAL, .run = run_exchange, .threads = SIDES,      \
        .context = &(const struct exchange)                                                        \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

#define ONE_WAY "one thread allocates, the other frees: "
#define BOTH_WAYS "2 threads free each other's: "

static const struct bench_row rows[] = {
    EXCHANGE("handover-64", ONE_WAY "64 bytes", 500000, 64, 64, false),
    EXCHANGE("handover-mixed", ONE_WAY "16 to 1024 bytes", 300000, 16, 1024, false),
    EXCHANGE("pingpong-64", BOTH_WAYS "64 bytes", 2500000, 64, 64, true),
    EXCHANGE("pingpong-mixed", BOTH_WAYS "16 to 1024 bytes", 1200000, 16, 1024, true),
};

BENCH_ROWS(BENCH_MICRO, rows)
