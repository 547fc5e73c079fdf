/* SPDX-License-Identifier: MIT */
/*
 * Realloc: arrays that grow by half when they are full, and buffers that are cut to what is in
 * them. An operation is one realloc. The contents are checked at both ends after each.
 *
 * grow: one array from 16 bytes to its full size, again and again; each page that is added is
 * written, as by a program that fills it. An allocator gains by growing in place, or by moving
 * pages instead of bytes. many: several such arrays grow in turn, so that each stands in
 * the way of the others, as do the columns of a table that is being read.
 * Source: the documentation of folly's FBVector, on its growth by 1.5 and on what realloc that
 * stays in place would save.
 *
 * cut: a block of the size of the largest message is filled, cut to what came, and kept a while;
 * shrink: a buffer loses a sixteenth at a time, down to about a half.
 * Source: shrink_to_fit of the arrays of Apache Arrow in Rust (its pull request 6790), and the
 * shrinking in place that the Rust bindings of jemalloc describe (jemallocator, 59 and 92).
 */
#include "workload.h"

#include <string.h>

enum { PAGE = 4096, KIB = 1 << 10, MIB = 1 << 20, FIRST_BYTES = 16, ARRAYS_MAX = 64 };

/* Writes in each page that lies between the ends of what was added. */
static void *grow(void *block, uint32_t size)
{
    uint32_t old = bench_block_size(block);
    unsigned char *bytes = bench_resize(block, size);
    for (uint32_t at = (old + PAGE - 1) / PAGE * PAGE; at + 1 < size; at += PAGE)
        bytes[at] = (unsigned char)(at >> 12) | 1;
    return bytes;
}

/* How often an array grows by half from FIRST_BYTES; the last growth is cut or stretched to end at
 * a round size. */
enum { GROWTHS_TO_4K = 14, GROWTHS_TO_1M = 28, GROWTHS_TO_256M = 41 };

struct growth {
    uint32_t growths, arrays, last_bytes;
};

static uint64_t run_growth(struct gbench_state *state, const struct bench_run *how)
{
    const struct growth *growth = how->context;
    void *array[ARRAYS_MAX];
    uint64_t sum = 0;
    while (gbench_keep_running_batch(state, (int64_t)growth->growths * growth->arrays)) {
        uint32_t size = FIRST_BYTES;
        for (uint32_t i = 0; i < growth->arrays; i++)
            array[i] = bench_alloc(size);
        for (uint32_t k = 1; k <= growth->growths; k++) {
            size = k < growth->growths ? size + size / 2 : growth->last_bytes;
            for (uint32_t i = 0; i < growth->arrays; i++)
                array[i] = grow(array[i], size);
        }
        for (uint32_t i = 0; i < growth->arrays; i++)
            sum += bench_free(array[i]);
    }
    return sum;
}

enum { KEPT = 1024, CUT_STEP = 64 };

struct cut {
    uint32_t full, low; /* from the full size to one of low..full, log-uniform */
};

static uint64_t run_cut(struct gbench_state *state, const struct bench_run *how)
{
    const struct cut *cut = how->context;
    static struct bench_sizes sizes;
    static void *kept[KEPT];
    uint64_t sum = 0, count = 0;
    bench_sizes_log_uniform(&sizes, cut->low, cut->full);
    for (size_t i = 0; i < KEPT; i++)
        kept[i] = bench_alloc(bench_size(&sizes, i));
    while (gbench_keep_running_batch(state, CUT_STEP)) {
        for (int i = 0; i < CUT_STEP; i++, count++) {
            unsigned char *buffer = bench_alloc(cut->full);
            uint32_t used = bench_size(&sizes, count);
            memset(buffer + sizeof(uint32_t), 1, used - sizeof(uint32_t));
            sum += bench_free(kept[count % KEPT]);
            kept[count % KEPT] = bench_resize(buffer, used);
        }
    }
    for (size_t i = 0; i < KEPT; i++)
        sum += bench_free(kept[i]);
    return sum;
}

enum { SHRINKS = 8 };

static uint64_t run_shrink(struct gbench_state *state, const struct bench_run *how)
{
    const uint32_t full = *(const uint32_t *)how->context;
    uint64_t sum = 0;
    while (gbench_keep_running_batch(state, SHRINKS)) {
        void *block = bench_alloc(full);
        for (uint32_t i = 1; i <= SHRINKS; i++)
            block = bench_resize(block, full - full / 16 * i);
        sum += bench_free(block);
    }
    return sum;
}

#define GROW(variant, words, steps, growths, arrays, last_bytes)                                   \
    {                                                                                              \
        .name = "realloc/" variant, .what = words, .ops = (int64_t)(steps) * (growths) * (arrays), \
        .step = (int64_t)(growths) * (arrays), .clock = GBENCH_PROCESS_CPU, .run = run_growth,     \
        .context = &(const struct growth)                                                          \
        {                                                                                          \
            growths, arrays, last_bytes                                                            \
        }                                                                                          \
    }

static const struct bench_row rows[] = {
    GROW("grow-4k", "an array grows by half from 16 bytes to 4 KiB, over and over", 100000,
         GROWTHS_TO_4K, 1, 4 * KIB),
    GROW("grow-1m", "an array grows by half from 16 bytes to 1 MiB, over and over", 4000,
         GROWTHS_TO_1M, 1, MIB),
    GROW("grow-256m", "an array grows by half from 16 bytes to 256 MiB and is filled", 1,
         GROWTHS_TO_256M, 1, 256 * MIB),
    GROW("many-4k", "64 arrays grow by half in turn from 16 bytes to 4 KiB", 1500, GROWTHS_TO_4K,
         64, 4 * KIB),
    GROW("many-1m", "8 arrays grow by half in turn from 16 bytes to 1 MiB", 32, GROWTHS_TO_1M, 8,
         MIB),
    {"realloc/cut", "buffers of 4 KiB, cut to 16 to 4096 bytes, of which 1024 are kept", 330000,
     CUT_STEP, GBENCH_PROCESS_CPU, run_cut, .context = &(const struct cut){4 * KIB, 16}},
    {"realloc/shrink-1024", "a block of 1 KiB shrinks to a half in 8 steps", 1300000, SHRINKS,
     GBENCH_PROCESS_CPU, run_shrink, .context = &(const uint32_t){KIB}},
    {"realloc/shrink-65536", "a block of 64 KiB shrinks to a half in 8 steps", 670000, SHRINKS,
     GBENCH_PROCESS_CPU, run_shrink, .context = &(const uint32_t){64 * KIB}},
};

BENCH_ROWS(BENCH_MICRO, rows)
