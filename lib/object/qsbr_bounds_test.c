/* SPDX-License-Identifier: MIT */
/* What waits to be freed is bounded in items, bytes and pools, whatever other threads do. */
#include "object/qsbr_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void many_more_items_than_the_bound_wait_no_longer_than_that(void **state)
{
    (void)state;
    unsigned before = freed, items = PM_TSAN || PM_SCHEDULE ? 5000 : 100000;
    struct pm_qsbr_stats stats;
    for (unsigned i = 0; i < items; i++) {
        defer(3000);
        pm_qsbr_get_stats(&stats);
        assert_true(stats.items <= PM_QSBR_ITEMS_MAX);
        assert_true(stats.bytes <= PM_QSBR_BYTES_MAX);
    }
    while (pm_qsbr_poll() > 0)
        pm_qsbr_quiescent();
    assert_int_equal(freed - before, items);
}

/* Addresses, no more: so many items in so many units, by turns. */
static void defer_at(size_t unit)
{
    pm_qsbr_defer(count_free, (void *)(unit << PM_UNIT_SHIFT), 1);
}

static uint64_t pools_now(void)
{
    struct pm_qsbr_stats stats;
    pm_qsbr_get_stats(&stats);
    return stats.pools;
}

static void pools_that_are_held_are_counted_and_never_too_few(void **state)
{
    (void)state;
    struct servant one;
    unsigned before = freed;
    assert_int_equal(pools_now(), 0);
    hire(&one);
    tell(&one, ATTACH);
    for (size_t i = 0; i < 30; i++)
        defer_at(1 + i / 10); /* three, one after the other */
    assert_int_equal(pools_now(), 3);
    for (size_t i = 0; i < 10; i++)
        defer_at(4 + i % 2); /* by turns: two pools, which count as ten */
    assert_int_equal(pools_now(), 13);
    dismiss(&one);
    pm_qsbr_poll();
    assert_true(frees_all_but(before, 40));
    assert_int_equal(pools_now(), 0);
}

static void no_more_pools_wait_than_the_bound(void **state)
{
    (void)state;
    unsigned before = freed, items = PM_TSAN || PM_SCHEDULE ? 5000 : 100000;
    struct pm_qsbr_stats stats;
    struct servant one;
    hire(&one);
    tell(&one, ATTACH);
    for (size_t i = 0; i < PM_QSBR_POOLS_MAX; i++)
        defer_at(i);
    pm_qsbr_get_stats(&stats);
    assert_int_equal(stats.pools, PM_QSBR_POOLS_MAX);
    assert_int_equal(stats.pools_max, PM_QSBR_POOLS_MAX);
    assert_int_equal(stats.items_max, PM_QSBR_ITEMS_MAX);
    assert_int_equal(stats.bytes_max, PM_QSBR_BYTES_MAX);
    dismiss(&one);
    for (size_t i = 0; i < items; i++) {
        defer_at(i);
        pm_qsbr_get_stats(&stats);
        assert_true(stats.pools <= PM_QSBR_POOLS_MAX);
    }
    while (pm_qsbr_poll() > 0)
        pm_qsbr_quiescent();
    assert_int_equal(freed - before, items + PM_QSBR_POOLS_MAX);
}

static _Atomic bool released;

static void *never_quiescent(void *arg)
{
    require(pm_qsbr_attach());
    pthread_barrier_wait(arg);
    while (!atomic_load(&released))
        usleep(1000);
    pm_qsbr_detach();
    return NULL;
}

static void *watch_bytes(void *arg)
{
    struct pm_qsbr_stats stats;
    (void)arg;
    while (pm_load_relaxed(&pm_object_warnings) == 0)
        usleep(1000);
    pm_qsbr_get_stats(&stats);
    require(stats.waits > 0);
    require(stats.bytes <= PM_QSBR_BYTES_MAX + 1000);
    require(stats.pools <= PM_QSBR_POOLS_MAX + 1);
    atomic_store(&released, true);
    return NULL;
}

/* `by_pools`: what they hold is bounded before their bytes are. */
static void defer_beside_one_who_never_is(const void *by_pools)
{
    pthread_barrier_t barrier;
    pthread_t stuck, watcher;
    pm_qsbr_patience_ms = 1;
    pthread_barrier_init(&barrier, NULL, 2);
    require(pthread_create(&stuck, NULL, never_quiescent, &barrier) == 0);
    pthread_barrier_wait(&barrier);
    require(pthread_create(&watcher, NULL, watch_bytes, NULL) == 0);
    for (size_t i = 0; i < 5000; i++) {
        if (by_pools != NULL)
            defer_at(i);
        else
            defer(1000);
    }
    require(atomic_load(&released)); /* so much does not fit */
    pthread_join(stuck, NULL);
    pthread_join(watcher, NULL);
}

static void a_thread_that_never_is_quiescent_is_named_and_memory_stays_bounded(void **state)
{
    (void)state;
    char text[1024];
    const void *const bounds[] = {NULL, "by pools"};
    for (int i = 0; i < 2; i++) {
        int status = test_stderr_of(defer_beside_one_who_never_is, bounds[i], text, sizeof text);
        assert_int_equal(status, 0);
        assert_non_null(strstr(text, "poolmalloc: pm_qsbr_defer: thread "));
        assert_non_null(strstr(text, "has not been quiescent for 1 ms, and "));
    }
}

static _Atomic bool all_ended;

static void *end_threads_that_defer(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        struct servant one;
        hire(&one);
        tell(&one, ATTACH);
        tell(&one, DEFER);
        dismiss(&one);
    }
    atomic_store(&all_ended, true);
    return NULL;
}

static void what_ended_threads_deferred_is_bounded_and_they_are_not_waited_for(void **state)
{
    (void)state;
    unsigned before = freed;
    struct pm_qsbr_stats stats;
    size_t bound = pm_qsbr_items_max;
    uint64_t most = 0;
    pthread_t thread;
    pm_qsbr_items_max = 2;
    pm_qsbr_get_stats(&stats);
    uint64_t waits = stats.waits;
    assert_int_equal(pthread_create(&thread, NULL, end_threads_that_defer, NULL), 0);
    while (!all_ended) { /* until one waits, this one is not quiescent */
        pm_qsbr_get_stats(&stats);
        most = stats.items > most ? stats.items : most;
        if (stats.waits > waits) {
            waits = stats.waits;
            pm_qsbr_quiescent();
            pm_qsbr_poll();
        }
        sched_yield();
    }
    pthread_join(thread, NULL);
    assert_int_equal(most, 3); /* the bound, and one item more */
    assert_true(frees_all_but(before, 5));
    pm_qsbr_items_max = bound;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ended_threads_deferred_is_bounded_and_they_are_not_waited_for),
        cmocka_unit_test(many_more_items_than_the_bound_wait_no_longer_than_that),
        cmocka_unit_test(pools_that_are_held_are_counted_and_never_too_few),
        cmocka_unit_test(no_more_pools_wait_than_the_bound),
        cmocka_unit_test(a_thread_that_never_is_quiescent_is_named_and_memory_stays_bounded),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
