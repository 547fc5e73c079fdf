/* SPDX-License-Identifier: MIT */
/*
 * Many threads with the same total working set: TOTAL_SLOTS live blocks are shared out among 1 to
 * 256 threads, which together do the same number of operations: a server with a thread for each
 * connection. With more threads than cores, an allocator that keeps much for each thread, or waits
 * for a preempted one, shows it here. The working set is about what two second-level caches hold:
 * were it larger, the smaller shares of many threads would win by their locality alone. Each of
 * 256 threads has some thousand operations of a steady state behind its first blocks of each size:
 * what it takes to wake that many and to begin is not what an operation takes.
 * Source: bench-malloc-thread of glibc's benchtests (random blocks replaced in each thread's own
 * table), with the working set held constant over the thread counts.
 */
#include "workload.h"

enum { TOTAL_SLOTS = 8192 };

struct shares {
    void **slot;
    size_t threads;
    int64_t ops_each;
    uint64_t *sum;
};

static struct bench_sizes sizes;

static void prepare(void *context, size_t index)
{
    struct shares *shares = context;
    struct bench_random random = {600 + index};
    size_t each = TOTAL_SLOTS / shares->threads;
    for (size_t i = 0; i < each; i++)
        shares->slot[index * each + i] = bench_alloc(bench_size(&sizes, bench_random(&random)));
}

static void work(void *context, size_t index)
{
    struct shares *shares = context;
    struct bench_random random = {700 + index};
    uint32_t each = (uint32_t)(TOTAL_SLOTS / shares->threads);
    void **slot = shares->slot + index * each;
    uint64_t sum = 0;
    for (int64_t i = 0; i < shares->ops_each; i++) {
        uint32_t at = bench_random_below(&random, each);
        sum += bench_free(slot[at]);
        slot[at] = bench_alloc(bench_size(&sizes, random.state >> 40));
    }
    shares->sum[index] = sum;
}

static void finish(void *context, size_t index)
{
    struct shares *shares = context;
    size_t each = TOTAL_SLOTS / shares->threads;
    for (size_t i = 0; i < each; i++)
        shares->sum[index] += bench_free(shares->slot[index * each + i]);
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    struct shares shares = {.threads = how->threads};
    uint64_t sum = 0;
    bench_sizes_log_uniform(&sizes, 16, 1024);
    shares.ops_each = how->ops / (int64_t)shares.threads;
    shares.slot = bench_table(TOTAL_SLOTS, sizeof(shares.slot[0]));
    shares.sum = bench_table(shares.threads, sizeof(shares.sum[0]));
    while (gbench_keep_running_batch(state, how->ops))
        gbench_set_iteration_time(state, bench_team_run(&(struct bench_team){
                                             shares.threads, prepare, work, finish, &shares}));
    for (size_t i = 0; i < shares.threads; i++)
        sum += shares.sum[i];
    bench_table_drop(shares.slot, TOTAL_SLOTS, sizeof(shares.slot[0]));
    bench_table_drop(shares.sum, shares.threads, sizeof(shares.sum[0]));
    return sum;
}

static const struct bench_row rows[] = {
    {"threads", "8192 live blocks, shared out to the threads", 8000000, 0, GBENCH_MANUAL, run,
     .thread_counts = BENCH_THREAD_COUNTS(1, 2, 4, 16, 64, 256)},
};

BENCH_ROWS(BENCH_MICRO, rows)
