/* SPDX-License-Identifier: MIT */
/*
 * Large blocks of 5 to 25 MiB: images, matrices, files read whole. A few are alive; a random one is
 * replaced by one of another size, and each page of the new one is written. The cost is in page
 * faults and system calls, or in the memory that an allocator keeps to avoid them.
 * Source: malloc-large of mimalloc-bench, in its version with buffers of 5 to 25 MiB, of which 20
 * are alive: `twenty`, where the new one is allocated before the old one is freed, as there. In the
 * others it is the other way round: what an allocator kept can be used again at once.
 */
#include "workload.h"

enum { PAGE = 4096, LIVE_MAX = 20 };

static const uint32_t low_bytes = 5u << 20, high_bytes = 25u << 20;

static void *alloc_touched(uint32_t size)
{
    unsigned char *block = bench_alloc(size);
    for (uint32_t at = PAGE; at + 1 < size; at += PAGE)
        block[at] = (unsigned char)at | 1;
    return block;
}

struct live {
    uint32_t blocks;
    bool before_free; /* allocate the successor first */
};

static uint64_t replace(void **slot, uint32_t size, bool before_free)
{
    void *old = *slot;
    uint64_t sum = before_free ? 0 : bench_free(old);
    *slot = alloc_touched(size);
    return before_free ? bench_free(old) : sum;
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const struct live *spec = how->context;
    const uint32_t live = spec->blocks;
    static struct bench_sizes sizes;
    struct bench_random random = {5};
    void *slot[LIVE_MAX];
    uint64_t sum = 0;

    bench_sizes_uniform(&sizes, low_bytes, high_bytes);
    for (uint32_t i = 0; i < live; i++)
        slot[i] = alloc_touched(bench_size(&sizes, bench_random(&random)));
    while (gbench_keep_running_batch(state, 1)) {
        uint32_t at = bench_random_below(&random, live);
        sum += replace(&slot[at], bench_size(&sizes, random.state >> 40), spec->before_free);
    }
    for (uint32_t i = 0; i < live; i++)
        sum += bench_free(slot[i]);
    return sum;
}

static const struct bench_row rows[] = {
    {"large/one", "blocks of 5 to 25 MiB, one after another", 100, 1, GBENCH_PROCESS_CPU, run,
     .context = &(const struct live){1, false}},
    {"large/eight", "blocks of 5 to 25 MiB, eight alive", 50, 1, GBENCH_PROCESS_CPU, run,
     .context = &(const struct live){8, false}},
    {"large/twenty", "blocks of 5 to 25 MiB, twenty alive, the new one before the old one goes", 40,
     1, GBENCH_PROCESS_CPU, run, .context = &(const struct live){LIVE_MAX, true}},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
