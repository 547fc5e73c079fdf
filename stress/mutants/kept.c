/* SPDX-License-Identifier: MIT */
/*
 * Traps 14, 15: an empty pool, or a unit that is not cut yet, is what a heap keeps for its next
 * malloc and what any thread may give back to the system: one of them gets it, at whichever moment
 * the other comes. Stands for: a thread that purges memory in turn while others work. Modes:
 *
 *   pools  the owner is stopped before each (stride-th) instruction of the malloc that takes a
 *          kept pool; meanwhile another thread purges
 *   units  who purges is stopped before each (stride-th) instruction; meanwhile another thread
 *          takes units
 *
 * What two got is noticed by its contents, and counted twice: as free and in use. The one that is
 * stopped may hold a lock that the other needs: that one is waited for no longer than a moment, and
 * goes on later. Usage: kept MODE [stride]
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
#include <sys/prctl.h>
#include <time.h>

enum {
    size = 2000,        /* of which a pool of one unit has 16 */
    own_blocks = 33,    /* of two pools and more */
    refill_steps = 150, /* more than the fast path takes */
    unit_blocks = 16,   /* make the other take a unit */
    fill_blocks = 100,
    theirs_max = 40000,
    unit_rounds = 3,
    moment_ns = 200 * 1000 * 1000, /* for a thread that others keep from running, too */
    alarm_seconds = 100,
    skip_status = 77,
};

static char *own[own_blocks], *theirs[theirs_max], *fill[fill_blocks];
static size_t theirs_count, stride, stop_at, refill_at;
static sem_t act, acted;
static bool ending, pending;
static void (*action)(void);

static char *make(size_t mark)
{
    char *block = api_malloc(size);
    CHECK(block, "no %d bytes", size);
    memset(block, (int)(mark % 251), size);
    return block;
}

static void check_and_free(char *block, size_t mark)
{
    CHECK((unsigned char)block[0] == mark % 251 && memcmp(block, block + 1, size - 1) == 0,
          "two blocks lie in the same memory");
    api_free(block);
}

static void purge(void)
{
    pm_purge();
}

static void take_unit(void)
{
    if (theirs_count + unit_blocks > theirs_max)
        return; /* these were moments enough */
    for (int i = 0; i < unit_blocks; i++, theirs_count++)
        theirs[theirs_count] = make(theirs_count);
}

/* Has a heap of its own, in which it keeps something. */
static void *act_on_demand(void *argument)
{
    take_unit();
    take_unit();
    take_unit();
    for (;;) {
        while (sem_wait(&act) != 0)
            continue;
        if (ending)
            return argument;
        action();
        sem_post(&acted);
    }
}

static bool wait_a_moment(void)
{
    struct timespec until;
    int code;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += moment_ns;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while ((code = sem_timedwait(&acted, &until)) != 0 && errno == EINTR)
        continue;
    return code == 0;
}

static void let_other_act(void)
{
    if (pending) {
        pending = sem_trywait(&acted) != 0;
        return;
    }
    sem_post(&act);
    pending = !wait_a_moment();
}

static void wait_for_other(void)
{
    while (pending)
        pending = sem_wait(&acted) != 0;
}

/* Each unit of the arenas is somewhere, once. */
static void nothing_is_twice(void)
{
    struct pm_stats s;
    CHECK(pm_stats_get(&s), "no statistics");
    unsigned long long sum = s.pool_bytes + s.kept_bytes + s.stash_bytes + s.free_bytes;
    CHECK(sum == s.arenas * s.arena_bytes, "%llu bytes of %llu are in use, kept or free", sum,
          (unsigned long long)(s.arenas * s.arena_bytes));
    CHECK(pm_check(), "the structures are not sound");
}

static void make_and_free_some(void)
{
    for (size_t i = 0; i < fill_blocks; i++)
        fill[i] = make(i);
    for (size_t i = 0; i < fill_blocks; i++)
        check_and_free(fill[i], i);
}

static void make_one(void *block)
{
    *(char **)block = api_malloc(size);
}

static void free_own(void)
{
    for (size_t i = 0; i < own_blocks; i++) {
        memset(own[i], (int)i, size);
        check_and_free(own[i], i);
    }
}

static bool only_count(size_t number, void *argument)
{
    (void)number;
    (void)argument;
    return true;
}

/* Which malloc finds the current pool used up, and takes a kept one. */
static void find_refill(void)
{
    for (int round = 0; round < 3; round++) {
        make_and_free_some();
        refill_at = own_blocks;
        for (size_t i = 0; i < own_blocks; i++) {
            size_t steps = step_through(make_one, only_count, &own[i]);
            refill_at = refill_at == own_blocks && steps > refill_steps ? i : refill_at;
        }
        free_own();
    }
    CHECK(refill_at > 0 && refill_at < own_blocks, "no pool was used up");
}

static bool act_once(size_t number, void *argument)
{
    (void)argument;
    if (number != stop_at)
        return true;
    let_other_act();
    return false;
}

static void stop_owner(void)
{
    bool reached = true;
    find_refill();
    action = purge;
    for (stop_at = 0; reached; stop_at += stride) {
        make_and_free_some(); /* leaves kept pools */
        for (size_t i = 0; i < own_blocks; i++) {
            if (i == refill_at)
                reached = step_through(make_one, act_once, &own[i]) > stop_at;
            else
                make_one(&own[i]);
            CHECK(own[i], "no %d bytes", size);
        }
        wait_for_other();
        nothing_is_twice();
        free_own();
    }
    CHECK(stop_at > refill_steps, "a pool was taken in %zu instructions", stop_at);
    printf("purged at %zu moments of an owner\n", stop_at / stride);
}

static void purge_step_by_step(void *argument)
{
    (void)argument;
    pm_purge();
}

static bool act_often(size_t number, void *argument)
{
    if (number % stride == *(const size_t *)argument)
        let_other_act();
    return true;
}

static void stop_purger(void)
{
    size_t steps = 0, rounds = unit_rounds < stride ? unit_rounds : stride;
    action = take_unit;
    for (size_t round = 0; round < rounds; round++) {
        steps += step_through(purge_step_by_step, act_often, &round);
        wait_for_other();
        nothing_is_twice();
        make_and_free_some();
        while (theirs_count > 0) {
            theirs_count--;
            check_and_free(theirs[theirs_count], theirs_count);
        }
    }
    CHECK(steps > 1000, "only %zu instructions", steps);
    printf("units taken at moments of a purge of %zu instructions\n", steps);
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "pools";
    pthread_t other;
    stride = parse_number("the stride", count > 2 ? arguments[2] : "3");
    if (!step_supported()) {
        puts("no thread can be stepped here");
        return skip_status;
    }
    alarm_guard(alarm_seconds);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* it takes long to clear them, again and again */
    CHECK(pthread_create(&other, NULL, act_on_demand, NULL) == 0, "pthread_create");
    if (strcmp(mode, "units") == 0)
        stop_purger();
    else
        stop_owner();
    ending = true;
    sem_post(&act);
    pthread_join(other, NULL);
    while (theirs_count > 0) {
        theirs_count--;
        check_and_free(theirs[theirs_count], theirs_count);
    }
    CHECK(pm_check(), "the structures are not sound");
    return 0;
}
