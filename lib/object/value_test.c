/* SPDX-License-Identifier: MIT */
/* What types say of their objects' values, and what holds where they say nothing. */
#include "object/values_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void an_object_without_more_is_equal_to_itself_only_and_has_no_order(void **state)
{
    (void)state;
    struct pm_object *one = test_box_new(), *other = test_box_new();
    int result;
    assert_true(pm_equal(one, one));
    assert_false(pm_equal(one, other));
    assert_int_equal(test_hash(one), test_hash(one));
    assert_true(test_hash(one) != test_hash(other));
    errno = 0;
    assert_false(pm_compare(one, other, &result));
    assert_int_equal(errno, ENOTSUP);
    pm_decref(one);
    pm_decref(other);
}

/* ---- a type whose objects are worth a number ---- */

struct counted {
    struct pm_object object;
    int worth;
};

static bool counted_equal(struct pm_object *object, struct pm_object *other);
static int counted_compare(struct pm_object *object, struct pm_object *other, int *result);

static uint64_t counted_hash(struct pm_object *object)
{
    int worth = ((struct counted *)object)->worth;
    errno = ENOTSUP;
    return worth < 0 ? UINT64_MAX : (uint64_t)worth;
}

static struct pm_type counted_type = {
    .name = "counted",
    .size = sizeof(struct counted),
    .hash = counted_hash,
    .equal = counted_equal,
    .compare = counted_compare,
};

static struct pm_type unhashable_type = {
    .name = "unhashable",
    .size = sizeof(struct counted),
    .equal = counted_equal,
};

static bool counted_equal(struct pm_object *object, struct pm_object *other)
{
    const struct pm_type *type = pm_object_type(other);
    return (type == &counted_type || type == &unhashable_type) &&
           ((struct counted *)object)->worth == ((struct counted *)other)->worth;
}

static int counted_compare(struct pm_object *object, struct pm_object *other, int *result)
{
    if (pm_object_type(other) != &counted_type) {
        errno = ENOTSUP;
        return 0;
    }
    *result = ((struct counted *)object)->worth - ((struct counted *)other)->worth;
    return 1;
}

static struct pm_object *counted_new(struct pm_type *type, int worth)
{
    struct pm_object *object = pm_object_new(type);
    require(object != NULL);
    ((struct counted *)object)->worth = worth;
    return object;
}

static void values_are_what_the_type_says(void **state)
{
    (void)state;
    struct pm_object *two = counted_new(&counted_type, 2), *too = counted_new(&counted_type, 2);
    struct pm_object *three = counted_new(&counted_type, 3), *box = test_box_new();
    uint64_t hash;
    int result;
    assert_true(pm_equal(two, too));
    assert_false(pm_equal(two, three));
    assert_true(pm_hash(two, &hash));
    assert_int_equal(hash, 2);
    assert_true(pm_compare(two, three, &result) && result < 0);
    assert_true(pm_compare(three, two, &result) && result > 0);
    assert_true(pm_compare(two, too, &result) && result == 0);
    errno = 0;
    assert_false(pm_compare(two, box, &result));
    assert_int_equal(errno, ENOTSUP);
    pm_decref(two);
    pm_decref(too);
    pm_decref(three);
    pm_decref(box);
}

static void equality_without_hash_makes_unhashable_and_a_hash_may_fail(void **state)
{
    (void)state;
    struct pm_object *object = counted_new(&unhashable_type, 2),
                     *low = counted_new(&counted_type, -2);
    uint64_t hash;
    errno = 0;
    assert_false(pm_hash(object, &hash));
    assert_int_equal(errno, ENOTSUP);
    errno = 0;
    assert_false(pm_hash(low, &hash));
    assert_int_equal(errno, ENOTSUP);
    pm_decref(object);
    pm_decref(low);
}

static void a_type_that_says_nothing_leaves_equality_to_the_other(void **state)
{
    (void)state;
    struct pm_object *object = counted_new(&unhashable_type, 2),
                     *two = counted_new(&counted_type, 2);
    struct pm_object *box = test_box_new();
    assert_true(pm_equal(object, two));
    assert_true(pm_equal(two, object));
    assert_false(pm_equal(box, two));
    assert_false(pm_equal(two, box));
    pm_decref(object);
    pm_decref(two);
    pm_decref(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_without_more_is_equal_to_itself_only_and_has_no_order),
        cmocka_unit_test(values_are_what_the_type_says),
        cmocka_unit_test(equality_without_hash_makes_unhashable_and_a_hash_may_fail),
        cmocka_unit_test(a_type_that_says_nothing_leaves_equality_to_the_other),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
