/* SPDX-License-Identifier: MIT */
/*
 * Larson's server: some connections are served at once, each by a thread that replaces random
 * blocks of the connection's table, and after a while starts a successor, hands it the table and
 * exits. So most blocks are freed by another thread than their maker, whose thread is gone.
 * Source: Larson, Krishnan, "Memory Allocation for Long-Running Server Applications", ISMM 1998;
 * sizes and slots as mimalloc-bench runs it (8 to 1000 bytes, 5000 blocks for each thread).
 */
#include "workload.h"

enum {
    SLOTS = 5000,             /* of a connection, while all have room for so many */
    TOTAL_SLOTS_MAX = 160000, /* about 80 MiB of blocks */
    REPLACED_BY_A_THREAD = 50000,
    STEP = 1000
};

struct connection {
    void *slot[SLOTS];
    uint32_t slots;
    struct bench_random random;
    int64_t ops_left;
    uint64_t sum;
    pthread_t predecessor;
    bool has_predecessor;
    pthread_barrier_t *done;
};

static struct bench_sizes sizes;

static void replace_blocks(struct connection *connection, int64_t count)
{
    struct bench_random random = connection->random;
    uint64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t at = bench_random_below(&random, connection->slots);
        sum += bench_free(connection->slot[at]);
        connection->slot[at] = bench_alloc(bench_size(&sizes, random.state >> 40));
    }
    connection->random = random;
    connection->sum += sum;
}

/* The table has one owner at a time: pthread_create publishes it to the successor. */
static void *serve(void *argument)
{
    struct connection *connection = argument;
    if (connection->has_predecessor)
        bench_thread_join(connection->predecessor);
    int64_t count =
        connection->ops_left < REPLACED_BY_A_THREAD ? connection->ops_left : REPLACED_BY_A_THREAD;
    replace_blocks(connection, count);
    connection->ops_left -= count;
    connection->predecessor = pthread_self();
    connection->has_predecessor = true;
    if (connection->ops_left > 0)
        bench_thread_start(serve, connection);
    else
        pthread_barrier_wait(connection->done);
    return NULL;
}

static void serve_all(struct connection *connections, size_t count, int64_t ops_each)
{
    pthread_barrier_t done;
    pthread_barrier_init(&done, NULL, (unsigned)count + 1);
    for (size_t i = 0; i < count; i++) {
        connections[i].ops_left = ops_each;
        connections[i].has_predecessor = false;
        connections[i].done = &done;
        bench_thread_start(serve, &connections[i]);
    }
    pthread_barrier_wait(&done);
    for (size_t i = 0; i < count; i++)
        bench_thread_join(connections[i].predecessor);
    pthread_barrier_destroy(&done);
}

static void fill_connection(struct connection *connection, size_t index, size_t count)
{
    connection->random.state = 300 + index;
    connection->slots = count * SLOTS <= TOTAL_SLOTS_MAX ? SLOTS : TOTAL_SLOTS_MAX / count;
    for (uint32_t i = 0; i < connection->slots; i++)
        connection->slot[i] = bench_alloc(bench_size(&sizes, bench_random(&connection->random)));
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const size_t count = how->threads;
    struct connection *connections = bench_table(count, sizeof(connections[0]));
    uint64_t sum = 0;
    bench_sizes_uniform(&sizes, 8, 1000);
    for (size_t i = 0; i < count; i++)
        fill_connection(&connections[i], i, count);
    while (gbench_keep_running_batch(state, how->ops))
        serve_all(connections, count, how->ops / (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        sum += connections[i].sum;
        for (uint32_t k = 0; k < connections[i].slots; k++)
            sum += bench_free(connections[i].slot[k]);
    }
    bench_table_drop(connections, count, sizeof(connections[0]));
    return sum;
}

static const struct bench_row rows[] = {
    {"larson", "a server's connections, 8 to 1000 bytes; threads replaced after 50000 blocks",
     9600000, STEP, GBENCH_WALL, run, .thread_counts = BENCH_THREAD_COUNTS(2, 8)},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
