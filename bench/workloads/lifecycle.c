/* SPDX-License-Identifier: MIT */
/*
 * Thread start and exit: AT_ONCE threads are started, each allocates its blocks, frees them and
 * ends, and the next ones are started when all have: a server with a thread for each connection, a
 * tool that starts workers for each file. An operation is a thread. What an allocator sets up for a
 * thread at its first block, and takes down at its end, is paid for a few blocks only.
 *
 * one: a single block. classes: 100 blocks of 100 sizes. left: the same, but the starter frees them
 * when the thread has gone.
 * Source: after mleak of mimalloc-bench, a test of leaks and no benchmark, whose threads allocate
 * and end, in rounds; here is timed what that costs.
 */
#include "workload.h"

enum { AT_ONCE = 2, BLOCKS_MAX = 100, LOW_BYTES = 8, HIGH_BYTES = 16384 };

struct life {
    uint32_t blocks;
    uint32_t low, high; /* sizes: log-uniform between them, each thread the same */
    bool left_behind;
};

struct visitor {
    const struct life *life;
    const uint32_t *size;
    void *block[BLOCKS_MAX];
    uint64_t sum;
};

static uint64_t free_blocks(struct visitor *visitor)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < visitor->life->blocks; i++)
        sum += bench_free(visitor->block[i]);
    return sum;
}

static void *visit(void *argument)
{
    struct visitor *visitor = argument;
    for (uint32_t i = 0; i < visitor->life->blocks; i++)
        visitor->block[i] = bench_alloc(visitor->size[i]);
    if (!visitor->life->left_behind)
        visitor->sum += free_blocks(visitor);
    return NULL;
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const struct life *life = how->context;
    static struct bench_sizes sizes;
    static struct visitor visitor[AT_ONCE];
    uint64_t sum = 0;

    bench_sizes_log_uniform(&sizes, life->low, life->high);
    for (size_t i = 0; i < AT_ONCE; i++)
        visitor[i] = (struct visitor){.life = life, .size = sizes.size};
    while (gbench_keep_running_batch(state, AT_ONCE)) {
        pthread_t thread[AT_ONCE];
        for (size_t i = 0; i < AT_ONCE; i++)
            thread[i] = bench_thread_start(visit, &visitor[i]);
        for (size_t i = 0; i < AT_ONCE; i++)
            bench_thread_join(thread[i]);
        for (size_t i = 0; i < AT_ONCE && life->left_behind; i++)
            sum += free_blocks(&visitor[i]);
    }
    for (size_t i = 0; i < AT_ONCE; i++)
        sum += visitor[i].sum;
    return sum;
}

#define LIFE(variant, words, count, ...)                                                           \
    {                                                                                              \
        .name = "lifecycle/" variant, .what = "start and end of a thread, 2 at once: " words,      \
        .ops = (count), .step = AT_ONCE, .clock = GBENCH_PROCESS_CPU, .run = run,                  \
        .threads = AT_ONCE, .unit = "thread", .context = &(const struct life)                      \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct bench_row rows[] = {
    LIFE("one", "one block of 64 bytes", 8000, 1, 64, 64, false),
    LIFE("classes", "100 blocks of 8 bytes to 16 KiB", 3600, 100, LOW_BYTES, HIGH_BYTES, false),
    LIFE("left", "100 blocks, freed by the starter", 3000, 100, LOW_BYTES, HIGH_BYTES, true),
};

BENCH_ROWS(BENCH_MICRO, rows)
