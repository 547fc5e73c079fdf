/* SPDX-License-Identifier: MIT */
/* Tuples: items, slices, values; the empty one; nesting. */
#include "object/containers_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct pm_object *tuple_of_numbers(const long *values, size_t count)
{
    struct pm_object *items[16];
    require(count <= 16);
    for (size_t i = 0; i < count; i++)
        items[i] = number(values[i]);
    struct pm_object *tuple = pm_tuple_new(items, count);
    require(tuple != NULL);
    for (size_t i = 0; i < count; i++)
        pm_decref(items[i]);
    return tuple;
}

static bool tuple_is(struct pm_object *tuple, const long *values, size_t count)
{
    if (tuple == NULL || pm_tuple_count(tuple) != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (worth(pm_tuple_item(tuple, (ptrdiff_t)i)) != values[i])
            return false;
    return true;
}

static const long digits[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static void items_are_counted_from_both_ends(void **state)
{
    (void)state;
    struct pm_object *tuple = tuple_of_numbers(digits, 10);
    assert_int_equal(pm_tuple_count(tuple), 10);
    assert_int_equal(worth_and_drop(pm_tuple_get(tuple, 0)), 0);
    assert_int_equal(worth_and_drop(pm_tuple_get(tuple, -1)), 9);
    assert_int_equal(worth(pm_tuple_item(tuple, -10)), 0);
    assert_fails(pm_tuple_get(tuple, 10), ERANGE);
    assert_fails(pm_tuple_item(tuple, -11), ERANGE);
    assert_int_equal(pm_refcount(pm_tuple_item(tuple, 3)), 1);
    pm_decref(tuple);
    assert_int_equal(numbers_alive, 0);
}

static void the_empty_tuple_is_one_immortal_object(void **state)
{
    (void)state;
    struct pm_object *one = pm_tuple_new(NULL, 0), *tuple = tuple_of_numbers(digits, 3);
    struct pm_object *slice = pm_tuple_slice(tuple, 2, 1, 1), *list = pm_list_new(NULL, 0);
    assert_ptr_equal(one, slice);
    assert_ptr_equal(one, pm_tuple_from_list(list));
    assert_int_equal(pm_refcount(one), UINT32_MAX);
    assert_int_equal(pm_tuple_count(one), 0);
    assert_fails(pm_tuple_item(one, 0), ERANGE);
    for (int i = 0; i < 3; i++)
        pm_decref(one);
    assert_ptr_equal(one, pm_tuple_new(NULL, 0));
    pm_decref(tuple);
    pm_decref(list);
}

static void slices_are_those_of_python(void **state)
{
    (void)state;
    struct pm_object *tuple = tuple_of_numbers(digits, 10);
    static const struct {
        ptrdiff_t start, stop, step;
        size_t count;
        long first, last;
    } cases[] = {
        {2, 5, 1, 3, 2, 4},
        {PM_SLICE_FIRST, PM_SLICE_LAST, 1, 10, 0, 9},
        {-3, PM_SLICE_LAST, 1, 3, 7, 9},
        {-30, 2, 1, 2, 0, 1},
        {0, 10, 3, 4, 0, 9},
        {0, 9, 3, 3, 0, 6},
        {PM_SLICE_LAST, PM_SLICE_FIRST, -1, 10, 9, 0},
        {8, 1, -3, 3, 8, 2},
        {100, -100, -4, 3, 9, 1},
        {5, 5, 1, 0, 0, 0},
        {5, 2, 1, 0, 0, 0},
        {2, 5, -1, 0, 0, 0},
        {0, 10, PTRDIFF_MAX, 1, 0, 0},
        {9, PM_SLICE_FIRST, PTRDIFF_MIN, 1, 9, 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pm_object *slice =
            pm_tuple_slice(tuple, cases[i].start, cases[i].stop, cases[i].step);
        assert_int_equal(pm_tuple_count(slice), cases[i].count);
        if (cases[i].count > 0) {
            assert_int_equal(worth(pm_tuple_item(slice, 0)), cases[i].first);
            assert_int_equal(worth(pm_tuple_item(slice, -1)), cases[i].last);
        }
        pm_decref(slice);
    }
    assert_fails(pm_tuple_slice(tuple, 0, 1, 0), EINVAL);
    struct pm_object *whole = pm_tuple_slice(tuple, 0, 10, 1);
    assert_ptr_equal(whole, tuple); /* constant, so that it need not be another one */
    pm_decref(whole);
    pm_decref(tuple);
}

static void tuples_come_from_lists_and_from_two_tuples(void **state)
{
    (void)state;
    struct pm_object *list = list_of_numbers(digits, 10), *tuple = pm_tuple_from_list(list);
    assert_true(tuple_is(tuple, digits, 10));
    pm_list_clear(list);
    assert_true(tuple_is(tuple, digits, 10));
    struct pm_object *head = tuple_of_numbers(digits, 4), *tail = tuple_of_numbers(digits + 4, 6);
    struct pm_object *both = pm_tuple_concat(head, tail);
    assert_true(tuple_is(both, digits, 10));
    assert_fails(pm_tuple_concat(both, list), EINVAL);
    assert_fails(pm_tuple_from_list(both), EINVAL);
    assert_fails(pm_tuple_get(list, 0), EINVAL);
    assert_int_equal(pm_tuple_count(list), 0);
    struct pm_object *all[] = {list, tuple, head, tail, both};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        pm_decref(all[i]);
}

static void items_are_found_by_what_they_are_worth(void **state)
{
    (void)state;
    static const long values[] = {7, 1, 7, 3};
    struct pm_object *tuple = tuple_of_numbers(values, 4), *seven = number(7), *none = number(2);
    struct pm_object *list = pm_list_new(NULL, 0);
    size_t index;
    assert_true(pm_tuple_find(tuple, seven, 0, &index) && index == 0);
    assert_true(pm_tuple_find(tuple, seven, 1, &index) && index == 2);
    assert_fails(pm_tuple_find(tuple, seven, 3, &index), ENOENT);
    assert_fails(pm_tuple_find(tuple, none, 0, &index), ENOENT);
    assert_fails(pm_tuple_find(tuple, seven, SIZE_MAX, &index), ENOENT);
    assert_fails(pm_tuple_find(list, seven, 0, &index), EINVAL);
    struct pm_object *all[] = {tuple, seven, none, list};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        pm_decref(all[i]);
}

/* ---- values ---- */

static void equal_tuples_have_equal_hashes_and_order_is_that_of_the_first_difference(void **state)
{
    (void)state;
    static const long other[] = {0, 1, 5};
    struct pm_object *tuples[] = {tuple_of_numbers(digits, 2), tuple_of_numbers(digits, 3),
                                  tuple_of_numbers(digits, 3), tuple_of_numbers(other, 3),
                                  tuple_of_numbers(digits + 1, 1)};
    uint64_t hashes[5];
    int result;
    for (int i = 0; i < 5; i++)
        assert_true(pm_hash(tuples[i], &hashes[i]));
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) {
            bool same = i == j || (i + j == 3 && i * j == 2);
            assert_int_equal(pm_equal(tuples[i], tuples[j]), same);
            assert_int_equal(hashes[i] == hashes[j], same);
            assert_true(pm_compare(tuples[i], tuples[j], &result));
            assert_int_equal((result > 0) - (result < 0), same ? 0 : i < j ? -1 : 1);
        }
    assert_fails(pm_compare(tuples[0], pm_tuple_item(tuples[0], 0), &result), ENOTSUP);
    assert_false(pm_equal(tuples[0], pm_tuple_item(tuples[0], 0)));
    for (int i = 0; i < 5; i++)
        pm_decref(tuples[i]);
}

/* Computed by CPython 3.11 from items whose hashes are their values. */
static uint64_t hash_of_value(struct pm_object *object)
{
    return (uint64_t)worth(object);
}

static struct pm_type cpython_type = {
    .name = "int of CPython",
    .size = sizeof(struct number),
    .free = number_free,
    .hash = hash_of_value,
    .equal = number_equal,
};

static void hashes_are_those_of_cpython(void **state)
{
    (void)state;
    struct pm_object *items[3];
    uint64_t hash;
    for (long i = 0; i < 3; i++)
        items[i] = number_of(&cpython_type, i + 1);
    struct pm_object *tuple = pm_tuple_new(items, 3);
    assert_true(pm_hash(tuple, &hash));
    assert_int_equal((int64_t)hash, 529344067295497451); /* hash((1, 2, 3)) */
    assert_true(pm_hash(pm_tuple_new(NULL, 0), &hash));
    assert_int_equal((int64_t)hash, 5740354900026072187); /* hash(()) */
    for (int i = 0; i < 3; i++)
        pm_decref(items[i]);
    pm_decref(tuple);
}

static void a_tuple_with_what_has_no_hash_has_none(void **state)
{
    (void)state;
    struct pm_object *list = pm_list_new(NULL, 0), *tuple = pm_tuple_new(&list, 1);
    struct pm_object *outer = pm_tuple_new(&tuple, 1);
    uint64_t hash;
    assert_fails(pm_hash(outer, &hash), ENOTSUP);
    pm_decref(list);
    pm_decref(tuple);
    pm_decref(outer);
}

/* A tuple in a tuple in a tuple ... */
static struct pm_object *nest(size_t depth)
{
    struct pm_object *tuple = tuple_of_numbers(digits, 1);
    for (size_t i = 1; i < depth; i++) {
        struct pm_object *outer = pm_tuple_new(&tuple, 1);
        require(outer != NULL);
        pm_decref(tuple);
        tuple = outer;
    }
    return tuple;
}

static void values_nested_too_deep_are_an_error_and_die_on_a_small_stack(void **state)
{
    (void)state;
    uint64_t hash;
    int result;
    struct pm_object *one = nest(PM_NESTING_MAX), *other = nest(PM_NESTING_MAX);
    assert_true(pm_hash(one, &hash));
    assert_true(pm_equal(one, other));
    assert_true(pm_compare(one, other, &result) && result == 0);
    pm_decref(one);
    pm_decref(other);
    one = nest(PM_NESTING_MAX + 1), other = nest(PM_NESTING_MAX + 1);
    assert_fails(pm_hash(one, &hash), ELOOP);
    assert_fails(pm_equal(one, other), ELOOP);
    assert_fails(pm_compare(one, other, &result), ELOOP);
    size_t index;
    struct pm_object *holder = pm_tuple_new(&one, 1);
    assert_fails(pm_tuple_find(holder, other, 0, &index), ELOOP);
    pm_decref(holder);
    pm_decref(one);
    pm_decref(other);
    pm_decref(nest(200000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_counted_from_both_ends),
        cmocka_unit_test(the_empty_tuple_is_one_immortal_object),
        cmocka_unit_test(slices_are_those_of_python),
        cmocka_unit_test(tuples_come_from_lists_and_from_two_tuples),
        cmocka_unit_test(items_are_found_by_what_they_are_worth),
        cmocka_unit_test(equal_tuples_have_equal_hashes_and_order_is_that_of_the_first_difference),
        cmocka_unit_test(hashes_are_those_of_cpython),
        cmocka_unit_test(a_tuple_with_what_has_no_hash_has_none),
        cmocka_unit_test(values_nested_too_deep_are_an_error_and_die_on_a_small_stack),
    };
    return cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
}
