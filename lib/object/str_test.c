/* SPDX-License-Identifier: MIT */
/* Strings: UTF-8, code points, parts, order. */
#include "object/values_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define EURO "\xe2\x82\xac"
#define FACE "\xf0\x9f\x98\x80"

/* ---- UTF-8 ---- */

static const struct {
    const char *text;
    size_t points;
} good[] = {
    {"", 0},
    {"a", 1},
    {"abcdefghijklmnop", 16},
    {"\x7f\xc2\x80\xdf\xbf", 3},
    {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 4},
    {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 2},
    {"abcdefgh" EURO "abcdefghi" FACE, 19},
};

static const char *const bad[] = {
    "\x80",             /* a tail alone */
    "\xc2",             /* cut short */
    "\xe2\x82",         /* the same */
    "\xf0\x9f\x98",     /* the same */
    "\xc0\x80",         /* longer than it need be */
    "\xc1\xbf",         /* the same */
    "\xe0\x9f\xbf",     /* the same */
    "\xf0\x8f\xbf\xbf", /* the same */
    "\xed\xa0\x80",     /* a surrogate */
    "\xed\xbf\xbf",     /* a surrogate */
    "\xf4\x90\x80\x80", /* beyond the last one */
    "\xf5\x80\x80\x80", /* the same */
    "\xff",             /* never */
    "\xc2\xc2",         /* no tail */
    "\xe2\x82\x41",     /* the same */
    "\xf0\x9f\x98\x41", /* the same */
};

static void text_is_utf8_and_told_in_bytes_and_code_points(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct pm_object *string = pm_str_new(good[i].text, strlen(good[i].text));
        assert_non_null(string);
        assert_int_equal(pm_str_bytes(string), strlen(good[i].text));
        assert_int_equal(pm_str_points(string), good[i].points);
        assert_true(test_reads(string, good[i].text));
    }
}

static void what_is_not_utf8_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    char text[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t before = 0; before < 17; before++) {
            memset(text, 'x', before);
            strcpy(text + before, bad[i]);
            size_t bytes = strlen(text);
            memset(text + bytes, 'x', 17);
            errno = 0;
            assert_null(pm_str_new(text, bytes));
            assert_int_equal(errno, EILSEQ);
            assert_null(pm_str_new(text, bytes + 17)); /* nor with more behind it */
            assert_null(pm_str_interned(text, bytes));
        }
    errno = 0;
    assert_null(pm_str_literal("\xff"));
    assert_int_equal(errno, EILSEQ);
    assert_null(pm_str_format("%s", "\xed\xa0\x80"));
    assert_int_equal(errno, EILSEQ);
}

static void zeros_are_text_like_any_other(void **state)
{
    (void)state;
    struct pm_object *string = pm_str_new("a\0b", 3), *other = pm_str_new("a\0c", 3);
    int result;
    assert_int_equal(pm_str_bytes(string), 3);
    assert_memory_equal(pm_str_text(string), "a\0b", 4);
    assert_false(pm_equal(string, other));
    assert_true(pm_compare(string, other, &result) && result < 0);
    pm_decref(string);
    pm_decref(other);
}

static void code_points_come_one_after_the_other(void **state)
{
    (void)state;
    static const uint32_t points[] = {'a', 0xe9, 0x20ac, 0x1f600, 'z'};
    struct pm_object *string = test_str("a\xc3\xa9" EURO FACE "z");
    size_t at = 0, count = 0;
    for (uint32_t point; pm_str_next(string, &at, &point); count++)
        assert_int_equal(point, points[count]);
    assert_int_equal(count, 5);
    assert_int_equal(at, pm_str_bytes(string));
    pm_decref(string);
}

static void a_code_point_is_got_by_its_index_from_both_ends(void **state)
{
    (void)state;
    static const uint32_t points[] = {'a', 0x20ac, 0x1f600, 'z'};
    struct pm_object *string = test_str("a" EURO FACE "z"), *ascii = test_str("abc");
    uint32_t point;
    for (ptrdiff_t i = 0; i < 4; i++) {
        assert_true(pm_str_get(string, i, &point));
        assert_int_equal(point, points[i]);
        assert_true(pm_str_get(string, i - 4, &point));
        assert_int_equal(point, points[i]);
    }
    assert_true(pm_str_get(ascii, 2, &point) && point == 'c');
    static const ptrdiff_t none[] = {4, -5, PTRDIFF_MAX, PTRDIFF_MIN};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        errno = 0;
        assert_false(pm_str_get(string, none[i], &point));
        assert_int_equal(errno, ERANGE);
    }
    pm_decref(string);
    pm_decref(ascii);
}

/* ---- parts ---- */

static void parts_are_cut_and_found_by_code_points(void **state)
{
    (void)state;
    struct pm_object *string = test_str("ab" EURO "cd" FACE "ab" EURO), *ascii = test_str("abcabc");
    struct pm_object *ab = test_str("ab"), *euro = test_str(EURO), *none = test_str("abb");
    struct pm_object *empty = test_str("");
    assert_true(test_reads(pm_str_slice(string, 0, 3), "ab" EURO));
    assert_true(test_reads(pm_str_slice(string, 2, 6), EURO "cd" FACE));
    assert_true(test_reads(pm_str_slice(string, 5, 100), FACE "ab" EURO));
    assert_true(test_reads(pm_str_slice(string, 8, 3), ""));
    assert_true(test_reads(pm_str_slice(string, 100, SIZE_MAX), ""));
    assert_true(test_reads(pm_str_slice(ascii, 1, 3), "bc"));
    assert_int_equal(pm_str_find(string, ab, 0), 0);
    assert_int_equal(pm_str_find(string, ab, 1), 6);
    assert_int_equal(pm_str_find(string, euro, 3), 8);
    assert_int_equal(pm_str_find(string, none, 0), PM_STR_NOT_FOUND);
    assert_int_equal(pm_str_find(string, ab, 7), PM_STR_NOT_FOUND);
    assert_int_equal(pm_str_find(ascii, ab, 1), 3);
    assert_int_equal(pm_str_find(string, empty, 4), 4);
    assert_int_equal(pm_str_find(string, empty, 9), 9);
    assert_int_equal(pm_str_find(string, empty, 10), PM_STR_NOT_FOUND);
    struct pm_object *all[] = {string, ascii, ab, euro, none, empty};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        pm_decref(all[i]);
}

static void strings_are_joined_and_what_stays_the_same_is_the_same(void **state)
{
    (void)state;
    struct pm_object *a = test_str("a" EURO), *b = test_str(FACE "b"), *empty = test_str("");
    struct pm_object *both = pm_str_concat(a, b);
    assert_int_equal(pm_str_points(both), 4);
    assert_true(test_reads(both, "a" EURO FACE "b"));
    assert_ptr_equal(pm_str_concat(a, empty), a);
    assert_ptr_equal(pm_str_concat(empty, a), a);
    assert_ptr_equal(pm_str_slice(a, 0, 2), a);
    assert_int_equal(pm_refcount(a), 4);
    for (int i = 0; i < 4; i++)
        pm_decref(a);
    pm_decref(b);
    pm_decref(empty);
}

static void what_printf_writes_is_a_string_however_long(void **state)
{
    (void)state;
    char text[600];
    assert_true(test_reads(pm_str_format("%d-%s", 42, EURO), "42-" EURO));
    assert_true(test_reads(pm_str_format("%s", ""), ""));
    for (size_t bytes = 250; bytes < 260; bytes++) {
        memset(text, 'x', bytes);
        text[bytes] = '\0';
        assert_true(test_reads(pm_str_format("%s", text), text));
    }
}

/* ---- value ---- */

static void order_is_that_of_code_points(void **state)
{
    (void)state;
    static const char *const sorted[] = {"",  "A",        "a",  "aa",           "ab",
                                         "b", "\xc3\xa9", EURO, "\xef\xbf\xbf", FACE};
    int result;
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
        for (size_t j = 0; j < sizeof sorted / sizeof *sorted; j++) {
            struct pm_object *one = test_str(sorted[i]), *other = test_str(sorted[j]);
            assert_true(pm_compare(one, other, &result));
            assert_true(i < j ? result < 0 : i > j ? result > 0 : result == 0);
            assert_true(pm_equal(one, other) == (i == j));
            assert_true((test_hash(one) == test_hash(other)) == (i == j));
            assert_true(pm_equal(one, other) == (i == j)); /* with hashes remembered */
            pm_decref(one);
            pm_decref(other);
        }
}

static void strings_and_bytes_are_never_equal_nor_in_order(void **state)
{
    (void)state;
    struct pm_object *string = test_str("ab"), *bytes = pm_bytes_new("ab", 2);
    int result;
    assert_false(pm_equal(string, bytes) || pm_equal(bytes, string));
    assert_false(pm_compare(string, bytes, &result) || pm_compare(bytes, string, &result));
    assert_int_equal(errno, ENOTSUP);
    pm_decref(string);
    pm_decref(bytes);
}

/* ---- bytes ---- */

static void bytes_are_cut_found_joined_and_compared(void **state)
{
    (void)state;
    struct pm_object *bytes = pm_bytes_new("\0\xff\0\x80", 4), *part = pm_bytes_new("\0", 1);
    struct pm_object *empty = pm_bytes_new(NULL, 0), *again = pm_bytes_new("\0\xff\0\x80", 4);
    int result;
    assert_int_equal(pm_bytes_size(bytes), 4);
    assert_memory_equal(pm_bytes_data(bytes), "\0\xff\0\x80", 5);
    assert_true(pm_equal(bytes, again) && test_hash(bytes) == test_hash(again));
    assert_true(pm_compare(part, bytes, &result) && result < 0);
    assert_true(pm_compare(bytes, again, &result) && result == 0);
    assert_int_equal(pm_bytes_find(bytes, part, 0), 0);
    assert_int_equal(pm_bytes_find(bytes, part, 1), 2);
    assert_int_equal(pm_bytes_find(bytes, part, 3), PM_STR_NOT_FOUND);
    assert_int_equal(pm_bytes_find(bytes, empty, 4), 4);
    assert_int_equal(pm_bytes_find(bytes, empty, 5), PM_STR_NOT_FOUND);
    assert_int_equal(test_hash(empty), 0);
    struct pm_object *both = pm_bytes_concat(bytes, part), *cut = pm_bytes_slice(both, 3, 9);
    assert_int_equal(pm_bytes_size(both), 5);
    assert_memory_equal(pm_bytes_data(cut), "\x80\0", 3);
    assert_ptr_equal(pm_bytes_concat(empty, part), part);
    assert_ptr_equal(pm_bytes_slice(part, 0, 1), part);
    pm_decref(part);
    pm_decref(part);
    struct pm_object *all[] = {bytes, part, empty, again, both, cut};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        pm_decref(all[i]);
}

/* ---- memory and misuse ---- */

/* Without memory, errno says so each time. */
static struct pm_object *told(struct pm_object *object)
{
    require(object != NULL || errno == ENOMEM);
    errno = 0;
    return object;
}

static void make_and_join(void)
{
    static const char digits[] =
        "0.10000000000000000000000000000000000000000000000000000000000000000";
    errno = 0;
    struct pm_object *a = told(pm_str_new("abc", 3)), *b = told(pm_str_format("%300d", 1));
    struct pm_object *number = told(pm_float_from_text(digits, sizeof digits - 1));
    struct pm_object *both = NULL, *cut = NULL;
    if (a != NULL && b != NULL)
        both = told(pm_str_concat(a, b));
    if (both != NULL)
        cut = told(pm_str_slice(both, 1, 5));
    struct pm_object *all[] = {a, b, both, cut, number};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] != NULL)
            pm_decref(all[i]);
}

ISOLATED(each_refusal_of_memory_is_enomem_and_loses_nothing)
{
    require(pm_object_thread_attach());
    test_memory_watch();
    make_and_join();
    unsigned before = test_memory_live();
    for (int for_good = 0; for_good < 2; for_good++)
        for (unsigned call = 1; call < 12; call++) {
            test_memory_refuse(call, for_good);
            make_and_join();
            test_memory.refuse_at = 0;
            require(test_memory_live() == before);
        }
    errno = 0;
    require(pm_str_concat(
                test_str("a"),
                (struct pm_object *)&(struct pm_str){.var = {*test_str("b"), SIZE_MAX}}) == NULL &&
            errno == ENOMEM);
}

static void text_of_bytes(const void *arg)
{
    (void)arg;
    pm_str_text(pm_bytes_new("a", 1));
}

static void join_with_int(const void *arg)
{
    (void)arg;
    pm_str_concat(test_str("a"), pm_int_new(1));
}

static void data_of_str(const void *arg)
{
    (void)arg;
    pm_bytes_data(test_str("a"));
}

static void intern_bytes(const void *arg)
{
    (void)arg;
    struct pm_object *bytes = pm_bytes_new("a", 1);
    pm_str_intern(&bytes);
}

static void another_type_is_named(void **state)
{
    (void)state;
    assert_true(test_aborts(text_of_bytes, NULL, "pm_str_text"));
    assert_true(test_aborts(text_of_bytes, NULL, "type bytes: this is no str"));
    assert_true(test_aborts(join_with_int, NULL, "type int: this is no str"));
    assert_true(test_aborts(data_of_str, NULL, "type str: this is no bytes"));
    assert_true(test_aborts(intern_bytes, NULL, "type bytes: this is no str"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refusal_of_memory_is_enomem_and_loses_nothing),
        cmocka_unit_test(text_is_utf8_and_told_in_bytes_and_code_points),
        cmocka_unit_test(what_is_not_utf8_is_refused_wherever_it_stands),
        cmocka_unit_test(zeros_are_text_like_any_other),
        cmocka_unit_test(code_points_come_one_after_the_other),
        cmocka_unit_test(a_code_point_is_got_by_its_index_from_both_ends),
        cmocka_unit_test(parts_are_cut_and_found_by_code_points),
        cmocka_unit_test(strings_are_joined_and_what_stays_the_same_is_the_same),
        cmocka_unit_test(what_printf_writes_is_a_string_however_long),
        cmocka_unit_test(order_is_that_of_code_points),
        cmocka_unit_test(strings_and_bytes_are_never_equal_nor_in_order),
        cmocka_unit_test(bytes_are_cut_found_joined_and_compared),
        cmocka_unit_test(another_type_is_named),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
