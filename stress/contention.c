/* SPDX-License-Identifier: MIT */
/*
 * Stands for a server that adds threads: each has some hundred blocks, and replaces at random one
 * of its own, or one of any thread's. The locks of the allocator are for what is rare: counted per
 * million pairs of malloc and free, waits and acquisitions stay below a bar that does not grow with
 * the number of threads.
 * Usage: contention own|any PAIRS (of all threads together)
 */
#include "check.h"
#include "common.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum {
    THREADS_MAX = 32,
    SLOTS = 500,
    SIZE_MAX_BYTES = 1024,
    MILLION = 1000000,
    /* Per million pairs. Measured: at most 10 and 0 with own blocks, 2,300 and 7 with those of any
     * of 32 threads. Threads that share one locked heap come to a million. */
    ACQUISITIONS_MAX = 8000,
    CONTENDED_MAX = 800,
};

struct worker {
    pthread_t thread;
    struct rng rng;
    _Atomic(void *) slots[SLOTS];
    unsigned first, slots_of; /* whose slots it fills: of so many workers from that one on */
};

static struct worker workers[THREADS_MAX];
static pthread_barrier_t barrier;
static uint64_t pairs_of_each;

/* A new block for whatever lay in some slot. */
static void replace_one(struct worker *worker)
{
    struct worker *of = &workers[worker->first + rng_below(&worker->rng, worker->slots_of)];
    _Atomic(void *) *slot = &of->slots[rng_below(&worker->rng, SLOTS)];
    size_t size = 16 + rng_below(&worker->rng, SIZE_MAX_BYTES - 15);
    char *block = pm_malloc(size);
    CHECK(block != NULL, "no %zu bytes", size);
    block[0] = block[size - 1] = 1;
    pm_free(atomic_exchange_explicit(slot, block, memory_order_acq_rel));
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (unsigned i = 0; i < 20 * SLOTS; i++)
        replace_one(worker);
    pthread_barrier_wait(&barrier); /* warm */
    pthread_barrier_wait(&barrier); /* the counters were read */
    for (uint64_t i = 0; i < pairs_of_each; i++)
        replace_one(worker);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < SLOTS; i++)
        pm_free(atomic_exchange(&worker->slots[i], NULL));
    return NULL;
}

/* Whoever asks for statistics takes locks, too, and is not to be counted: asked twice, while nobody
 * works, the second answer less the first is what one look takes. */
struct looks {
    struct pm_stats first, second;
};

static struct looks look_between_barriers(void)
{
    struct looks looks;
    pthread_barrier_wait(&barrier);
    CHECK(pm_stats_get(&looks.first) && pm_stats_get(&looks.second), "no statistics");
    pthread_barrier_wait(&barrier);
    return looks;
}

struct figures {
    uint64_t acquisitions, contended; /* per million pairs */
};

static struct figures run(unsigned threads, bool any, uint64_t pairs)
{
    pairs_of_each = pairs / threads;
    CHECK(pthread_barrier_init(&barrier, NULL, threads + 1) == 0, "no barrier");
    for (unsigned i = 0; i < threads; i++) {
        workers[i].rng = rng_make(17, i);
        workers[i].first = any ? 0 : i;
        workers[i].slots_of = any ? threads : 1;
        int code = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        CHECK(code == 0, "pthread_create returned %d", code);
    }
    struct looks before = look_between_barriers(), after = look_between_barriers();
    for (unsigned i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_barrier_destroy(&barrier);
    uint64_t done = pairs_of_each * threads;
    uint64_t taken = after.first.lock_acquisitions - before.second.lock_acquisitions;
    uint64_t by_a_look = before.second.lock_acquisitions - before.first.lock_acquisitions;
    uint64_t contended = after.first.lock_contended - before.second.lock_contended;
    struct figures figures = {
        .acquisitions = taken > by_a_look ? (taken - by_a_look) * MILLION / done : 0,
        .contended = contended * MILLION / done,
    };
    printf("%2u threads: per million pairs %lu acquisitions of locks, %lu of them contended\n",
           threads, (unsigned long)figures.acquisitions, (unsigned long)figures.contended);
    return figures;
}

int main(int count, char **arguments)
{
    CHECK(count == 3, "usage: contention own|any PAIRS");
    bool any = strcmp(arguments[1], "any") == 0;
    CHECK(any || strcmp(arguments[1], "own") == 0, "no mode is named \"%s\"", arguments[1]);
    uint64_t pairs = parse_number("PAIRS", arguments[2]);
    for (unsigned threads = 2; threads <= THREADS_MAX; threads *= 4) {
        struct figures now = run(threads, any, pairs);
        CHECK(now.acquisitions <= ACQUISITIONS_MAX, "%u threads: locks are not rare", threads);
        CHECK(now.contended <= CONTENDED_MAX, "%u threads: waits are not rare", threads);
    }
    return 0;
}
