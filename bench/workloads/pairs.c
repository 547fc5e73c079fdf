/* SPDX-License-Identifier: MIT */
/*
 * Pairs: a block is allocated, written at both ends, read and freed at once: the temporary object
 * of a function call. Of the small ones only the fast path runs, in the first-level cache. Of the
 * large ones only the first and the last page are touched, so that the row shows what finding the
 * memory costs, and not what filling it does; large/ and calloc/ write every page. mixed: sizes
 * that change with every pair, most of them between the size classes of any allocator.
 * Source: bench_fastpath_simple of gperftools' malloc_bench; bench-malloc-simple of glibc's
 * benchtests, with one block.
 */
#include "workload.h"

enum { BATCH = 500, KIB = 1 << 10, MIB = 1 << 20 };

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

static uint64_t run_mixed(struct gbench_state *state, const struct bench_run *how)
{
    static struct bench_sizes sizes;
    uint64_t sum = 0, next = 0;
    (void)how;
    bench_sizes_log_uniform(&sizes, 8, 1024);
    while (gbench_keep_running_batch(state, BATCH)) {
        for (int i = 0; i < BATCH; i++)
            sum += bench_free(bench_alloc(bench_size(&sizes, next++)));
    }
    return sum;
}

#define PAIRS(variant, bytes, words, count)                                                        \
    {                                                                                              \
        .name = "pairs/" variant, .what = "malloc and free of one block of " words,                \
        .ops = (count), .step = BATCH, .clock = GBENCH_PROCESS_CPU, .run = run,                    \
        .context = &(const uint32_t)                                                               \
        {                                                                                          \
            bytes                                                                                  \
        }                                                                                          \
    }

#define ENDS ", of which the first and the last page are touched"

static const struct bench_row rows[] = {
    PAIRS("8", 8, "8 bytes", 4000000),
    PAIRS("16", 16, "16 bytes", 4000000),
    PAIRS("64", 64, "64 bytes", 4000000),
    PAIRS("72", 72, "72 bytes", 4000000),
    PAIRS("256", 256, "256 bytes", 4000000),
    PAIRS("1024", 1024, "1024 bytes", 4000000),
    PAIRS("4096", 4096, "4096 bytes", 1700000),
    PAIRS("16384", 16 * KIB, "16 KiB" ENDS, 1700000),
    PAIRS("65536", 64 * KIB, "64 KiB" ENDS, 500000),
    PAIRS("1m", MIB, "1 MiB" ENDS, 500000),
    PAIRS("4m", 4 * MIB, "4 MiB" ENDS, 670000),
    PAIRS("64m", 64 * MIB, "64 MiB" ENDS, 30000),
    {"pairs/mixed", "malloc and free of one block, 8 to 1024 bytes, another size each time",
     3000000, BATCH, GBENCH_PROCESS_CPU, run_mixed, .context = NULL},
};

BENCH_ROWS(BENCH_MICRO, rows)
