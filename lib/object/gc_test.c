/* SPDX-License-Identifier: MIT */
/*
 * What is trash, and what becomes of it: the cases of CPython's test_gc (Lib/test/test_gc.py), with
 * types of C. Each of them with objects in gc pools, in the register, and without tables.
 */
#include "object/gc_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>

/* ---- what is trash ---- */

static void ten_that_refer_to_themselves_are_collected(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        node_drop_loop(NODE_PLAIN);
    assert_int_equal(node_deaths_since(), 0);
    assert_int_equal(node_collect(), 10);
    assert_int_equal(node_deaths_since(), 10);
    assert_int_equal(node_collect(), 0);
}

static void a_ring_is_trash_once_nobody_outside_refers_to_it(void **state)
{
    (void)state;
    struct pm_object *first = node_ring(NODE_PLAIN, 100);
    assert_int_equal(node_collect(), 0);
    pm_decref(first);
    assert_int_equal(node_collect(), 100);
    assert_int_equal(node_deaths_since(), 100);
}

static void what_a_live_object_leads_to_lives(void **state)
{
    (void)state;
    struct pm_object *root = node_new(), *ring = node_ring(NODE_PLAIN, 10);
    node_set(root, 1, ring);
    pm_decref(ring);
    assert_int_equal(node_collect(), 0);
    node_set(root, 2, root); /* in a cycle of its own, and held */
    assert_int_equal(node_collect(), 0);
    pm_decref(root);
    assert_int_equal(node_collect(), 11);
    assert_int_equal(node_deaths_since(), 11);
}

static void what_only_trash_leads_to_is_trash(void **state)
{
    (void)state;
    struct pm_object *ring = node_ring(NODE_PLAIN, 2), *leaf = node_new();
    node_set(ring, 1, leaf);
    pm_decref(leaf);
    pm_decref(ring);
    assert_int_equal(node_collect(), 3);
    assert_int_equal(node_deaths_since(), 3);
}

static void what_trash_and_others_lead_to_lives(void **state)
{
    (void)state;
    struct pm_object *ring = node_ring(NODE_PLAIN, 2), *leaf = node_new();
    node_set(ring, 1, leaf);
    pm_decref(ring);
    assert_int_equal(node_collect(), 2);
    assert_int_equal(pm_refcount(leaf), 1);
    pm_decref(leaf);
    assert_int_equal(node_deaths_since(), 3);
}

static void several_references_to_one_object_are_all_accounted_for(void **state)
{
    (void)state;
    struct pm_object *a = node_new(), *b = node_new();
    for (unsigned i = 0; i < NODE_REFS; i++) {
        node_set(a, i, b);
        node_set(b, i, a);
    }
    pm_decref(a);
    assert_int_equal(node_collect(), 0);
    pm_decref(b);
    assert_int_equal(node_collect(), 2);
    assert_int_equal(node_deaths_since(), 2);
}

static void an_untracked_object_is_no_trash_nor_is_what_it_leads_to(void **state)
{
    (void)state;
    struct pm_object *ring = node_ring(NODE_PLAIN, 3);
    assert_true(pm_gc_is_tracked(ring));
    pm_gc_untrack(ring);
    assert_false(pm_gc_is_tracked(ring));
    pm_decref(ring);
    assert_int_equal(node_collect(), 0);
    pm_gc_track(ring);
    assert_int_equal(node_collect(), 3);
    assert_int_equal(node_deaths_since(), 3);
}

static void an_immortal_object_is_no_trash(void **state)
{
    (void)state;
    static struct pm_object *immortal; /* a leak to nobody */
    immortal = node_new();
    assert_true(pm_object_set_immortal(immortal));
    node_set(immortal, 0, immortal);
    struct pm_object *leaf = node_new();
    node_set(immortal, 1, leaf);
    pm_decref(leaf);
    assert_int_equal(node_collect(), 0);
    node_set(immortal, 1, NULL);
    assert_int_equal(node_deaths_since(), 1);
    pm_gc_untrack(immortal); /* the other tests count what there is */
}

/* More than the collector's stack holds, and reached backwards. */
enum { MANY = PM_TSAN || PM_ASAN || PM_SCHEDULE || PM_CHECK ? 3000 : 50000 };

static void a_long_chain_is_followed_in_either_direction(void **state)
{
    (void)state;
    struct pm_object **nodes = pm_malloc(MANY * sizeof *nodes);
    for (unsigned i = 0; i < MANY; i++)
        nodes[i] = node_new();
    for (unsigned i = 0; i < MANY; i++) {
        node_set(nodes[i], 0, nodes[(i + MANY - 1) % MANY]);
        node_set(nodes[i], 1, nodes[(i * 7919ul + 1) % MANY]);
    }
    for (unsigned i = 1; i < MANY; i++)
        pm_decref(nodes[i]);
    assert_int_equal(node_collect(), 0);
    pm_decref(nodes[0]);
    assert_int_equal(node_collect(), MANY);
    assert_int_equal(node_deaths_since(), MANY);
    pm_free(nodes);
}

/* ---- finalizers ---- */

static void finalizers_are_called_once_and_before_anything_is_cleared(void **state)
{
    (void)state;
    pm_decref(node_ring(NODE_FINAL, 5));
    assert_int_equal(node_collect(), 5);
    assert_int_equal(node_finals_since(), 5);
    assert_int_equal(node_deaths_since(), 5);
}

static struct pm_object *saved;

static void save_itself(struct pm_object *object)
{
    require(pm_gc_is_finalized(object));
    if (saved != NULL)
        return;
    pm_incref(object);
    saved = object;
}

static void a_finalizer_brings_back_its_object_and_all_it_leads_to(void **state)
{
    (void)state;
    node_final = save_itself;
    saved = NULL;
    struct pm_object *ring = node_ring(NODE_FINAL, 3), *leaf = node_new();
    node_set(ring, 1, leaf);
    pm_decref(leaf);
    pm_decref(ring);
    assert_int_equal(node_collect(), 0);
    assert_int_equal(node_finals_since(), 3);
    assert_int_equal(node_deaths_since(), 0);
    assert_non_null(saved);
    node_final = NULL;
    assert_int_equal(node_collect(), 0);
    pm_decref(saved);
    assert_int_equal(node_collect(), 4);
    assert_int_equal(node_finals_since(), 3); /* once in a life */
    assert_int_equal(node_deaths_since(), 4);
}

static void other_trash_dies_when_some_comes_back(void **state)
{
    (void)state;
    node_final = save_itself;
    saved = NULL;
    pm_decref(node_ring(NODE_FINAL, 2));
    pm_decref(node_ring(NODE_PLAIN, 7));
    pm_decref(node_ring(NODE_FINAL, 2));
    assert_int_equal(node_collect(), 9);
    assert_int_equal(node_deaths_since(), 9);
    pm_decref(saved);
    assert_int_equal(node_collect(), 2);
    assert_int_equal(node_deaths_since(), 11);
}

static void make_more(struct pm_object *object)
{
    (void)object;
    for (int i = 0; i < 100; i++)
        node_drop_loop(NODE_PLAIN);
    struct pm_gc_result result;
    require(!pm_gc_collect(2, &result) && errno == EBUSY); /* there is one */
}

static void a_finalizer_may_make_objects_and_trash(void **state)
{
    (void)state;
    node_final = make_more;
    node_drop_loop(NODE_FINAL);
    assert_int_equal(node_collect(), 1);
    assert_int_equal(node_deaths_since(), 1);
    assert_int_equal(node_collect(), 100);
    assert_int_equal(node_deaths_since(), 101);
}

static void drop_neighbour(struct pm_object *object)
{
    node_set(object, 0, NULL);
}

static void a_finalizer_may_take_its_cycle_apart(void **state)
{
    (void)state;
    node_final = drop_neighbour;
    pm_decref(node_ring(NODE_FINAL, 4));
    assert_int_equal(node_collect(), 4);
    assert_int_equal(node_finals_since(), 4);
    assert_int_equal(node_deaths_since(), 4);
}

/* ---- uncollectable, saved ---- */

/* How many there were; their references are dropped. */
static size_t drop_garbage(void)
{
    struct pm_object *found[32];
    size_t count = pm_gc_get_garbage(found, 32);
    assert_true(count <= 32);
    for (size_t i = 0; i < count; i++)
        pm_decref(found[i]);
    pm_gc_clear_garbage();
    return count;
}

static void a_cycle_without_clear_is_uncollectable_and_kept(void **state)
{
    (void)state;
    struct pm_gc_result result;
    struct pm_object *found[3], *ring = node_ring(NODE_UNCLEARED, 2), *leaf = node_new();
    node_set(ring, 1, leaf);
    pm_decref(leaf);
    pm_decref(ring);
    assert_true(pm_gc_collect(2, &result));
    assert_int_equal(result.uncollectable, 3); /* what it leads to, too */
    assert_int_equal(result.collected, 0);
    assert_int_equal(node_deaths_since(), 0);
    assert_int_equal(node_collect(), 0); /* it is garbage, which is held */
    assert_int_equal(pm_gc_get_garbage(found, 3), 3);
    for (int i = 0; i < 3; i++) { /* the program knows better than the type */
        node_clear(found[i]);
        pm_decref(found[i]);
    }
    pm_gc_clear_garbage();
    assert_int_equal(node_deaths_since(), 3);
}

static void one_object_with_clear_breaks_a_cycle(void **state)
{
    (void)state;
    struct pm_object *ring = node_ring(NODE_UNCLEARED, 5), *other = node_new();
    node_set(other, 0, ((struct node *)ring)->refs[0]);
    node_set(ring, 0, other);
    pm_decref(other);
    pm_decref(ring);
    assert_int_equal(node_collect(), 6);
    assert_int_equal(pm_gc_get_garbage(NULL, 0), 0);
    assert_int_equal(node_deaths_since(), 6);
}

static void what_is_saved_is_finalized_and_whole(void **state)
{
    (void)state;
    pm_gc_set_debug(PM_GC_DEBUG_SAVEALL);
    pm_decref(node_ring(NODE_FINAL, 10));
    assert_int_equal(node_collect(), 10);
    pm_gc_set_debug(0);
    assert_int_equal(node_finals_since(), 10);
    assert_int_equal(node_deaths_since(), 0);
    assert_int_equal(node_collect(), 0);
    assert_int_equal(drop_garbage(), 10);
    assert_int_equal(node_collect(), 10);
    assert_int_equal(node_finals_since(), 10);
    assert_int_equal(node_deaths_since(), 10);
}

/* ---- counts that other threads have ---- */

static void make_ring(void *ring)
{
    *(struct pm_object **)ring = node_ring(NODE_FINAL, 50);
}

static void drop_while_its_owner_runs(void *object)
{
    pm_decref(object);
}

static void trash_of_a_thread_that_is_gone_is_collected(void **state)
{
    (void)state;
    struct pm_object *ring;
    test_in_thread(make_ring, &ring);
    pm_decref(ring);
    assert_int_equal(node_collect(), 50);
    assert_int_equal(node_finals_since(), 50);
    assert_int_equal(node_deaths_since(), 50);
}

static void references_that_wait_for_their_owner_are_merged_first(void **state)
{
    (void)state;
    struct pm_object *ring = node_ring(NODE_PLAIN, 20);
    test_in_thread(drop_while_its_owner_runs, ring);
    assert_int_equal(test_state(ring), PM_STATE_QUEUED);
    /* Without a safepoint of ours: by the collector. */
    assert_true(pm_gc_run(2, NULL, NULL));
    assert_int_equal(node_deaths_since(), 20);
    assert_true(pm_object_thread.slot->few_count == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ten_that_refer_to_themselves_are_collected, node_begin),
        cmocka_unit_test_setup(a_ring_is_trash_once_nobody_outside_refers_to_it, node_begin),
        cmocka_unit_test_setup(what_a_live_object_leads_to_lives, node_begin),
        cmocka_unit_test_setup(what_only_trash_leads_to_is_trash, node_begin),
        cmocka_unit_test_setup(what_trash_and_others_lead_to_lives, node_begin),
        cmocka_unit_test_setup(several_references_to_one_object_are_all_accounted_for, node_begin),
        cmocka_unit_test_setup(an_untracked_object_is_no_trash_nor_is_what_it_leads_to, node_begin),
        cmocka_unit_test_setup(an_immortal_object_is_no_trash, node_begin),
        cmocka_unit_test_setup(a_long_chain_is_followed_in_either_direction, node_begin),
        cmocka_unit_test_setup(finalizers_are_called_once_and_before_anything_is_cleared,
                               node_begin),
        cmocka_unit_test_setup(a_finalizer_brings_back_its_object_and_all_it_leads_to, node_begin),
        cmocka_unit_test_setup(other_trash_dies_when_some_comes_back, node_begin),
        cmocka_unit_test_setup(a_finalizer_may_make_objects_and_trash, node_begin),
        cmocka_unit_test_setup(a_finalizer_may_take_its_cycle_apart, node_begin),
        cmocka_unit_test_setup(a_cycle_without_clear_is_uncollectable_and_kept, node_begin),
        cmocka_unit_test_setup(one_object_with_clear_breaks_a_cycle, node_begin),
        cmocka_unit_test_setup(what_is_saved_is_finalized_and_whole, node_begin),
        cmocka_unit_test_setup(trash_of_a_thread_that_is_gone_is_collected, node_begin),
        cmocka_unit_test_setup(references_that_wait_for_their_owner_are_merged_first, node_begin),
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
