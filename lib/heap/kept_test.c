/* SPDX-License-Identifier: MIT */
/* Empty pools and units that heaps keep: bounded, and within reach of every thread. */
#include "heap/testing.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 128, SIZE = 256, POOLS = 12 };

/* Fills so many pools and empties them: but for the current one they are kept. */
static void fill_and_free_pools(unsigned pools)
{
    static _Thread_local void *blocks[POOLS << 7];
    unsigned n = pools * pm_class_capacity(pm_class_of(SIZE));
    require(n <= sizeof blocks / sizeof *blocks);
    for (unsigned i = 0; i < n; i++)
        blocks[i] = test_alloc(SIZE);
    for (unsigned i = 0; i < n; i++)
        test_release(blocks[i]);
}

/* A thread that keeps pools and sleeps until it is told to end. */
struct sleeper {
    _Atomic unsigned step;
    pthread_t thread;
};

static void *keep_and_sleep(void *arg)
{
    struct sleeper *sleeper = arg;
    test_get_heap();
    fill_and_free_pools(POOLS);
    pm_store_release(&sleeper->step, 1);
    while (pm_load_acquire(&sleeper->step) != 2)
        sched_yield();
    fill_and_free_pools(POOLS); /* all is well after what was taken away */
    require(pm_heap_check());
    return NULL;
}

static void start_sleeper(struct sleeper *sleeper)
{
    require(pthread_create(&sleeper->thread, NULL, keep_and_sleep, sleeper) == 0);
    while (pm_load_acquire(&sleeper->step) != 1)
        sched_yield();
    require(test_heap_stats().kept_bytes > 0 && test_heap_stats().stash_bytes > 0);
}

static void end_sleeper(struct sleeper *sleeper)
{
    pm_store_release(&sleeper->step, 2);
    require(pthread_join(sleeper->thread, NULL) == 0);
}

static void *free_pool(void *blocks)
{
    void **all = blocks;
    unsigned capacity = pm_class_capacity(pm_class_of(SIZE));
    test_get_heap();
    test_release_some(all, 0, capacity);
    require(pm_load_relaxed(&pm_heap_self->kept_bytes) == 0);
    return NULL;
}

static void *allocate_and_free_pool(void *blocks)
{
    void **all = blocks;
    unsigned capacity = pm_class_capacity(pm_class_of(SIZE));
    test_get_heap();
    for (unsigned i = 0; i <= pm_class_calls_before_pool(pm_class_of(SIZE)); i++)
        test_alloc(SIZE);
    test_release_some(all, 0, capacity);
    require(pm_load_relaxed(&pm_heap_self->kept_bytes) == PM_UNIT_BYTES);
    return NULL;
}

static void float_pool_and_run(void *(*body)(void *))
{
    static void *blocks[PM_UNIT_BYTES / SIZE];
    test_heap_start(WINDOW_ARENAS);
    test_float_pool(SIZE, blocks);
    test_in_thread(body, blocks);
}

ISOLATED(who_only_frees_keeps_no_empty_pool)
{
    float_pool_and_run(free_pool);
}

ISOLATED(who_allocates_the_class_keeps_an_empty_pool_of_others)
{
    float_pool_and_run(allocate_and_free_pool);
}

ISOLATED(what_a_sleeping_thread_keeps_is_purged_by_another)
{
    struct sleeper sleeper = {0};
    test_heap_start(WINDOW_ARENAS);
    start_sleeper(&sleeper);
    pm_heap_trim();
    require(test_heap_stats().kept_bytes == 0 && test_heap_stats().stash_bytes == 0);
    end_sleeper(&sleeper);
    require(test_nothing_is_lost());
}

ISOLATED(what_a_sleeping_thread_keeps_is_taken_before_a_new_arena_is_mapped)
{
    /* Too little of one is not worth it; what one more keeps would need a third arena. */
    enum { SLEEPERS = 7 };
    struct sleeper sleepers[SLEEPERS] = {0};
    struct pm_run run;
    test_heap_start(WINDOW_ARENAS);
    for (int i = 0; i < SLEEPERS; i++)
        start_sleeper(&sleepers[i]);
    require(test_heap_stats().kept_bytes >= PM_ARENA_BYTES);
    uint64_t arenas = test_arena_stats().arenas;
    while (test_heap_stats().kept_bytes != 0) {
        require(test_arena_stats().arenas == arenas);
        require(pm_arena_take_run(1, &run));
    }
    for (int i = 0; i < SLEEPERS; i++)
        end_sleeper(&sleepers[i]);
}

ISOLATED(heaps_without_a_slow_path_since_the_last_deadline_lose_what_they_keep)
{
    struct sleeper sleeper = {0};
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    start_sleeper(&sleeper);
    fill_and_free_pools(POOLS);
    uint64_t all = test_heap_stats().kept_bytes;
    require(!pm_heap_give_kept_of_all(true)); /* both were busy */
    require(test_heap_stats().kept_bytes == all);
    fill_and_free_pools(POOLS);
    require(pm_heap_give_kept_of_all(true));
    require(test_heap_stats().kept_bytes == pm_load_relaxed(&pm_heap_self->kept_bytes));
    require(test_heap_stats().kept_bytes > 0);
    end_sleeper(&sleeper);
    require(test_nothing_is_lost());
}

ISOLATED(one_heap_keeps_no_more_than_its_bound)
{
    test_heap_start(WINDOW_ARENAS);
    pm_options.heap_keep_bytes = 3 * PM_UNIT_BYTES;
    fill_and_free_pools(POOLS);
    require(test_heap_stats().kept_bytes == 3 * PM_UNIT_BYTES && pm_heap_check());
}

ISOLATED(all_heaps_together_keep_no_more_than_their_bound)
{
    struct sleeper sleepers[4] = {0};
    test_heap_start(WINDOW_ARENAS);
    pm_options.heaps_keep_bytes = 2 * POOLS * PM_UNIT_BYTES;
    for (int i = 0; i < 4; i++)
        start_sleeper(&sleepers[i]);
    require(test_heap_stats().kept_bytes <= 2 * POOLS * PM_UNIT_BYTES);
    require(test_heap_stats().kept_bytes > POOLS * PM_UNIT_BYTES);
    for (int i = 0; i < 4; i++)
        end_sleeper(&sleepers[i]);
    require(test_nothing_is_lost());
}

ISOLATED(a_thread_that_goes_idle_lets_go_of_everything_and_can_go_on)
{
    test_heap_start(WINDOW_ARENAS);
    fill_and_free_pools(POOLS);
    require(pm_heap_idle() && !pm_heap_idle());
    require(test_heap_stats().kept_bytes == 0 && test_heap_stats().stash_bytes == 0);
    fill_and_free_pools(POOLS);
    require(test_nothing_is_lost());
}

/* Four threads keep and take while a fifth takes all away, all the time. */
static _Atomic unsigned running;

static void *keep_and_take(void *arg)
{
    (void)arg;
    test_get_heap();
    for (int i = 0; i < (PM_TSAN ? 20 : 200); i++)
        fill_and_free_pools(1 + (unsigned)i % POOLS);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

ISOLATED(taking_away_while_owners_keep_and_take_loses_nothing)
{
    pthread_t threads[4];
    test_heap_start(WINDOW_ARENAS);
    pm_store_relaxed(&running, 4);
    for (int i = 0; i < 4; i++)
        require(pthread_create(&threads[i], NULL, keep_and_take, NULL) == 0);
    while (pm_load_relaxed(&running) != 0)
        pm_heap_give_kept_of_all(false);
    for (int i = 0; i < 4; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(test_nothing_is_lost());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_only_frees_keeps_no_empty_pool),
        cmocka_unit_test(who_allocates_the_class_keeps_an_empty_pool_of_others),
        cmocka_unit_test(what_a_sleeping_thread_keeps_is_purged_by_another),
        cmocka_unit_test(what_a_sleeping_thread_keeps_is_taken_before_a_new_arena_is_mapped),
        cmocka_unit_test(heaps_without_a_slow_path_since_the_last_deadline_lose_what_they_keep),
        cmocka_unit_test(one_heap_keeps_no_more_than_its_bound),
        cmocka_unit_test(all_heaps_together_keep_no_more_than_their_bound),
        cmocka_unit_test(a_thread_that_goes_idle_lets_go_of_everything_and_can_go_on),
        cmocka_unit_test(taking_away_while_owners_keep_and_take_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
