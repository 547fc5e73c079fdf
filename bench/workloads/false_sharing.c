/* SPDX-License-Identifier: MIT */
/*
 * False sharing: two threads that share no data write to small blocks of their own, again and
 * again. When the allocator has put blocks of both into one cache line, the line goes to and fro
 * between the cores with every few writes. Active (`thrash`): it hands neighbours to different
 * threads by itself. Passive (`scratch`): one thread allocates them side by side and gives them
 * away; each receiver frees its share, and may be handed just those again.
 * Few calls and many writes: an operation is a block freed, one allocated, and WRITES increments
 * spread over the thread's BLOCKS live blocks, so that the time is that of the writes. The threads
 * meet before every few operations: lines are shared only while both run. What counts is the time
 * on their cores between the meetings, without the waiting.
 * Source: cache-thrash and cache-scratch of Hoard (Berger, McKinley, Blumofe, Wilson, "Hoard: A
 * Scalable Memory Allocator for Multithreaded Applications", ASPLOS 2000, where they are called
 * active-false and passive-false), with several blocks in the place of one.
 */
#include "cores.h"
#include "workload.h"

#include <stdatomic.h>
#include <time.h>

enum { THREADS = 2, BLOCKS = 8, BYTES = 8, ROUNDS = 100, WRITES = ROUNDS * BLOCKS };
enum { TOGETHER = 100 };   /* operations from one meeting to the next */
enum { WRITTEN_BYTE = 5 }; /* neither the size nor the mark of a block */

struct sharing {
    bool passive;
    int64_t ops_each;
    _Atomic(uint64_t) turn, arrived;
    void *given[THREADS][BLOCKS];
    uint64_t sum[THREADS];
    double seconds[THREADS];
};

/* Acquire: what the others did before they were counted is visible. */
static void await(_Atomic(uint64_t) *count, uint64_t reached)
{
    for (unsigned spins = 0; atomic_load_explicit(count, memory_order_acquire) < reached; spins++)
        bench_wait_a_little(spins);
}

/* The threads allocate by turns, on every run alike: which blocks become neighbours must not
 * depend on who started first. */
static void alloc_by_turns(struct sharing *sharing, size_t index, void **block)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        await(&sharing->turn, i * THREADS + index);
        block[i] = bench_alloc(BYTES);
        atomic_fetch_add_explicit(&sharing->turn, 1, memory_order_release);
    }
}

static void prepare(void *context, size_t index)
{
    struct sharing *sharing = context;
    if (sharing->passive)
        for (unsigned i = 0; i < BLOCKS; i++)
            sharing->sum[index] += bench_free(sharing->given[index][i]);
}

static void write_blocks(void **block)
{
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < BLOCKS; i++)
            ++((volatile unsigned char *)block[i])[WRITTEN_BYTE];
}

static double own_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void work(void *context, size_t index)
{
    struct sharing *sharing = context;
    void *block[BLOCKS];
    uint64_t sum = 0;
    double seconds = 0;
    alloc_by_turns(sharing, index, block);
    for (int64_t i = 0; i < sharing->ops_each;) {
        atomic_fetch_add_explicit(&sharing->arrived, 1, memory_order_release);
        await(&sharing->arrived, THREADS * (uint64_t)(i / TOGETHER + 1));
        seconds -= own_seconds();
        for (int64_t end = i + TOGETHER; i < end; i++) {
            void **replaced = &block[i % BLOCKS];
            sum += bench_free(*replaced);
            *replaced = bench_alloc(BYTES);
            write_blocks(block);
        }
        seconds += own_seconds();
    }
    for (int i = 0; i < BLOCKS; i++)
        sum += bench_free(block[i]);
    sharing->sum[index] += sum;
    sharing->seconds[index] = seconds;
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    struct sharing sharing = {.passive = how->context != NULL, .ops_each = how->ops / THREADS};
    for (unsigned i = 0; sharing.passive && i < BLOCKS; i++)
        for (unsigned k = 0; k < THREADS; k++)
            sharing.given[k][i] = bench_alloc(BYTES);
    while (gbench_keep_running_batch(state, how->ops)) {
        bench_team_run(&(struct bench_team){THREADS, prepare, work, NULL, &sharing});
        gbench_set_iteration_time(state, (sharing.seconds[0] + sharing.seconds[1]) / THREADS);
    }
    return sharing.sum[0] + sharing.sum[1];
}

static const struct bench_row rows[] = {
    {"false-sharing/thrash", "800 writes to 8 blocks, then one replaced; 2 threads (cache-thrash)",
     100000, THREADS *TOGETHER, GBENCH_MANUAL, run, .threads = THREADS, .cpu_time = true},
    {"false-sharing/scratch", "the same, after freeing blocks that another thread had allocated",
     60000, THREADS *TOGETHER, GBENCH_MANUAL, run, .context = &rows, .threads = THREADS,
     .cpu_time = true},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
