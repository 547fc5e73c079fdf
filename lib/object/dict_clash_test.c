/* SPDX-License-Identifier: MIT */
/*
 * Dictionaries whose keys have to be asked: all with the same hash, or with an `equal` that changes
 * the dictionary while a key is looked for.
 */
#include "object/containers_testing.h"
#include "object/dict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static bool is_sound(struct pm_object *dict)
{
    struct pm_table *table = ((struct pm_dict *)dict)->table;
    size_t count = pm_dict_count(dict);
    return table == NULL ? count == 0 : pm_table_check(table, count);
}

/* ---- the same hash for all, by types that are plain and that are not ---- */

static uint64_t same_hash(struct pm_object *object)
{
    (void)object;
    return 42;
}

static struct pm_type clash_type = {
    .name = "clash",
    .size = sizeof(struct number),
    .flags = PM_TYPE_PLAIN,
    .free = number_free,
    .hash = same_hash,
    .equal = number_equal,
};

static void (*at_question)(void);
static unsigned questions;

static bool asking_equal(struct pm_object *object, struct pm_object *other)
{
    questions++;
    if (at_question != NULL)
        at_question();
    return number_equal(object, other);
}

static struct pm_type asking_type = {
    .name = "asking",
    .size = sizeof(struct number),
    .free = number_free,
    .hash = same_hash,
    .equal = asking_equal,
};

static bool remove_of(struct pm_object *dict, struct pm_type *type, long key)
{
    struct pm_object *k = number_of(type, key);
    bool done = pm_dict_delete(dict, k);
    pm_decref(k);
    return done;
}

static void fill_and_empty(struct pm_type *type)
{
    enum { KEYS = 120 };
    struct pm_object *dict = pm_dict_new();
    for (long i = 0; i < KEYS; i++)
        assert_true(set_numbers(dict, type, i, i * 2));
    assert_int_equal(pm_dict_count(dict), KEYS);
    for (long i = 0; i < KEYS; i++)
        assert_int_equal(get_number(dict, type, i), i * 2);
    assert_int_equal(get_number(dict, type, KEYS), -1);
    for (long i = 0; i < KEYS; i += 2)
        assert_true(remove_of(dict, type, i));
    assert_true(is_sound(dict));
    for (long i = 0; i < KEYS; i++)
        assert_int_equal(get_number(dict, type, i), i % 2 == 0 ? -1 : i * 2);
    for (long i = 0; i < KEYS; i += 2)
        assert_true(set_numbers(dict, type, i, 7));
    for (long i = 0; i < KEYS; i++)
        assert_true(remove_of(dict, type, i));
    assert_int_equal(pm_dict_count(dict), 0);
    pm_decref(dict);
}

static void keys_that_all_collide_are_told_apart(void **state)
{
    (void)state;
    at_question = NULL;
    fill_and_empty(&clash_type);
    fill_and_empty(&asking_type);
    assert_int_equal(numbers_alive, 0);
}

static void keys_of_two_types_that_collide_are_told_apart(void **state)
{
    (void)state;
    struct pm_object *dict = pm_dict_new();
    assert_true(set_numbers(dict, &clash_type, 1, 10));
    assert_true(set_numbers(dict, &asking_type, 1, 11));
    assert_int_equal(get_number(dict, &clash_type, 1), 10);
    assert_int_equal(get_number(dict, &asking_type, 1), 11);
    assert_int_equal(pm_dict_count(dict), 2);
    pm_decref(dict);
}

static void the_same_object_is_found_without_a_question(void **state)
{
    (void)state;
    struct pm_object *dict = pm_dict_new(), *key = number_of(&asking_type, 1);
    at_question = NULL;
    assert_true(pm_dict_set(dict, key, key));
    questions = 0;
    assert_true(pm_dict_contains(dict, key));
    assert_true(pm_dict_set(dict, key, key));
    assert_int_equal(questions, 0);
    pm_decref(key);
    pm_decref(dict);
}

/* ---- questions that change the dictionary ---- */

static struct pm_object *changed;
static long next_key;

static void delete_what_is_asked(void)
{
    at_question = NULL;
    require(remove_of(changed, &asking_type, 0));
}

static void add_one(void)
{
    at_question = NULL;
    require(set_numbers(changed, &asking_type, next_key++, 5));
}

static void make_it_grow(void)
{
    at_question = NULL;
    for (int i = 0; i < 50; i++)
        require(set_numbers(changed, &clash_type, next_key++, 5));
}

static void clear_it(void)
{
    at_question = NULL;
    require(pm_dict_clear(changed));
}

/* Another table, at the address of the old one perhaps. */
static void replace_it(void)
{
    at_question = NULL;
    require(pm_dict_clear(changed));
    for (long i = 0; i < 3; i++)
        require(set_numbers(changed, &asking_type, i, i + 500));
}

static void a_question_that_changes_the_dictionary_makes_the_search_begin_anew(void **state)
{
    (void)state;
    static const struct {
        void (*change)(void);
        long found; /* then, as the value of the key 2 */
    } cases[] = {{delete_what_is_asked, 2},
                 {add_one, 2},
                 {make_it_grow, 2},
                 {clear_it, -1},
                 {replace_it, 502}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int setting = 0; setting < 2; setting++) {
            changed = pm_dict_new();
            next_key = 100;
            at_question = NULL;
            for (long key = 0; key < 3; key++)
                require(set_numbers(changed, &asking_type, key, key));
            at_question = cases[i].change;
            if (setting == 0) {
                assert_int_equal(get_number(changed, &asking_type, 2), cases[i].found);
            } else {
                assert_true(set_numbers(changed, &asking_type, 2, 99));
                assert_int_equal(get_number(changed, &asking_type, 2), 99);
            }
            assert_null(at_question);
            assert_true(is_sound(changed));
            pm_decref(changed);
        }
    }
    assert_int_equal(numbers_alive, 0);
}

/* The question puts in the key that is about to be put in, at a place that the search has passed,
 * of a key that is gone: it is there once. */
static void put_in_what_is_put_in(void)
{
    at_question = NULL;
    require(set_numbers(changed, &asking_type, 77, 1));
}

static void a_key_that_comes_during_its_own_insertion_is_there_once(void **state)
{
    (void)state;
    changed = pm_dict_new();
    at_question = NULL;
    require(set_numbers(changed, &asking_type, 0, 1));
    require(set_numbers(changed, &asking_type, 1, 1));
    require(remove_of(changed, &asking_type, 0));
    at_question = put_in_what_is_put_in;
    assert_true(set_numbers(changed, &asking_type, 77, 2));
    assert_int_equal(pm_dict_count(changed), 2);
    assert_int_equal(get_number(changed, &asking_type, 77), 2);
    pm_decref(changed);
}

static void change_it_again_and_again(void)
{
    static unsigned times;
    void (*self)(void) = at_question;
    at_question = NULL;
    if (times++ % 20 < 19)
        require(set_numbers(changed, &clash_type, next_key++, 5));
    else
        self = NULL;
    at_question = self;
}

static void a_search_goes_on_until_questions_change_nothing_any_more(void **state)
{
    (void)state;
    changed = pm_dict_new();
    next_key = 100;
    at_question = NULL;
    require(set_numbers(changed, &asking_type, 1, 1));
    at_question = change_it_again_and_again;
    assert_int_equal(get_number(changed, &asking_type, 2), -1);
    assert_int_equal(pm_dict_count(changed), 20);
    at_question = NULL;
    pm_decref(changed);
}

/* ---- keys made of others ---- */

static struct pm_object *nest(size_t depth)
{
    struct pm_object *item = number(1), *tuple = pm_tuple_new(&item, 1);
    pm_decref(item);
    for (size_t i = 1; i < depth; i++) {
        struct pm_object *outer = pm_tuple_new(&tuple, 1);
        pm_decref(tuple);
        tuple = outer;
    }
    return tuple;
}

static void tuples_are_keys_as_deep_as_values_may_be_nested(void **state)
{
    (void)state;
    struct pm_object *dict = pm_dict_new(), *value = number(3), *got;
    struct pm_object *keys[] = {nest(1), nest(1), nest(PM_NESTING_MAX), nest(PM_NESTING_MAX)};
    for (int i = 0; i < 4; i += 2)
        assert_true(pm_dict_set(dict, keys[i], value));
    for (int i = 0; i < 4; i++) {
        got = pm_dict_get(dict, keys[i]);
        assert_ptr_equal(got, value);
        pm_decref(got);
    }
    struct pm_object *deeper = nest(PM_NESTING_MAX + 1);
    assert_fails(pm_dict_set(dict, deeper, value), ELOOP);
    assert_int_equal(pm_dict_count(dict), 2);
    for (int i = 0; i < 4; i++)
        pm_decref(keys[i]);
    pm_decref(deeper);
    pm_decref(value);
    pm_decref(dict);
}

/* Of the hash of all, and equal only to what is nested too deep to tell. */
static bool deep_equal(struct pm_object *object, struct pm_object *other)
{
    struct pm_object *lists[2];
    (void)object;
    (void)other;
    for (int i = 0; i < 2; i++) {
        lists[i] = pm_list_new(NULL, 0);
        require(pm_list_append(lists[i], lists[i]));
    }
    bool equal = pm_equal(lists[0], lists[1]);
    for (int i = 0; i < 2; i++) {
        require(pm_list_clear(lists[i]));
        pm_decref(lists[i]);
    }
    return equal;
}

static struct pm_type deep_type = {
    .name = "deep",
    .size = sizeof(struct number),
    .free = number_free,
    .hash = same_hash,
    .equal = deep_equal,
};

static void a_question_that_cannot_be_answered_is_an_error_and_changes_nothing(void **state)
{
    (void)state;
    struct pm_object *dict = pm_dict_new(), *key = number_of(&deep_type, 1);
    struct pm_object *other = number_of(&deep_type, 1), *copy;
    assert_true(pm_dict_set(dict, key, key));
    assert_fails(pm_dict_get(dict, other), ELOOP);
    assert_fails(pm_dict_contains(dict, other), ELOOP);
    assert_fails(pm_dict_set(dict, other, other), ELOOP);
    assert_fails(pm_dict_set_default(dict, other, other), ELOOP);
    assert_fails(pm_dict_delete(dict, other), ELOOP);
    copy = pm_dict_new();
    assert_true(pm_dict_set(copy, other, key));
    assert_fails(pm_equal(dict, copy), ELOOP);
    assert_fails(pm_dict_update(dict, copy, true), ELOOP);
    assert_int_equal(pm_dict_count(dict), 1);
    pm_decref(copy);
    pm_decref(key);
    pm_decref(other);
    pm_decref(dict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_all_collide_are_told_apart),
        cmocka_unit_test(keys_of_two_types_that_collide_are_told_apart),
        cmocka_unit_test(the_same_object_is_found_without_a_question),
        cmocka_unit_test(a_question_that_changes_the_dictionary_makes_the_search_begin_anew),
        cmocka_unit_test(a_key_that_comes_during_its_own_insertion_is_there_once),
        cmocka_unit_test(a_search_goes_on_until_questions_change_nothing_any_more),
        cmocka_unit_test(tuples_are_keys_as_deep_as_values_may_be_nested),
        cmocka_unit_test(a_question_that_cannot_be_answered_is_an_error_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
}
