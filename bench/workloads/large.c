/* SPDX-License-Identifier: MIT */
/*
 * Large blocks of 5 to 25 MiB: images, matrices, files read whole. A few are alive; a random one is
 * replaced by one of another size, and each page of the new one is written. The cost is in page
 * faults and system calls, or in the memory that an allocator keeps to avoid them.
 * Source: malloc-large of mimalloc-bench, in its version with buffers of 5 to 25 MiB.
 */
#include "workload.h"

enum { PAGE = 4096, LIVE_MAX = 8 };

static const uint32_t low_bytes = 5u << 20, high_bytes = 25u << 20;

static void *alloc_touched(uint32_t size)
{
    unsigned char *block = bench_alloc(size);
    for (uint32_t at = PAGE; at + 1 < size; at += PAGE)
        block[at] = (unsigned char)at | 1;
    return block;
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const uint32_t live = *(const uint32_t *)how->context;
    static struct bench_sizes sizes;
    struct bench_random random = {5};
    void *slot[LIVE_MAX];
    uint64_t sum = 0;

    bench_sizes_uniform(&sizes, low_bytes, high_bytes);
    for (uint32_t i = 0; i < live; i++)
        slot[i] = alloc_touched(bench_size(&sizes, bench_random(&random)));
    while (gbench_keep_running_batch(state, 1)) {
        uint32_t at = bench_random_below(&random, live);
        sum += bench_free(slot[at]);
        slot[at] = alloc_touched(bench_size(&sizes, random.state >> 40));
    }
    for (uint32_t i = 0; i < live; i++)
        sum += bench_free(slot[i]);
    return sum;
}

static const struct bench_row rows[] = {
    {"large/one", "blocks of 5 to 25 MiB, one after another", 100, 1, GBENCH_PROCESS_CPU, run,
     .context = &(const uint32_t){1}},
    {"large/eight", "blocks of 5 to 25 MiB, eight alive", 50, 1, GBENCH_PROCESS_CPU, run,
     .context = &(const uint32_t){LIVE_MAX}},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
