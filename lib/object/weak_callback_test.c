/* SPDX-License-Identifier: MIT */
/*
 * The callbacks of weak references, by one thread and by others that come and go. The cases of
 * CPython's test_weakref (Lib/test/test_weakref.py, ReferencesTestCase) have their names beside
 * them.
 */
#include "object/weak_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* test_basic_callback */
static void a_callback_is_called_once_after_the_death_of_the_object(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *weakref = pm_weakref_new(object, test_note, NULL);
    test_calls_forget();
    pm_incref(object);
    pm_decref(object);
    assert_int_equal(test_calls.count, 0);
    pm_decref(object);
    assert_int_equal(test_calls.count, 1);
    assert_ptr_equal(test_calls.weakrefs[0], weakref);
    assert_false(test_calls.found);
    pm_decref(weakref);
    assert_int_equal(test_calls.count, 1);
}

/* test_multiple_callbacks, test_multiple_selfref_callbacks */
static void callbacks_come_last_made_first_after_all_references_are_cleared(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *weakrefs[4];
    for (unsigned i = 0; i < 3; i++)
        weakrefs[i] = pm_weakref_new(object, test_note, NULL);
    weakrefs[3] = pm_weakref_new(object, NULL, NULL);
    test_calls_forget();
    test_calls.follow = weakrefs;
    test_calls.follow_count = 4;
    pm_decref(object);
    assert_int_equal(test_calls.count, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_ptr_equal(test_calls.weakrefs[i], weakrefs[2 - i]);
    assert_false(test_calls.found);
    for (unsigned i = 0; i < 4; i++)
        pm_decref(weakrefs[i]);
}

/* test_callbacks_on_callback, as far as it does without a collector */
static void what_died_first_is_not_called(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *weakref = pm_weakref_new(object, test_note, NULL);
    struct pm_object *kept = pm_weakref_new(object, test_note, NULL);
    test_calls_forget();
    pm_decref(weakref);
    pm_decref(object);
    assert_int_equal(test_calls.count, 1);
    assert_ptr_equal(test_calls.weakrefs[0], kept);
    pm_decref(kept);
}

static struct pm_object *second_weakref;

static void drop_the_second(struct pm_object *weakref, struct pm_object *arg)
{
    test_note(weakref, arg);
    pm_decref(second_weakref);
}

/* It has died by the callback before, and was cleared together with that one's. */
static void a_callback_that_is_due_is_called_though_another_one_drops_its_reference(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    second_weakref = pm_weakref_new(object, test_note, NULL);
    struct pm_object *weakref = pm_weakref_new(object, drop_the_second, NULL);
    test_calls_forget();
    pm_decref(object);
    assert_int_equal(test_calls.count, 2);
    assert_ptr_equal(test_calls.weakrefs[1], second_weakref);
    pm_decref(weakref);
}

static void make_more(struct pm_object *weakref, struct pm_object *arg)
{
    struct pm_object *object = test_box_new(), *more = pm_weakref_new(object, test_note, arg);
    test_note(weakref, arg);
    pm_decref(object);
    pm_decref(more);
}

/* test_sf_bug_840829 */
static void a_callback_may_make_objects_and_weak_references_and_drop_them(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *weakref = pm_weakref_new(object, make_more, NULL);
    test_calls_forget();
    pm_decref(object);
    assert_int_equal(test_calls.count, 2);
    pm_decref(weakref);
}

/* test_callback_attribute_after_deletion: what the callback held is dropped with it. */
static void the_argument_is_held_until_the_callback_was_called(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *arg = test_box_new();
    struct pm_object *weakref = pm_weakref_new(object, test_note, arg);
    unsigned deaths = test_deaths;
    test_calls_forget();
    pm_decref(arg);
    assert_int_equal(test_deaths - deaths, 0);
    pm_decref(object);
    assert_ptr_equal(test_calls.args[0], arg);
    assert_int_equal(test_deaths - deaths, 2);
    pm_decref(weakref);
}

static void or_until_the_weak_reference_is_dead(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *arg = test_box_new();
    struct pm_object *weakref = pm_weakref_new(object, test_note, arg);
    unsigned deaths = test_deaths;
    pm_decref(arg);
    pm_decref(weakref);
    assert_int_equal(test_deaths - deaths, 1);
    pm_decref(object);
}

static void a_callback_is_called_by_the_thread_that_drops_the_last_reference(void **state)
{
    (void)state;
    struct pm_object *object;
    test_in_thread(test_make, &object);
    struct pm_object *weakref = pm_weakref_new(object, test_note, NULL);
    test_calls_forget();
    test_in_thread(test_drop, object);
    assert_int_equal(test_calls.count, 1);
    pm_decref(weakref);
}

/* ---- all this with the debug hooks, which overwrite what is freed ---- */

ISOLATED(so_it_is_with_the_debug_hooks)
{
    test_again_with_hooks();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_callback_is_called_once_after_the_death_of_the_object),
        cmocka_unit_test(callbacks_come_last_made_first_after_all_references_are_cleared),
        cmocka_unit_test(what_died_first_is_not_called),
        cmocka_unit_test(a_callback_that_is_due_is_called_though_another_one_drops_its_reference),
        cmocka_unit_test(a_callback_may_make_objects_and_weak_references_and_drop_them),
        cmocka_unit_test(the_argument_is_held_until_the_callback_was_called),
        cmocka_unit_test(or_until_the_weak_reference_is_dead),
        cmocka_unit_test(a_callback_is_called_by_the_thread_that_drops_the_last_reference),
    };
    const struct CMUnitTest with_hooks[] = {
        cmocka_unit_test(so_it_is_with_the_debug_hooks),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (getenv("TEST_WITH_HOOKS") == NULL)
        failed += cmocka_run_group_tests(with_hooks, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
