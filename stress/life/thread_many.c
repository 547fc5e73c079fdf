/* SPDX-License-Identifier: MIT */
/*
 * Thousands of threads alive at once, each holding blocks. Stands for: servers with a thread per
 * connection. The main thread frees half of what they made while they sleep; each frees the rest
 * and ends. In the end no heap but the main thread's is in use and memory is back: what stays is
 * what the heaps themselves take, which are used again by the next threads.
 * The stacks are the program's, so that the C library's store of stacks is no part of the figure.
 * Usage: thread_many [threads [MiB that may be added]]
 */
#include "life.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    blocks_per_thread = 20,
    block_max = 1000,
    least_stack_bytes = 32 * 1024,
    units_per_arena = 64,
    table_bytes_per_unit = 64 + 64 + 8,
    skip_status = 77,
};

struct sleeper {
    pthread_t thread;
    unsigned char *blocks[blocks_per_thread];
    uint64_t number;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t asleep;
static bool released;

static void sleep_until_released(void)
{
    pthread_mutex_lock(&mutex);
    asleep++;
    pthread_cond_broadcast(&changed);
    while (!released)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void check_and_free(struct sleeper *sleeper, unsigned i)
{
    CHECK(*sleeper->blocks[i] == (sleeper->number + i) % 251, "block %u of thread %llu changed", i,
          (unsigned long long)sleeper->number);
    api_free(sleeper->blocks[i]);
}

static void *live(void *argument)
{
    struct sleeper *sleeper = argument;
    struct rng rng = rng_make(91, sleeper->number);
    for (unsigned i = 0; i < blocks_per_thread; i++) {
        size_t size = random_size(&rng, 1, block_max);
        sleeper->blocks[i] = api_malloc(size);
        CHECK(sleeper->blocks[i], "thread %llu got no %zu bytes",
              (unsigned long long)sleeper->number, size);
        *sleeper->blocks[i] = (unsigned char)((sleeper->number + i) % 251);
    }
    sleep_until_released();
    for (unsigned i = 1; i < blocks_per_thread; i += 2)
        check_and_free(sleeper, i);
    return NULL;
}

/* How many could be started; the system may refuse some. */
static uint64_t start_all(struct sleeper *sleepers, uint64_t count, char *stacks, size_t stack)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    for (uint64_t i = 0; i < count; i++) {
        sleepers[i].number = i;
        pthread_attr_setstack(&attributes, stacks + i * stack, stack);
        int code = pthread_create(&sleepers[i].thread, &attributes, live, &sleepers[i]);
        if (code == EAGAIN)
            return i;
        CHECK(code == 0, "pthread_create: %s", strerror(code));
    }
    pthread_attr_destroy(&attributes);
    return count;
}

static void wait_until_asleep(uint64_t count)
{
    pthread_mutex_lock(&mutex);
    while (asleep < count)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void release(void)
{
    pthread_mutex_lock(&mutex);
    released = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void live_together(struct sleeper *sleepers, uint64_t started)
{
    struct pm_stats stats;
    wait_until_asleep(started);
    CHECK(pm_stats_get(&stats), "no statistics");
    printf("%llu threads alive: %llu heaps in use of %llu KiB, %zu KiB resident\n",
           (unsigned long long)started, (unsigned long long)stats.heaps_in_use,
           (unsigned long long)stats.heap_bytes >> 10, resident_bytes() >> 10);
    for (uint64_t i = 0; i < started; i++)
        for (unsigned at = 0; at < blocks_per_thread; at += 2)
            check_and_free(&sleepers[i], at);
    release();
    for (uint64_t i = 0; i < started; i++)
        join_thread(sleepers[i].thread);
}

/* What stays is bounded by the threads that were alive: heaps are recycled, and so are the lines of
 * the address tables, of which each unit has some. */
static void check_end(long long before, uint64_t allowed_mib)
{
    struct pm_stats stats;
    pm_purge();
    CHECK(pm_stats_get(&stats), "no statistics");
    long long grown = (long long)resident_bytes() - before;
    long long tables = (long long)(stats.arenas * units_per_arena * table_bytes_per_unit);
    long long heaps = (long long)stats.heap_bytes, allowed = (long long)(allowed_mib << 20);
    printf("after them: %llu heaps in use, grown by %lld KiB, of which heaps %lld, tables %lld\n",
           (unsigned long long)stats.heaps_in_use, grown >> 10, heaps >> 10, tables >> 10);
    fflush(stdout);
    CHECK(stats.heaps_in_use == 1, "heaps of ended threads are in use");
    CHECK(grown <= allowed + heaps + tables, "grown by more than %llu MiB, heaps and tables",
          (unsigned long long)allowed_mib);
    CHECK(pm_check(), "the structures are damaged");
}

int main(int count, char **arguments)
{
    uint64_t wanted = parse_number("the number of threads", count > 1 ? arguments[1] : "2000");
    uint64_t allowed_mib = parse_number("the MiB allowed", count > 2 ? arguments[2] : "8");
    size_t stack = (size_t)PTHREAD_STACK_MIN + least_stack_bytes;
    if (STRESS_SANITIZED) /* their runtimes put much there */
        stack += 64 * least_stack_bytes;
    guard_against_hangs();
    struct sleeper *sleepers = system_pages(wanted * sizeof *sleepers);
    memset(sleepers, 0, wanted * sizeof *sleepers);
    struct rng rng = rng_make(92, 0);
    use_heap(&rng, 2);
    pm_purge();
    long long before = (long long)resident_bytes();
    char *stacks = system_pages(wanted * stack);
    madvise(stacks, wanted * stack, MADV_NOHUGEPAGE);
    uint64_t started = start_all(sleepers, wanted, stacks, stack);
    live_together(sleepers, started);
    system_pages_free(stacks, wanted * stack);
    check_end(before, allowed_mib);
    if (started < wanted) {
        printf("skipped: the system allows only %llu threads\n", (unsigned long long)started);
        return skip_status;
    }
    return 0;
}
