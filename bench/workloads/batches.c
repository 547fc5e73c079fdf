/* SPDX-License-Identifier: MIT */
/*
 * Batches: BLOCKS blocks are allocated, then all are freed: the nodes of a request, of a parse
 * tree or of a query result. They are freed in the order of allocation, in reverse, or in a fixed
 * random order.
 * Source: threadtest of Hoard (Berger, McKinley, Blumofe, Wilson, ASPLOS 2000) with one thread;
 * bench-malloc-simple of glibc's benchtests; fastpath_stack and fastpath_rnd of gperftools'
 * malloc_bench for the orders.
 */
#include "workload.h"

enum { BLOCKS = 5000 };

enum order { IN_ORDER, REVERSE, RANDOM };

struct batch {
    enum order order;
    uint32_t low, high; /* sizes: log-uniform between them, or fixed when they are equal */
};

static void fill_order(uint32_t *order, enum order kind)
{
    struct bench_random random = {2};
    for (uint32_t i = 0; i < BLOCKS; i++)
        order[i] = kind == REVERSE ? BLOCKS - 1 - i : i;
    for (uint32_t i = BLOCKS - 1; kind == RANDOM && i > 0; i--) {
        uint32_t other = bench_random_below(&random, i + 1);
        uint32_t swapped = order[i];
        order[i] = order[other];
        order[other] = swapped;
    }
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const struct batch *batch = how->context;
    static struct bench_sizes sizes;
    static uint32_t order[BLOCKS];
    static void *blocks[BLOCKS];
    uint64_t sum = 0;

    if (batch->low == batch->high)
        bench_sizes_fixed(&sizes, batch->low);
    else
        bench_sizes_log_uniform(&sizes, batch->low, batch->high);
    fill_order(order, batch->order);
    while (gbench_keep_running_batch(state, BLOCKS)) {
        for (int i = 0; i < BLOCKS; i++)
            blocks[i] = bench_alloc(bench_size(&sizes, (uint64_t)i));
        for (int i = 0; i < BLOCKS; i++)
            sum += bench_free(blocks[order[i]]);
    }
    return sum;
}

#define BATCH(variant, words, count, ...)                                                          \
    {                                                                                              \
        .name = "batches/" variant, .what = "5000 blocks of " words, .ops = (count),               \
        .step = BLOCKS, .clock = GBENCH_PROCESS_CPU, .run = run, .context = &(const struct batch)  \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct bench_row rows[] = {
    BATCH("64-fifo", "64 bytes, freed in order", 2700000, IN_ORDER, 64, 64),
    BATCH("64-lifo", "64 bytes, freed in reverse", 2700000, REVERSE, 64, 64),
    BATCH("64-random", "64 bytes, freed in random order", 2700000, RANDOM, 64, 64),
    BATCH("mixed-fifo", "16 to 2048 bytes, freed in order", 830000, IN_ORDER, 16, 2048),
    BATCH("mixed-lifo", "16 to 2048 bytes, freed in reverse", 830000, REVERSE, 16, 2048),
    BATCH("mixed-random", "16 to 2048 bytes, freed in random order", 830000, RANDOM, 16, 2048),
};

BENCH_ROWS(BENCH_MICRO, rows)
