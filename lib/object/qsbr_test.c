/* SPDX-License-Identifier: MIT */
/* Deferred frees wait for all attached threads, and for no others. */
#include "object/qsbr_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* By require: what is wrong here ends the program, before the other threads wait for its end. */
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
    require(frees_all_but(before, 0));
    tell(&one, QUIESCENT);
    require(frees_all_but(before, 0));
    tell(&one, QUIESCENT);
    require(frees_all_but(before, 0)); /* one alone does not count twice */
    tell(&two, QUIESCENT);
    require(frees_all_but(before, 1));
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

static void attach_again(void *ptr)
{
    (void)ptr;
    pm_qsbr_attach();
}

static void detach_once_more(void *ptr)
{
    (void)ptr;
    pm_qsbr_detach();
}

/* In the last detach of all, too, which frees what it can. */
static void defer_and_detach(const void *arg)
{
    pm_object_thread_detach();
    require(pm_qsbr_attach());
    pm_qsbr_defer(*(void (*const *)(void *))arg, NULL, 1);
    pm_qsbr_poll(); /* closes the batch, which the thread itself still keeps back */
    pm_qsbr_detach();
}

static void defer_and_poll(const void *arg)
{
    pm_qsbr_defer(*(void (*const *)(void *))arg, NULL, 1);
    pm_qsbr_poll();
    pm_qsbr_quiescent();
    pm_qsbr_poll();
}

static void attaching_and_detaching_while_something_is_freed_are_named_errors(void **state)
{
    (void)state;
    void (*const attach)(void *) = attach_again, (*const detach)(void *) = detach_once_more;
    const char *told = "pm_qsbr_attach: called by a function that frees what was deferred";
    assert_true(test_aborts(defer_and_detach, &attach, told));
    assert_true(test_aborts(defer_and_poll, &attach, told));
    told = "pm_qsbr_detach: called by a function that frees what was deferred";
    assert_true(test_aborts(defer_and_detach, &detach, told));
    assert_true(test_aborts(defer_and_poll, &detach, told));
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
        cmocka_unit_test(a_free_may_defer),
        cmocka_unit_test(a_thread_that_defers_without_attaching_is_told),
        cmocka_unit_test(attaching_and_detaching_while_something_is_freed_are_named_errors),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
