/* SPDX-License-Identifier: MIT */
/*
 * Larson's server: CHAINS connections are served at once, each by a thread that replaces random
 * blocks of the connection's table, and after a while starts a successor, hands it the table and
 * exits. So most blocks are freed by another thread than their maker, whose thread is gone.
 * Source: Larson, Krishnan, "Memory Allocation for Long-Running Server Applications", ISMM 1998;
 * sizes and slots as mimalloc-bench runs it (8 to 1000 bytes, 5000 blocks for each thread).
 */
#include "workload.h"

enum { CHAINS = 2, SLOTS = 5000, OPS_PER_THREAD = 50000 };

struct chain {
    void *slot[SLOTS];
    struct bench_random random;
    int64_t threads_left;
    uint64_t sum;
    pthread_t predecessor;
    bool has_predecessor;
    pthread_barrier_t *done;
};

static struct bench_sizes sizes;

static void replace_blocks(struct chain *chain)
{
    struct bench_random random = chain->random;
    uint64_t sum = 0;
    for (int i = 0; i < OPS_PER_THREAD; i++) {
        uint32_t at = bench_random_below(&random, SLOTS);
        sum += bench_free(chain->slot[at]);
        chain->slot[at] = bench_alloc(bench_size(&sizes, random.state >> 40));
    }
    chain->random = random;
    chain->sum += sum;
}

/* The table has one owner at a time: pthread_create publishes it to the successor. */
static void *serve(void *argument)
{
    struct chain *chain = argument;
    if (chain->has_predecessor)
        bench_thread_join(chain->predecessor);
    replace_blocks(chain);
    chain->predecessor = pthread_self();
    chain->has_predecessor = true;
    if (--chain->threads_left > 0)
        bench_thread_start(serve, chain);
    else
        pthread_barrier_wait(chain->done);
    return NULL;
}

static void serve_all(struct chain *chains, int64_t threads_each)
{
    pthread_barrier_t done;
    pthread_barrier_init(&done, NULL, CHAINS + 1);
    for (int i = 0; i < CHAINS; i++) {
        chains[i].threads_left = threads_each;
        chains[i].has_predecessor = false;
        chains[i].done = &done;
        bench_thread_start(serve, &chains[i]);
    }
    pthread_barrier_wait(&done);
    for (int i = 0; i < CHAINS; i++)
        bench_thread_join(chains[i].predecessor);
    pthread_barrier_destroy(&done);
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    struct chain *chains = bench_table(CHAINS, sizeof(chains[0]));
    uint64_t sum = 0;
    bench_sizes_uniform(&sizes, 8, 1000);
    for (int i = 0; i < CHAINS; i++) {
        chains[i].random.state = 300 + (uint64_t)i;
        for (int k = 0; k < SLOTS; k++)
            chains[i].slot[k] = bench_alloc(bench_size(&sizes, bench_random(&chains[i].random)));
    }
    while (gbench_keep_running_batch(state, how->ops))
        serve_all(chains, how->ops / (CHAINS * OPS_PER_THREAD));
    for (int i = 0; i < CHAINS; i++) {
        sum += chains[i].sum;
        for (int k = 0; k < SLOTS; k++)
            sum += bench_free(chains[i].slot[k]);
    }
    bench_table_drop(chains, CHAINS, sizeof(chains[0]));
    return sum;
}

static const struct bench_row rows[] = {
    {"larson/server", "8 to 1000 bytes, 2 threads, each replaced after 50000 blocks", 6000000,
     CHAINS *OPS_PER_THREAD, GBENCH_WALL, run, .threads = CHAINS},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
