/* SPDX-License-Identifier: MIT */
/*
 * A pool changes hands while somebody frees into it, at every moment at which that can happen.
 * Modes, with the traps that they stand for:
 *
 *   exit   13, 14: a freer is stopped before each instruction of its frees (some of which it holds
 *          back as a batch); meanwhile the pool's owner frees the rest and exits, and a new thread,
 *          in the recycled heap, allocates and writes
 *   full   13: the owner is stopped before each instruction of the malloc that lets a full pool
 *          float; meanwhile another thread frees a block of it, each time
 *   leave  13: the same, while the owner lets go of everything that it has
 *
 * The one that is stopped may hold a lock that the others need: these are waited for no longer than
 * a moment, and go on later. In the end nothing is lost. Usage: abandon MODE [stride]
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"

#include <errno.h>
#include <poolmalloc/poolmalloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    moment_ns = 10 * 1000 * 1000,
    warm_up_blocks = 300,
    alarm_seconds = 100,
    skip_status = 77,
};

static void start(pthread_t *thread, void *(*body)(void *))
{
    int code = pthread_create(thread, NULL, body, NULL);
    CHECK(code == 0, "pthread_create returned %d", code);
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue;
}

static bool wait_a_moment(sem_t *semaphore)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += moment_ns;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int code;
    while ((code = sem_timedwait(semaphore, &until)) != 0 && errno == EINTR)
        continue;
    return code == 0;
}

/* Of sizes that the test does not use. */
static void get_a_heap(void)
{
    void *own[warm_up_blocks];
    for (int i = 0; i < warm_up_blocks; i++)
        own[i] = api_malloc(1000);
    for (int i = 0; i < warm_up_blocks; i++)
        api_free(own[i]);
}

static void all_is_free_again(void)
{
    struct pm_stats stats;
    pm_purge();
    CHECK(pm_check(), "the structures are not sound");
    pm_stats_get(&stats);
    CHECK(stats.free_bytes == stats.arenas * stats.arena_bytes,
          "memory is lost: %llu bytes of %llu arenas are free",
          (unsigned long long)stats.free_bytes, (unsigned long long)stats.arenas);
}

/* ---- the freer is stopped ---- */

enum { made = 45, handed = 12, newcomer_blocks = 150, size = 144 };

static char *blocks[made], *newcomers[newcomer_blocks];
static sem_t blocks_made, owner_may_go, others_done;
static size_t stop_at;
static unsigned not_waited_for;
static pthread_t newcomer;

static void *own_and_exit(void *argument)
{
    (void)argument;
    get_a_heap();
    for (int i = 0; i < made; i++)
        blocks[i] = api_malloc(size);
    sem_post(&blocks_made);
    wait_for(&owner_may_go);
    for (int i = handed; i < made; i++)
        api_free(blocks[i]);
    return NULL;
}

static void *take_over(void *argument)
{
    pthread_join(*(pthread_t *)argument, NULL);
    for (int i = 0; i < newcomer_blocks; i++) {
        newcomers[i] = api_malloc(size);
        CHECK(newcomers[i], "no %d bytes", size);
        memset(newcomers[i], i, size);
    }
    sem_post(&others_done);
    return NULL;
}

static void free_handed(void *argument)
{
    (void)argument;
    for (int i = 0; i < handed; i++)
        api_free(blocks[i]);
}

static bool owner_exits(size_t number, void *argument)
{
    if (number != stop_at)
        return true;
    sem_post(&owner_may_go);
    int code = pthread_create(&newcomer, NULL, take_over, argument);
    CHECK(code == 0, "pthread_create returned %d", code);
    not_waited_for += !wait_a_moment(&others_done);
    return true;
}

static void verify_newcomers(void)
{
    for (int i = 0; i < newcomer_blocks; i++) {
        for (int at = 0; at < size; at++)
            CHECK(newcomers[i][at] == (char)i, "a block was written to by somebody else");
        api_free(newcomers[i]);
    }
}

static void run_exit(size_t stride)
{
    size_t steps = 1, runs = 0;
    get_a_heap();
    for (stop_at = 0; stop_at < steps; stop_at += stride, runs++) {
        pthread_t owner;
        start(&owner, own_and_exit);
        wait_for(&blocks_made);
        size_t now = step_through(free_handed, owner_exits, &owner);
        if (now <= stop_at) /* the frees took a shorter way this time */
            owner_exits(stop_at, &owner);
        steps = now > steps ? now : steps;
        pthread_join(newcomer, NULL);
        get_a_heap(); /* a slow path: the batch is pushed */
        verify_newcomers();
        while (sem_trywait(&others_done) == 0)
            continue;
        if (runs % 64 == 0)
            all_is_free_again();
    }
    all_is_free_again();
    CHECK(not_waited_for < runs, "the others never came to their end");
    printf("%zu times the owner exited while %d frees were stopped (%u times not waited for)\n",
           runs, handed, not_waited_for);
}

/* ---- the owner is stopped ---- */

enum { medium = 3000, small = 16, many = 1500, full_blocks_max = 20000, calibration_blocks = 300 };

static char *kept[full_blocks_max];
static size_t kept_count; /* whoever runs changes it: the other one waits */
static sem_t free_one, freed;
static bool ending;

/* The block made last is the one that lies in the owner's current pool. */
static void *free_on_demand(void *argument)
{
    (void)argument;
    get_a_heap();
    for (;;) {
        wait_for(&free_one);
        if (ending)
            return NULL;
        api_free(kept[--kept_count]);
        sem_post(&freed);
    }
}

static bool other_frees(void)
{
    if (kept_count == 0)
        return false;
    sem_post(&free_one);
    bool done = wait_a_moment(&freed);
    not_waited_for += !done;
    return done; /* else it waits for a lock of the one that is stopped */
}

static void malloc_medium(void *result)
{
    *(char **)result = api_malloc(medium);
}

static void keep(char *block)
{
    CHECK(block && kept_count < full_blocks_max, "no more blocks");
    kept[kept_count++] = block;
}

/* How many blocks in a row, one behind the other, end with the one made last. */
static size_t run_length(void)
{
    size_t length = 1, bytes = api_usable_size(kept[kept_count - 1]);
    while (length < kept_count &&
           kept[kept_count - length] - kept[kept_count - length - 1] == (ptrdiff_t)bytes)
        length++;
    return length;
}

static size_t calibrate(void)
{
    size_t longest = 0;
    char *block;
    for (int i = 0; i < calibration_blocks; i++) {
        malloc_medium(&block);
        keep(block);
        size_t length = run_length();
        longest = length > longest ? length : longest;
    }
    return longest;
}

static bool free_at_step(size_t number, void *argument)
{
    (void)argument;
    if (number != stop_at)
        return true;
    other_frees();
    return false;
}

static void free_all_kept(void)
{
    while (kept_count > 0)
        api_free(kept[--kept_count]);
}

/* The malloc after the one that fills a pool lets it float: each of its moments in turn. */
static void stop_at_full_pools(size_t stride)
{
    size_t capacity = calibrate();
    bool reached = true;
    CHECK(capacity >= 4 && capacity < calibration_blocks / 2, "no pools of %zu blocks", capacity);
    for (stop_at = 0; reached; stop_at += stride) {
        char *block;
        if (kept_count > full_blocks_max / 2)
            free_all_kept();
        do {
            malloc_medium(&block);
            keep(block);
        } while (run_length() % capacity != 0);
        /* is freed and allocated again, or its pool floats without it */
        reached = step_through(malloc_medium, free_at_step, &block) > stop_at;
        if (not_waited_for > 0) {
            wait_for(&freed);
            not_waited_for--;
        }
        keep(block);
    }
    CHECK(stop_at > 50, "a pool floated in %zu instructions", stop_at);
    printf("blocks of a full pool freed at %zu moments of its owner\n", stop_at / stride);
}

static bool free_at_each_step(size_t number, void *argument)
{
    (void)argument;
    return number % 2 != 0 || other_frees();
}

static void leave(void *argument)
{
    (void)argument;
    pm_purge();
}

static void stop_while_leaving(size_t stride)
{
    size_t steps = 0, all = 0;
    (void)stride;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < many + 20 * round; i++)
            keep(api_malloc(small));
        size_t before = kept_count;
        steps += step_through(leave, free_at_each_step, NULL);
        if (not_waited_for > 0) {
            wait_for(&freed);
            not_waited_for--;
        }
        all += before - kept_count;
        free_all_kept();
    }
    CHECK(all > 100, "only %zu blocks were freed", all);
    printf("%zu blocks freed at %zu moments of an owner that lets go\n", all, steps);
}

static void run_owner(void (*body)(size_t), size_t stride)
{
    pthread_t freer;
    start(&freer, free_on_demand);
    body(stride);
    ending = true;
    sem_post(&free_one);
    pthread_join(freer, NULL);
    free_all_kept();
    all_is_free_again();
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "exit";
    uint64_t stride = parse_number("the stride", count > 2 ? arguments[2] : "1");
    if (!step_supported()) {
        puts("no thread can be stepped here");
        return skip_status;
    }
    alarm_guard(alarm_seconds);
    if (strcmp(mode, "exit") == 0)
        run_exit(stride);
    else
        run_owner(strcmp(mode, "leave") == 0 ? stop_while_leaving : stop_at_full_pools, stride);
    return 0;
}
