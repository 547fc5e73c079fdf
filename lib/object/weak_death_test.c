/* SPDX-License-Identifier: MIT */
/*
 * Weak references, finalizers and death: what comes when, what comes back, and what the collector
 * has of it. The names of CPython's cases (Lib/test/test_weakref.py) are beside them.
 */
#include "object/weak_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- what is called when ---- */

/* An object that notes its end in letters, and does in its finalizer what a test wants. */
struct mortal {
    struct pm_object object;
    struct pm_object *weakref; /* not counted: a test has it */
    void (*last_words)(struct mortal *mortal);
};

static char events[32];

static void note_event(char event)
{
    size_t length = strlen(events);
    require(length < sizeof events - 1);
    events[length] = event;
    events[length + 1] = 0;
}

static void mortal_finalize(struct pm_object *object)
{
    struct mortal *mortal = (struct mortal *)object;
    note_event('F');
    if (mortal->last_words != NULL)
        mortal->last_words(mortal);
}

static void mortal_clear(struct pm_object *object)
{
    struct mortal *mortal = (struct mortal *)object;
    note_event(mortal->weakref == NULL || pm_weakref_get(mortal->weakref) == NULL ? 'c' : '!');
}

static void mortal_free(struct pm_object *object)
{
    (void)object;
    note_event('f');
}

static struct pm_type mortal_type = {
    .name = "mortal",
    .size = sizeof(struct mortal),
    .finalize = mortal_finalize,
    .clear = mortal_clear,
    .free = mortal_free,
};

static struct mortal *mortal_new(void (*last_words)(struct mortal *mortal))
{
    struct mortal *mortal = (struct mortal *)pm_object_new(&mortal_type);
    require(mortal != NULL);
    mortal->last_words = last_words;
    events[0] = 0;
    test_calls_forget();
    return mortal;
}

static void note_call(struct pm_object *weakref, struct pm_object *arg)
{
    test_note(weakref, arg);
    note_event('W');
}

/* The order of subtype_dealloc (CPython 3.13): tp_finalize, weak references, slots. */
static void finalizer_then_callbacks_then_clear_then_free(void **state)
{
    (void)state;
    struct mortal *mortal = mortal_new(NULL);
    struct pm_object *first = pm_weakref_new(&mortal->object, note_call, NULL);
    struct pm_object *second = pm_weakref_new(&mortal->object, note_call, NULL);
    mortal->weakref = first;
    pm_decref(&mortal->object);
    assert_string_equal(events, "FWWcf");
    assert_false(test_calls.found);
    pm_decref(first);
    pm_decref(second);
}

/* ---- coming back ---- */

static struct pm_object *back;

static void follow_and_come_back(struct mortal *mortal)
{
    back = pm_weakref_get(mortal->weakref);
    require(back == &mortal->object);
}

static void follow(void *got)
{
    struct pm_object *object = pm_weakref_get(((struct pm_object **)got)[0]);
    ((struct pm_object **)got)[1] = object;
    if (object != NULL)
        pm_decref(object);
}

static void what_a_finalizer_brings_back_keeps_its_weak_references(void **state)
{
    (void)state;
    struct mortal *mortal = mortal_new(follow_and_come_back);
    struct pm_object *weakref = pm_weakref_new(&mortal->object, note_call, NULL);
    struct pm_object *got[2] = {weakref, NULL};
    mortal->weakref = weakref;
    pm_decref(&mortal->object);
    assert_string_equal(events, "F");
    assert_ptr_equal(back, mortal);
    test_in_thread(follow, got);
    assert_ptr_equal(got[1], mortal); /* also for other threads */
    pm_safepoint();
    pm_decref(back);
    assert_string_equal(events, "FWcf");
    test_in_thread(follow, got);
    assert_null(got[1]);
    pm_decref(weakref);
}

static struct pm_object *made_late;

static void refer_to_itself(struct mortal *mortal)
{
    made_late = pm_weakref_new(&mortal->object, note_call, NULL);
    require(made_late != NULL);
}

/* test_ref_created_during_del */
static void a_weak_reference_made_by_the_finalizer_is_cleared_like_others(void **state)
{
    (void)state;
    struct mortal *mortal = mortal_new(refer_to_itself);
    pm_decref(&mortal->object);
    assert_string_equal(events, "FWcf");
    assert_ptr_equal(test_calls.weakrefs[0], made_late);
    assert_null(pm_weakref_get(made_late));
    pm_decref(made_late);
}

static struct pm_object *others[2];

static void others_follow(struct mortal *mortal)
{
    (void)mortal;
    test_in_thread(follow, others);
}

/* Or it would come back while its finalizer decides whether it does. */
static void while_the_finalizer_runs_other_threads_find_nothing(void **state)
{
    (void)state;
    struct mortal *mortal = mortal_new(others_follow);
    others[0] = pm_weakref_new(&mortal->object, NULL, NULL);
    others[1] = &mortal->object;
    pm_decref(&mortal->object);
    assert_null(others[1]);
    assert_string_equal(events, "Fcf");
    pm_decref(others[0]);
}

/* ---- many that die by each other ---- */

enum { LONG = PM_TSAN || PM_SCHEDULE ? 5000 : 50000 };

static unsigned links_called;

static void count_link(struct pm_object *weakref, struct pm_object *arg)
{
    (void)arg;
    links_called++;
    require(pm_weakref_get(weakref) == NULL);
}

/* Each box of a chain but the last has a weak reference; all of them die by the first one.
 * test_trashcan_16602 */
static void a_long_chain_with_weak_references_dies_by_its_first_box(void **state)
{
    (void)state;
    static struct pm_object *weakrefs[LONG];
    struct test_box *first = NULL;
    unsigned deaths = test_deaths;
    links_called = 0;
    for (unsigned i = 0; i < LONG; i++) {
        struct test_box *box = (struct test_box *)test_box_new();
        box->next = first;
        first = box;
        weakrefs[i] = pm_weakref_new(&box->object, count_link, NULL);
    }
    pm_decref(&first->object);
    assert_int_equal(test_deaths - deaths, LONG);
    assert_int_equal(links_called, LONG);
    for (unsigned i = 0; i < LONG; i++)
        pm_decref(weakrefs[i]);
}

/* ---- what the collector has of it ---- */

static bool is_in(struct pm_object *weakref, void *trash)
{
    for (struct pm_object **each = trash; *each != NULL; each++)
        if (*each == weakref)
            return true;
    return false;
}

/* test_callback_in_cycle_1 .. _4: two that hold each other, found to be trash together with one of
 * the weak references; the other one's callback is called, after all are cleared. */
static void of_trash_those_weak_references_are_called_that_are_not_trash_themselves(void **state)
{
    (void)state;
    struct pm_object *objects[2] = {test_box_new(), test_box_new()}, *weakrefs[4], *arg;
    struct pm_weak_callbacks callbacks = {NULL, NULL};
    unsigned deaths = test_deaths;
    arg = test_box_new();
    weakrefs[0] = pm_weakref_new(objects[0], test_note, NULL);
    weakrefs[1] = pm_weakref_new(objects[0], test_note, arg);
    weakrefs[2] = pm_weakref_new(objects[1], NULL, NULL);
    weakrefs[3] = pm_weakref_new(objects[1], test_note, NULL);
    struct pm_object *trash[2] = {weakrefs[1], NULL};
    test_calls_forget();
    test_calls.follow = weakrefs;
    test_calls.follow_count = 4;
    for (unsigned i = 0; i < 2; i++)
        pm_weak_clear_trash(objects[i], &callbacks, is_in, trash);
    assert_int_equal(test_calls.count, 0);
    pm_weak_run_callbacks(&callbacks);
    assert_int_equal(test_calls.count, 2);
    assert_ptr_equal(test_calls.weakrefs[0], weakrefs[0]);
    assert_ptr_equal(test_calls.weakrefs[1], weakrefs[3]);
    assert_false(test_calls.found);
    pm_decref(arg);
    assert_int_equal(test_deaths - deaths, 0); /* which the one not called holds */
    for (unsigned i = 0; i < 4; i++)
        pm_decref(weakrefs[i]);
    assert_int_equal(test_deaths - deaths, 1);
    pm_decref(objects[0]);
    pm_decref(objects[1]);
    assert_int_equal(test_calls.count, 2);
}

static void what_is_cleared_without_callbacks_is_never_called(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *weakref = pm_weakref_new(object, test_note, NULL);
    test_calls_forget();
    pm_weak_clear_trash(object, NULL, NULL, NULL);
    assert_null(pm_weakref_get(weakref));
    assert_int_equal(pm_weakref_count(object), 0);
    pm_decref(object);
    assert_int_equal(test_calls.count, 0);
    pm_decref(weakref);
}

/* What comes back by a finalizer after that is a new start (test_callback_in_cycle_resurrection).
 */
static void what_was_cleared_can_have_new_weak_references(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *old = pm_weakref_new(object, NULL, NULL);
    pm_weak_clear_trash(object, NULL, NULL, NULL);
    struct pm_object *weakref = pm_weakref_new(object, NULL, NULL);
    assert_ptr_not_equal(weakref, old);
    assert_ptr_equal(pm_weakref_get(weakref), object);
    assert_null(pm_weakref_get(old));
    pm_decref(object);
    pm_decref(old);
    pm_decref(weakref);
    pm_decref(object);
}

static int count_visits(struct pm_object *object, void *arg)
{
    (void)object;
    ++*(unsigned *)arg;
    return 0;
}

static void a_weak_reference_shows_the_argument_and_not_its_object(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new(), *arg = test_box_new();
    struct pm_object *weakref = pm_weakref_new(object, test_note, arg);
    struct pm_object *plain = pm_weakref_new(object, NULL, NULL);
    const struct pm_type *type = pm_object_type(weakref);
    unsigned visits = 0;
    test_calls_forget();
    assert_int_equal(type->flags & PM_TYPE_GC, PM_TYPE_GC);
    assert_int_equal(type->traverse(weakref, count_visits, &visits), 0);
    assert_int_equal(type->traverse(plain, count_visits, &visits), 0);
    assert_int_equal(visits, 1);
    type->clear(weakref); /* as the collector does with one that is trash */
    assert_null(pm_weakref_get(weakref));
    assert_int_equal(pm_refcount(arg), 1);
    assert_int_equal(pm_weakref_count(object), 1);
    pm_decref(object);
    assert_int_equal(test_calls.count, 0);
    pm_decref(weakref);
    pm_decref(plain);
    pm_decref(arg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finalizer_then_callbacks_then_clear_then_free),
        cmocka_unit_test(what_a_finalizer_brings_back_keeps_its_weak_references),
        cmocka_unit_test(a_weak_reference_made_by_the_finalizer_is_cleared_like_others),
        cmocka_unit_test(while_the_finalizer_runs_other_threads_find_nothing),
        cmocka_unit_test(a_long_chain_with_weak_references_dies_by_its_first_box),
        cmocka_unit_test(of_trash_those_weak_references_are_called_that_are_not_trash_themselves),
        cmocka_unit_test(what_is_cleared_without_callbacks_is_never_called),
        cmocka_unit_test(what_was_cleared_can_have_new_weak_references),
        cmocka_unit_test(a_weak_reference_shows_the_argument_and_not_its_object),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
