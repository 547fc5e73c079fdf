/* SPDX-License-Identifier: MIT */
/*
 * Traps 14, 15: an empty pool, or a unit that is not cut yet, is what a heap keeps for its next
 * malloc and what any thread may give back to the system: one of them gets it, at whichever moment
 * the other comes. Stands for: a thread that purges memory in turn while others work. Modes:
 *
 *   pools  the owner is stopped before each (stride-th) instruction of the malloc that takes a
 *          kept pool, and before each one around those that take it; meanwhile another thread
 *          purges
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
    size = 2000,       /* of which a pool of one unit has 16 */
    their_size = 1500, /* of another class: no pool has blocks of both */
    own_blocks = 33,   /* of two pools and more */
    unit_blocks = 32,  /* make the other take a unit */
    fill_blocks = 60,  /* of more pools than one of its own, after those of the cold heap */
    theirs_max = 40000,
    unit_rounds = 3,
    unit_moment_ms = 200,   /* who purges holds locks */
    pool_moment_ms = 10000, /* no lock: however long others keep the thread from running */
    until_counted = 40,     /* instructions */
    alarm_seconds = 100,
    skip_status = 77,
};

enum moment { over, not_taken, taken };

static char *own[own_blocks], *theirs[theirs_max], *fill[fill_blocks];
static size_t theirs_count, stride, stop_at, refill_at, moment_ms;
static unsigned long long kept_then; /* when it was purged */
static sem_t act, acted;
static bool ending, pending;
static void (*action)(void);

static char *make(size_t bytes, size_t mark)
{
    char *block = api_malloc(bytes);
    CHECK(block, "no %zu bytes", bytes);
    memset(block, (int)(mark % 251), bytes);
    return block;
}

static void check_and_free(char *block, size_t bytes, size_t mark)
{
    CHECK((unsigned char)block[0] == mark % 251 && memcmp(block, block + 1, bytes - 1) == 0,
          "two blocks lie in the same memory");
    api_free(block);
}

static unsigned long long kept_bytes(void)
{
    struct pm_stats s;
    CHECK(pm_stats_get(&s), "no statistics");
    return s.kept_bytes;
}

static void purge(void)
{
    kept_then = kept_bytes();
    pm_purge();
}

static void take_unit(void)
{
    if (theirs_count + unit_blocks > theirs_max)
        return; /* these were moments enough */
    for (int i = 0; i < unit_blocks; i++, theirs_count++)
        theirs[theirs_count] = make(their_size, theirs_count);
}

/* Has a heap of its own, the first, in which it keeps something. */
static void *act_on_demand(void *argument)
{
    take_unit();
    take_unit();
    take_unit();
    sem_post(&acted);
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
    until.tv_nsec += (long)(moment_ms % 1000) * 1000000;
    until.tv_sec += (time_t)(moment_ms / 1000) + until.tv_nsec / 1000000000;
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
        fill[i] = make(size, i);
    for (size_t i = 0; i < fill_blocks; i++)
        check_and_free(fill[i], size, i);
}

static void make_one(void *block)
{
    *(char **)block = api_malloc(size);
}

static void free_own(void)
{
    for (size_t i = 0; i < own_blocks; i++) {
        memset(own[i], (int)i, size);
        check_and_free(own[i], size, i);
    }
}

/* Which malloc finds the current pool used up, and takes a kept one: the current pool is free when
 * it begins, so that it is the same one each time. */
static void find_refill(void)
{
    for (int round = 0; round < 3; round++) {
        make_and_free_some();
        refill_at = own_blocks;
        for (size_t i = 0; i < own_blocks; i++) {
            unsigned long long kept = kept_bytes();
            make_one(&own[i]);
            if (refill_at == own_blocks && kept_bytes() < kept)
                refill_at = i;
        }
        free_own();
    }
    CHECK(refill_at > 0 && refill_at < own_blocks, "no kept pool was taken");
}

static bool act_once(size_t number, void *argument)
{
    (void)argument;
    if (number != stop_at)
        return true;
    let_other_act();
    return false;
}

/* What a purge at this instruction comes to; over: the malloc has not as many. */
static enum moment purge_at_stop(void)
{
    enum moment moment = over;
    make_and_free_some(); /* leaves kept pools */
    for (size_t i = 0; i < own_blocks; i++) {
        if (i != refill_at) {
            make_one(&own[i]);
            continue;
        }
        unsigned long long kept = kept_bytes();
        if (step_through(make_one, act_once, &own[i]) > stop_at) {
            wait_for_other();
            moment = kept_then < kept ? taken : not_taken;
        }
    }
    nothing_is_twice();
    free_own();
    return moment;
}

/* Heaps look at the clock now and then, before they take a pool: a malloc that does so has more
 * instructions. Of two in a row one does not: so its moments come, whichever it is. */
static enum moment purge_in_turns(size_t number)
{
    stop_at = number;
    enum moment one = purge_at_stop(), other = purge_at_stop();
    return one == taken || other == over ? one : other;
}

/* Looks where the pool is taken, and then at each instruction there. What was taken is counted a
 * few instructions later. */
static void stop_owner(void)
{
    size_t first_taken = 0, moments = 0, not_yet = 0;
    enum moment moment;
    find_refill();
    action = purge;
    while ((moment = purge_in_turns(moments * stride)) != over) {
        if (moment == taken && first_taken == 0)
            first_taken = moments * stride;
        moments++;
    }
    CHECK(first_taken > stride + until_counted, "taken at instruction %zu", first_taken);
    size_t start = first_taken - stride - until_counted;
    for (size_t number = start; number <= first_taken; number++, moments++)
        not_yet += purge_in_turns(number) == not_taken;
    CHECK(not_yet > until_counted && not_yet <= first_taken - start,
          "taken at instruction %zu, and not at %zu before it", first_taken, not_yet);
    printf("purged at %zu moments of an owner, which takes a pool until instruction %zu\n", moments,
           start + not_yet);
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
        size_t first = round * stride / rounds;
        steps += step_through(purge_step_by_step, act_often, &first);
        wait_for_other();
        nothing_is_twice();
        make_and_free_some();
        while (theirs_count > 0) {
            theirs_count--;
            check_and_free(theirs[theirs_count], their_size, theirs_count);
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
    pending = true;
    wait_for_other();
    moment_ms = strcmp(mode, "units") == 0 ? unit_moment_ms : pool_moment_ms;
    if (strcmp(mode, "units") == 0)
        stop_purger();
    else
        stop_owner();
    ending = true;
    sem_post(&act);
    pthread_join(other, NULL);
    while (theirs_count > 0) {
        theirs_count--;
        check_and_free(theirs[theirs_count], their_size, theirs_count);
    }
    CHECK(pm_check(), "the structures are not sound");
    return 0;
}
