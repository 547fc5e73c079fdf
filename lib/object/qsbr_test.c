/* SPDX-License-Identifier: MIT */
/* Deferred frees wait for all attached threads, and for no others; bounds; probed objects. */
#include "object/qsbr_internal.h"
#include "object/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static _Atomic unsigned freed;

static void count_free(void *ptr)
{
    (void)ptr;
    atomic_fetch_add(&freed, 1);
}

static void defer(size_t bytes)
{
    pm_qsbr_defer(count_free, NULL, bytes);
}

/* A thread that does what it is told, one word at a time. */
enum word { ATTACH, DETACH, QUIESCENT, POLL, DEFER, PAUSE, RESUME, SAFEPOINT, ATTACH_OBJECTS, END };

struct servant {
    pthread_t thread;
    pthread_barrier_t turn;
    enum word word;
};

static void obey(enum word word)
{
    switch (word) {
    case ATTACH:
        require(pm_qsbr_attach());
        break;
    case DETACH:
        pm_qsbr_detach();
        break;
    case QUIESCENT:
        pm_qsbr_quiescent();
        break;
    case POLL:
        pm_qsbr_poll();
        break;
    case DEFER:
        defer(1);
        break;
    case PAUSE:
        pm_object_thread_pause();
        break;
    case RESUME:
        pm_object_thread_resume();
        break;
    case SAFEPOINT:
        pm_safepoint();
        break;
    case ATTACH_OBJECTS:
        require(pm_object_thread_attach());
        break;
    case END:
        break;
    }
}

static void *serve(void *arg)
{
    struct servant *servant = arg;
    for (;;) {
        pthread_barrier_wait(&servant->turn);
        enum word word = servant->word;
        obey(word);
        pthread_barrier_wait(&servant->turn);
        if (word == END)
            return NULL;
    }
}

static void tell(struct servant *servant, enum word word)
{
    servant->word = word;
    pthread_barrier_wait(&servant->turn);
    pthread_barrier_wait(&servant->turn);
}

static void hire(struct servant *servant)
{
    pthread_barrier_init(&servant->turn, NULL, 2);
    require(pthread_create(&servant->thread, NULL, serve, servant) == 0);
}

static void dismiss(struct servant *servant)
{
    tell(servant, END);
    pthread_join(servant->thread, NULL);
    pthread_barrier_destroy(&servant->turn);
}

static bool frees_all_but(unsigned before, unsigned expected)
{
    pm_qsbr_quiescent();
    pm_qsbr_poll();
    return freed - before == expected;
}

static void what_is_deferred_waits_for_every_attached_thread(void **state)
{
    (void)state;
    struct servant one, two;
    unsigned before = freed;
    hire(&one);
    hire(&two);
    tell(&one, ATTACH);
    tell(&two, ATTACH);
    defer(100);
    assert_int_equal(pm_qsbr_poll(), 100);
    assert_true(frees_all_but(before, 0));
    tell(&one, QUIESCENT);
    assert_true(frees_all_but(before, 0));
    tell(&one, QUIESCENT);
    assert_true(frees_all_but(before, 0)); /* one alone does not count twice */
    tell(&two, QUIESCENT);
    assert_true(frees_all_but(before, 1));
    assert_int_equal(pm_qsbr_poll(), 0);
    dismiss(&one);
    dismiss(&two);
}

static void the_thread_itself_has_to_be_quiescent(void **state)
{
    (void)state;
    struct servant one;
    unsigned before = freed;
    hire(&one);
    tell(&one, ATTACH);
    tell(&one, DEFER);
    tell(&one, POLL);
    assert_int_equal(freed - before, 0); /* this one is not */
    pm_qsbr_quiescent();
    tell(&one, POLL);
    assert_int_equal(freed - before, 0); /* the sequence has moved since it was */
    tell(&one, QUIESCENT);
    tell(&one, POLL);
    assert_int_equal(freed - before, 1);
    dismiss(&one);
}

static void a_detached_thread_is_not_waited_for(void **state)
{
    (void)state;
    struct servant one;
    unsigned before = freed;
    hire(&one);
    tell(&one, ATTACH);
    defer(1);
    assert_true(frees_all_but(before, 0));
    tell(&one, DETACH);
    assert_true(frees_all_but(before, 1));
    defer(1);
    pm_qsbr_poll();     /* closes */
    tell(&one, ATTACH); /* too late to see it */
    assert_true(frees_all_but(before, 2));
    dismiss(&one);
}

static void nor_is_one_that_pauses_or_has_ended(void **state)
{
    (void)state;
    struct servant one;
    unsigned before = freed;
    hire(&one);
    tell(&one, ATTACH_OBJECTS);
    defer(1);
    assert_true(frees_all_but(before, 0));
    tell(&one, PAUSE);
    assert_true(frees_all_but(before, 1));
    tell(&one, RESUME);
    defer(1);
    assert_true(frees_all_but(before, 1));
    dismiss(&one);
    assert_true(frees_all_but(before, 2));
}

static void safepoints_are_asked_for_and_are_quiescent(void **state)
{
    (void)state;
    struct servant one;
    unsigned before = freed;
    hire(&one);
    tell(&one, ATTACH_OBJECTS);
    tell(&one, SAFEPOINT);
    defer(1);
    pm_qsbr_poll();
    assert_int_equal(freed - before, 0);
    tell(&one, SAFEPOINT);
    assert_true(frees_all_but(before, 1));
    dismiss(&one);
}

static void what_an_ended_thread_deferred_is_freed_by_others(void **state)
{
    (void)state;
    struct servant one;
    struct pm_qsbr_stats stats;
    unsigned before = freed;
    hire(&one);
    tell(&one, ATTACH);
    tell(&one, DEFER);
    dismiss(&one); /* this thread has not been quiescent */
    assert_int_equal(freed - before, 0);
    pm_qsbr_get_stats(&stats);
    assert_int_equal(stats.items, 1);
    assert_int_equal(stats.bytes, 1);
    assert_true(frees_all_but(before, 1));
    pm_qsbr_get_stats(&stats);
    assert_int_equal(stats.items, 0);
    assert_int_equal(stats.threads, 1);
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

/* What `free` defers is freed as well, by the same call or a later one. */
static void defer_once_more(void *depth)
{
    count_free(NULL);
    if (*(int *)depth > 0) {
        --*(int *)depth;
        pm_qsbr_defer(defer_once_more, depth, 1);
    }
}

static void a_free_may_defer(void **state)
{
    (void)state;
    unsigned before = freed;
    int depth = 5;
    pm_qsbr_defer(defer_once_more, &depth, 1);
    for (int i = 0; i < 20; i++)
        frees_all_but(before, 6);
    assert_int_equal(freed - before, 6);
}

/* ---- bounds ---- */

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

static void defer_unattached(const void *arg)
{
    (void)arg;
    pm_object_thread_detach();
    defer(1);
}

static void a_thread_that_defers_without_attaching_is_told(void **state)
{
    (void)state;
    assert_true(test_aborts(defer_unattached, NULL, "pm_qsbr_defer: the thread is not attached"));
}

/* ---- probed objects ---- */

enum { CELLS = 4, STEPS = PM_SCHEDULE ? 500 : PM_TSAN || PM_ASAN || PM_CHECK ? 10000 : 100000 };

struct stamped {
    struct pm_object object;
    uint64_t stamp;
};

static _Atomic unsigned made, died;

static void die(struct pm_object *object)
{
    require(((struct stamped *)object)->stamp == (uintptr_t)object);
    ((struct stamped *)object)->stamp = 0;
    atomic_fetch_add(&died, 1);
}

static struct pm_type probed_type = {.name = "probed", .size = sizeof(struct stamped), .free = die};

static struct pm_object *_Atomic cells[CELLS];

static struct pm_object *make(void)
{
    struct stamped *stamped = (struct stamped *)pm_object_new(&probed_type);
    require(stamped != NULL);
    stamped->stamp = (uintptr_t)stamped;
    pm_object_set_probed(&stamped->object);
    atomic_fetch_add(&made, 1);
    return &stamped->object;
}

static void read_and_replace(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    for (unsigned i = 0; i < STEPS; i++) {
        struct pm_object *_Atomic *cell = &cells[test_random_below(&seed, CELLS)];
        struct pm_object *object = pm_load_acquire(cell);
        if (test_random_below(&seed, 4) == 0) {
            object = pm_exchange_acq_rel(cell, make());
            if (object != NULL)
                pm_decref(object);
        } else if (object != NULL && pm_try_incref(object)) {
            require(((struct stamped *)object)->stamp == (uintptr_t)object);
            pm_decref(object);
        }
        pm_safepoint();
    }
}

static void objects_that_are_found_without_a_lock_live_or_are_refused(void **state)
{
    (void)state;
    pthread_t threads[4];
    struct test_call calls[4];
    uint64_t seeds[4];
    pm_object_thread_pause();
    for (int i = 0; i < 4; i++) {
        seeds[i] = i + 1;
        calls[i] = (struct test_call){read_and_replace, &seeds[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, test_attached, &calls[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    pm_object_thread_resume();
    for (int i = 0; i < CELLS; i++)
        if (cells[i] != NULL)
            pm_decref(cells[i]);
    assert_true(made > 4);
    assert_int_equal(made, died);
    struct pm_qsbr_stats stats;
    for (int i = 0; i < 3; i++) {
        pm_qsbr_quiescent();
        pm_qsbr_poll();
    }
    pm_qsbr_get_stats(&stats);
    assert_int_equal(stats.items, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_deferred_waits_for_every_attached_thread),
        cmocka_unit_test(the_thread_itself_has_to_be_quiescent),
        cmocka_unit_test(a_detached_thread_is_not_waited_for),
        cmocka_unit_test(nor_is_one_that_pauses_or_has_ended),
        cmocka_unit_test(safepoints_are_asked_for_and_are_quiescent),
        cmocka_unit_test(what_an_ended_thread_deferred_is_freed_by_others),
        cmocka_unit_test(what_ended_threads_deferred_is_bounded_and_they_are_not_waited_for),
        cmocka_unit_test(a_free_may_defer),
        cmocka_unit_test(many_more_items_than_the_bound_wait_no_longer_than_that),
        cmocka_unit_test(pools_that_are_held_are_counted_and_never_too_few),
        cmocka_unit_test(no_more_pools_wait_than_the_bound),
        cmocka_unit_test(a_thread_that_never_is_quiescent_is_named_and_memory_stays_bounded),
        cmocka_unit_test(a_thread_that_defers_without_attaching_is_told),
        cmocka_unit_test(objects_that_are_found_without_a_lock_live_or_are_refused),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
