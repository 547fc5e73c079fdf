/* SPDX-License-Identifier: MIT */
/* pm_repr: Python's repr() of each built-in type, of types of the program's, and within itself. */
#include "object/repr.h"
#include "object/values_testing.h"
#include "poolmalloc/containers.h"
#include "poolmalloc/weak.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The object's description is that; the object is dropped. */
static bool shows(struct pm_object *object, const char *text)
{
    require(object != NULL);
    bool same = test_reads(pm_repr(object), text);
    pm_decref(object);
    return same;
}

/* ---- values ---- */

static void numbers_are_shown_so_that_they_can_be_read_again(void **state)
{
    (void)state;
    assert_true(shows(pm_int_new(0), "0"));
    assert_true(shows(pm_int_new(INT64_MIN), "-9223372036854775808"));
    assert_true(shows(pm_float_new(1.0), "1.0"));
    assert_true(shows(pm_float_new(-1e-7), "-1e-07"));
    assert_true(shows(pm_float_new(NAN), "nan"));
}

/* python3 -c 'print(repr(...))' */
static const struct {
    const char *text, *repr;
} strings[] = {
    {"", "''"},
    {"plain", "'plain'"},
    {"it's", "\"it's\""},
    {"say \"it\"", "'say \"it\"'"},
    {"it's \"it\"", "'it\\'s \"it\"'"},
    {"a\\b\tc\nd\re", "'a\\\\b\\tc\\nd\\re'"},
    {"\x01\x1f\x7f", "'\\x01\\x1f\\x7f'"},
    {"\xc2\x80\xc2\xa0\xc2\xa1", "'\\x80\\xa0\xc2\xa1'"},
    {"\xe2\x82\xac\xe2\x80\xa8\xef\xbf\xbf", "'\xe2\x82\xac\\u2028\\uffff'"},
    {"\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", "'\xf0\x9f\x98\x80\\U0010ffff'"},
};

static void strings_are_quoted_and_what_cannot_be_shown_is_escaped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        assert_true(shows(test_str(strings[i].text), strings[i].repr));
    assert_true(shows(pm_str_new("\0", 1), "'\\x00'"));
}

static void bytes_are_ascii_or_escaped(void **state)
{
    (void)state;
    assert_true(shows(pm_bytes_new("", 0), "b''"));
    assert_true(shows(pm_bytes_new("a'b\"c\\\0\t\n\r\xff\x7f ", 13),
                      "b'a\\'b\"c\\\\\\x00\\t\\n\\r\\xff\\x7f '"));
    assert_true(shows(pm_bytes_new("it's", 4), "b\"it's\""));
}

/* Sanitizers take long, and have seen it all by then. */
enum { POINTS = PM_TSAN || PM_ASAN || PM_SCHEDULE ? 0x3000 : 0x110000 };

/* All code points behind one another. */
static struct pm_object *every_code_point(void)
{
    char *text = malloc(POINTS * 4), *at = text;
    require(text != NULL);
    for (uint32_t point = 0; point < POINTS; point++) {
        if (point < 0x80) {
            *at++ = (char)point;
        } else if (point < 0x800) {
            *at++ = (char)(0xc0 | point >> 6);
            *at++ = (char)(0x80 | (point & 0x3f));
        } else if (point < 0x10000) {
            if (point >= 0xd800 && point < 0xe000)
                continue;
            *at++ = (char)(0xe0 | point >> 12);
            *at++ = (char)(0x80 | (point >> 6 & 0x3f));
            *at++ = (char)(0x80 | (point & 0x3f));
        } else {
            *at++ = (char)(0xf0 | point >> 18);
            *at++ = (char)(0x80 | (point >> 12 & 0x3f));
            *at++ = (char)(0x80 | (point >> 6 & 0x3f));
            *at++ = (char)(0x80 | (point & 0x3f));
        }
    }
    struct pm_object *string = pm_str_new(text, (size_t)(at - text));
    free(text);
    return string;
}

/* Of a Python with the same Unicode; the first line says which that is. */
static const char ask_python[] =
    "python3 -c '"
    "import sys, unicodedata\n"
    "points = [chr(c) for c in range(%d) if not 0xd800 <= c < 0xe000]\n"
    "write = sys.stdout.buffer.write\n"
    "write(unicodedata.unidata_version.encode() + b\"\\n\" + repr(\"\".join(points)).encode())\n"
    "' 2>/dev/null";

static void every_code_point_is_shown_as_python_does(void **state)
{
    (void)state;
    struct pm_object *all = every_code_point(), *repr = pm_repr(all);
    char command[sizeof ask_python + 16], version[16] = "", *told = malloc(pm_str_bytes(repr) + 1);
    snprintf(command, sizeof command, ask_python, POINTS);
    FILE *python = popen(command, "r");
    assert_true(told != NULL && python != NULL);
    bool answered = fgets(version, sizeof version, python) != NULL;
    size_t bytes = fread(told, 1, pm_str_bytes(repr) + 1, python);
    pclose(python);
    if (answered && strcmp(version, "14.0.0\n") == 0) {
        assert_int_equal(bytes, pm_str_bytes(repr));
        assert_memory_equal(told, pm_str_text(repr), bytes);
    } else {
        fprintf(stderr, "no Python with Unicode 14.0.0: not compared\n");
    }
    free(told);
    pm_decref(repr);
    pm_decref(all);
}

/* ---- containers ---- */

static void containers_show_what_they_hold(void **state)
{
    (void)state;
    struct pm_object *items[] = {pm_int_new(1), test_str("a"), pm_bytes_new("b", 1)};
    assert_true(shows(pm_list_new(NULL, 0), "[]"));
    assert_true(shows(pm_list_new(items, 3), "[1, 'a', b'b']"));
    assert_true(shows(pm_tuple_new(NULL, 0), "()"));
    assert_true(shows(pm_tuple_new(items, 1), "(1,)"));
    assert_true(shows(pm_tuple_new(items, 3), "(1, 'a', b'b')"));
    assert_true(shows(pm_dict_new(), "{}"));
    struct pm_object *dict = pm_dict_new(), *list = pm_list_new(items, 2);
    assert_true(pm_dict_set(dict, items[1], list) && pm_dict_set(dict, items[0], items[2]));
    pm_decref(list);
    assert_true(shows(dict, "{'a': [1, 'a'], 1: b'b'}"));
    for (int i = 0; i < 3; i++)
        pm_decref(items[i]);
}

/* python3 -c 'l = []; t = (l,); d = {1: t}; l += [l, t, d, l]; print(l, t, d)' */
static void what_is_within_itself_is_shown_by_dots(void **state)
{
    (void)state;
    struct pm_object *list = pm_list_new(NULL, 0), *tuple = pm_tuple_new(&list, 1);
    struct pm_object *dict = pm_dict_new(), *one = pm_int_new(1);
    assert_true(pm_dict_set(dict, one, tuple));
    assert_true(pm_list_append(list, list) && pm_list_append(list, tuple));
    assert_true(pm_list_append(list, dict) && pm_list_append(list, list));
    for (int i = 0; i < 2; i++) { /* and nothing is left of the first time */
        assert_true(test_reads(pm_repr(list), "[[...], ([...],), {1: ([...],)}, [...]]"));
        assert_true(test_reads(pm_repr(tuple), "([[...], (...), {1: (...)}, [...]],)"));
        assert_true(test_reads(pm_repr(dict), "{1: ([[...], (...), {...}, [...]],)}"));
    }
    assert_true(pm_list_clear(list));
    pm_decref(tuple);
    pm_decref(dict);
    pm_decref(list);
}

static struct pm_object *nest(size_t depth)
{
    struct pm_object *inner = pm_int_new(7);
    for (size_t i = 0; i < depth; i++) {
        struct pm_object *outer = pm_list_new(&inner, 1);
        pm_decref(inner);
        inner = outer;
    }
    return inner;
}

static void nested_too_deep_is_an_error_and_as_deep_as_allowed_is_none(void **state)
{
    (void)state;
    char text[2 * PM_NESTING_MAX + 2];
    memset(text, '[', PM_NESTING_MAX);
    text[PM_NESTING_MAX] = '7';
    memset(text + PM_NESTING_MAX + 1, ']', PM_NESTING_MAX);
    text[2 * PM_NESTING_MAX + 1] = '\0';
    assert_true(shows(nest(PM_NESTING_MAX), text));
    struct pm_object *deep = nest(PM_NESTING_MAX + 1);
    for (int i = 0; i < 2; i++) {
        errno = 0;
        assert_null(pm_repr(deep));
        assert_int_equal(errno, ELOOP);
    }
    pm_decref(deep);
}

/* ---- other types ---- */

static void a_type_without_repr_is_shown_by_its_name_and_the_address(void **state)
{
    (void)state;
    char text[100];
    struct pm_object *box = test_box_new();
    sprintf(text, "<box object at %p>", (void *)box);
    assert_true(test_reads(pm_repr(box), text));
    struct pm_object *weakref = pm_weakref_new(box, NULL, NULL);
    sprintf(text, "<weakref at %p; to 'box' at %p>", (void *)weakref, (void *)box);
    assert_true(test_reads(pm_repr(weakref), text));
    pm_decref(box);
    sprintf(text, "<weakref at %p; dead>", (void *)weakref);
    assert_true(shows(weakref, text));
}

/* What the objects of the types below show; NULL: an error. */
static struct pm_object *shown;

static struct pm_object *give_shown(struct pm_object *object)
{
    (void)object;
    if (shown != NULL)
        pm_incref(shown);
    else
        errno = EIO;
    return shown;
}

static struct pm_object *show_next(struct pm_object *object)
{
    struct test_box *next = ((struct test_box *)object)->next;
    struct pm_object *of_next = next != NULL ? pm_repr(&next->object) : test_str("nothing");
    struct pm_object *string = pm_str_format("box(%s)", pm_str_text(of_next));
    pm_decref(of_next);
    return string;
}

static struct pm_type shows_type = {.name = "shows", .size = 24, .repr = give_shown};
static struct pm_type chain_type = {
    .name = "chain",
    .size = sizeof(struct test_box),
    .flags = PM_TYPE_GC,
    .traverse = test_box_traverse,
    .clear = test_box_clear,
    .repr = show_next,
};

static void a_type_of_the_programs_is_asked_and_may_ask_for_its_parts(void **state)
{
    (void)state;
    struct pm_object *object = pm_object_new(&shows_type);
    shown = test_str("<me>");
    assert_true(shows(pm_list_new(&object, 1), "[<me>]"));
    pm_decref(shown);
    shown = NULL;
    struct pm_object *list = pm_list_new(&object, 1);
    errno = 0;
    assert_null(pm_repr(list));
    assert_int_equal(errno, EIO);
    pm_decref(list);
    pm_decref(object);
    struct test_box *one = (struct test_box *)pm_object_new(&chain_type);
    struct test_box *two = (struct test_box *)pm_object_new(&chain_type);
    one->next = two;
    assert_true(test_reads(pm_repr(&one->object), "box(box(nothing))"));
    two->next = one; /* around */
    pm_incref(&one->object);
    assert_true(test_reads(pm_repr(&one->object), "box(box(...))"));
    test_box_clear(&two->object);
    pm_decref(&one->object);
}

static void show_what_is_no_string(const void *arg)
{
    (void)arg;
    shown = pm_int_new(1);
    pm_repr(pm_object_new(&shows_type));
}

static void show_unattached(const void *arg)
{
    struct pm_object *object = test_box_new();
    (void)arg;
    pm_object_thread_pause();
    pm_repr(object);
}

static void misuse_is_named(void **state)
{
    (void)state;
    assert_true(test_aborts(show_what_is_no_string, NULL,
                            "type shows: its repr gives an object that is no str"));
    assert_true(test_aborts(show_unattached, NULL, "pm_repr("));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_shown_so_that_they_can_be_read_again),
        cmocka_unit_test(strings_are_quoted_and_what_cannot_be_shown_is_escaped),
        cmocka_unit_test(bytes_are_ascii_or_escaped),
        cmocka_unit_test(every_code_point_is_shown_as_python_does),
        cmocka_unit_test(containers_show_what_they_hold),
        cmocka_unit_test(what_is_within_itself_is_shown_by_dots),
        cmocka_unit_test(nested_too_deep_is_an_error_and_as_deep_as_allowed_is_none),
        cmocka_unit_test(a_type_without_repr_is_shown_by_its_name_and_the_address),
        cmocka_unit_test(a_type_of_the_programs_is_asked_and_may_ask_for_its_parts),
        cmocka_unit_test(misuse_is_named),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
