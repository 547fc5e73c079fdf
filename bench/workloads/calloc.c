/* SPDX-License-Identifier: MIT */
/*
 * Calloc: a zeroed block is allocated, checked to be zero at both ends, written in each of its
 * pages, and freed: hash tables, interpreter frames, I/O buffers. The block comes back dirty, so
 * the allocator must clear it, or get cleared memory from the system.
 * Source: bench-calloc-simple of glibc's benchtests.
 */
#include "workload.h"

enum { BATCH = 100, PAGE = 4096 };

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const uint32_t size = *(const uint32_t *)how->context;
    uint64_t sum = 0;
    while (gbench_keep_running_batch(state, BATCH)) {
        for (int i = 0; i < BATCH; i++) {
            unsigned char *block = calloc(1, size);
            if (block == NULL || block[0] != 0 || block[size - 1] != 0)
                bench_die("calloc(1, %u) did not return zeroed memory", size);
            for (uint32_t at = 0; at < size; at += PAGE)
                block[at] = (unsigned char)size | 1;
            block[size - 1] = bench_mark(size);
            sum += block[0] + block[size - 1];
            free(block);
        }
    }
    return sum;
}

#define CALLOC(variant, bytes, count)                                                              \
    {                                                                                              \
        .name = "calloc/" variant, .what = "calloc and free of one block of " #bytes " bytes",     \
        .ops = (count), .step = BATCH, .clock = GBENCH_PROCESS_CPU, .run = run,                    \
        .context = &(const uint32_t)                                                               \
        {                                                                                          \
            bytes                                                                                  \
        }                                                                                          \
    }

static const struct bench_row rows[] = {
    CALLOC("64", 64, 8000000),
    CALLOC("1024", 1024, 6000000),
    CALLOC("16384", 16384, 1000000),
    CALLOC("262144", 262144, 10000),
};

BENCH_ROWS(BENCH_MICRO, rows)
