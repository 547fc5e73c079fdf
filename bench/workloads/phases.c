/* SPDX-License-Identifier: MIT */
/*
 * Server phases: in each phase new threads serve requests of unequal weight, pass some objects to
 * each other, free most of the rest and exit; what survives is freed by threads of later phases.
 * Source: mstress of mimalloc (Leijen, Zorn, de Moura, "Mimalloc: Free List Sharding in Action",
 * MSR-TR-2019-18): "real-world server-like allocation patterns", where objects migrate between
 * threads and survive the phases.
 */
#include "workload.h"

#include <stdatomic.h>

enum {
    THREADS_MAX = BENCH_THREADS_MAX,
    SLOTS = 4096,            /* live objects of a thread at most */
    STEPS_PER_PHASE = 80000, /* over all threads of the phase */
    TRANSFER_SLOTS = 1024,
    TRANSFER_ONE_IN = 8,
    SURVIVOR_ONE_IN = 4
};

struct server;

struct seat {
    struct server *server;
    struct bench_random random;
    int64_t steps;
    uint64_t sum;
    void *slot[SLOTS];
};

struct server {
    _Atomic(void *) transfer[TRANSFER_SLOTS];
    struct bench_sizes sizes;
    struct seat seat[THREADS_MAX];
};

static void serve_requests(struct seat *seat)
{
    struct server *server = seat->server;
    for (int64_t i = 0; i < seat->steps; i++) {
        uint64_t drawn = bench_random(&seat->random);
        void *block = bench_alloc(bench_size(&server->sizes, drawn >> 40));
        /* Release and acquire: the object's contents go with it. */
        if (drawn % TRANSFER_ONE_IN == 0)
            block = atomic_exchange_explicit(&server->transfer[(drawn >> 8) % TRANSFER_SLOTS],
                                             block, memory_order_acq_rel);
        void **slot = &seat->slot[(drawn >> 20) % SLOTS];
        if (*slot != NULL)
            seat->sum += bench_free(*slot);
        *slot = block;
    }
}

static void *serve_phase(void *argument)
{
    struct seat *seat = argument;
    serve_requests(seat);
    for (size_t i = 0; i < SLOTS; i++) {
        if (seat->slot[i] == NULL || bench_random(&seat->random) % SURVIVOR_ONE_IN == 0)
            continue;
        seat->sum += bench_free(seat->slot[i]);
        seat->slot[i] = NULL;
    }
    return NULL;
}

/* The weights of the seats are 1, 2, 1, 2 ... */
static void run_phase(struct server *server, size_t threads)
{
    pthread_t thread[THREADS_MAX];
    int64_t unit = STEPS_PER_PHASE / ((int64_t)threads * 3 / 2), given = 0;
    for (size_t i = 0; i < threads; i++) {
        struct seat *seat = &server->seat[i];
        seat->server = server;
        seat->steps = i + 1 == threads ? STEPS_PER_PHASE - given : unit * (i % 2 == 0 ? 1 : 2);
        given += seat->steps;
        thread[i] = bench_thread_start(serve_phase, seat);
    }
    for (size_t i = 0; i < threads; i++)
        bench_thread_join(thread[i]);
}

static uint64_t free_survivors(struct server *server, size_t threads)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < TRANSFER_SLOTS; i++) {
        void *block = atomic_load_explicit(&server->transfer[i], memory_order_relaxed);
        sum += block == NULL ? 0 : bench_free(block);
    }
    for (size_t i = 0; i < threads; i++) {
        sum += server->seat[i].sum;
        for (size_t k = 0; k < SLOTS; k++)
            sum += server->seat[i].slot[k] == NULL ? 0 : bench_free(server->seat[i].slot[k]);
    }
    return sum;
}

/* Mostly small objects, one in 32 a buffer of up to 8 KiB, one in 512 one of up to 64 KiB. */
static void fill_request_sizes(struct bench_sizes *sizes)
{
    struct bench_sizes buffers;
    bench_sizes_log_uniform(sizes, 16, 512);
    bench_sizes_log_uniform(&buffers, 1024, 8192);
    for (size_t i = 0; i < BENCH_SIZES; i += 32)
        sizes->size[i] = buffers.size[i] * (i % 512 == 0 ? 8 : 1);
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const size_t threads = how->threads;
    struct server *server = bench_table(1, sizeof(*server));
    fill_request_sizes(&server->sizes);
    for (size_t i = 0; i < threads; i++)
        server->seat[i].random.state = 400 + i;
    while (gbench_keep_running_batch(state, STEPS_PER_PHASE))
        run_phase(server, threads);
    uint64_t sum = free_survivors(server, threads);
    bench_table_drop(server, 1, sizeof(*server));
    return sum;
}

static const struct bench_row rows[] = {
    {"phases", "threads of a phase replaced in the next, a quarter of the objects survives",
     6400000, STEPS_PER_PHASE, GBENCH_WALL, run, .thread_counts = BENCH_THREAD_COUNTS(2, 8)},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
