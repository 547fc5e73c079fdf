/* SPDX-License-Identifier: MIT */
/*
 * What the collector leaves out by itself, and when it comes back: the cases of CPython 3.11's
 * test_tuple (test_track_literals, test_track_dynamic) and test_dict (test_track_dynamic) that
 * collect. In gc pools, in the register, and without tables.
 */
#include "object/containers_testing.h"
#include "object/gc_testing.h"
#include "poolmalloc/deferred.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static size_t collect(unsigned generation)
{
    struct pm_gc_result result;
    require(pm_gc_collect(generation, &result));
    return result.collected;
}

/* Tuples of so many lie in no pool. */
enum { FEW = 2, LARGE = 100 };

/* The item so many times. The caller has the reference to the item still. */
static struct pm_object *tuple_of(struct pm_object *item)
{
    struct pm_object *items[LARGE];
    for (int i = 0; i < LARGE; i++)
        items[i] = item;
    struct pm_object *tuple = pm_tuple_new(items, test_gc_place == TOO_LARGE ? LARGE : FEW);
    require(tuple != NULL);
    return tuple;
}

/* The same, and the reference goes. */
static struct pm_object *tuple_around(struct pm_object *item)
{
    struct pm_object *tuple = tuple_of(item);
    pm_decref(item);
    return tuple;
}

static void a_tuple_of_atoms_is_left_out_after_a_collection(void **state)
{
    (void)state;
    struct pm_object *tuple = tuple_around(pm_str_new("atom", 4));
    size_t before = pm_gc_get_objects(-1, NULL, 0);
    assert_true(pm_gc_is_tracked(tuple));
    assert_int_equal(collect(0), 0);
    assert_false(pm_gc_is_tracked(tuple));
    assert_int_equal(pm_gc_get_objects(-1, NULL, 0), before - 1);
    assert_int_equal(collect(2), 0);
    pm_decref(tuple);
}

static void so_is_one_of_such_tuples_from_the_inside_outwards(void **state)
{
    (void)state;
    enum { DEPTH = 4 };
    struct pm_object *tuples[DEPTH], *inner = pm_int_new(1);
    for (int i = 0; i < DEPTH; i++)
        inner = tuples[i] = tuple_around(inner);
    for (int i = 0; i < DEPTH; i++) {
        collect(2);
        for (int j = 0; j <= i; j++)
            assert_false(pm_gc_is_tracked(tuples[j]));
    }
    pm_decref(inner);
}

static void a_tuple_that_leads_to_anything_else_stays(void **state)
{
    (void)state;
    struct pm_object *list = pm_list_new(NULL, 0), *dict = pm_dict_new(), *node = node_new();
    struct pm_object *tuples[] = {tuple_of(list), tuple_of(dict), tuple_of(node),
                                  tuple_around(tuple_of(list))};
    for (int i = 0; i < 3; i++)
        collect(2);
    for (int i = 0; i < 4; i++) {
        assert_true(pm_gc_is_tracked(tuples[i]));
        pm_decref(tuples[i]);
    }
    assert_true(pm_gc_is_tracked(list) && pm_gc_is_tracked(node));
    pm_decref(list);
    pm_decref(dict);
    pm_decref(node);
}

static void the_empty_tuple_stays_left_out(void **state)
{
    (void)state;
    struct pm_object *empty = pm_tuple_new(NULL, 0);
    pm_gc_track(empty);
    assert_false(pm_gc_is_tracked(empty));
    assert_int_equal(collect(2), 0);
    pm_decref(empty);
}

/* dict -> list -> dict */
static struct pm_object *list_around(struct pm_object *dict)
{
    return pm_list_new(&dict, 1);
}

static struct pm_object *dict_of_atoms(void)
{
    struct pm_object *dict = pm_dict_new();
    put(dict, 1, 10);
    return dict;
}

static void a_dictionary_of_atoms_is_left_out_after_a_collection_of_all(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_atoms(), *empty = pm_dict_new();
    collect(0);
    collect(1);
    assert_true(pm_gc_is_tracked(dict) && pm_gc_is_tracked(empty));
    collect(2);
    assert_false(pm_gc_is_tracked(dict) || pm_gc_is_tracked(empty));
    put(dict, 2, 20);
    put(dict, 1, 30);
    assert_true(remove_number(dict, 2));
    assert_false(pm_gc_is_tracked(dict));
    pm_decref(dict);
    pm_decref(empty);
}

/* The ways by which a list gets into the dictionary. */
static void set_new(struct pm_object *dict, struct pm_object *key, struct pm_object *list)
{
    require(pm_dict_set(dict, key, list));
}

static void replace(struct pm_object *dict, struct pm_object *key, struct pm_object *list)
{
    (void)key;
    struct pm_object *one = number(1);
    require(pm_dict_set(dict, one, list));
    pm_decref(one);
}

static void set_default(struct pm_object *dict, struct pm_object *key, struct pm_object *list)
{
    require(pm_dict_set_default(dict, key, list) == list);
    pm_decref(list);
}

static void update(struct pm_object *dict, struct pm_object *key, struct pm_object *list)
{
    struct pm_object *other = pm_dict_new();
    require(pm_dict_set(other, key, list) && pm_dict_update(dict, other, true));
    pm_decref(other);
}

static void with_the_first_thing_that_may_lead_back_it_is_tracked_again(void **state)
{
    (void)state;
    void (*const ways[])(struct pm_object *, struct pm_object *,
                         struct pm_object *) = {set_new, replace, set_default, update};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct pm_object *dict = dict_of_atoms(), *list = list_around(dict), *key = number(7);
        collect(2);
        assert_false(pm_gc_is_tracked(dict));
        ways[i](dict, key, list);
        assert_true(pm_gc_is_tracked(dict));
        pm_decref(key);
        pm_decref(list);
        assert_int_equal(collect(0), 0);
        pm_decref(dict);
        assert_int_equal(collect(2), 2);
    }
}

/* It is young then, whatever it was. */
static void its_cycle_is_found_by_the_next_collection(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_atoms(), *tuple;
    collect(2);
    collect(2);
    tuple = tuple_around(list_around(dict));
    replace(dict, NULL, tuple);
    pm_decref(tuple);
    pm_decref(dict);
    assert_int_equal(collect(0), 3);
}

static void a_key_may_lead_back_as_well(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_atoms(), *node = node_new();
    collect(2);
    node_set(node, 0, dict);
    assert_true(pm_dict_set(dict, node, node));
    assert_true(pm_gc_is_tracked(dict));
    pm_decref(node);
    pm_decref(dict);
    assert_int_equal(collect(2), 2);
}

static void lists_and_objects_of_the_programs_types_are_never_left_out(void **state)
{
    (void)state;
    struct pm_object *list = pm_list_new(NULL, 0), *node = node_new();
    append(list, 1);
    collect(2);
    collect(2);
    assert_true(pm_gc_is_tracked(list) && pm_gc_is_tracked(node));
    pm_decref(list);
    pm_decref(node);
}

/* A collection finds out that nobody has them. */
static void deferred_ones_are_not_left_out_and_come_back(void **state)
{
    (void)state;
    struct pm_object *tuple = tuple_around(number(1)), *later = tuple_around(number(2));
    struct pm_object *dict = dict_of_atoms();
    assert_true(pm_object_set_deferred(tuple));
    collect(2);
    assert_true(pm_gc_is_tracked(tuple));
    assert_false(pm_gc_is_tracked(later) || pm_gc_is_tracked(dict));
    assert_true(pm_object_set_deferred(later) && pm_object_set_deferred(dict));
    assert_true(pm_gc_is_tracked(later) && pm_gc_is_tracked(dict));
    pm_decref(tuple);
    pm_decref(later);
    pm_decref(dict);
    assert_int_equal(collect(2), 3);
}

static void what_is_left_out_does_not_count_as_long_lived(void **state)
{
    (void)state;
    enum { MANY = 50 };
    struct pm_object *tuples[MANY];
    struct pm_gc_stats first, second;
    for (int i = 0; i < MANY; i++)
        tuples[i] = tuple_around(number(i));
    collect(2);
    pm_gc_get_stats(&first);
    collect(2);
    pm_gc_get_stats(&second);
    assert_int_equal(first.long_lived, second.long_lived);
    for (int i = 0; i < MANY; i++)
        pm_decref(tuples[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tuple_of_atoms_is_left_out_after_a_collection),
        cmocka_unit_test(so_is_one_of_such_tuples_from_the_inside_outwards),
        cmocka_unit_test(a_tuple_that_leads_to_anything_else_stays),
        cmocka_unit_test(the_empty_tuple_stays_left_out),
        cmocka_unit_test(a_dictionary_of_atoms_is_left_out_after_a_collection_of_all),
        cmocka_unit_test(with_the_first_thing_that_may_lead_back_it_is_tracked_again),
        cmocka_unit_test(its_cycle_is_found_by_the_next_collection),
        cmocka_unit_test(a_key_may_lead_back_as_well),
        cmocka_unit_test(lists_and_objects_of_the_programs_types_are_never_left_out),
        cmocka_unit_test(deferred_ones_are_not_left_out_and_come_back),
        cmocka_unit_test(what_is_left_out_does_not_count_as_long_lived),
    };
    int failed = 0;
    require(pm_object_thread_attach());
    pm_gc_disable();
    for (int place = IN_POOLS; place <= WITHOUT_TABLES; place++) {
        test_gc_choose(place);
        failed += cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
    }
    pm_object_thread_detach();
    return failed;
}
