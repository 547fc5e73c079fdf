/* SPDX-License-Identifier: MIT */
/*
 * Aligned blocks: vectors for SIMD instructions (32 bytes), structures with cache lines of their
 * own (64), buffers for direct I/O (4096). A random one of LIVE blocks is replaced at each step.
 * The alignment is often larger than the size: an allocator that aligns by asking for more shows it
 * in memory.
 * Source: bench_fastpath_memalign of gperftools' malloc_bench (pairs of alignment 32), with a
 * working set instead of one block; the sizes are from the three uses above. Alignments of 256 to
 * 1024 are left out: mimalloc 2.0.9, which Debian 12 has, does not keep them for blocks of just
 * that size (its bug report 700), so that a row with them would give it no time at all.
 */
#include "workload.h"

enum { LIVE = 1024, STEP = 100, KIB = 1 << 10 };

struct aligned {
    uint32_t low, high; /* sizes: log-uniform between them, or fixed when they are equal */
    uint32_t alignment; /* 0: 32, 64 and 4096 in turn */
};

/* Of each four blocks of the mix one is aligned to a page. */
static size_t alignment_of(const struct aligned *aligned, uint32_t i)
{
    static const uint32_t mixed[] = {32, 64, 32, 4096};
    return aligned->alignment != 0 ? aligned->alignment : mixed[i % 4];
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const struct aligned *aligned = how->context;
    static struct bench_sizes sizes;
    static void *live[LIVE];
    struct bench_random random = {800};
    uint64_t sum = 0;

    if (aligned->low == aligned->high)
        bench_sizes_fixed(&sizes, aligned->low);
    else
        bench_sizes_log_uniform(&sizes, aligned->low, aligned->high);
    for (size_t i = 0; i < LIVE; i++)
        live[i] = bench_alloc_aligned(alignment_of(aligned, (uint32_t)i), bench_size(&sizes, i));
    while (gbench_keep_running_batch(state, STEP)) {
        for (uint32_t i = 0; i < STEP; i++) {
            uint32_t at = bench_random_below(&random, LIVE);
            sum += bench_free(live[at]);
            live[at] = bench_alloc_aligned(alignment_of(aligned, i),
                                           bench_size(&sizes, random.state >> 40));
        }
    }
    for (size_t i = 0; i < LIVE; i++)
        sum += bench_free(live[i]);
    return sum;
}

#define ALIGNED(variant, words, count, ...)                                                        \
    {                                                                                              \
        .name = "aligned/" variant, .what = "posix_memalign, 1024 live blocks: " words,            \
        .ops = (count), .step = STEP, .clock = GBENCH_PROCESS_CPU, .run = run,                     \
        .context = &(const struct aligned)                                                         \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct bench_row rows[] = {
    ALIGNED("32-to-256", "aligned to 32, 16 to 256 bytes", 330000, 16, 256, 32),
    ALIGNED("32-to-4096", "aligned to 32, 16 to 4096 bytes", 270000, 16, 4 * KIB, 32),
    ALIGNED("64-to-256", "aligned to 64, 16 to 256 bytes", 330000, 16, 256, 64),
    ALIGNED("64-to-4096", "aligned to 64, 16 to 4096 bytes", 270000, 16, 4 * KIB, 64),
    ALIGNED("4096-of-4096", "aligned to 4096, 4096 bytes", 170000, 4 * KIB, 4 * KIB, 4096),
    ALIGNED("4096-to-65536", "aligned to 4096, 512 bytes to 64 KiB", 100000, 512, 64 * KIB, 4096),
    ALIGNED("mix", "aligned to 32, 64 or 4096, 16 to 4096 bytes", 230000, 16, 4 * KIB, 0),
};

BENCH_ROWS(BENCH_MICRO, rows)
