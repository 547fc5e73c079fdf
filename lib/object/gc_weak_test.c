/* SPDX-License-Identifier: MIT */
/*
 * Trash that weak references lead to, or that deferred references keep (Lib/test/test_gc.py, its
 * cases of weak references; gc_weakref.txt).
 */
#include "object/gc_testing.h"
#include "poolmalloc/deferred.h"
#include "poolmalloc/weak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static unsigned calls;

static void note_call(struct pm_object *weakref, struct pm_object *arg)
{
    require(arg == NULL && pm_weakref_get(weakref) == NULL);
    require(node_finals_since() == 0); /* before all finalizers */
    calls++;
}

static int begin(void **state)
{
    calls = 0;
    return node_begin(state);
}

static void weak_references_to_trash_are_cleared_and_called_before_finalizers(void **state)
{
    (void)state;
    struct pm_object *ring = node_ring(NODE_FINAL, 3);
    struct pm_object *weakref = pm_weakref_new(ring, note_call, NULL);
    struct pm_object *plain = pm_weakref_new(ring, NULL, NULL);
    assert_int_equal(node_collect(), 0);
    pm_decref(ring);
    assert_int_equal(node_collect(), 3);
    assert_int_equal(calls, 1);
    assert_int_equal(node_deaths_since(), 3);
    assert_int_equal(node_finals_since(), 3);
    assert_null(pm_weakref_get(weakref));
    assert_null(pm_weakref_get(plain));
    pm_decref(weakref);
    pm_decref(plain);
}

static void a_weak_reference_that_is_trash_itself_is_not_called(void **state)
{
    (void)state;
    struct pm_object *ring = node_ring(NODE_PLAIN, 3);
    struct pm_object *weakref = pm_weakref_new(ring, note_call, NULL);
    node_set(ring, 1, weakref);
    pm_decref(weakref);
    pm_decref(ring);
    assert_true(node_collect() >= 3); /* four, if weak references are tracked */
    assert_int_equal(calls, 0);
    assert_int_equal(node_deaths_since(), 3);
}

static void a_weak_reference_does_not_keep_a_cycle(void **state)
{
    (void)state;
    struct pm_object *ring = node_ring(NODE_PLAIN, 2), *other = node_ring(NODE_PLAIN, 2);
    struct pm_object *weakref = pm_weakref_new(ring, NULL, NULL);
    node_set(other, 1, weakref);
    pm_decref(weakref);
    pm_decref(ring);
    assert_int_equal(node_collect(), 2);
    assert_null(pm_weakref_get(weakref));
    pm_decref(other);
    assert_true(node_collect() >= 2);
    assert_int_equal(node_deaths_since(), 4);
}

static struct pm_object *saved;

static void save(struct pm_object *object)
{
    if (saved == NULL) {
        pm_incref(object);
        saved = object;
    }
}

static void what_comes_back_has_no_weak_references_from_before(void **state)
{
    (void)state;
    node_final = save;
    saved = NULL;
    struct pm_object *ring = node_ring(NODE_FINAL, 2);
    struct pm_object *weakref = pm_weakref_new(ring, note_call, NULL);
    pm_decref(ring);
    assert_int_equal(node_collect(), 0);
    assert_int_equal(calls, 1);
    assert_null(pm_weakref_get(weakref));
    pm_decref(weakref);
    weakref = pm_weakref_new(saved, NULL, NULL); /* a new one works */
    struct pm_object *found = pm_weakref_get(weakref);
    assert_ptr_equal(found, saved);
    pm_decref(found);
    pm_decref(saved);
    assert_int_equal(node_collect(), 2);
    assert_null(pm_weakref_get(weakref));
    pm_decref(weakref);
}

/* ---- deferred references ---- */

static void a_deferred_cycle_lives_by_a_frame_and_dies_without_it(void **state)
{
    (void)state;
    struct pm_deferred_frame frame;
    uintptr_t references[1];
    struct pm_object *ring = node_ring(NODE_PLAIN, 4);
    assert_true(pm_object_set_deferred(ring));
    pm_deferred_enter(&frame, references, 1);
    pm_deferred_set(&frame, 0, ring);
    pm_decref(ring);
    assert_int_equal(node_collect(), 0);
    assert_int_equal(node_deaths_since(), 0);
    pm_deferred_leave(&frame);
    assert_int_equal(node_collect(), 4);
    assert_int_equal(node_deaths_since(), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(weak_references_to_trash_are_cleared_and_called_before_finalizers,
                               begin),
        cmocka_unit_test_setup(a_weak_reference_that_is_trash_itself_is_not_called, begin),
        cmocka_unit_test_setup(a_weak_reference_does_not_keep_a_cycle, begin),
        cmocka_unit_test_setup(what_comes_back_has_no_weak_references_from_before, begin),
        cmocka_unit_test_setup(a_deferred_cycle_lives_by_a_frame_and_dies_without_it, begin),
    };
    int failed = 0;
    require(pm_object_thread_attach());
    pm_gc_disable();
    for (int place = IN_POOLS; place <= WITHOUT_TABLES; place++) {
        test_gc_choose(place);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    pm_object_thread_detach();
    return failed;
}
