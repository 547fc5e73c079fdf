/* SPDX-License-Identifier: MIT */
/*
 * Tuples, lists and dictionaries in cycles, as the collector finds them: acceptance test F.11 with
 * lists, and that a container which others read without a lock can be trash as well.
 */
#include "object/containers_testing.h"
#include "poolmalloc/gc.h"
#include "poolmalloc/qsbr.h"
#include "poolmalloc/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { LISTS = 10 };

static size_t collect(void)
{
    struct pm_gc_result result;
    assert_true(pm_gc_collect(PM_GC_GENERATIONS - 1, &result));
    assert_int_equal(result.uncollectable, 0);
    return result.collected;
}

/* One reference to it is its own. */
static struct pm_object *list_of_itself(void)
{
    struct pm_object *list = pm_list_new(NULL, 0);
    assert_true(list != NULL && pm_list_append(list, list));
    return list;
}

static void ten_lists_of_themselves_are_ten_objects(void **state)
{
    (void)state;
    for (int i = 0; i < LISTS; i++)
        pm_decref(list_of_itself());
    assert_int_equal(collect(), LISTS);
    assert_int_equal(collect(), 0);
}

static void a_list_that_somebody_has_stays_with_its_items(void **state)
{
    (void)state;
    struct pm_object *list = list_of_itself(), *number = number_of(&number_type, 1);
    assert_true(pm_list_append(list, number));
    pm_decref(number);
    assert_int_equal(collect(), 0);
    assert_int_equal(pm_list_count(list), 2);
    assert_int_equal(numbers_alive, 1);
    pm_decref(list);
    assert_int_equal(collect(), 1);
    assert_int_equal(numbers_alive, 0);
}

static void containers_are_tracked_and_values_are_not(void **state)
{
    (void)state;
    struct pm_object *list = pm_list_new(NULL, 0), *dict = pm_dict_new();
    struct pm_object *string = pm_str_new("text", 4), *integer = pm_int_new(100000);
    struct pm_object *tuple = pm_tuple_new(&list, 1), *empty = pm_tuple_new(NULL, 0);
    assert_true(pm_gc_is_tracked(list) && pm_gc_is_tracked(dict) && pm_gc_is_tracked(tuple));
    assert_false(pm_gc_is_tracked(string) || pm_gc_is_tracked(integer) || pm_gc_is_tracked(empty));
    struct pm_object *all[] = {string, integer, tuple, empty, dict, list};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        pm_decref(all[i]);
}

/* dict -> tuple -> list -> dict, with the empty tuple among them, which no pool has. */
static void make_circle(void)
{
    struct pm_object *dict = pm_dict_new(), *list = pm_list_new(NULL, 0);
    struct pm_object *empty = pm_tuple_new(NULL, 0), *key = number_of(&number_type, 7);
    struct pm_object *pair[] = {list, empty}, *tuple = pm_tuple_new(pair, 2);
    assert_true(pm_dict_set(dict, key, tuple) && pm_list_append(list, dict));
    struct pm_object *mine[] = {dict, list, empty, key, tuple};
    for (size_t i = 0; i < sizeof(mine) / sizeof(mine[0]); i++)
        pm_decref(mine[i]);
}

static void a_circle_of_all_three_is_trash(void **state)
{
    (void)state;
    make_circle();
    assert_int_equal(numbers_alive, 1);
    assert_int_equal(collect(), 3);
    assert_int_equal(numbers_alive, 0);
}

/* Not its owner: from now on it is one that is read without a lock. */
static void *use_it(void *list)
{
    if (!pm_object_thread_attach())
        abort();
    struct pm_object *number = number_of(&number_type, 2);
    if (!pm_list_append(list, number))
        abort();
    pm_decref(number);
    pm_object_thread_detach();
    return NULL;
}

static void a_list_that_threads_share_can_be_trash(void **state)
{
    (void)state;
    struct pm_object *list = list_of_itself();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, use_it, list), 0);
    pm_object_thread_pause();
    pthread_join(thread, NULL);
    pm_object_thread_resume();
    assert_int_equal(pm_list_count(list), 2);
    pm_decref(list);
    assert_int_equal(collect(), 1);
    pm_qsbr_quiescent();
    pm_qsbr_poll();
    assert_int_equal(numbers_alive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_lists_of_themselves_are_ten_objects),
        cmocka_unit_test(a_list_that_somebody_has_stays_with_its_items),
        cmocka_unit_test(containers_are_tracked_and_values_are_not),
        cmocka_unit_test(a_circle_of_all_three_is_trash),
        cmocka_unit_test(a_list_that_threads_share_can_be_trash),
    };
    pm_gc_disable();
    return cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
}
