/* SPDX-License-Identifier: MIT */
/*
 * Weak references, by one thread and by others that come and go. The cases of CPython's
 * test_weakref (Lib/test/test_weakref.py, ReferencesTestCase) that are about references have its
 * names beside them.
 */
#include "object/weak_table.h"
#include "object/weak_testing.h"
#include "poolmalloc/domains.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- following ---- */

/* test_basic_ref */
static void a_weak_reference_leads_to_its_object_until_that_is_dead(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *object = test_box_new(), *weakref = pm_weakref_new(object, NULL, NULL);
    assert_non_null(weakref);
    assert_true(pm_is_weakref(weakref));
    assert_false(pm_is_weakref(object));
    assert_int_equal(pm_refcount(object), 1);
    assert_ptr_equal(pm_weakref_get(weakref), object);
    assert_int_equal(pm_refcount(object), 2);
    pm_decref(object);
    pm_decref(object);
    assert_int_equal(test_deaths - deaths, 1);
    assert_null(pm_weakref_get(weakref));
    assert_null(pm_weakref_get(weakref));
    pm_decref(weakref);
}

static void follow(void *got)
{
    struct pm_object *object = pm_weakref_get(((struct pm_object **)got)[0]);
    ((struct pm_object **)got)[1] = object;
    if (object != NULL)
        pm_decref(object);
}

static void other_threads_follow_it_too(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    struct pm_object *got[2] = {pm_weakref_new(object, NULL, NULL), NULL};
    test_in_thread(follow, got);
    assert_ptr_equal(got[1], object);
    pm_safepoint(); /* where the other one has dropped what this one counts */
    pm_decref(object);
    test_in_thread(follow, got);
    assert_null(got[1]);
    pm_decref(got[0]);
}

static void an_immortal_object_is_always_found_and_its_count_not_touched(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    assert_true(pm_object_set_immortal(object));
    struct pm_object *weakref = pm_weakref_new(object, NULL, NULL);
    assert_ptr_equal(pm_weakref_get(weakref), object);
    assert_int_equal(pm_weakref_count(object), 1);
    assert_int_equal(pm_refcount(object), UINT32_MAX);
    pm_decref(weakref);
    assert_int_equal(pm_weakref_count(object), 0);
}

static void a_weak_reference_may_lead_to_another_one(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *first = pm_weakref_new(object, NULL, NULL);
    struct pm_object *second = pm_weakref_new(first, NULL, NULL);
    assert_ptr_equal(pm_weakref_get(second), first);
    pm_decref(first);
    pm_decref(first);
    assert_null(pm_weakref_get(second));
    pm_decref(second);
    pm_decref(object);
}

/* ---- how many there are ---- */

/* test_ref_reuse */
static void those_without_callback_are_one_object_and_those_with_are_not(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *shared = pm_weakref_new(object, NULL, NULL);
    struct pm_object *with = pm_weakref_new(object, test_note, NULL);
    assert_ptr_equal(pm_weakref_new(object, NULL, NULL), shared);
    assert_int_equal(pm_refcount(shared), 2);
    assert_ptr_not_equal(with, shared);
    assert_int_equal(pm_weakref_count(object), 2);
    pm_decref(shared);
    pm_decref(shared);
    assert_int_equal(pm_weakref_count(object), 1);
    shared = pm_weakref_new(object, NULL, NULL);
    assert_int_equal(pm_refcount(shared), 1);
    assert_ptr_equal(pm_weakref_get(shared), object);
    pm_decref(object);
    pm_decref(shared);
    pm_decref(with);
    pm_decref(object);
}

/* test_getweakrefcount */
static void weak_references_are_counted(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *weakrefs[3];
    assert_int_equal(pm_weakref_count(object), 0);
    for (unsigned i = 0; i < 3; i++) {
        weakrefs[i] = pm_weakref_new(object, i == 1 ? NULL : test_note, NULL);
        assert_int_equal(pm_weakref_count(object), i + 1);
    }
    for (unsigned i = 0; i < 3; i++) {
        pm_decref(weakrefs[i]);
        assert_int_equal(pm_weakref_count(object), 2 - i);
    }
    pm_decref(object);
}

/* test_getweakrefs */
static void they_are_listed_the_shared_one_first_then_last_made_first(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *weakrefs[3], *listed[4];
    assert_int_equal(pm_weakref_list(object, listed, 4), 0);
    for (unsigned i = 0; i < 3; i++)
        weakrefs[i] = pm_weakref_new(object, i == 1 ? NULL : test_note, NULL);
    assert_int_equal(pm_weakref_list(object, listed, 4), 3);
    assert_ptr_equal(listed[0], weakrefs[1]);
    assert_ptr_equal(listed[1], weakrefs[2]);
    assert_ptr_equal(listed[2], weakrefs[0]);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pm_refcount(listed[i]), 2);
        pm_decref(listed[i]);
    }
    assert_int_equal(pm_weakref_list(object, listed, 1), 1);
    assert_ptr_equal(listed[0], weakrefs[1]);
    pm_decref(listed[0]);
    for (unsigned i = 0; i < 3; i++)
        pm_decref(weakrefs[i]);
    pm_decref(object);
}

enum { MANY = PM_TSAN || PM_SCHEDULE ? 2000 : 20000 };

/* The table grows with what is in it, and shrinks by who puts in the next. */
static void the_table_finds_each_of_many_objects_and_forgets_them(void **state)
{
    (void)state;
    static struct pm_object *objects[MANY], *weakrefs[MANY];
    struct pm_weak_figures before, full, after;
    assert_true(pm_weak_check(&before));
    for (unsigned i = 0; i < MANY; i++) {
        objects[i] = test_box_new();
        weakrefs[i] = pm_weakref_new(objects[i], NULL, NULL);
    }
    assert_true(pm_weak_check(&full));
    assert_int_equal(full.objects - before.objects, MANY);
    assert_true(full.buckets >= MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_ptr_equal(pm_weakref_get(weakrefs[i]), objects[i]);
        pm_decref(objects[i]);
        pm_decref(i % 2 == 0 ? objects[i] : weakrefs[i]);
    }
    for (unsigned round = 0; round < MANY; round++) {
        struct pm_object *object = test_box_new(), *weakref = pm_weakref_new(object, NULL, NULL);
        pm_decref(object);
        pm_decref(weakref);
    }
    assert_true(pm_weak_check(&after));
    assert_int_equal(after.objects, before.objects);
    assert_true(after.buckets < full.buckets);
    for (unsigned i = 0; i < MANY; i++)
        pm_decref(i % 2 == 0 ? weakrefs[i] : objects[i]);
}

/* ---- without memory ---- */

static void *refuse(void *context, size_t count, size_t size)
{
    (void)context, (void)count, (void)size;
    errno = ENOMEM;
    return NULL;
}

ISOLATED(without_memory_there_is_no_weak_reference_and_errno_says_so)
{
    struct pm_allocator kept, hook;
    require(pm_object_thread_attach());
    struct pm_object *object = test_box_new(), *weakref = pm_weakref_new(object, NULL, NULL);
    require(pm_get_allocator(PM_DOMAIN_OBJECT, &kept));
    hook = kept;
    hook.calloc = refuse;
    require(pm_set_allocator(PM_DOMAIN_OBJECT, &hook));
    errno = 0;
    require(pm_weakref_new(object, test_note, object) == NULL && errno == ENOMEM);
    require(pm_weakref_new(object, NULL, NULL) == weakref); /* which needs none */
    require(pm_set_allocator(PM_DOMAIN_OBJECT, &kept));
    require(pm_refcount(object) == 1 && pm_weakref_count(object) == 1);
}

/* The table stays as small as it is, and finds all. */
ISOLATED(without_memory_for_its_table_weak_references_work)
{
    enum { SOME = 500 };
    struct pm_object *objects[SOME], *weakrefs[SOME];
    struct pm_allocator hook;
    struct pm_weak_figures figures;
    require(pm_object_thread_attach());
    require(pm_get_allocator(PM_DOMAIN_RAW, &hook));
    hook.calloc = refuse;
    require(pm_set_allocator(PM_DOMAIN_RAW, &hook));
    for (unsigned i = 0; i < SOME; i++) {
        objects[i] = test_box_new();
        weakrefs[i] = pm_weakref_new(objects[i], NULL, NULL);
    }
    require(pm_weak_check(&figures) && figures.objects == SOME && figures.buckets < SOME / 10);
    for (unsigned i = 0; i < SOME; i++)
        require(pm_weakref_get(weakrefs[i]) == objects[i]);
}

/* ---- fork ---- */

ISOLATED(in_a_child_of_fork_weak_references_are_as_they_were)
{
    require(pm_object_thread_attach());
    struct pm_object *object = test_box_new(), *weakref = pm_weakref_new(object, test_note, NULL);
    test_calls_forget();
    pid_t child = fork();
    if (child == 0) {
        require(pm_weakref_get(weakref) == object);
        pm_decref(object);
        pm_decref(object);
        require(test_calls.count == 1);
        require(pm_weakref_get(weakref) == NULL);
        _exit(0);
    }
    int status;
    require(waitpid(child, &status, 0) == child && status == 0);
    require(test_calls.count == 0);
    pm_decref(object);
    require(test_calls.count == 1);
}

/* ---- misuse ---- */

static void follow_no_weakref(const void *arg)
{
    (void)arg;
    pm_weakref_get(test_box_new());
}

static void refer_to_me(struct pm_object *object)
{
    pm_weakref_new(object, NULL, NULL);
}

static struct pm_type refers_type = {.name = "refers", .size = 24, .free = refer_to_me};

static void refer_to_the_dead(const void *arg)
{
    (void)arg;
    pm_decref(pm_object_new(&refers_type));
}

static void refer_while_paused(const void *arg)
{
    struct pm_object *object = test_box_new();
    (void)arg;
    pm_object_thread_pause();
    pm_weakref_new(object, NULL, NULL);
}

static void misuse_ends_with_the_name_of_the_type(void **state)
{
    (void)state;
    assert_true(test_aborts(follow_no_weakref, NULL, "type box: this is no weakref"));
    assert_true(test_aborts(refer_to_the_dead, NULL, "type refers: the object is dead"));
    assert_true(test_aborts(refer_while_paused, NULL, "type box: the thread is not attached"));
}

/* ---- all this with the debug hooks, which overwrite what is freed ---- */

ISOLATED(so_it_is_with_the_debug_hooks)
{
    test_again_with_hooks();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First, while the table is small. */
        cmocka_unit_test(without_memory_for_its_table_weak_references_work),
        cmocka_unit_test(a_weak_reference_leads_to_its_object_until_that_is_dead),
        cmocka_unit_test(other_threads_follow_it_too),
        cmocka_unit_test(an_immortal_object_is_always_found_and_its_count_not_touched),
        cmocka_unit_test(a_weak_reference_may_lead_to_another_one),
        cmocka_unit_test(those_without_callback_are_one_object_and_those_with_are_not),
        cmocka_unit_test(weak_references_are_counted),
        cmocka_unit_test(they_are_listed_the_shared_one_first_then_last_made_first),
        cmocka_unit_test(the_table_finds_each_of_many_objects_and_forgets_them),
        cmocka_unit_test(without_memory_there_is_no_weak_reference_and_errno_says_so),
        cmocka_unit_test(in_a_child_of_fork_weak_references_are_as_they_were),
        cmocka_unit_test(misuse_ends_with_the_name_of_the_type),
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
