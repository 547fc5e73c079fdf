/* SPDX-License-Identifier: MIT */
/*
 * Copies that wait for the lock of what they copy are found by nobody before they are filled; and
 * what equality finds on its way leaves errno alone.
 */
#include "object/containers_testing.h"
#include "object/lock.h"
#include "poolmalloc/gc.h"
#include "poolmalloc/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>

/* ---- copies ---- */

struct copying {
    struct pm_object *(*copy)(struct pm_object *object);
    struct pm_object *of, *made;
};

static void copy(void *arg)
{
    struct copying *copying = arg;
    copying->made = copying->copy(copying->of);
    require(copying->made != NULL);
}

static struct pm_object *slice(struct pm_object *list)
{
    return pm_list_slice(list, 0, 1, 1);
}

/* The other thread has made its copy, and waits for the lock: the world can stop, and what is found
 * is what there was. */
static void is_found_by_nobody(struct copying *copying)
{
    struct test_call call = {copy, copying};
    pthread_t thread;
    size_t before = pm_gc_get_objects(-1, NULL, 0);
    pm_object_lock(copying->of);
    require(pthread_create(&thread, NULL, test_attached, &call) == 0);
    while ((pm_load_relaxed(pm_lock_of(copying->of)) & PM_LOCK_WAITED) == 0)
        sched_yield();
    size_t found = pm_gc_get_objects(-1, NULL, 0);
    pm_object_unlock(copying->of);
    require(pthread_join(thread, NULL) == 0);
    assert_int_equal(found, before);
    assert_int_equal(pm_gc_get_objects(-1, NULL, 0), before + 1); /* it is filled now */
    pm_decref(copying->made);
}

static void a_copy_is_found_when_it_is_filled(void **state)
{
    (void)state;
    struct pm_object *key = pm_str_new("key", 3);
    struct pm_object *list = pm_list_new(&key, 1), *dict = pm_dict_new();
    assert_true(list != NULL && dict != NULL && pm_dict_set(dict, key, list));
    is_found_by_nobody(&(struct copying){slice, list, NULL});
    is_found_by_nobody(&(struct copying){pm_list_copy, list, NULL});
    is_found_by_nobody(&(struct copying){pm_dict_copy, dict, NULL});
    is_found_by_nobody(&(struct copying){pm_dict_keys, dict, NULL});
    is_found_by_nobody(&(struct copying){pm_dict_values, dict, NULL});
    pm_decref(key);
    pm_decref(list);
    pm_decref(dict);
}

/* ---- equality ---- */

static bool equal_and_no_error(struct pm_object *one, struct pm_object *other)
{
    errno = 0;
    bool equal = pm_equal(one, other);
    assert_int_equal(errno, 0);
    return equal;
}

static void lists_are_compared_without_an_error(void **state)
{
    (void)state;
    struct pm_object *items[2] = {pm_str_new("one", 3), pm_str_new("two", 3)};
    struct pm_object *list = pm_list_new(items, 2), *same = pm_list_new(items, 2);
    struct pm_object *shorter = pm_list_new(items, 1);
    assert_true(equal_and_no_error(list, same));
    assert_false(equal_and_no_error(list, shorter));
    assert_false(equal_and_no_error(shorter, list));
    int result = 0;
    errno = 0;
    assert_int_equal(pm_compare(shorter, list, &result), 1);
    assert_true(result < 0 && errno == 0);
    for (unsigned i = 0; i < 2; i++)
        pm_decref(items[i]);
    pm_decref(list);
    pm_decref(same);
    pm_decref(shorter);
}

static void so_are_dictionaries(void **state)
{
    (void)state;
    struct pm_object *keys[2] = {pm_str_new("one", 3), pm_str_new("two", 3)};
    struct pm_object *dicts[3];
    for (unsigned i = 0; i < 3; i++) {
        dicts[i] = pm_dict_new();
        assert_true(dicts[i] != NULL && pm_dict_set(dicts[i], keys[i == 2], keys[0]));
    }
    assert_true(equal_and_no_error(dicts[0], dicts[1]));
    assert_false(equal_and_no_error(dicts[0], dicts[2])); /* the other key */
    for (unsigned i = 0; i < 3; i++)
        pm_decref(dicts[i]);
    for (unsigned i = 0; i < 2; i++)
        pm_decref(keys[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_found_when_it_is_filled),
        cmocka_unit_test(lists_are_compared_without_an_error),
        cmocka_unit_test(so_are_dictionaries),
    };
    require(pm_object_thread_attach());
    pm_gc_disable();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
