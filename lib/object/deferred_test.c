/* SPDX-License-Identifier: MIT */
/*
 * Deferred references: frames, what keeps an object alive, what a sweep finds, with threads that
 * are held at safepoints for it.
 */
#include "object/deferred.h"
#include "object/testing.h"
#include "poolmalloc/domains.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct pm_object *deferred_box(void)
{
    struct pm_object *object = test_box_new();
    require(pm_object_set_deferred(object));
    return object;
}

/* ---- frames ---- */

static void a_frame_counts_no_reference_to_a_deferred_object(void **state)
{
    (void)state;
    struct pm_object *object = deferred_box(), before;
    struct pm_deferred_frame frame;
    uintptr_t references[3];
    assert_int_equal(pm_refcount(object), 2); /* this one, and the register's */
    pm_deferred_enter(&frame, references, 3);
    assert_null(pm_deferred_get(&frame, 0));
    before = *object;
    pm_deferred_set(&frame, 0, object);
    pm_deferred_set(&frame, 2, object);
    assert_memory_equal(object, &before, sizeof before);
    assert_ptr_equal(pm_deferred_get(&frame, 0), object);
    assert_ptr_equal(pm_deferred_get(&frame, 2), object);
    pm_deferred_clear(&frame, 0);
    assert_null(pm_deferred_get(&frame, 0));
    pm_deferred_leave(&frame);
    assert_memory_equal(object, &before, sizeof before);
    pm_decref(object);
    assert_int_equal(pm_deferred_reclaim(), 1);
}

static void of_other_objects_it_holds_counted_ones(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *first = test_box_new(), *second = test_box_new();
    struct pm_deferred_frame frame, inner;
    uintptr_t references[2], inner_references[1];
    pm_deferred_enter(&frame, references, 2);
    pm_deferred_set(&frame, 0, first);
    pm_deferred_set(&frame, 1, first);
    assert_int_equal(pm_refcount(first), 3);
    pm_decref(first);
    pm_deferred_enter(&inner, inner_references, 1);
    pm_deferred_set(&inner, 0, pm_deferred_get(&frame, 0));
    assert_int_equal(pm_refcount(first), 3);
    pm_deferred_leave(&inner);
    assert_int_equal(pm_refcount(first), 2);
    pm_deferred_set(&frame, 0, second); /* which drops what was there */
    assert_int_equal(pm_refcount(first), 1);
    pm_deferred_clear(&frame, 1);
    assert_int_equal(test_deaths - deaths, 1);
    pm_decref(second);
    pm_deferred_leave(&frame);
    assert_int_equal(test_deaths - deaths, 2);
}

static struct pm_object *found;
static bool tried[2];

static void try_without_reference(void *arg)
{
    struct pm_deferred_frame frame;
    uintptr_t references[1];
    (void)arg;
    pm_deferred_enter(&frame, references, 1);
    tried[0] = pm_deferred_try_set(&frame, 0, found);
    tried[1] = pm_deferred_get(&frame, 0) == found;
    pm_deferred_leave(&frame);
}

static void an_object_that_was_found_is_tried_unless_it_is_deferred(void **state)
{
    (void)state;
    found = test_box_new();
    test_in_thread(try_without_reference, NULL);
    assert_false(tried[0] || tried[1]); /* its owner's alone */
    pm_object_set_probed(found);
    test_in_thread(try_without_reference, NULL);
    assert_true(tried[0] && tried[1]);
    pm_decref(found);
    pm_safepoint();
    found = deferred_box();
    test_in_thread(try_without_reference, NULL);
    assert_true(tried[0] && tried[1]);
    assert_int_equal(pm_refcount(found), 2);
    pm_decref(found);
    assert_int_equal(pm_deferred_reclaim(), 1);
}

/* ---- the end ---- */

static void without_counted_references_it_lives_until_a_sweep(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *object = deferred_box();
    assert_int_equal(pm_deferred_reclaim(), 0); /* this one is counted */
    pm_decref(object);
    assert_int_equal(test_deaths - deaths, 0);
    assert_int_equal(pm_deferred_reclaim(), 1);
    assert_int_equal(test_deaths - deaths, 1);
    assert_int_equal(pm_deferred_reclaim(), 0);
}

static void a_reference_in_a_frame_keeps_it(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *object = deferred_box();
    struct pm_deferred_frame frame, inner;
    uintptr_t references[2], inner_references[1];
    pm_deferred_enter(&frame, references, 2);
    pm_deferred_set(&frame, 1, object);
    pm_deferred_enter(&inner, inner_references, 1);
    pm_deferred_set(&inner, 0, object);
    pm_decref(object);
    assert_int_equal(pm_deferred_reclaim(), 0);
    pm_deferred_clear(&frame, 1);
    assert_int_equal(pm_deferred_reclaim(), 0);
    assert_int_equal(pm_refcount(object), 1);
    pm_deferred_leave(&inner);
    assert_int_equal(pm_deferred_reclaim(), 1);
    assert_int_equal(test_deaths - deaths, 1);
    pm_deferred_leave(&frame);
}

static pthread_barrier_t barrier;

static void hold_in_a_frame(void *object)
{
    struct pm_deferred_frame frame;
    uintptr_t references[1];
    pm_deferred_enter(&frame, references, 1);
    pm_deferred_set(&frame, 0, object);
    pm_object_thread_pause();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    pm_object_thread_resume();
    require(((struct test_box *)pm_deferred_get(&frame, 0))->next == NULL);
    pm_deferred_leave(&frame);
}

static void also_one_in_the_frame_of_a_paused_thread(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *object = deferred_box();
    struct test_call call = {hold_in_a_frame, object};
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, test_attached, &call), 0);
    pthread_barrier_wait(&barrier);
    pm_decref(object);
    assert_int_equal(pm_deferred_reclaim(), 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    assert_int_equal(pm_deferred_reclaim(), 1);
    assert_int_equal(test_deaths - deaths, 1);
    pthread_barrier_destroy(&barrier);
}

static void what_dies_leaves_others_for_the_next_sweep(void **state)
{
    (void)state;
    struct pm_object *inner = deferred_box(), *outer = deferred_box();
    ((struct test_box *)outer)->next = (struct test_box *)inner;
    pm_decref(outer);
    assert_int_equal(pm_deferred_reclaim(), 1);
    assert_int_equal(pm_refcount(inner), 1);
    assert_int_equal(pm_deferred_reclaim(), 1);
}

static struct pm_object *back;

static void come_back(struct pm_object *object)
{
    pm_incref(object);
    back = object;
}

static void what_comes_back_is_deferred_no_more(void **state)
{
    (void)state;
    static struct pm_type type = {.name = "back", .size = 24, .finalize = come_back};
    struct pm_object *object = pm_object_new(&type);
    assert_true(pm_object_set_deferred(object));
    pm_decref(object);
    assert_int_equal(pm_deferred_reclaim(), 1);
    assert_ptr_equal(back, object);
    assert_int_equal(pm_refcount(back), 1);
    assert_false(pm_deferred_is_set(back));
    pm_decref(back);
}

/* ---- making it deferred ---- */

static void again_it_does_nothing_and_immortal_objects_refuse(void **state)
{
    (void)state;
    struct pm_deferred_stats before, after;
    pm_deferred_get_stats(&before);
    struct pm_object *object = deferred_box(), *immortal = test_box_new();
    assert_true(pm_object_set_deferred(object));
    assert_int_equal(pm_refcount(object), 2);
    assert_false(pm_object_set_immortal(object));
    assert_true(pm_object_set_immortal(immortal));
    errno = 0;
    assert_false(pm_object_set_deferred(immortal));
    assert_int_equal(errno, EINVAL);
    pm_deferred_get_stats(&after);
    assert_int_equal(after.objects - before.objects, 1);
    pm_decref(object);
    assert_int_equal(pm_deferred_reclaim(), 1);
    pm_deferred_get_stats(&after);
    assert_int_equal(after.objects, before.objects);
    assert_int_equal(after.reclaims - before.reclaims, 1);
    assert_int_equal(after.reclaimed - before.reclaimed, 1);
}

static void *refuse(void *context, size_t size)
{
    (void)context, (void)size;
    errno = ENOMEM;
    return NULL;
}

ISOLATED(without_memory_it_stays_as_it_was)
{
    struct pm_allocator hook;
    require(pm_object_thread_attach());
    struct pm_object *object = test_box_new();
    require(pm_get_allocator(PM_DOMAIN_RAW, &hook));
    hook.malloc = refuse;
    require(pm_set_allocator(PM_DOMAIN_RAW, &hook));
    errno = 0;
    require(!pm_object_set_deferred(object) && errno == ENOMEM);
    require(pm_refcount(object) == 1 && !pm_deferred_is_set(object));
}

ISOLATED(in_a_child_of_fork_frames_and_sweeps_go_on)
{
    require(pm_object_thread_attach());
    struct pm_object *object = deferred_box();
    struct pm_deferred_frame frame;
    uintptr_t references[1];
    pm_deferred_enter(&frame, references, 1);
    pm_deferred_set(&frame, 0, object);
    pm_decref(object);
    pid_t child = fork();
    if (child == 0) {
        require(pm_deferred_reclaim() == 0);
        pm_deferred_leave(&frame);
        require(pm_deferred_reclaim() == 1);
        _exit(0);
    }
    int status;
    require(waitpid(child, &status, 0) == child && status == 0);
    require(pm_deferred_reclaim() == 0);
    pm_deferred_leave(&frame);
    require(pm_deferred_reclaim() == 1);
}

/* ---- misuse ---- */

static void leave_the_outer_one(const void *arg)
{
    struct pm_deferred_frame frames[2];
    uintptr_t references[2];
    (void)arg;
    for (int i = 0; i < 2; i++)
        pm_deferred_enter(&frames[i], &references[i], 1);
    pm_deferred_leave(&frames[0]);
}

static void detach_inside(const void *arg)
{
    struct pm_deferred_frame frame;
    (void)arg;
    pm_deferred_enter(&frame, NULL, 0);
    pm_object_thread_detach();
}

static void reclaim_while_paused(const void *arg)
{
    (void)arg;
    pm_object_thread_pause();
    pm_deferred_reclaim();
}

static void wrong_orders_are_named(void **state)
{
    (void)state;
    assert_true(test_aborts(leave_the_outer_one, NULL, "pm_deferred_leave: the frame is not"));
    assert_true(test_aborts(detach_inside, NULL, "pm_object_thread_detach: a deferred frame was"));
    assert_true(test_aborts(reclaim_while_paused, NULL, "pm_deferred_reclaim: the thread is not"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_counts_no_reference_to_a_deferred_object),
        cmocka_unit_test(of_other_objects_it_holds_counted_ones),
        cmocka_unit_test(an_object_that_was_found_is_tried_unless_it_is_deferred),
        cmocka_unit_test(without_counted_references_it_lives_until_a_sweep),
        cmocka_unit_test(a_reference_in_a_frame_keeps_it),
        cmocka_unit_test(also_one_in_the_frame_of_a_paused_thread),
        cmocka_unit_test(what_dies_leaves_others_for_the_next_sweep),
        cmocka_unit_test(what_comes_back_is_deferred_no_more),
        cmocka_unit_test(again_it_does_nothing_and_immortal_objects_refuse),
        cmocka_unit_test(without_memory_it_stays_as_it_was),
        cmocka_unit_test(in_a_child_of_fork_frames_and_sweeps_go_on),
        cmocka_unit_test(wrong_orders_are_named),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
