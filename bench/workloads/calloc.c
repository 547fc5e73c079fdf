/* SPDX-License-Identifier: MIT */
/*
 * Calloc: hash tables, interpreter frames, I/O buffers. Each block is checked to be zero at both
 * ends, and written in each of its pages.
 *
 * reused: one block at a time, which comes back dirty: the allocator must clear it, or get cleared
 * memory from the system. Source: bench-calloc-simple of glibc's benchtests.
 *
 * fresh: every block stays, so that all of the memory is new to the process. The system has zeroed
 * it already; an allocator that knows this need not do so again. sparse: the same, but of each
 * block only the first and the last page are touched, as in a large table that stays nearly empty:
 * clearing it would cost its memory, too. Source: N. J. Smith, "Why does calloc exist?", 2016.
 */
#include "workload.h"

enum { STEP = 16, PAGE = 4096, KIB = 1 << 10, MIB = 1 << 20 };

static void *alloc_touched(uint32_t size)
{
    unsigned char *bytes = bench_alloc_zeroed(size);
    for (uint32_t at = PAGE; at + 1 < size; at += PAGE)
        bytes[at] = (unsigned char)(at >> 12) | 1;
    return bytes;
}

static uint64_t run_reused(struct gbench_state *state, const struct bench_run *how)
{
    const uint32_t size = *(const uint32_t *)how->context;
    uint64_t sum = 0;
    while (gbench_keep_running_batch(state, STEP)) {
        for (int i = 0; i < STEP; i++)
            sum += bench_free(alloc_touched(size));
    }
    return sum;
}

struct fresh {
    uint32_t size;
    bool sparse;
};

/* Freeing them is not part of the time. */
static uint64_t run_fresh(struct gbench_state *state, const struct bench_run *how)
{
    const struct fresh *fresh = how->context;
    void **blocks = bench_table((size_t)how->ops, sizeof(blocks[0]));
    int64_t count = 0;
    uint64_t sum = 0;
    while (gbench_keep_running_batch(state, STEP)) {
        for (int i = 0; i < STEP; i++)
            blocks[count++] =
                fresh->sparse ? bench_alloc_zeroed(fresh->size) : alloc_touched(fresh->size);
    }
    for (int64_t i = 0; i < count; i++)
        sum += bench_free(blocks[i]);
    bench_table_drop(blocks, (size_t)how->ops, sizeof(blocks[0]));
    return sum;
}

#define REUSED(variant, bytes, words, count)                                                       \
    {                                                                                              \
        .name = "calloc/reused-" variant, .what = "calloc and free of one dirty block of " words,  \
        .ops = (count), .step = STEP, .clock = GBENCH_PROCESS_CPU, .run = run_reused,              \
        .context = &(const uint32_t)                                                               \
        {                                                                                          \
            bytes                                                                                  \
        }                                                                                          \
    }

#define FRESH(variant, words, count, ...)                                                          \
    {                                                                                              \
        .name = "calloc/" variant, .what = words, .ops = (count), .step = STEP,                    \
        .clock = GBENCH_PROCESS_CPU, .run = run_fresh, .context = &(const struct fresh)            \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct bench_row rows[] = {
    REUSED("64", 64, "64 bytes", 2700000),
    REUSED("1024", KIB, "1 KiB", 1700000),
    REUSED("16384", 16 * KIB, "16 KiB", 400000),
    REUSED("262144", 256 * KIB, "256 KiB", 8000),
    FRESH("fresh-64", "96 MiB of new memory in blocks of 64 bytes", 96 * MIB / 64, 64, false),
    FRESH("fresh-1024", "96 MiB of new memory in blocks of 1 KiB", 96 * KIB, KIB, false),
    FRESH("fresh-16384", "96 MiB of new memory in blocks of 16 KiB", 6 * KIB, 16 * KIB, false),
    FRESH("fresh-1m", "96 MiB of new memory in blocks of 1 MiB", 96, MIB, false),
    FRESH("sparse-1m", "256 blocks of 1 MiB, new, touched at both ends only", 256, MIB, true),
};

BENCH_ROWS(BENCH_MICRO, rows)
