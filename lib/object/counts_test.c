/* SPDX-License-Identifier: MIT */
/*
 * Each transition of the table in poolmalloc/object.h. This thread owns the objects, and gets to a
 * safepoint only where a test says so; others come and go.
 */
#include "object/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static unsigned deaths_before;

static int start(void **state)
{
    (void)state;
    deaths_before = test_deaths;
    return 0;
}

static unsigned deaths(void)
{
    return test_deaths - deaths_before;
}

#define assert_counts(object, state, local, shared)                                                \
    do {                                                                                           \
        assert_int_equal(test_state(object), state);                                               \
        assert_int_equal(test_local(object), local);                                               \
        assert_int_equal(test_shared(object), shared);                                             \
    } while (0)

/* ---- 00: owned ---- */

static void the_owner_counts_in_the_local_count(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    assert_counts(object, PM_STATE_OWNED, 1, 0);
    pm_incref(object);
    pm_incref(object);
    assert_counts(object, PM_STATE_OWNED, 3, 0);
    pm_decref(object);
    assert_counts(object, PM_STATE_OWNED, 2, 0);
    assert_int_equal(pm_refcount(object), 2);
    pm_decref(object);
    assert_int_equal(deaths(), 0);
    pm_decref(object);
    assert_int_equal(deaths(), 1);
}

static void others_count_in_the_shared_count(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    test_in_thread(test_take, object);
    test_in_thread(test_take, object);
    assert_counts(object, PM_STATE_OWNED, 1, 2);
    assert_int_equal(pm_refcount(object), 3);
    test_in_thread(test_drop, object);
    test_in_thread(test_drop, object);
    assert_counts(object, PM_STATE_OWNED, 1, 0);
    pm_decref(object);
    assert_int_equal(deaths(), 1);
}

/* 00 -> 11, the owner's last one; others still have theirs. */
static void when_the_owner_has_no_more_the_object_is_merged(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    test_in_thread(test_take, object);
    pm_decref(object);
    assert_counts(object, PM_STATE_MERGED, 0, 1);
    assert_int_equal(test_owner(object), 0);
    pm_incref(object); /* who was the owner is another thread now */
    assert_counts(object, PM_STATE_MERGED, 0, 2);
    pm_decref(object);
    test_in_thread(test_drop, object);
    assert_int_equal(deaths(), 1);
}

/* ---- 10: queued ---- */

/* 00 -> 10 without subtracting, 10 -> dead by the owner's merge. */
static void a_reference_that_the_owner_counted_waits_for_him(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    test_in_thread(test_drop, object);
    assert_counts(object, PM_STATE_QUEUED, 1, 0);
    assert_int_equal(pm_object_self.due, 1);
    assert_int_equal(deaths(), 0);
    pm_safepoint();
    assert_int_equal(deaths(), 1);
    assert_int_equal(pm_object_self.due, 0);
}

/* 10 -> 11: the owner has references left. */
static void what_waits_is_merged_and_lives_if_references_are_left(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    pm_incref(object);
    test_in_thread(test_drop, object);
    assert_counts(object, PM_STATE_QUEUED, 2, 0);
    pm_safepoint();
    assert_counts(object, PM_STATE_MERGED, 0, 1);
    pm_decref(object);
    assert_int_equal(deaths(), 1);
}

static void what_is_queued_is_not_queued_again_and_may_go_below_zero(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    pm_incref(object);
    pm_incref(object);
    test_in_thread(test_drop, object);
    test_in_thread(test_drop, object);
    assert_counts(object, PM_STATE_QUEUED, 3, -1);
    assert_int_equal(pm_refcount(object), 2);
    test_in_thread(test_take, object);
    assert_counts(object, PM_STATE_QUEUED, 3, 0);
    test_in_thread(test_drop, object); /* not queued again: there was a count of 0, but of 10 */
    assert_counts(object, PM_STATE_QUEUED, 3, -1);
    pm_safepoint();
    assert_counts(object, PM_STATE_MERGED, 0, 1);
    pm_decref(object);
    assert_int_equal(deaths(), 1);
}

/* 10 -> 11 by the owner's last reference, while the queue still has its own. */
static void an_owner_may_merge_what_waits_for_him(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    pm_incref(object);
    test_in_thread(test_drop, object);
    test_in_thread(test_take, object);
    assert_counts(object, PM_STATE_QUEUED, 2, 1);
    pm_decref(object);
    pm_decref(object);
    assert_counts(object, PM_STATE_MERGED, 0, 1);
    assert_int_equal(deaths(), 0);
    pm_safepoint(); /* the queue's was the last */
    assert_int_equal(deaths(), 1);
}

/* ---- 11: merged ---- */

static void a_merged_object_is_counted_by_all_and_dies_with_the_last_reference(void **state)
{
    (void)state;
    struct pm_object *object;
    test_in_thread(test_make, &object);
    assert_counts(object, PM_STATE_OWNED, 1, 0); /* its owner is gone */
    pm_incref(object);
    assert_counts(object, PM_STATE_OWNED, 1, 1);
    pm_decref(object);
    pm_incref(object);
    test_in_thread(test_take, object);
    test_in_thread(test_drop, object);
    pm_decref(object);
    pm_decref(object);
    assert_int_equal(deaths(), 1);
}

/* ---- 01: probed ---- */

static bool try_result;

static void try(void *object)
{
    try_result = pm_try_incref(object);
}

static void an_owned_object_with_no_shared_references_cannot_be_probed(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    test_in_thread(try, object);
    assert_false(try_result);
    assert_true(pm_try_incref(object)); /* the owner knows */
    assert_counts(object, PM_STATE_OWNED, 2, 0);
    pm_decref(object);
    test_in_thread(test_take, object);
    test_in_thread(try, object); /* others have references: it cannot die unseen */
    assert_true(try_result);
    assert_counts(object, PM_STATE_OWNED, 1, 2);
    test_in_thread(test_drop, object);
    test_in_thread(test_drop, object);
    pm_decref(object);
    assert_int_equal(deaths(), 1);
}

/* 00 -> 01, 01 -> 10, 01 -> 11. */
static void a_probed_object_can(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    pm_object_set_probed(object);
    assert_counts(object, PM_STATE_PROBED, 1, 0);
    test_in_thread(try, object);
    assert_true(try_result);
    assert_counts(object, PM_STATE_PROBED, 1, 1);
    pm_object_set_probed(object);
    assert_counts(object, PM_STATE_PROBED, 1, 1);
    test_in_thread(test_drop, object);
    assert_counts(object, PM_STATE_PROBED, 1, 0);
    pm_incref(object);
    test_in_thread(test_drop, object);
    assert_counts(object, PM_STATE_QUEUED, 2, 0);
    pm_safepoint();
    assert_counts(object, PM_STATE_MERGED, 0, 1);
    test_in_thread(try, object);
    assert_true(try_result);
    pm_decref(object);
    pm_decref(object);
    assert_int_equal(deaths(), 1);
}

static void probing_starts_from_owned_only(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    pm_incref(object);
    test_in_thread(test_drop, object);
    pm_object_set_probed(object);
    assert_counts(object, PM_STATE_QUEUED, 2, 0);
    pm_safepoint();
    pm_object_set_probed(object);
    assert_counts(object, PM_STATE_MERGED, 0, 1);
    pm_decref(object);
    assert_int_equal(deaths(), 1);
}

static bool try_while_dead_result;

static void try_to_revive(struct pm_object *object)
{
    try_while_dead_result = pm_try_incref(object);
    test_in_thread(try, object);
}

static void the_dead_cannot_be_probed(void **state)
{
    (void)state;
    static struct pm_type type = {.name = "probed", .size = 24, .free = try_to_revive};
    struct pm_object *object = pm_object_new(&type);
    pm_object_set_probed(object);
    try_result = try_while_dead_result = true;
    pm_decref(object);
    assert_false(try_while_dead_result);
    assert_false(try_result);
}

/* ---- the local count is narrow ---- */

static void half_of_a_full_local_count_spills_and_comes_back(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    for (unsigned i = 1; i < PM_OBJECT_LOCAL_FULL; i++)
        pm_incref(object);
    assert_counts(object, PM_STATE_OWNED, PM_OBJECT_LOCAL_FULL, 0);
    pm_incref(object);
    assert_counts(object, PM_STATE_OWNED, PM_OBJECT_LOCAL_FULL - PM_SPILL + 1, PM_SPILL);
    assert_int_equal(pm_refcount(object), PM_OBJECT_LOCAL_FULL + 1);
    for (unsigned i = 0; i < PM_OBJECT_LOCAL_FULL - PM_SPILL; i++)
        pm_decref(object);
    assert_counts(object, PM_STATE_OWNED, 1, PM_SPILL);
    pm_decref(object);
    assert_counts(object, PM_STATE_OWNED, PM_SPILL, 0);
    while (pm_refcount(object) > 1)
        pm_decref(object);
    assert_counts(object, PM_STATE_OWNED, 1, 0);
    pm_decref(object);
    assert_int_equal(deaths(), 1);
}

enum { MANY = 300000 };

static void drop_many(void *object)
{
    for (unsigned i = 0; i < MANY; i++)
        pm_decref(object);
}

static void what_has_spilled_is_others_to_drop_as_well(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    for (unsigned i = 0; i < MANY; i++)
        pm_incref(object);
    assert_int_equal(pm_refcount(object), MANY + 1);
    test_in_thread(drop_many, object);
    assert_int_equal(pm_refcount(object), 2); /* this one, and the queue's */
    pm_safepoint();
    assert_counts(object, PM_STATE_MERGED, 0, 1);
    pm_decref(object);
    assert_int_equal(deaths(), 1);
}

/* ---- immortal ---- */

static void an_immortal_object_has_a_count_that_nobody_changes(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), before;
    pm_incref(object);
    assert_false(pm_object_set_immortal(object)); /* somebody may count on the other one */
    pm_decref(object);
    assert_true(pm_object_set_immortal(object));
    assert_true(pm_object_set_immortal(object));
    before = *object;
    assert_int_equal(pm_refcount(object), UINT32_MAX);
    pm_incref(object);
    for (int i = 0; i < 5; i++)
        pm_decref(object);
    test_in_thread(test_take, object);
    test_in_thread(test_drop, object);
    test_in_thread(test_drop, object);
    test_in_thread(try, object);
    assert_true(try_result);
    assert_false(pm_is_unique(object));
    assert_memory_equal(object, &before, sizeof before);
    assert_int_equal(deaths(), 0);
}

/* ---- what may be concluded ---- */

static bool unique_result;

static void ask(void *object)
{
    unique_result = pm_is_unique(object);
}

static void only_who_has_the_one_reference_is_told_that_it_is_unique(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    assert_true(pm_is_unique(object));
    test_in_thread(ask, object);
    assert_false(unique_result);
    test_in_thread(test_take, object);
    assert_false(pm_is_unique(object));
    pm_decref(object); /* merged; the one reference is in the shared count */
    test_in_thread(ask, object);
    assert_true(unique_result);
    pm_object_set_probed(object);
    assert_false(pm_is_unique(object)); /* somebody may be about to get another one */
    pm_decref(object);
    object = test_box_new();
    pm_object_set_probed(object);
    assert_false(pm_is_unique(object));
    pm_decref(object);
    assert_int_equal(deaths(), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_owner_counts_in_the_local_count, start),
        cmocka_unit_test_setup(others_count_in_the_shared_count, start),
        cmocka_unit_test_setup(when_the_owner_has_no_more_the_object_is_merged, start),
        cmocka_unit_test_setup(a_reference_that_the_owner_counted_waits_for_him, start),
        cmocka_unit_test_setup(what_waits_is_merged_and_lives_if_references_are_left, start),
        cmocka_unit_test_setup(what_is_queued_is_not_queued_again_and_may_go_below_zero, start),
        cmocka_unit_test_setup(an_owner_may_merge_what_waits_for_him, start),
        cmocka_unit_test_setup(a_merged_object_is_counted_by_all_and_dies_with_the_last_reference,
                               start),
        cmocka_unit_test_setup(an_owned_object_with_no_shared_references_cannot_be_probed, start),
        cmocka_unit_test_setup(a_probed_object_can, start),
        cmocka_unit_test_setup(probing_starts_from_owned_only, start),
        cmocka_unit_test_setup(the_dead_cannot_be_probed, start),
        cmocka_unit_test_setup(half_of_a_full_local_count_spills_and_comes_back, start),
        cmocka_unit_test_setup(what_has_spilled_is_others_to_drop_as_well, start),
        cmocka_unit_test_setup(an_immortal_object_has_a_count_that_nobody_changes, start),
        cmocka_unit_test_setup(only_who_has_the_one_reference_is_told_that_it_is_unique, start),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
