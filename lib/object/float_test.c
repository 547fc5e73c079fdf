/* SPDX-License-Identifier: MIT */
/* Floats: hash and order beside integers, text. */
#include "object/values_testing.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void floats_have_cpythons_hash(void **state)
{
    (void)state;
    static const struct {
        double value;
        uint64_t hash; /* python3 -c 'print(hex(hash(value) & 2**64 - 1))' */
    } cases[] = {
        {0.0, 0},
        {-0.0, 0},
        {-1.0, UINT64_MAX - 1},
        {0.5, 0x1000000000000000},
        {0.1, 0x0333333333333340},
        {-2.5, 0xeffffffffffffffe},
        {1e300, 0x11000eb38017e43c},
        {5e-324, 0x0000000001000000},
        {0x1p1023, 0x0000800000000000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pm_object *number = pm_float_new(cases[i].value);
        assert_int_equal(test_hash(number), cases[i].hash);
        pm_decref(number);
    }
    struct pm_object *infinite = pm_float_new(INFINITY), *below = pm_float_new(-INFINITY);
    assert_int_equal(test_hash(infinite), 314159);
    assert_int_equal(test_hash(below), (uint64_t)-314159);
    pm_decref(infinite);
    pm_decref(below);
}

static void numbers_of_the_same_worth_are_equal_and_have_the_same_hash(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 1000; i++) {
        double value = (double)(int64_t)(test_random(&seed) >> test_random_below(&seed, 64));
        if (value >= 0x1p63)
            continue;
        struct pm_object *number = pm_float_new(value), *integer = pm_int_new((int64_t)value);
        assert_true(pm_equal(number, integer) && pm_equal(integer, number));
        assert_int_equal(test_hash(number), test_hash(integer));
        pm_decref(number);
        pm_decref(integer);
    }
}

static int order(struct pm_object *a, struct pm_object *b)
{
    int result, opposite;
    require(pm_compare(a, b, &result) && pm_compare(b, a, &opposite));
    require((result < 0) == (opposite > 0) && (result == 0) == (opposite == 0));
    require(pm_equal(a, b) == (result == 0));
    pm_decref(a);
    pm_decref(b);
    return result;
}

static void integers_and_floats_are_in_exact_order(void **state)
{
    (void)state;
    /* Integers that no double has. */
    assert_true(order(pm_int_new(((int64_t)1 << 53) + 1), pm_float_new(0x1p53)) > 0);
    assert_true(order(pm_int_new(INT64_MAX), pm_float_new(0x1p63)) < 0);
    assert_true(order(pm_int_new(INT64_MIN), pm_float_new(-0x1p63)) == 0);
    assert_true(order(pm_int_new(INT64_MIN), pm_float_new(-0x1.0000000000001p63)) > 0);
    assert_true(order(pm_int_new(3), pm_float_new(3.5)) < 0);
    assert_true(order(pm_int_new(-3), pm_float_new(-3.5)) > 0);
    assert_true(order(pm_int_new(0), pm_float_new(-0.0)) == 0);
    assert_true(order(pm_int_new(INT64_MAX), pm_float_new(INFINITY)) < 0);
    assert_true(order(pm_int_new(INT64_MIN), pm_float_new(-INFINITY)) > 0);
    assert_true(order(pm_float_new(1.5), pm_float_new(1.25)) > 0);
    assert_true(order(pm_float_new(INFINITY), pm_float_new(INFINITY)) == 0);
}

static void a_nan_is_equal_to_itself_only_and_has_no_order(void **state)
{
    (void)state;
    struct pm_object *nan = pm_float_new(NAN), *other = pm_float_new(NAN), *one = pm_int_new(1);
    struct pm_object *string = test_str("1");
    int result;
    assert_true(pm_equal(nan, nan));
    assert_false(pm_equal(nan, other) || pm_equal(nan, one) || pm_equal(one, nan));
    assert_true(test_hash(nan) != test_hash(other));
    errno = 0;
    assert_false(pm_compare(nan, other, &result) || pm_compare(one, nan, &result) ||
                 pm_compare(nan, one, &result));
    assert_int_equal(errno, EDOM);
    assert_false(pm_compare(one, string, &result));
    assert_int_equal(errno, ENOTSUP);
    assert_false(pm_equal(one, string));
    pm_decref(nan);
    pm_decref(other);
    pm_decref(string);
}

/* ---- text ---- */

static const struct {
    double value;
    const char *text;
} reprs[] = {
    {0.0, "0.0"},
    {-0.0, "-0.0"},
    {1.0, "1.0"},
    {-1.5, "-1.5"},
    {0.1, "0.1"},
    {1.0 / 3, "0.3333333333333333"},
    {100.0, "100.0"},
    {123456.789, "123456.789"},
    {1e15, "1000000000000000.0"},
    {9999999999999998.0, "9999999999999998.0"},
    {1e16, "1e+16"},
    {1.5e16, "1.5e+16"},
    {0.0001, "0.0001"},
    {0.00012345, "0.00012345"},
    {0.00001, "1e-05"},
    {1e100, "1e+100"},
    {5e-324, "5e-324"},
    {3.16e-322, "3.16e-322"},
    {2.2250738585072014e-308, "2.2250738585072014e-308"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {0x1p-97, "6.310887241768095e-30"}, /* the nearest decimal of 16 digits is another number */
    {0x1p53, "9007199254740992.0"},
};

static void text_is_the_shortest_that_is_read_back_in_the_form_of_repr(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reprs / sizeof *reprs; i++) {
        struct pm_object *number = pm_float_new(reprs[i].value);
        assert_true(test_reads(pm_float_to_str(number), reprs[i].text));
        pm_decref(number);
    }
    struct pm_object *infinite = pm_float_new(-INFINITY), *nan = pm_float_new(NAN);
    assert_true(test_reads(pm_float_to_str(infinite), "-inf"));
    assert_true(test_reads(pm_float_to_str(nan), "nan"));
    pm_decref(infinite);
    pm_decref(nan);
}

static void every_float_is_read_back_from_its_text(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 2000; i++) {
        uint64_t bits = test_random(&seed), back;
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isnan(value))
            continue;
        struct pm_object *number = pm_float_new(value), *text = pm_float_to_str(number);
        struct pm_object *read = pm_float_from_text(pm_str_text(text), pm_str_bytes(text));
        assert_non_null(read);
        value = pm_float_get(read);
        memcpy(&back, &value, sizeof back);
        assert_int_equal(back, bits);
        pm_decref(number);
        pm_decref(text);
        pm_decref(read);
    }
}

static double read_float(const char *text)
{
    struct pm_object *number = pm_float_from_text(text, strlen(text));
    require(number != NULL);
    double value = pm_float_get(number);
    pm_decref(number);
    return value;
}

static void text_is_read_by_pythons_rules(void **state)
{
    (void)state;
    char digits[200] = " ";
    assert_true(read_float(" 1.5\n") == 1.5);
    assert_true(read_float("-.5e1") == -5.0);
    assert_true(read_float("+5.") == 5.0);
    assert_true(read_float("1e999") == INFINITY);
    assert_true(read_float("-Infinity") == -INFINITY);
    assert_true(isnan(read_float("nan")));
    memset(digits + 1, '1', 150);
    assert_true(read_float(digits) > 1e149 && read_float(digits) < 1e150);
    static const char *const none[] = {"",       " ",   "x",  "1.5x", "0x1p3",
                                       "nan(1)", "1 2", "e5", ".",    "1,5"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        errno = 0;
        assert_null(pm_float_from_text(none[i], strlen(none[i])));
        assert_int_equal(errno, EINVAL);
    }
    assert_null(pm_float_from_text("1\0", 2));
}

static void get_from_int(const void *arg)
{
    (void)arg;
    pm_float_get(pm_int_new(1));
}

static void what_is_no_float_is_named(void **state)
{
    (void)state;
    assert_true(test_aborts(get_from_int, NULL, "type int: this is no float"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_have_cpythons_hash),
        cmocka_unit_test(numbers_of_the_same_worth_are_equal_and_have_the_same_hash),
        cmocka_unit_test(integers_and_floats_are_in_exact_order),
        cmocka_unit_test(a_nan_is_equal_to_itself_only_and_has_no_order),
        cmocka_unit_test(text_is_the_shortest_that_is_read_back_in_the_form_of_repr),
        cmocka_unit_test(every_float_is_read_back_from_its_text),
        cmocka_unit_test(text_is_read_by_pythons_rules),
        cmocka_unit_test(what_is_no_float_is_named),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
