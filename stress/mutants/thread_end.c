/* SPDX-License-Identifier: MIT */
/*
 * Allocator calls at the very end of threads. Modes, with the trap that each stands for:
 *
 *   after   1: frees and allocations after the heap's own destructor (the C library frees the
 *           thread's buffers and storage after all destructors): the dead heap must not come alive
 *   size    2: malloc_usable_size in threads that never allocated, and at their end: no heap is
 * made few     3: the first allocator call of a thread comes in the last round of destructors:
 * there many       is no later round in which a heap could be given back; few blocks, and many
 *
 * Stands for: servers with a thread per request, whose libraries clean up in destructors of keys.
 * Threads one after another; heaps and resident memory must not grow. Usage:
 * thread_end MODE [number of threads [MiB that may be added]]
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"

#include <limits.h>
#include <poolmalloc/poolmalloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    live_blocks = 60, /* more frees than a thread may do before it gets a heap for them */
    few_blocks = 5,
    many_blocks = 200,
    size_calls = 200,
    warm_up_threads = 20,
    alarm_seconds = 100,
};

struct life {
    void *blocks[live_blocks];
    int rounds;
    bool ended; /* written by the thread, read after its end */
};

static pthread_key_t key; /* made after the allocator's own: its destructor runs later */
static void *shared_blocks[3];
static int last_round_blocks;

static uint64_t heaps(void)
{
    struct pm_stats stats;
    pm_stats_get(&stats);
    return stats.heaps;
}

static uint64_t heaps_in_use(void)
{
    struct pm_stats stats;
    pm_stats_get(&stats);
    return stats.heaps_in_use;
}

static void allocate_and_free(int count)
{
    static __thread char *blocks[many_blocks];
    for (int i = 0; i < count; i++) {
        size_t size = 16 + (size_t)i % 40 * 24;
        blocks[i] = api_malloc(size);
        CHECK(blocks[i], "no %zu bytes", size);
        memset(blocks[i], i, size);
    }
    for (int i = 0; i < count; i++) {
        CHECK(blocks[i][15] == (char)i, "block %d lost its contents", i);
        api_free(blocks[i]);
    }
}

static void ask_sizes(void)
{
    uint64_t made = heaps(), used = heaps_in_use();
    for (int i = 0; i < size_calls; i++)
        CHECK(api_usable_size(shared_blocks[i % 3]) >= 100, "a size is too small");
    CHECK(api_usable_size(NULL) == 0, "NULL has a size");
    CHECK(heaps() == made && heaps_in_use() == used, "malloc_usable_size made a heap");
}

/* ---- what happens in the last round of destructors ---- */

static void end_after(struct life *life)
{
    for (int i = 0; i < live_blocks; i++)
        api_free(life->blocks[i]);
    allocate_and_free(live_blocks);
}

static void end_size(struct life *life)
{
    (void)life;
    ask_sizes();
}

static void end_first_call(struct life *life)
{
    (void)life;
    allocate_and_free(last_round_blocks);
}

static void (*in_last_round)(struct life *);

static void destructor(void *argument)
{
    struct life *life = argument;
    if (++life->rounds < PTHREAD_DESTRUCTOR_ITERATIONS) {
        CHECK(pthread_setspecific(key, life) == 0, "pthread_setspecific");
        return;
    }
    in_last_round(life);
    life->ended = true;
}

static void *live(void *argument)
{
    struct life *life = argument;
    CHECK(pthread_setspecific(key, life) == 0, "pthread_setspecific");
    if (in_last_round == end_after) {
        allocate_and_free(many_blocks);
        for (int i = 0; i < live_blocks; i++)
            life->blocks[i] = api_malloc(64);
        /* the C library allocates its text, and frees it after all destructors */
        CHECK(strerror(123456) != NULL, "strerror");
    } else if (in_last_round == end_size) {
        ask_sizes();
    }
    return NULL;
}

static void run_one(void)
{
    struct life life = {.rounds = 0};
    pthread_t thread;
    int code = pthread_create(&thread, NULL, live, &life);
    CHECK(code == 0, "pthread_create returned %d", code);
    pthread_join(thread, NULL);
    CHECK(life.ended, "the last round of destructors was not reached");
}

static void run_many(uint64_t threads, uint64_t heaps_may_stay, uint64_t allowed_mib)
{
    uint64_t used = heaps_in_use();
    for (uint64_t i = 0; i < warm_up_threads; i++)
        run_one();
    uint64_t made = heaps();
    long long before = (long long)resident_bytes();
    for (uint64_t i = 0; i < threads; i++) {
        run_one();
        CHECK(heaps_in_use() <= used + heaps_may_stay,
              "heaps in use: %llu, before thread %llu %llu", (unsigned long long)heaps_in_use(),
              (unsigned long long)i, (unsigned long long)used);
    }
    long long grown = (long long)resident_bytes() - before;
    printf("%llu threads: %llu heaps more, resident memory grown by %lld KiB\n",
           (unsigned long long)threads, (unsigned long long)(heaps() - made), grown / 1024);
    CHECK(heaps() <= made + 1, "%llu heaps were made", (unsigned long long)(heaps() - made));
    CHECK(grown <= (long long)allowed_mib << 20, "resident memory grew by %lld KiB", grown / 1024);
    CHECK(pm_check(), "the structures are not sound");
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "after";
    uint64_t threads = parse_number("the number of threads", count > 2 ? arguments[2] : "2000");
    uint64_t allowed_mib = parse_number("the MiB allowed", count > 3 ? arguments[3] : "4");
    bool many = strcmp(mode, "many") == 0;
    alarm_guard(alarm_seconds);
    allocate_and_free(many_blocks);
    for (int i = 0; i < 3; i++)
        shared_blocks[i] = api_malloc((size_t)100 << 8 * i);
    CHECK(pthread_key_create(&key, destructor) == 0, "pthread_key_create");
    in_last_round = strcmp(mode, "after") == 0  ? end_after
                    : strcmp(mode, "size") == 0 ? end_size
                                                : end_first_call;
    last_round_blocks = many ? many_blocks : few_blocks;
    /* one that made many blocks there: its heap waits for a thread in its place */
    run_many(threads, many, allowed_mib);
    for (int i = 0; i < 3; i++)
        api_free(shared_blocks[i]);
    return 0;
}
