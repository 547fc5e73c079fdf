/* SPDX-License-Identifier: MIT */
/*
 * Random sizes with a working set: a table of live blocks, of which a random one is freed and
 * replaced at each step: caches, indexes, simulation objects. Blocks of all ages and sizes lie side
 * by side, most of them outside the first-level cache.
 * Source: Pareto sizes up to 1 KiB: alloc-test (OLogN Technologies, "Testing Memory Allocators:
 * ptmalloc2 vs tcmalloc vs hoard vs jemalloc", ithare.com, 2018). 8 to 16000 bytes: rptest, after
 * rpmalloc-benchmark (M. Jansson), whose linear and exponential size modes are `uniform` and
 * `log`; and its cross-thread mode, where threads free what others allocated, is `cross`.
 */
#include "workload.h"

#include <stdatomic.h>

typedef void fill_fn(struct bench_sizes *sizes, uint32_t low, uint32_t high);

struct mix {
    fill_fn *fill;
    uint32_t low, high;
    uint32_t slots;
};

static struct bench_sizes sizes;

/* One thread: every operation frees a random block and allocates its successor. */

enum { BATCH = 1000 };

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const struct mix *mix = how->context;
    struct bench_random random = {3};
    void **slot = bench_table(mix->slots, sizeof(slot[0]));
    uint64_t sum = 0;

    mix->fill(&sizes, mix->low, mix->high);
    for (uint32_t i = 0; i < mix->slots; i++)
        slot[i] = bench_alloc(bench_size(&sizes, bench_random(&random)));
    while (gbench_keep_running_batch(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            uint32_t at = bench_random_below(&random, mix->slots);
            sum += bench_free(slot[at]);
            slot[at] = bench_alloc(bench_size(&sizes, random.state >> 40));
        }
    }
    for (uint32_t i = 0; i < mix->slots; i++)
        sum += bench_free(slot[i]);
    bench_table_drop(slot, mix->slots, sizeof(slot[0]));
    return sum;
}

/* Two threads, each with its own table; one block in CROSS_ONE_IN goes through a shared table
 * instead, from which either thread takes it out and frees it. */

enum { CROSS_THREADS = 2, CROSS_ONE_IN = 4, SHARED_SLOTS = 512 };

struct cross {
    const struct mix *mix;
    int64_t ops_each;
    _Atomic(void *) shared[SHARED_SLOTS];
    void **slots[CROSS_THREADS];
    uint64_t sum[CROSS_THREADS];
};

static void cross_prepare(void *context, size_t index)
{
    struct cross *cross = context;
    struct bench_random random = {100 + index};
    for (uint32_t i = 0; i < cross->mix->slots; i++)
        cross->slots[index][i] = bench_alloc(bench_size(&sizes, bench_random(&random)));
}

static void cross_work(void *context, size_t index)
{
    struct cross *cross = context;
    struct bench_random random = {200 + index};
    void **slot = cross->slots[index];
    uint64_t sum = 0;
    for (int64_t i = 0; i < cross->ops_each; i++) {
        uint64_t drawn = bench_random(&random);
        void *block = bench_alloc(bench_size(&sizes, drawn >> 40));
        /* Release: the block's contents go with it. Acquire: they are read at the free. */
        if (drawn % CROSS_ONE_IN == 0)
            block = atomic_exchange_explicit(&cross->shared[(drawn >> 8) % SHARED_SLOTS], block,
                                             memory_order_acq_rel);
        if (block == NULL)
            continue;
        uint32_t at = bench_random_below(&random, cross->mix->slots);
        sum += bench_free(slot[at]);
        slot[at] = block;
    }
    cross->sum[index] = sum;
}

static void cross_finish(void *context, size_t index)
{
    struct cross *cross = context;
    for (uint32_t i = 0; i < cross->mix->slots; i++)
        cross->sum[index] += bench_free(cross->slots[index][i]);
}

static uint64_t run_cross(struct gbench_state *state, const struct bench_run *how)
{
    static struct cross cross;
    uint64_t sum = 0;
    cross.mix = how->context;
    cross.ops_each = how->ops / CROSS_THREADS;
    cross.mix->fill(&sizes, cross.mix->low, cross.mix->high);
    while (gbench_keep_running_batch(state, how->ops)) {
        for (size_t i = 0; i < CROSS_THREADS; i++)
            cross.slots[i] = bench_table(cross.mix->slots, sizeof(void *));
        gbench_set_iteration_time(
            state, bench_team_run(&(struct bench_team){CROSS_THREADS, cross_prepare, cross_work,
                                                       cross_finish, &cross}));
        for (size_t i = 0; i < CROSS_THREADS; i++) {
            sum += cross.sum[i];
            bench_table_drop(cross.slots[i], cross.mix->slots, sizeof(void *));
        }
        for (size_t i = 0; i < SHARED_SLOTS; i++) {
            void *block = atomic_exchange_explicit(&cross.shared[i], NULL, memory_order_relaxed);
            sum += block == NULL ? 0 : bench_free(block);
        }
    }
    return sum;
}

#define MIX(...) (&(const struct mix){__VA_ARGS__})

static const struct bench_row rows[] = {
    {"random/pareto-1k", "131072 live blocks of 16 to 1024 bytes, Pareto", 600000, BATCH,
     GBENCH_PROCESS_CPU, run, .context = MIX(bench_sizes_pareto, 16, 1024, 131072)},
    {"random/pareto-large", "400000 live blocks of 32 to 8192 bytes, Pareto, about 55 MiB", 400000,
     BATCH, GBENCH_PROCESS_CPU, run, .context = MIX(bench_sizes_pareto, 32, 8192, 400000)},
    {"random/uniform-16k", "4096 live blocks of 8 to 16000 bytes, uniform", 500000, BATCH,
     GBENCH_PROCESS_CPU, run, .context = MIX(bench_sizes_uniform, 8, 16000, 4096)},
    {"random/log-16k", "16384 live blocks of 8 to 16000 bytes, mostly small", 600000, BATCH,
     GBENCH_PROCESS_CPU, run, .context = MIX(bench_sizes_log_uniform, 8, 16000, 16384)},
    {"random/cross-16k", "8 to 16000 bytes, 2 threads, 1/4 handed across", 4000000, CROSS_THREADS,
     GBENCH_MANUAL, run_cross, .threads = CROSS_THREADS,
     .context = MIX(bench_sizes_log_uniform, 8, 16000, 8192)},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
