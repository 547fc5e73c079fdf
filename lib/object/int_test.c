/* SPDX-License-Identifier: MIT */
/* Integers: the small ones, arithmetic, text. */
#include "object/values_testing.h"

#include "base/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- the small ones: F.8 ---- */

static struct pm_object *of_first_thread[262];

static void look_at_small_ones(void *differ)
{
    for (int64_t value = -5; value <= 256; value++) {
        struct pm_object *integer = pm_int_new(value);
        *(bool *)differ |= integer != of_first_thread[value + 5];
        *(bool *)differ |= pm_int_get(integer) != value;
        pm_decref(integer);
    }
}

ISOLATED(f8_small_integers_are_the_same_in_all_threads_and_take_no_memory)
{
    bool differ = false;
    for (int64_t value = -5; value <= 256; value++)
        of_first_thread[value + 5] = pm_int_new(value); /* the thread is not attached */
    require(pm_object_thread_attach());
    test_memory_watch();
    unsigned before = test_memory.taken;
    look_at_small_ones(&differ);
    require(!differ && test_memory.taken == before);
    test_in_thread(look_at_small_ones, &differ);
    require(!differ);
    pm_object_thread_detach();
}

static void take_and_drop(void *object)
{
    for (int i = 0; i < 100; i++)
        pm_incref(object);
    for (int i = 0; i < 200; i++)
        pm_decref(object);
}

static void f8_counts_of_small_integers_are_frozen(void **state)
{
    (void)state;
    for (int64_t value = -5; value <= 256; value++) {
        struct pm_object *integer = pm_int_new(value), before = *integer;
        assert_int_equal(pm_refcount(integer), UINT32_MAX);
        take_and_drop(integer);
        assert_memory_equal(&before, integer, sizeof before);
    }
    struct pm_object *integer = pm_int_new(7), before = *integer;
    test_in_thread(take_and_drop, integer);
    assert_memory_equal(&before, integer, sizeof before);
    assert_true(pm_try_incref(integer));
    assert_false(pm_is_unique(integer));
}

static void f8_neighbours_are_objects_of_their_own(void **state)
{
    (void)state;
    static const int64_t neighbours[] = {-6, 257, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof neighbours / sizeof *neighbours; i++) {
        struct pm_object *one = pm_int_new(neighbours[i]), *other = pm_int_new(neighbours[i]);
        assert_true(one != other);
        assert_true(pm_equal(one, other));
        assert_int_equal(pm_refcount(one), 1);
        pm_decref(one);
        pm_decref(other);
    }
}

static bool is_small(int64_t value)
{
    struct pm_object *integer = pm_int_new(value);
    bool small = pm_refcount(integer) == UINT32_MAX;
    pm_decref(integer);
    return small;
}

ISOLATED(an_option_says_up_to_where_integers_are_small)
{
    require(pm_options_parse("small_ints_to=1024"));
    require(pm_object_thread_attach());
    require(is_small(-5) && is_small(257) && is_small(1024));
    require(!is_small(-6) && !is_small(1025));
}

static void ask_for_eleven(void *integer)
{
    *(struct pm_object **)integer = pm_int_new(11);
}

ISOLATED(small_integers_are_there_once_whoever_asks_first)
{
    struct pm_object *seen[4];
    pthread_t threads[4];
    struct test_call calls[4];
    for (int i = 0; i < 4; i++) {
        calls[i] = (struct test_call){ask_for_eleven, &seen[i]};
        require(pthread_create(&threads[i], NULL, test_attached, &calls[i]) == 0);
    }
    for (int i = 0; i < 4; i++)
        require(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < 4; i++)
        require(seen[i] == pm_int_new(11) && pm_int_get(seen[i]) == 11);
}

/* ---- arithmetic ---- */

typedef struct pm_object *operation(const struct pm_object *, const struct pm_object *);

/* True: the result, or the error, is the one expected. */
static bool gives(operation *apply, int64_t a, int64_t b, int64_t result, int error)
{
    struct pm_object *of_a = pm_int_new(a), *of_b = pm_int_new(b);
    errno = 0;
    struct pm_object *of_result = apply(of_a, of_b);
    bool good = of_result != NULL ? error == 0 && pm_int_get(of_result) == result : errno == error;
    pm_decref(of_a);
    pm_decref(of_b);
    if (of_result != NULL)
        pm_decref(of_result);
    return good;
}

static void sums_and_products_that_have_no_place_are_told(void **state)
{
    (void)state;
    assert_true(gives(pm_int_add, 40, 2, 42, 0));
    assert_true(gives(pm_int_add, INT64_MAX, INT64_MIN, -1, 0));
    assert_true(gives(pm_int_add, INT64_MAX, 1, 0, EOVERFLOW));
    assert_true(gives(pm_int_add, INT64_MIN, -1, 0, EOVERFLOW));
    assert_true(gives(pm_int_sub, 40, -2, 42, 0));
    assert_true(gives(pm_int_sub, 0, INT64_MIN, 0, EOVERFLOW));
    assert_true(gives(pm_int_sub, -1, INT64_MIN, INT64_MAX, 0));
    assert_true(gives(pm_int_mul, -3000000000, 3000000000, -9000000000000000000, 0));
    assert_true(gives(pm_int_mul, 4000000000, 4000000000, 0, EOVERFLOW));
    assert_true(gives(pm_int_mul, INT64_MIN, -1, 0, EOVERFLOW));
}

static void quotients_round_down_and_the_rest_has_the_sign_of_the_divisor(void **state)
{
    (void)state;
    static const struct {
        int64_t a, b, quotient, rest;
    } cases[] = {
        {7, 2, 3, 1},
        {-7, 2, -4, 1},
        {7, -2, -4, -1},
        {-7, -2, 3, -1},
        {6, -2, -3, 0},
        {-6, 2, -3, 0},
        {0, -5, 0, 0},
        {1, INT64_MIN, -1, INT64_MIN + 1},
        {INT64_MIN, 1, INT64_MIN, 0},
        {INT64_MAX, -1, -INT64_MAX, 0},
        {INT64_MIN, 3, -3074457345618258603, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t a = cases[i].a, b = cases[i].b;
        assert_true(gives(pm_int_div, a, b, cases[i].quotient, 0));
        assert_true(gives(pm_int_mod, a, b, cases[i].rest, 0));
    }
    assert_true(gives(pm_int_div, INT64_MIN, -1, 0, EOVERFLOW));
    assert_true(gives(pm_int_mod, INT64_MIN, -1, 0, 0));
    assert_true(gives(pm_int_div, 1, 0, 0, EDOM));
    assert_true(gives(pm_int_mod, 0, 0, 0, EDOM));
}

/* ---- value and text ---- */

static void integers_have_cpythons_hash_and_their_order(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        uint64_t hash; /* python3 -c 'print(hash(value) & 2**64 - 1)' */
    } cases[] = {
        {0, 0},
        {-1, UINT64_MAX - 1},
        {-2, UINT64_MAX - 1},
        {((int64_t)1 << 61) - 1, 0},
        {(int64_t)1 << 61, 1},
        {INT64_MAX, 3},
        {INT64_MIN, 0xfffffffffffffffc},
    };
    int result;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pm_object *integer = pm_int_new(cases[i].value), *three = pm_int_new(3);
        assert_int_equal(test_hash(integer), cases[i].hash);
        assert_true(pm_compare(integer, three, &result));
        assert_true(cases[i].value < 3 ? result < 0 : result > 0);
        pm_decref(integer);
    }
}

static bool reads_as(const char *text, int base, int64_t value)
{
    struct pm_object *integer = pm_int_from_text(text, strlen(text), base);
    bool good = integer != NULL && pm_int_get(integer) == value;
    if (integer != NULL)
        pm_decref(integer);
    return good;
}

static bool is_refused(const char *text, int base, int error)
{
    errno = 0;
    return pm_int_from_text(text, strlen(text), base) == NULL && errno == error;
}

static void text_is_read_by_pythons_rules(void **state)
{
    (void)state;
    assert_true(reads_as("  42\n", 10, 42));
    assert_true(reads_as("-9223372036854775808", 10, INT64_MIN));
    assert_true(reads_as("+9_223_372_036_854_775_807", 10, INT64_MAX));
    assert_true(reads_as("0x_1F", 0, 31));
    assert_true(reads_as("-0b101", 0, -5));
    assert_true(reads_as("0o17", 8, 15));
    assert_true(reads_as("0b1", 16, 0xb1));
    assert_true(reads_as("zZ", 36, 35 * 36 + 35));
    assert_true(reads_as("00", 0, 0));
    assert_true(reads_as("010", 10, 10));
    static const char *const none[] = {"",    " ",   "-",   "0x",  "1__2", "_1", "1_",
                                       "1 2", "- 1", "010", "12a", "--1",  "1.0"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_true(is_refused(none[i], 0, EINVAL));
    assert_true(is_refused("2", 2, EINVAL));
    assert_true(is_refused("1", 1, EINVAL));
    assert_true(is_refused("1", 37, EINVAL));
    assert_true(is_refused("9223372036854775808", 10, EOVERFLOW));
    assert_true(is_refused("-9223372036854775809", 10, EOVERFLOW));
    assert_true(is_refused("99999999999999999999999", 10, EOVERFLOW));
    assert_true(is_refused("99999999999999999999999z", 10, EINVAL));
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 1000; i++) {
        int64_t value = (int64_t)(test_random(&seed) >> test_random_below(&seed, 64));
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)value);
        struct pm_object *integer = pm_int_new(value);
        assert_true(test_reads(pm_int_to_str(integer), text));
        assert_true(reads_as(text, 10, value));
        pm_decref(integer);
    }
}

/* ---- misuse ---- */

static void get_from_str(const void *arg)
{
    (void)arg;
    pm_int_get(test_str("12"));
}

static void add_float(const void *arg)
{
    (void)arg;
    pm_int_add(pm_int_new(1), pm_float_new(1));
}

static void what_is_no_integer_is_named(void **state)
{
    (void)state;
    assert_true(test_aborts(get_from_str, NULL, "type str: this is no int"));
    assert_true(test_aborts(add_float, NULL, "type float: this is no int"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f8_counts_of_small_integers_are_frozen),
        cmocka_unit_test(f8_neighbours_are_objects_of_their_own),
        cmocka_unit_test(sums_and_products_that_have_no_place_are_told),
        cmocka_unit_test(quotients_round_down_and_the_rest_has_the_sign_of_the_divisor),
        cmocka_unit_test(integers_have_cpythons_hash_and_their_order),
        cmocka_unit_test(text_is_read_by_pythons_rules),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(what_is_no_integer_is_named),
    };
    const struct CMUnitTest first[] = {
        /* before anybody has asked for one */
        cmocka_unit_test(f8_small_integers_are_the_same_in_all_threads_and_take_no_memory),
        cmocka_unit_test(an_option_says_up_to_where_integers_are_small),
        cmocka_unit_test(small_integers_are_there_once_whoever_asks_first),
    };
    int failed = cmocka_run_group_tests(first, NULL, NULL);
    require(pm_object_thread_attach());
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
