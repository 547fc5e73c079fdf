/* SPDX-License-Identifier: MIT */
/*
 * A request server under bursts: each thread has requests in flight, of 60 to 180 objects: the
 * request, headers, nodes of what was parsed, buffers, sometimes a body above 32 KiB, and a
 * response that grows while it is written. Most are freed by their thread; some go as they are to
 * a log, out of which whichever thread comes next takes and frees an older one. A few leave a
 * session behind that outlives them. The load alternates between calm and bursts with ten times
 * the requests in flight, so that the sessions of a burst lie scattered over the memory that it
 * had needed. The number in flight is shared out over the threads. An operation is one request.
 * Source: Maas, Andersen, Isard, Javanmard, McKinley, Raffel, "Learning-based Memory Allocation for
 * C++ Server Workloads", ASPLOS 2020: footprints of servers that vary widely over time, and
 * fragmentation by long-lived objects that were allocated at the peak.
 */
#include "workload.h"

#include <stdatomic.h>

enum {
    PHASES = 8, /* calm and burst by turns */
    CALM_LIVE = 64,
    BURST_LIVE = 10 * CALM_LIVE,
    LOG_SLOTS = 64,
    LOGGED_ONE_IN = 4,
    SESSION_SLOTS = 4096,
    SESSION_ONE_IN = 4,
    BODY_ONE_IN = 16,
    PAGE = 4096
};

struct object {
    uint32_t bytes;
    struct object *next;
    /* what is in it; the mark */
};

struct request {
    uint32_t bytes;
    struct object *objects;
    void *response;
    uint64_t mark;
};

struct worker {
    struct request **slot;
    struct bench_random random;
    uint64_t sum;
};

struct server {
    size_t threads;
    int64_t ops_each;
    pthread_barrier_t phase;
    _Atomic(struct request *) log[LOG_SLOTS];
    _Atomic(void *) session[SESSION_SLOTS];
    struct worker worker[BENCH_THREADS_MAX];
};

static uint32_t between(struct bench_random *random, uint32_t low, uint32_t high)
{
    return low + bench_random_below(random, high - low + 1);
}

static void touch_pages(void *block, uint32_t bytes)
{
    for (uint32_t at = PAGE; at + 1 < bytes; at += PAGE)
        ((unsigned char *)block)[at] = 1;
}

static void add_objects(struct request *request, struct bench_random *random, uint32_t count,
                        uint32_t low, uint32_t high)
{
    for (uint32_t i = 0; i < count; i++) {
        struct object *object = bench_alloc(between(random, low, high));
        touch_pages(object, object->bytes);
        object->next = request->objects;
        request->objects = object;
    }
}

static struct request *receive(struct bench_random *random)
{
    struct request *request = bench_alloc(sizeof(*request));
    request->objects = NULL;
    add_objects(request, random, between(random, 10, 30), 24, 128);  /* headers */
    add_objects(request, random, between(random, 1, 3), 1024, 8192); /* buffers */
    add_objects(request, random, between(random, 50, 150), 24, 96);  /* nodes */
    if (bench_random(random) % BODY_ONE_IN == 0)
        add_objects(request, random, 1, 32 << 10, 256 << 10);
    uint32_t written = 512u << bench_random_below(random, 7);
    request->response = bench_alloc(512);
    for (uint32_t bytes = 1024; bytes <= written; bytes *= 2) {
        request->response = bench_resize(request->response, bytes);
        touch_pages(request->response, bytes);
    }
    return request;
}

static uint64_t release(struct request *request)
{
    uint64_t sum = 0;
    for (struct object *object = request->objects; object != NULL;) {
        struct object *next = object->next;
        sum += bench_free(object);
        object = next;
    }
    sum += bench_free(request->response);
    return sum + bench_free(request);
}

/* Release: the objects' contents go with them. Acquire: they are read where they are freed. */
static void answer(struct server *server, struct worker *worker, struct request *request)
{
    uint64_t drawn = bench_random(&worker->random);
    if (drawn % SESSION_ONE_IN == 0) {
        void *old = atomic_exchange_explicit(&server->session[(drawn >> 8) % SESSION_SLOTS],
                                             bench_alloc(between(&worker->random, 128, 1024)),
                                             memory_order_acq_rel);
        worker->sum += old == NULL ? 0 : bench_free(old);
    }
    if ((drawn >> 32) % LOGGED_ONE_IN == 0)
        request = atomic_exchange_explicit(&server->log[(drawn >> 40) % LOG_SLOTS], request,
                                           memory_order_acq_rel);
    worker->sum += request == NULL ? 0 : release(request);
}

static size_t share(size_t live, size_t threads)
{
    return live > threads ? live / threads : 1;
}

static void answer_from(struct server *server, struct worker *worker, size_t first)
{
    for (size_t i = first; i < share(BURST_LIVE, server->threads); i++) {
        if (worker->slot[i] == NULL)
            continue;
        answer(server, worker, worker->slot[i]);
        worker->slot[i] = NULL;
    }
}

/* The threads enter each phase together: the burst is the server's, not a thread's. */
static void work(void *context, size_t index)
{
    struct server *server = context;
    struct worker *worker = &server->worker[index];
    int64_t done = 0;
    for (int phase = 0; phase < PHASES; phase++) {
        size_t live = share(phase % 2 == 0 ? CALM_LIVE : BURST_LIVE, server->threads);
        pthread_barrier_wait(&server->phase);
        answer_from(server, worker, live);
        for (; done < server->ops_each * (phase + 1) / PHASES; done++) {
            struct request **slot = &worker->slot[bench_random_below(&worker->random, live)];
            if (*slot != NULL)
                answer(server, worker, *slot);
            *slot = receive(&worker->random);
        }
    }
    answer_from(server, worker, 0);
}

static uint64_t drop_shared(struct server *server)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < LOG_SLOTS; i++) {
        struct request *request = atomic_load_explicit(&server->log[i], memory_order_relaxed);
        sum += request == NULL ? 0 : release(request);
    }
    for (size_t i = 0; i < SESSION_SLOTS; i++) {
        void *session = atomic_load_explicit(&server->session[i], memory_order_relaxed);
        sum += session == NULL ? 0 : bench_free(session);
    }
    return sum;
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    struct server *server = bench_table(1, sizeof(*server));
    const size_t slots = share(BURST_LIVE, how->threads);
    server->threads = how->threads;
    server->ops_each = how->ops / (int64_t)how->threads;
    pthread_barrier_init(&server->phase, NULL, (unsigned)how->threads);
    for (size_t i = 0; i < how->threads; i++)
        server->worker[i] = (struct worker){bench_table(slots, sizeof(void *)), {950 + i}, 0};
    while (gbench_keep_running_batch(state, how->ops))
        gbench_set_iteration_time(
            state, bench_team_run(&(struct bench_team){how->threads, NULL, work, NULL, server}));
    uint64_t sum = drop_shared(server);
    for (size_t i = 0; i < how->threads; i++) {
        sum += server->worker[i].sum;
        bench_table_drop(server->worker[i].slot, slots, sizeof(void *));
    }
    pthread_barrier_destroy(&server->phase);
    bench_table_drop(server, 1, sizeof(*server));
    return sum;
}

static const struct bench_row rows[] = {
    {"requests", "a server with bursts of 10 times the requests in flight", 48000, 16,
     GBENCH_MANUAL, run, .thread_counts = BENCH_THREAD_COUNTS(2, 16), .unit = "request"},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
