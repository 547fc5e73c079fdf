/* SPDX-License-Identifier: MIT */
/* Dictionaries: single keys, growth, and what takes all keys. */
#include "object/dict_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void keys_are_set_got_replaced_and_deleted(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_numbers(3), *key = number(1), *value = number(5);
    assert_int_equal(pm_dict_count(dict), 3);
    assert_int_equal(get(dict, 1), 10);
    assert_true(pm_dict_set(dict, key, value));
    assert_int_equal(get(dict, 1), 5);
    assert_int_equal(pm_refcount(key), 1); /* the key that came first stays */
    assert_int_equal(pm_refcount(value), 2);
    assert_true(pm_dict_contains(dict, key));
    assert_true(pm_dict_delete(dict, key));
    assert_fails(pm_dict_contains(dict, key), ENOENT);
    assert_fails(pm_dict_delete(dict, key), ENOENT);
    assert_fails(pm_dict_pop(dict, key), ENOENT);
    assert_int_equal(get(dict, 1), -1);
    assert_int_equal(get(dict, 2), 20);
    assert_true(pm_dict_set(dict, key, value));
    assert_ptr_equal(pm_dict_pop(dict, key), value);
    pm_decref(value);
    assert_int_equal(pm_refcount(key), 1);
    assert_int_equal(pm_refcount(value), 1);
    pm_decref(key);
    pm_decref(value);
    pm_decref(dict);
}

static void a_default_is_set_only_where_there_is_no_value(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_numbers(1), *key = number(7), *one = number(1);
    struct pm_object *two = number(2);
    assert_ptr_equal(pm_dict_set_default(dict, key, one), one);
    assert_ptr_equal(pm_dict_set_default(dict, key, two), one);
    assert_int_equal(pm_refcount(one), 4);
    assert_int_equal(pm_refcount(two), 1);
    pm_decref(one);
    pm_decref(one);
    pm_decref(one);
    pm_decref(two);
    pm_decref(key);
    pm_decref(dict);
}

static void what_has_no_hash_or_is_no_dictionary_is_refused(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_numbers(2), *list = pm_list_new(NULL, 0);
    struct pm_object *key, *value;
    assert_fails(pm_dict_set(dict, list, list), ENOTSUP);
    assert_fails(pm_dict_get(dict, list), ENOTSUP);
    assert_fails(pm_dict_contains(dict, dict), ENOTSUP);
    assert_fails(pm_dict_delete(dict, list), ENOTSUP);
    assert_fails(pm_dict_set_default(dict, list, list), ENOTSUP);
    assert_fails(pm_dict_set(list, list, list), EINVAL);
    assert_fails(pm_dict_get(NULL, list), EINVAL);
    assert_fails(pm_dict_pop_last(list, &key, &value), EINVAL);
    assert_fails(pm_dict_next(list, &(struct pm_dict_position){0}, &key, &value), EINVAL);
    assert_fails(pm_dict_keys(list), EINVAL);
    assert_fails(pm_dict_items(list), EINVAL);
    assert_fails(pm_dict_copy(list), EINVAL);
    assert_fails(pm_dict_update(dict, list, true), EINVAL);
    assert_fails(pm_dict_clear(list), EINVAL);
    assert_fails(pm_dict_reserve(list, 1), EINVAL);
    assert_int_equal(pm_dict_count(list), 0);
    assert_int_equal(pm_refcount(list), 1);
    assert_int_equal(pm_dict_count(dict), 2);
    pm_decref(list);
    pm_decref(dict);
}

/* As in Python, 1 == 1.0, and a string is none of its bytes. */
static void built_in_values_are_keys_by_what_they_are_worth(void **state)
{
    (void)state;
    struct pm_object *dict = pm_dict_new(), *got;
    struct pm_object *keys[] = {pm_int_new(1),       pm_str_new("key", 3), pm_bytes_new("key", 3),
                                pm_float_new(1.5),   pm_int_new(1 << 20),  pm_float_new(1.0),
                                pm_str_new("key", 3)};
    struct pm_object *pair = pm_tuple_new(keys, 2);
    for (int i = 0; i < 5; i++)
        assert_true(pm_dict_set(dict, keys[i], keys[i]));
    assert_true(pm_dict_set(dict, pair, pair));
    assert_int_equal(pm_dict_count(dict), 6);
    for (int i = 0; i < 7; i++) {
        got = pm_dict_get(dict, keys[i]);
        assert_ptr_equal(got, keys[i < 5 ? i : i - 5]);
        pm_decref(got);
    }
    pm_decref(pair);
    for (int i = 0; i < 7; i++)
        pm_decref(keys[i]);
    pm_decref(dict);
}

/* ---- growth ---- */

static void tables_double_when_full_and_shrink_when_little_is_left(void **state)
{
    (void)state;
    struct pm_object *dict = pm_dict_new();
    assert_int_equal(places_of(dict), 0);
    for (long i = 0; i < 1000; i++) {
        put(dict, i, i);
        size_t places = 8;
        while (places * 2 / 3 < (size_t)i + 1)
            places *= 2;
        assert_int_equal(places_of(dict), places);
    }
    assert_int_equal(places_of(dict), 2048);
    for (long i = 0; i < 1000; i++) {
        assert_true(remove_number(dict, i));
        assert_true(is_sound(dict));
        assert_true(places_of(dict) <= 16 || (999 - i) * 16 >= (long)places_of(dict) * 2 / 3);
    }
    assert_int_equal(places_of(dict), 8);
    pm_decref(dict);
}

static void keys_that_come_and_go_do_not_make_the_table_grow(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_numbers(5);
    for (long i = 5; i < 5000; i++) {
        put(dict, i, i);
        assert_true(remove_number(dict, i - 5));
        assert_true(places_of(dict) <= 16);
    }
    assert_true(is_sound(dict));
    pm_decref(dict);
}

static void reserved_room_is_enough(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_numbers(3);
    assert_true(pm_dict_reserve(dict, 1000));
    struct pm_table *table = ((struct pm_dict *)dict)->table;
    for (long i = 0; i < 1000; i++)
        put(dict, i, i);
    assert_ptr_equal(table, ((struct pm_dict *)dict)->table);
    assert_true(pm_dict_reserve(dict, 1000));
    assert_fails(pm_dict_reserve(dict, SIZE_MAX), ENOMEM);
    assert_int_equal(get(dict, 999), 999);
    pm_decref(dict);
}

/* Places are bytes, then pairs of bytes, then four bytes. */
static void large_tables_find_what_small_ones_find(void **state)
{
    (void)state;
    enum { MANY = PM_TSAN || PM_ASAN || PM_CHECK ? 50000 : 100000 };
    struct pm_object *dict = dict_of_numbers(MANY);
    for (long i = 0; i < MANY; i++)
        assert_int_equal(get(dict, i), i * 10);
    assert_int_equal(get(dict, MANY), -1);
    assert_true(places_of(dict) > 1 << 15);
    assert_true(is_sound(dict));
    pm_decref(dict);
}

/* ---- all keys ---- */

static void a_copy_has_the_same_keys_and_no_gaps(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_numbers(100), *none = pm_dict_new(), *copy;
    for (long i = 0; i < 95; i++)
        if (i % 10 != 0)
            assert_true(remove_number(dict, i));
    copy = pm_dict_copy(dict);
    assert_true(pm_equal(copy, dict));
    assert_true(is_sound(copy));
    assert_int_equal(places_of(copy), 32);
    put(copy, 0, 5);
    assert_int_equal(get(dict, 0), 0);
    assert_false(pm_equal(copy, dict));
    pm_decref(copy);
    copy = pm_dict_copy(none);
    assert_true(pm_equal(copy, none));
    pm_decref(copy);
    pm_decref(none);
    pm_decref(dict);
}

static void an_update_replaces_values_or_leaves_them(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_numbers(3), *other = pm_dict_new(), *keys;
    put(other, 5, 1);
    put(other, 1, 2);
    assert_true(pm_dict_update(dict, other, false));
    assert_int_equal(get(dict, 1), 10);
    assert_int_equal(get(dict, 5), 1);
    assert_true(pm_dict_update(dict, other, true));
    assert_int_equal(get(dict, 1), 2);
    assert_true(pm_dict_update(dict, dict, true));
    keys = pm_dict_keys(dict);
    assert_true(list_is(keys, (long[]){0, 1, 2, 5}, 4));
    pm_decref(keys);
    pm_decref(other);
    pm_decref(dict);
}

static void dictionaries_are_equal_in_whatever_order(void **state)
{
    (void)state;
    struct pm_object *one = pm_dict_new(), *other = pm_dict_new(), *list = pm_list_new(NULL, 0);
    int result;
    for (long i = 0; i < 10; i++) {
        put(one, i, i);
        put(other, 9 - i, 9 - i);
    }
    assert_true(pm_equal(one, other));
    put(other, 3, 4);
    assert_false(pm_equal(one, other));
    assert_true(remove_number(other, 3));
    put(other, 30, 3);
    assert_false(pm_equal(one, other));
    assert_false(pm_equal(one, list));
    assert_fails(pm_compare(one, other, &result), ENOTSUP);
    pm_decref(list);
    pm_decref(one);
    pm_decref(other);
}

static void a_dictionary_that_holds_itself_is_nested_too_deep(void **state)
{
    (void)state;
    struct pm_object *dicts[2], *key = number(1);
    for (int i = 0; i < 2; i++) {
        dicts[i] = pm_dict_new();
        assert_true(pm_dict_set(dicts[i], key, dicts[i]));
    }
    assert_fails(pm_equal(dicts[0], dicts[1]), ELOOP);
    for (int i = 0; i < 2; i++) {
        assert_true(pm_dict_clear(dicts[i]));
        pm_decref(dicts[i]);
    }
    pm_decref(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_set_got_replaced_and_deleted),
        cmocka_unit_test(a_default_is_set_only_where_there_is_no_value),
        cmocka_unit_test(what_has_no_hash_or_is_no_dictionary_is_refused),
        cmocka_unit_test(built_in_values_are_keys_by_what_they_are_worth),
        cmocka_unit_test(tables_double_when_full_and_shrink_when_little_is_left),
        cmocka_unit_test(keys_that_come_and_go_do_not_make_the_table_grow),
        cmocka_unit_test(reserved_room_is_enough),
        cmocka_unit_test(large_tables_find_what_small_ones_find),
        cmocka_unit_test(a_copy_has_the_same_keys_and_no_gaps),
        cmocka_unit_test(an_update_replaces_values_or_leaves_them),
        cmocka_unit_test(dictionaries_are_equal_in_whatever_order),
        cmocka_unit_test(a_dictionary_that_holds_itself_is_nested_too_deep),
    };
    return cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
}
