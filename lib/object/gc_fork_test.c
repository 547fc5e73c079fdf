/* SPDX-License-Identifier: MIT */
/*
 * Forks while another thread collects trash that has weak references, and strings are interned:
 * a collection waits for the thread that forks, which takes the locks that the collection wants.
 * And a weak reference that is trash itself.
 */
#include "object/gc_testing.h"
#include "poolmalloc/values.h"
#include "poolmalloc/weak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sys/wait.h>

enum { FORKS = PM_TSAN || PM_SCHEDULE ? 20 : 400, RING = 8, MANY = 3000 };

static _Atomic bool forking;

static void *fork_often(void *unused)
{
    require(pm_object_thread_attach());
    for (unsigned i = 0; i < FORKS; i++) {
        int status;
        pid_t child = fork();
        require(child >= 0);
        if (child == 0)
            _exit(0);
        pm_object_thread_pause();
        require(waitpid(child, &status, 0) == child && status == 0);
        pm_object_thread_resume();
    }
    pm_object_thread_detach();
    atomic_store(&forking, false);
    return unused;
}

static void a_fork_and_a_collection_do_not_wait_for_each_other(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_store(&forking, true);
    assert_int_equal(pthread_create(&thread, NULL, fork_often, NULL), 0);
    for (unsigned round = 0; atomic_load(&forking); round++) {
        struct pm_object *ring = node_ring(NODE_PLAIN, RING);
        struct pm_object *weakref = pm_weakref_new(ring, NULL, NULL);
        struct pm_object *string = pm_str_interned((char[]){'a' + (char)(round % 26)}, 1);
        pm_decref(ring);
        pm_gc_collect(PM_GC_GENERATIONS - 1, NULL);
        struct pm_object *found = pm_weakref_get(weakref);
        assert_null(found);
        pm_decref(weakref);
        pm_decref(string);
    }
    pm_object_thread_pause();
    pthread_join(thread, NULL);
    pm_object_thread_resume();
}

static unsigned called;

static void count_call(struct pm_object *weakref, struct pm_object *arg)
{
    (void)weakref, (void)arg;
    called++;
}

/* node -> weak reference -> (its argument) node; and what it leads to dies by the trash. */
static void make_trash(void)
{
    struct pm_object *string = pm_str_new("referent", 8), *node = node_new();
    struct pm_object *weakref = pm_weakref_new(string, count_call, node);
    node_set(node, 0, weakref);
    node_set(node, 1, string);
    pm_decref(weakref);
    pm_decref(string);
    pm_decref(node);
}

/* So many that pools of both kinds take turns: some nodes are cleared before their references. */
static void a_weak_reference_that_is_trash_calls_nobody(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        make_trash();
    assert_int_equal(node_collect(), 2 * MANY);
    assert_int_equal(called, 0);
}

/* And what leads nowhere any more is found by nobody. */
static void what_a_weak_reference_that_is_trash_led_to_lives_on(void **state)
{
    (void)state;
    struct pm_object *string = pm_str_new("referent", 8), *node = node_new();
    struct pm_object *weakref = pm_weakref_new(string, count_call, node);
    node_set(node, 0, weakref);
    pm_decref(weakref);
    pm_decref(node);
    assert_int_equal(pm_weakref_count(string), 1);
    assert_int_equal(node_collect(), 2);
    assert_int_equal(pm_weakref_count(string), 0);
    pm_decref(string);
    assert_int_equal(called, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fork_and_a_collection_do_not_wait_for_each_other),
        cmocka_unit_test(a_weak_reference_that_is_trash_calls_nobody),
        cmocka_unit_test(what_a_weak_reference_that_is_trash_led_to_lives_on),
    };
    require(pm_object_thread_attach());
    pm_gc_disable();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
