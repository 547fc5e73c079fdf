/* SPDX-License-Identifier: MIT */
/* Dictionaries: the order of their keys, and iteration. */
#include "object/dict_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void keys_are_in_order_of_insertion(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_numbers(6), *keys, *values, *items;
    assert_true(remove_number(dict, 2));
    put(dict, 2, 1);
    put(dict, 0, 2); /* stays at its place */
    keys = pm_dict_keys(dict);
    values = pm_dict_values(dict);
    items = pm_dict_items(dict);
    assert_true(list_is(keys, (long[]){0, 1, 3, 4, 5, 2}, 6));
    assert_true(list_is(values, (long[]){2, 10, 30, 40, 50, 1}, 6));
    for (long i = 0; i < 6; i++) {
        struct pm_object *pair = pm_list_get(items, i);
        assert_int_equal(pm_tuple_count(pair), 2);
        assert_int_equal(worth(pm_tuple_item(pair, 0)), worth_and_drop(pm_list_get(keys, i)));
        assert_int_equal(worth(pm_tuple_item(pair, 1)), worth_and_drop(pm_list_get(values, i)));
        pm_decref(pair);
    }
    pm_decref(items);
    pm_decref(values);
    pm_decref(keys);
    pm_decref(dict);
}

static void the_last_key_is_popped_first(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    struct pm_object *dict = dict_of_numbers(MANY), *key, *value;
    assert_true(remove_number(dict, MANY - 2));
    for (long i = MANY - 1; i >= 0; i--) {
        if (i == MANY - 2)
            continue;
        assert_true(pm_dict_pop_last(dict, &key, &value));
        assert_int_equal(worth_and_drop(key), i);
        assert_int_equal(worth_and_drop(value), i * 10);
    }
    assert_fails(pm_dict_pop_last(dict, &key, &value), ENOENT);
    assert_true(is_sound(dict));
    pm_decref(dict);
}

/* A stack: the row of removed entries below its top is not looked at each time. */
static void removed_entries_are_remembered_as_a_row(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_numbers(300), *key, *value;
    assert_true(pm_dict_reserve(dict, 400));
    struct pm_table *table = ((struct pm_dict *)dict)->table;
    for (long i = 100; i < 300; i++)
        assert_true(remove_number(dict, i));
    for (long round = 0; round < 10; round++) {
        put(dict, 1000, 1);
        put(dict, 1001, 1);
        for (long i = 0; i < 3; i++) {
            long last = i < 2 ? 1001 - i : 99 - round;
            assert_true(pm_dict_pop_last(dict, &key, &value));
            pm_decref(value);
            assert_int_equal(worth_and_drop(key), last);
        }
        assert_true(is_sound(dict));
        assert_ptr_equal(((struct pm_dict *)dict)->table, table);
        assert_int_equal(table->gap_first, 100 - round);
        assert_int_equal(table->gap_end, 302 + 2 * round);
    }
    pm_decref(dict);
}

static void an_iteration_meets_each_key_and_values_may_change_meanwhile(void **state)
{
    (void)state;
    struct pm_object *dict = dict_of_numbers(20), *key, *value;
    struct pm_dict_position position = {0};
    long met = 0;
    while (pm_dict_next(dict, &position, &key, &value)) {
        assert_int_equal(worth(key), met);
        assert_int_equal(worth_and_drop(value), met * 10);
        put(dict, worth_and_drop(key), 7);
        met++;
    }
    assert_int_equal(errno, ENOENT);
    assert_int_equal(met, 20);
    position = (struct pm_dict_position){0};
    assert_true(pm_dict_next(dict, &position, NULL, &value));
    assert_int_equal(worth_and_drop(value), 7);
    assert_true(pm_dict_next(dict, &position, NULL, NULL));
    assert_int_equal(position.next, 2);
    pm_decref(dict);
}

static void keys_that_come_or_go_meanwhile_end_the_iteration(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct pm_object *dict = dict_of_numbers(4);
        struct pm_dict_position position = {0};
        assert_true(pm_dict_next(dict, &position, NULL, NULL));
        if (how == 0)
            put(dict, 100, 1);
        else if (how == 1)
            assert_true(remove_number(dict, 3));
        else if (how == 2)
            assert_true(pm_dict_clear(dict));
        else { /* as many as before: CPython does not see that */
            assert_true(remove_number(dict, 3));
            put(dict, 3, 30);
        }
        assert_fails(pm_dict_next(dict, &position, NULL, NULL), EBUSY);
        assert_fails(pm_dict_next(dict, &position, NULL, NULL), EBUSY);
        pm_decref(dict);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_in_order_of_insertion),
        cmocka_unit_test(the_last_key_is_popped_first),
        cmocka_unit_test(removed_entries_are_remembered_as_a_row),
        cmocka_unit_test(an_iteration_meets_each_key_and_values_may_change_meanwhile),
        cmocka_unit_test(keys_that_come_or_go_meanwhile_end_the_iteration),
    };
    return cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
}
