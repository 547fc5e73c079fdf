/* SPDX-License-Identifier: MIT */
/* Lists: items, room, slices, sorting, values; and random operations beside a plain array. */
#include "object/containers_testing.h"
#include "object/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const long digits[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static size_t room_of(struct pm_object *list)
{
    struct pm_list_array *array = ((struct pm_list *)list)->array;
    return array != NULL ? array->room : 0;
}

static void items_are_got_set_inserted_popped_and_deleted(void **state)
{
    (void)state;
    struct pm_object *list = list_of_numbers(digits, 5), *item = number(77);
    assert_true(pm_list_set(list, 1, item));
    assert_true(pm_list_set(list, -1, item));
    assert_true(list_is(list, (long[]){0, 77, 2, 3, 77}, 5));
    assert_int_equal(pm_refcount(item), 3);
    assert_true(pm_list_insert(list, 0, item));
    assert_true(pm_list_insert(list, -1, item));
    assert_true(pm_list_insert(list, 100, item));
    assert_true(pm_list_insert(list, -100, item));
    assert_true(list_is(list, (long[]){77, 77, 0, 77, 2, 3, 77, 77, 77}, 9));
    assert_int_equal(worth_and_drop(pm_list_pop(list, 2)), 0);
    assert_int_equal(worth_and_drop(pm_list_pop(list, -1)), 77);
    assert_true(pm_list_delete(list, 0));
    assert_true(list_is(list, (long[]){77, 77, 2, 3, 77, 77}, 6));
    assert_int_equal(worth_and_drop(pm_list_get(list, -6)), 77);
    pm_decref(list);
    assert_int_equal(pm_refcount(item), 1);
    pm_decref(item);
}

static void what_is_not_there_or_is_no_list_is_refused(void **state)
{
    (void)state;
    struct pm_object *list = list_of_numbers(digits, 3), *item = number(5);
    assert_fails(pm_list_get(list, 3), ERANGE);
    assert_fails(pm_list_get(list, -4), ERANGE);
    assert_fails(pm_list_set(list, 3, item), ERANGE);
    assert_fails(pm_list_pop(list, 3), ERANGE);
    assert_fails(pm_list_delete(list, PTRDIFF_MIN), ERANGE);
    assert_fails(pm_list_get(item, 0), EINVAL);
    assert_fails(pm_list_append(item, item), EINVAL);
    assert_fails(pm_list_pop(NULL, 0), EINVAL);
    assert_fails(pm_list_extend(list, item), EINVAL);
    assert_fails(pm_list_extend(list, NULL), EINVAL);
    assert_fails(pm_list_slice(list, 0, 1, 0), EINVAL);
    assert_fails(pm_list_sort(list, 2), EINVAL);
    assert_fails(pm_list_reverse(item), EINVAL);
    assert_fails(pm_list_clear(item), EINVAL);
    assert_int_equal(pm_list_count(item), 0);
    assert_int_equal(pm_refcount(item), 1);
    assert_true(list_is(list, digits, 3));
    pm_decref(item);
    pm_decref(list);
}

/* CPython's growth pattern: 0, 4, 8, 16, 24, 32, 40, 52, 64, 76, 92 ... */
static void room_grows_as_cpythons_and_goes_when_less_than_half_is_used(void **state)
{
    (void)state;
    static const size_t rooms[] = {4, 8, 16, 24, 32, 40, 52, 64, 76, 92};
    struct pm_object *list = pm_list_new(NULL, 0);
    size_t next = 0;
    assert_int_equal(room_of(list), 0);
    for (long i = 0; i < 92; i++) {
        size_t before = room_of(list);
        append(list, i);
        if (room_of(list) != before)
            assert_int_equal(room_of(list), rooms[next++]);
    }
    assert_int_equal(next, 10);
    while (pm_list_count(list) > 46)
        assert_true(pm_list_delete(list, 0));
    assert_int_equal(room_of(list), 92);
    assert_true(pm_list_delete(list, -1));
    assert_int_equal(room_of(list), 56);
    assert_true(pm_list_clear(list));
    assert_int_equal(room_of(list), 0);
    pm_decref(list);
    assert_int_equal(numbers_alive, 0);
}

static void reserved_room_is_enough(void **state)
{
    (void)state;
    struct pm_object *list = list_of_numbers(digits, 3), *tuple = pm_tuple_new(NULL, 0);
    assert_true(pm_list_reserve(list, 1000));
    assert_int_equal(room_of(list), 1000);
    for (long i = 3; i < 1000; i++) {
        append(list, i);
        assert_int_equal(room_of(list), 1000);
    }
    assert_true(pm_list_reserve(list, 1000) && pm_list_reserve(list, 0));
    assert_int_equal(room_of(list), 1000);
    static const size_t too_many[] = {SIZE_MAX, SIZE_MAX / sizeof(void *), PTRDIFF_MAX / 2};
    for (size_t i = 0; i < sizeof too_many / sizeof *too_many; i++)
        assert_fails(pm_list_reserve(list, too_many[i]), ENOMEM);
    assert_fails(pm_list_reserve(tuple, 1), EINVAL);
    assert_int_equal(worth_and_drop(pm_list_get(list, 999)), 999);
    pm_decref(list);
}

static void slices_are_taken_and_set(void **state)
{
    (void)state;
    struct pm_object *list = list_of_numbers(digits, 10), *slice, *tuple;
    slice = pm_list_slice(list, 8, PM_SLICE_FIRST, -3);
    assert_true(list_is(slice, (long[]){8, 5, 2}, 3));
    assert_true(pm_list_set_slice(list, 2, 4, slice));
    assert_true(list_is(list, (long[]){0, 1, 8, 5, 2, 4, 5, 6, 7, 8, 9}, 11));
    assert_true(pm_list_set_slice(list, -5, PM_SLICE_LAST, NULL));
    assert_true(list_is(list, (long[]){0, 1, 8, 5, 2, 4}, 6));
    tuple = pm_tuple_from_list(slice);
    assert_true(pm_list_set_slice(list, 1, 6, tuple));
    assert_true(list_is(list, (long[]){0, 8, 5, 2}, 4));
    assert_true(pm_list_set_slice(list, 3, 1, tuple)); /* an empty slice, at its start */
    assert_true(list_is(list, (long[]){0, 8, 5, 8, 5, 2, 2}, 7));
    assert_true(pm_list_set_slice(list, 0, 3, slice)); /* as many */
    assert_true(list_is(list, (long[]){8, 5, 2, 8, 5, 2, 2}, 7));
    assert_true(pm_list_set_slice(list, 1, 6, list)); /* of itself */
    assert_true(list_is(list, (long[]){8, 8, 5, 2, 8, 5, 2, 2, 2}, 9));
    assert_true(pm_list_extend(slice, slice));
    assert_true(list_is(slice, (long[]){8, 5, 2, 8, 5, 2}, 6));
    assert_true(pm_list_set_slice(list, 0, PM_SLICE_LAST, NULL));
    assert_int_equal(pm_list_count(list), 0);
    pm_decref(tuple);
    pm_decref(slice);
    pm_decref(list);
}

static void copies_and_reversals_leave_the_items_as_they_are(void **state)
{
    (void)state;
    struct pm_object *list = list_of_numbers(digits, 5), *copy = pm_list_copy(list);
    struct pm_object *item = pm_list_get(list, 2);
    assert_int_equal(pm_refcount(item), 3);
    assert_true(pm_list_reverse(copy));
    assert_true(list_is(copy, (long[]){4, 3, 2, 1, 0}, 5));
    assert_true(list_is(list, digits, 5));
    assert_true(pm_list_delete(copy, 0) && pm_list_reverse(copy));
    assert_true(list_is(copy, digits, 4));
    pm_decref(copy);
    assert_int_equal(pm_refcount(item), 2);
    pm_decref(item);
    pm_decref(list);
}

/* As in Python: what is appended is seen, what is deleted before the position is not missed. */
static void an_iteration_keeps_nothing_but_its_position(void **state)
{
    (void)state;
    struct pm_object *list = list_of_numbers(digits, 4);
    long seen[16];
    size_t position = 0, count = 0;
    struct pm_object *item;
    while ((item = pm_list_next(list, &position)) != NULL) {
        seen[count++] = worth_and_drop(item);
        if (count == 2)
            assert_true(pm_list_delete(list, 0)); /* 2 moves to where it was already */
        if (count == 3)
            append(list, 50);
    }
    assert_int_equal(errno, ENOENT);
    assert_int_equal(count, 4);
    assert_memory_equal(seen, ((long[]){0, 1, 3, 50}), 4 * sizeof *seen);
    pm_decref(list);
}

/* ---- values ---- */

static void lists_are_equal_and_ordered_by_their_items_and_have_no_hash(void **state)
{
    (void)state;
    struct pm_object *lists[] = {list_of_numbers(digits, 2), list_of_numbers(digits, 3),
                                 list_of_numbers(digits, 3), list_of_numbers((long[]){0, 1, 5}, 3),
                                 list_of_numbers(digits + 1, 1)};
    uint64_t hash;
    int result;
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) {
            bool same = i == j || (i + j == 3 && i * j == 2);
            assert_int_equal(pm_equal(lists[i], lists[j]), same);
            assert_true(pm_compare(lists[i], lists[j], &result));
            assert_int_equal((result > 0) - (result < 0), same ? 0 : i < j ? -1 : 1);
        }
    assert_fails(pm_hash(lists[0], &hash), ENOTSUP);
    struct pm_object *tuple = pm_tuple_from_list(lists[0]);
    assert_false(pm_equal(lists[0], tuple));
    assert_fails(pm_compare(lists[0], tuple, &result), ENOTSUP);
    pm_decref(tuple);
    for (int i = 0; i < 5; i++)
        pm_decref(lists[i]);
}

static void a_value_is_found_from_an_index_on(void **state)
{
    (void)state;
    struct pm_object *list = list_of_numbers((long[]){3, 1, 3, 2}, 4), *value = number(3);
    size_t index = 9;
    assert_true(pm_list_find(list, value, 0, &index));
    assert_int_equal(index, 0);
    assert_true(pm_list_find(list, value, 1, &index));
    assert_int_equal(index, 2);
    assert_fails(pm_list_find(list, value, 3, &index), ENOENT);
    assert_fails(pm_list_find(value, value, 0, &index), EINVAL);
    pm_decref(value);
    pm_decref(list);
}

static void a_list_that_holds_itself_is_nested_too_deep(void **state)
{
    (void)state;
    struct pm_object *one = pm_list_new(NULL, 0), *other = pm_list_new(NULL, 0);
    size_t index;
    int result;
    assert_true(pm_list_append(one, one) && pm_list_append(other, other));
    assert_fails(pm_equal(one, other), ELOOP);
    assert_fails(pm_compare(one, other, &result), ELOOP);
    assert_fails(pm_list_find(one, other, 0, &index), ELOOP);
    assert_true(pm_equal(one, one)); /* the same object */
    assert_true(pm_list_clear(one) && pm_list_clear(other));
    pm_decref(one);
    pm_decref(other);
}

/* A list in a list in a list ..., longer than any stack. */
static void a_deep_nest_dies_on_a_small_stack(void **state)
{
    (void)state;
    struct pm_object *list = list_of_numbers(digits, 1);
    for (int i = 0; i < 200000; i++) {
        struct pm_object *outer = pm_list_new(&list, 1);
        require(outer != NULL);
        pm_decref(list);
        list = outer;
    }
    pm_decref(list);
    assert_int_equal(numbers_alive, 0);
}

/* ---- random operations beside an array ---- */

enum { MODEL_MAX = 200, MODEL_STEPS = PM_TSAN || PM_ASAN || PM_CHECK ? 20000 : 100000 };

struct model {
    long values[2 * MODEL_MAX];
    size_t count;
};

static void model_splice(struct model *model, size_t start, size_t gone, const long *values,
                         size_t count)
{
    memmove(model->values + start + count, model->values + start + gone,
            (model->count - start - gone) * sizeof *values);
    if (count > 0)
        memcpy(model->values + start, values, count * sizeof *values);
    model->count += count - gone;
}

/* An index of the model, or one that means the same from the end. */
static ptrdiff_t either_way(size_t index, size_t count, uint64_t *seed)
{
    return (ptrdiff_t)index - (test_random_below(seed, 2) == 0 ? (ptrdiff_t)count : 0);
}

static void splice_both(struct pm_object *list, struct model *model, uint64_t *seed)
{
    long values[8];
    size_t start = test_random_below(seed, model->count + 1);
    size_t gone = test_random_below(seed, model->count - start + 1);
    size_t count = test_random_below(seed, 9);
    for (size_t i = 0; i < count; i++)
        values[i] = (long)test_random_below(seed, 1000);
    struct pm_object *with = list_of_numbers(values, count);
    require(pm_list_set_slice(list, (ptrdiff_t)start, (ptrdiff_t)(start + gone), with));
    pm_decref(with);
    model_splice(model, start, gone, values, count);
}

static void step_single(struct pm_object *list, struct model *model, uint64_t *seed)
{
    long value = (long)test_random_below(seed, 1000);
    size_t index = test_random_below(seed, model->count);
    ptrdiff_t at = either_way(index, model->count, seed);
    struct pm_object *item = number(value);
    switch (test_random_below(seed, 4)) {
    case 0:
        require(pm_list_set(list, at, item));
        model->values[index] = value;
        break;
    case 1:
        require(pm_list_insert(list, at, item));
        model_splice(model, index, 0, &value, 1);
        break;
    case 2:
        require(worth_and_drop(pm_list_pop(list, at)) == model->values[index]);
        model_splice(model, index, 1, NULL, 0);
        break;
    default:
        require(worth_and_drop(pm_list_get(list, at)) == model->values[index]);
    }
    pm_decref(item);
}

static void step(struct pm_object *list, struct model *model, uint64_t *seed)
{
    unsigned what = (unsigned)test_random_below(seed, 100);
    if (model->count > MODEL_MAX - 10 || what == 0) {
        size_t gone = model->count / 2;
        require(pm_list_set_slice(list, 0, (ptrdiff_t)gone, NULL));
        model_splice(model, 0, gone, NULL, 0);
    } else if (what < 10) {
        splice_both(list, model, seed);
    } else if (what < 12) {
        require(pm_list_reverse(list));
        for (size_t i = 0; i < model->count / 2; i++) {
            long value = model->values[i];
            model->values[i] = model->values[model->count - 1 - i];
            model->values[model->count - 1 - i] = value;
        }
    } else if (what < 40 || model->count == 0) {
        long value = (long)test_random_below(seed, 1000);
        append(list, value);
        model_splice(model, model->count, 0, &value, 1);
    } else {
        step_single(list, model, seed);
    }
}

static void random_operations_do_what_they_do_to_an_array(void **state)
{
    (void)state;
    struct pm_object *list = pm_list_new(NULL, 0);
    struct model model = {.count = 0};
    uint64_t seed = 20;
    for (unsigned i = 0; i < MODEL_STEPS; i++) {
        step(list, &model, &seed);
        assert_true(pm_list_count(list) == model.count);
        if (i % 64 == 0)
            assert_true(list_is(list, model.values, model.count));
    }
    pm_decref(list);
    assert_int_equal(numbers_alive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_got_set_inserted_popped_and_deleted),
        cmocka_unit_test(what_is_not_there_or_is_no_list_is_refused),
        cmocka_unit_test(room_grows_as_cpythons_and_goes_when_less_than_half_is_used),
        cmocka_unit_test(reserved_room_is_enough),
        cmocka_unit_test(slices_are_taken_and_set),
        cmocka_unit_test(copies_and_reversals_leave_the_items_as_they_are),
        cmocka_unit_test(an_iteration_keeps_nothing_but_its_position),
        cmocka_unit_test(lists_are_equal_and_ordered_by_their_items_and_have_no_hash),
        cmocka_unit_test(a_value_is_found_from_an_index_on),
        cmocka_unit_test(a_list_that_holds_itself_is_nested_too_deep),
        cmocka_unit_test(a_deep_nest_dies_on_a_small_stack),
        cmocka_unit_test(random_operations_do_what_they_do_to_an_array),
    };
    return cmocka_run_group_tests(tests, attach_for_test, detach_and_count);
}
