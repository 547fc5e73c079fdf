/* SPDX-License-Identifier: MIT */
/*
 * What weak references are worth: hash and equality of what they lead to, as CPython's. The cases
 * of its test_weakref (Lib/test/test_weakref.py, ReferencesTestCase) have their names beside them.
 */
#include "object/testing.h"
#include "poolmalloc/containers.h"
#include "poolmalloc/weak.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct pm_object *weakref_to(struct pm_object *object)
{
    struct pm_object *weakref = pm_weakref_new(object, NULL, NULL);
    require(weakref != NULL);
    return weakref;
}

static void ignore(struct pm_object *weakref, struct pm_object *arg)
{
    (void)weakref, (void)arg;
}

/* Not the one that all share. */
static struct pm_object *another_weakref_to(struct pm_object *object)
{
    struct pm_object *weakref = pm_weakref_new(object, ignore, NULL);
    require(weakref != NULL);
    return weakref;
}

static struct pm_object *text(const char *is)
{
    struct pm_object *string = pm_str_new(is, strlen(is));
    require(string != NULL);
    return string;
}

/* test_hashing */
static void the_hash_is_the_objects_and_stays_after_its_death(void **state)
{
    (void)state;
    /* The hash of the second one is 0, and is remembered as well. */
    const char *const texts[] = {"key", ""};
    for (int i = 0; i < 2; i++) {
        struct pm_object *object = text(texts[i]), *asked = weakref_to(object);
        struct pm_object *never = another_weakref_to(object);
        uint64_t of_object, hash = 0;
        assert_true(pm_hash(object, &of_object) && pm_hash(asked, &hash));
        assert_int_equal(hash, of_object);
        pm_decref(object);
        assert_null(pm_weakref_get(asked));
        assert_true(pm_hash(asked, &hash));
        assert_int_equal(hash, of_object);
        errno = 0;
        assert_false(pm_hash(never, &hash));
        assert_int_equal(errno, ENOTSUP);
        pm_decref(asked);
        pm_decref(never);
    }
}

static void what_leads_to_what_has_no_hash_has_none(void **state)
{
    (void)state;
    struct pm_object *list = pm_list_new(NULL, 0), *weakref = weakref_to(list);
    uint64_t hash;
    errno = 0;
    assert_false(pm_hash(weakref, &hash));
    assert_int_equal(errno, ENOTSUP);
    pm_decref(weakref);
    pm_decref(list);
}

/* test_equality */
static void while_their_objects_live_they_are_equal_if_those_are(void **state)
{
    (void)state;
    struct pm_object *one = text("same"), *two = text("same"), *three = text("other");
    struct pm_object *to_one = weakref_to(one), *to_two = weakref_to(two);
    struct pm_object *to_three = weakref_to(three), *also = another_weakref_to(one);
    assert_true(pm_equal(to_one, to_two) && pm_equal(to_one, also));
    assert_false(pm_equal(to_one, to_three));
    assert_false(pm_equal(to_one, one) || pm_equal(one, to_one));
    pm_decref(two);
    /* From now on only as objects. */
    assert_false(pm_equal(to_one, to_two) || pm_equal(to_two, to_one));
    pm_decref(one);
    assert_false(pm_equal(to_one, to_two) || pm_equal(to_one, also));
    assert_true(pm_equal(to_one, to_one) && pm_equal(to_two, to_two));
    struct pm_object *mine[] = {three, to_one, to_two, to_three, also};
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
        pm_decref(mine[i]);
}

/* test_ordering */
static void they_have_no_order(void **state)
{
    (void)state;
    struct pm_object *number = pm_int_new(1), *weakref = weakref_to(number);
    int result;
    errno = 0;
    assert_false(pm_compare(weakref, weakref, &result));
    assert_int_equal(errno, ENOTSUP);
    pm_decref(weakref);
}

/* As a WeakKeyDictionary does: its callback has the dead weak reference alone. */
static void a_dictionary_finds_them_by_their_objects_and_dead_ones_as_themselves(void **state)
{
    (void)state;
    struct pm_object *dict = pm_dict_new(), *key = text("key"), *same = text("key");
    struct pm_object *one = weakref_to(key), *other = weakref_to(same), *value = pm_int_new(7);
    assert_true(pm_dict_set(dict, one, value));
    assert_ptr_equal(pm_dict_get(dict, other), value);
    pm_decref(key);
    errno = 0;
    assert_null(pm_dict_get(dict, other));
    assert_int_equal(errno, ENOENT);
    assert_true(pm_dict_delete(dict, one));
    assert_int_equal(pm_dict_count(dict), 0);
    pm_decref(one);
    pm_decref(other);
    pm_decref(same);
    pm_decref(dict);
}

/* A tuple of a list that has a weak reference to the tuple. */
static struct pm_object *around_itself(struct pm_object **weakref)
{
    struct pm_object *list = pm_list_new(NULL, 0), *tuple = pm_tuple_new(&list, 1);
    *weakref = weakref_to(tuple);
    require(pm_list_append(list, *weakref));
    pm_decref(list);
    return tuple;
}

static void what_leads_around_is_nested_too_deep(void **state)
{
    (void)state;
    struct pm_object *weakrefs[2];
    struct pm_object *tuples[2] = {around_itself(&weakrefs[0]), around_itself(&weakrefs[1])};
    errno = 0;
    assert_false(pm_equal(weakrefs[0], weakrefs[1]));
    assert_int_equal(errno, ELOOP);
    for (int i = 0; i < 2; i++) {
        pm_decref(weakrefs[i]);
        pm_decref(tuples[i]);
    }
}

/* ---- threads ---- */

enum { ROUNDS = PM_SCHEDULE ? 100 : 2000 };

static struct pm_object *_Atomic shared_weakref;
static uint64_t expected;
static pthread_barrier_t barrier;

static void ask(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t hash;
        pm_object_thread_pause();
        pthread_barrier_wait(&barrier);
        pm_object_thread_resume();
        struct pm_object *weakref = pm_load_acquire(&shared_weakref);
        require(pm_equal(weakref, weakref));
        require(pm_hash(weakref, &hash) ? hash == expected : errno == ENOTSUP);
        pm_object_thread_pause();
        pthread_barrier_wait(&barrier);
        pm_object_thread_resume();
    }
}

/* One asks for the hash while the other one drops the object: the object's, or none. */
static void the_hash_that_a_thread_gets_beside_the_death_is_right(void **state)
{
    (void)state;
    struct test_call call = {ask, NULL};
    pthread_t thread;
    struct pm_object *same = text("key");
    require(pm_hash(same, &expected));
    pthread_barrier_init(&barrier, NULL, 2);
    require(pthread_create(&thread, NULL, test_attached, &call) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct pm_object *object = text("key"), *weakref = weakref_to(object);
        pm_store_release(&shared_weakref, weakref);
        pm_object_thread_pause();
        pthread_barrier_wait(&barrier);
        pm_object_thread_resume();
        pm_decref(object);
        pm_object_thread_pause();
        pthread_barrier_wait(&barrier);
        pm_object_thread_resume();
        pm_decref(weakref);
    }
    pm_object_thread_pause();
    pthread_join(thread, NULL);
    pm_object_thread_resume();
    pthread_barrier_destroy(&barrier);
    pm_decref(same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_the_objects_and_stays_after_its_death),
        cmocka_unit_test(what_leads_to_what_has_no_hash_has_none),
        cmocka_unit_test(while_their_objects_live_they_are_equal_if_those_are),
        cmocka_unit_test(they_have_no_order),
        cmocka_unit_test(a_dictionary_finds_them_by_their_objects_and_dead_ones_as_themselves),
        cmocka_unit_test(what_leads_around_is_nested_too_deep),
        cmocka_unit_test(the_hash_that_a_thread_gets_beside_the_death_is_right),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
