/* SPDX-License-Identifier: MIT */
/* Threads that are attached here by the program as well as for objects, and paused: who is waited
 * for, and who may free. */
#include "object/qsbr_internal.h"
#include "object/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void free_nothing(void *ptr)
{
    (void)ptr;
}

static pthread_barrier_t barrier;

static void take_turns(void)
{
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
}

/* Between two barriers each the other thread looks. */
static void attach_and_detach_while_paused(void *arg)
{
    (void)arg;
    pm_object_thread_pause();
    require(pm_qsbr_attach());
    take_turns(); /* waited for */
    pm_qsbr_detach();
    take_turns(); /* not */
    pm_object_thread_resume();
    take_turns(); /* waited for */
}

static void attach_before_and_detach_while_paused(void *arg)
{
    (void)arg;
    require(pm_qsbr_attach());
    pm_object_thread_pause();
    take_turns();
    pm_qsbr_detach();
    take_turns();
    pm_object_thread_resume();
    take_turns();
}

static void attach_while_paused_and_detach_after(void *arg)
{
    (void)arg;
    pm_object_thread_pause();
    require(pm_qsbr_attach());
    take_turns();
    pm_qsbr_quiescent();
    pm_object_thread_resume();
    take_turns();
    pm_qsbr_detach();
    take_turns();
}

/* Whether what is deferred now waits for the other thread; before it there is nothing. */
static bool is_waited_for(void)
{
    pthread_barrier_wait(&barrier);
    pm_qsbr_defer(free_nothing, NULL, 1);
    pm_qsbr_poll();
    pm_qsbr_quiescent();
    bool waits = pm_qsbr_poll() > 0;
    pthread_barrier_wait(&barrier);
    return waits;
}

static void look_on(void (*call)(void *), bool first, bool second, bool third)
{
    struct test_call in = {call, NULL};
    const bool expected[] = {first, second, third};
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    require(pthread_create(&thread, NULL, test_attached, &in) == 0);
    for (unsigned i = 0; i < 3; i++)
        require(is_waited_for() == expected[i]);
    require(pthread_join(thread, NULL) == 0);
    pthread_barrier_destroy(&barrier);
    pm_qsbr_quiescent();
    pm_qsbr_poll();
    require(pm_qsbr_poll() == 0);
}

/* By require: what is wrong here ends the program, before the threads wait for each other. */
static void a_paused_thread_that_the_program_attaches_is_waited_for(void **state)
{
    (void)state;
    look_on(attach_and_detach_while_paused, true, false, true);
}

static void until_the_program_detaches_it(void **state)
{
    (void)state;
    look_on(attach_before_and_detach_while_paused, true, false, true);
}

static void also_once_it_has_resumed(void **state)
{
    (void)state;
    look_on(attach_while_paused_and_detach_after, true, true, true);
}

/* ---- misuse ---- */

static void defer_while_paused(const void *arg)
{
    (void)arg;
    pm_object_thread_pause();
    pm_qsbr_defer(free_nothing, NULL, 1);
}

static void quiescent_while_paused(const void *arg)
{
    (void)arg;
    pm_object_thread_pause();
    pm_qsbr_quiescent();
}

static void detach_for_objects(const void *arg)
{
    (void)arg;
    pm_qsbr_detach();
}

static void what_is_not_attached_or_not_by_the_program_is_named(void **state)
{
    (void)state;
    assert_true(test_aborts(defer_while_paused, NULL, "pm_qsbr_defer: the thread is not attached"));
    assert_true(test_aborts(quiescent_while_paused, NULL, "pm_qsbr_quiescent: the thread is not"));
    assert_true(test_aborts(detach_for_objects, NULL, "pm_qsbr_detach: called more often than"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paused_thread_that_the_program_attaches_is_waited_for),
        cmocka_unit_test(until_the_program_detaches_it),
        cmocka_unit_test(also_once_it_has_resumed),
        cmocka_unit_test(what_is_not_attached_or_not_by_the_program_is_named),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
