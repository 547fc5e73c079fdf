/* SPDX-License-Identifier: MIT */
/*
 * Pairs: a block is allocated, written at both ends, read and freed at once: the temporary object
 * of a function call. Only the fast path runs, in the first-level cache.
 * Source: bench_fastpath_simple of gperftools' malloc_bench; bench-malloc-simple of glibc's
 * benchtests, with one block.
 */
#include "workload.h"

enum { BATCH = 1000 };

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const uint32_t size = *(const uint32_t *)how->context;
    uint64_t sum = 0;
    while (gbench_keep_running_batch(state, BATCH)) {
        for (int i = 0; i < BATCH; i++)
            sum += bench_free(bench_alloc(size));
    }
    return sum;
}

#define PAIRS(bytes, count)                                                                        \
    {                                                                                              \
        .name = "pairs/" #bytes, .what = "malloc and free of one block of " #bytes " bytes",       \
        .ops = (count), .step = BATCH, .clock = GBENCH_PROCESS_CPU, .run = run,                    \
        .context = &(const uint32_t)                                                               \
        {                                                                                          \
            bytes                                                                                  \
        }                                                                                          \
    }

static const struct bench_row rows[] = {
    PAIRS(16, 15000000),   PAIRS(64, 15000000),  PAIRS(256, 15000000),
    PAIRS(1024, 15000000), PAIRS(4096, 6000000), PAIRS(65536, 1000000),
};

BENCH_ROWS(BENCH_MICRO, rows)
