/* SPDX-License-Identifier: MIT */
/* Locks: exclusion, counters, ranks, sleeping waiters. */
#include "base/lock.h"
#include "base/testing.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 20000 };

static struct pm_lock lock = PM_LOCK_INIT(PM_RANK_ARENA);
static uint64_t guarded; /* by the lock: written without atomics, for TSan to see */

static void *add_rounds(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        pm_lock_acquire(&lock);
        guarded++;
        pm_lock_release(&lock);
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, add_rounds, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
}

ISOLATED(holders_exclude_each_other_and_acquisitions_are_counted)
{
    run_threads();
    require(guarded == (uint64_t)THREADS * ROUNDS);
    require(pm_load_relaxed(&lock.acquisitions) == (uint64_t)THREADS * ROUNDS);
    require(pm_load_relaxed(&lock.contended) <= pm_load_relaxed(&lock.acquisitions));
    require(pm_load_relaxed(&lock.state) == 0);
}

static _Atomic uint32_t waits, wakes;

static void counting_wait(_Atomic uint32_t *word, uint32_t value)
{
    (void)word;
    (void)value;
    atomic_fetch_add(&waits, 1);
    sched_yield();
}

static void counting_wake(_Atomic uint32_t *word)
{
    (void)word;
    atomic_fetch_add(&wakes, 1);
}

static void *take_once(void *arg)
{
    (void)arg;
    pm_lock_acquire(&lock);
    pm_lock_release(&lock);
    return NULL;
}

ISOLATED(a_waiter_sleeps_is_woken_and_counted_as_contended)
{
    pthread_t waiter;
    pm_lock_set_waiter(counting_wait, counting_wake);
    pm_lock_acquire(&lock);
    require(pthread_create(&waiter, NULL, take_once, NULL) == 0);
    while (atomic_load(&waits) == 0) /* it is asleep, so to say: the lock is marked */
        sched_yield();
    require(pm_load_relaxed(&lock.contended) == 0); /* counted by the holder, once it is */
    pm_lock_release(&lock);
    require(pthread_join(waiter, NULL) == 0);
    require(pm_load_relaxed(&lock.contended) == 1);
    require(atomic_load(&wakes) >= 1);
}

ISOLATED(an_uncontended_lock_counts_no_contention_and_wakes_nobody)
{
    pm_lock_set_waiter(counting_wait, counting_wake);
    for (int i = 0; i < ROUNDS; i++)
        take_once(NULL);
    require(pm_load_relaxed(&lock.acquisitions) == ROUNDS);
    require(pm_load_relaxed(&lock.contended) == 0);
    require(atomic_load(&wakes) == 0 && atomic_load(&waits) == 0);
}

ISOLATED(locks_are_taken_in_ascending_rank)
{
    struct pm_lock locks[PM_RANK_COUNT];
    for (uint32_t rank = 0; rank < PM_RANK_COUNT; rank++)
        locks[rank] = (struct pm_lock)PM_LOCK_INIT(rank);
    for (int round = 0; round < 2; round++) {
        for (uint32_t rank = 0; rank < PM_RANK_COUNT; rank++)
            pm_lock_acquire(&locks[rank]);
        for (uint32_t rank = 0; rank < PM_RANK_COUNT; rank++) /* given back in any order */
            pm_lock_release(&locks[rank]);
    }
}

static void take_two(const void *ranks)
{
    struct pm_lock first = PM_LOCK_INIT(((const uint32_t *)ranks)[0]);
    struct pm_lock second = PM_LOCK_INIT(((const uint32_t *)ranks)[1]);
    pm_lock_acquire(&first);
    pm_lock_acquire(&second);
}

static void release_free_lock(const void *rank)
{
    struct pm_lock free_lock = PM_LOCK_INIT(*(const uint32_t *)rank);
    pm_lock_release(&free_lock);
}

static void a_violation_of_the_ranks_aborts_in_check_builds(void **state)
{
    const uint32_t descending[] = {PM_RANK_ARENA, PM_RANK_GROW};
    const uint32_t equal[] = {PM_RANK_COLD, PM_RANK_COLD};
    const uint32_t ascending[] = {PM_RANK_GROW, PM_RANK_ARENA};
    char text[200];
    (void)state;
    assert_int_equal(test_stderr_of(take_two, ascending, text, sizeof text), 0);
    if (!PM_CHECK)
        return;
    assert_true(test_aborts(take_two, descending, "held_ranks"));
    assert_true(test_aborts(take_two, equal, "held_ranks"));
    assert_true(test_aborts(release_free_lock, descending, "held_ranks"));
}

static void use_after_fork(const void *arg)
{
    (void)arg;
    pm_lock_reset_in_child(&lock);
    take_once(NULL);
}

ISOLATED(a_lock_held_over_fork_is_free_in_the_child_after_a_reset)
{
    char text[200];
    pm_lock_acquire(&lock);
    require(test_stderr_of(use_after_fork, NULL, text, sizeof text) == 0);
    pm_lock_release(&lock);
}

static void take_again(const void *arg)
{
    pm_lock_register(&lock);
    pm_lock_acquire(&lock);
    pm_lock_acquire(arg ? (struct pm_lock *)(uintptr_t)arg : &lock);
}

static void asking_for_a_lock_that_the_thread_holds_is_a_named_error(void **state)
{
    (void)state;
    assert_true(test_aborts(take_again, NULL, "signal handler"));
}

/* Its holder waits for a lock that we have: only the report keeps us from waiting for each other.
 */
static struct pm_lock earlier = PM_LOCK_INIT(PM_RANK_GROW);

static void *take_both(void *arg)
{
    (void)arg;
    pm_lock_acquire(&earlier);
    take_once(NULL);
    return NULL;
}

static void take_one_whose_holder_waits_for_us(const void *arg)
{
    pthread_t thread;
    (void)arg;
    pm_lock_register(&lock);
    pm_lock_register(&earlier);
    pm_lock_acquire(&lock);
    require(pthread_create(&thread, NULL, take_both, NULL) == 0);
    while (pm_lock_state(&earlier) == PM_LOCK_FREE)
        sched_yield();
    pm_lock_acquire(&earlier);
}

static void waiting_for_a_thread_that_waits_for_us_is_a_named_error(void **state)
{
    (void)state;
    assert_true(test_aborts(take_one_whose_holder_waits_for_us, NULL, "signal handler"));
}

static void *hold_for_ever(void *arg)
{
    pm_lock_acquire(&earlier);
    pm_store_release((_Atomic bool *)arg, true);
    pause();
    return NULL;
}

ISOLATED(a_lock_tells_whose_it_is_and_a_fork_gives_up_on_anothers)
{
    pthread_t thread;
    _Atomic bool held = false;
    require(pm_lock_state(&lock) == PM_LOCK_FREE);
    pm_lock_acquire(&lock);
    require(pm_lock_state(&lock) == PM_LOCK_INTERRUPTED);
    pm_lock_release(&lock);
    pm_lock_take_for_fork(&lock, true);
    require(pm_lock_state(&lock) == PM_LOCK_FOR_FORK);
    pm_lock_release_after_fork(&lock);
    pm_lock_take_for_fork(&lock, false);
    require(pm_lock_state(&lock) == PM_LOCK_FOR_FORK);
    pm_lock_release_after_fork(&lock);
    require(pm_lock_state(&lock) == PM_LOCK_FREE);
    require(pthread_create(&thread, NULL, hold_for_ever, (void *)&held) == 0);
    while (!pm_load_acquire(&held))
        sched_yield();
    pm_lock_take_for_fork(&earlier, false);
    require(pm_lock_state(&earlier) == PM_LOCK_ANOTHERS);
    pm_lock_take_for_fork(&earlier, true); /* that holder waits for the fork, for all we know */
    require(pm_lock_state(&earlier) == PM_LOCK_ANOTHERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holders_exclude_each_other_and_acquisitions_are_counted),
        cmocka_unit_test(a_waiter_sleeps_is_woken_and_counted_as_contended),
        cmocka_unit_test(an_uncontended_lock_counts_no_contention_and_wakes_nobody),
        cmocka_unit_test(locks_are_taken_in_ascending_rank),
        cmocka_unit_test(a_violation_of_the_ranks_aborts_in_check_builds),
        cmocka_unit_test(a_lock_held_over_fork_is_free_in_the_child_after_a_reset),
        cmocka_unit_test(asking_for_a_lock_that_the_thread_holds_is_a_named_error),
        cmocka_unit_test(waiting_for_a_thread_that_waits_for_us_is_a_named_error),
        cmocka_unit_test(a_lock_tells_whose_it_is_and_a_fork_gives_up_on_anothers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
