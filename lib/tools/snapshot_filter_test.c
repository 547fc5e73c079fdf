/* SPDX-License-Identifier: MIT */
/* Filters of snapshots. Those that begin with "f12" are the tests of CPython's
 * Lib/test/test_tracemalloc.py (TestSnapshot, TestFilters): the same traces pass. */
#include "tools/snapshot_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static pm_snapshot *first;

static int make(void **state)
{
    (void)state;
    first = test_first_snapshot();
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    pm_snapshot_free(first);
    return 0;
}

/* ---- tracemalloc's tests ---- */

static bool add_domain(unsigned domain, const uint64_t *frames, unsigned count, uint64_t blocks,
                       uint64_t bytes, void *arg)
{
    char *text = arg;
    (void)frames, (void)count, (void)blocks, (void)bytes;
    text[strlen(text)] = (char)('0' + domain);
    return true;
}

static const char *domains_of(const pm_snapshot *snapshot)
{
    static char text[16];
    memset(text, 0, sizeof text);
    assert_true(pm_snapshot_each(snapshot, add_domain, text));
    return text;
}

/* The domains of the stacks that pass; each stack has another one. */
static const char *passing(const pm_snapshot *of, const struct pm_snapshot_filter *filters,
                           size_t count)
{
    pm_snapshot *some = pm_snapshot_filter(of, filters, count, &test_lines);
    assert_non_null(some);
    const char *text = domains_of(some);
    pm_snapshot_free(some);
    return text;
}

static void f12_filters_of_files_and_lines(void **state)
{
    (void)state;
    const struct pm_snapshot_filter not_b = {.file = "b.py"};
    const struct pm_snapshot_filter two_lines[] = {
        {.inclusive = true, .file = "a.py", .line = 2},
        {.inclusive = true, .file = "a.py", .line = 5},
    };
    pm_snapshot *some = pm_snapshot_filter(first, &not_b, 1, &test_lines);
    assert_string_equal(domains_of(some), "013");
    assert_string_equal(domains_of(first), "0123"); /* as it was */
    pm_snapshot *fewer = pm_snapshot_filter(some, two_lines, 2, &test_lines);
    assert_string_equal(domains_of(fewer), "01");
    struct pm_snapshot_about about;
    pm_snapshot_get_about(fewer, &about);
    assert_int_equal(about.stacks, 2);
    assert_int_equal(about.blocks, 4);
    assert_int_equal(about.bytes, 32);
    pm_snapshot_free(fewer);
    pm_snapshot_free(some);
    assert_string_equal(passing(first, NULL, 0), "0123");
}

static void f12_filters_of_domains(void **state)
{
    (void)state;
    const struct pm_snapshot_filter not_a_of_1 = {.file = "a.py", .by_domain = true, .domain = 1};
    const struct pm_snapshot_filter a_of_1 = {
        .inclusive = true, .file = "a.py", .by_domain = true, .domain = 1};
    const struct pm_snapshot_filter not_3 = {.by_domain = true, .domain = 3};
    const struct pm_snapshot_filter only_3 = {.inclusive = true, .by_domain = true, .domain = 3};
    assert_string_equal(passing(first, &not_a_of_1, 1), "023");
    assert_string_equal(passing(first, &a_of_1, 1), "1");
    assert_string_equal(passing(first, &not_3, 1), "012");
    assert_string_equal(passing(first, &only_3, 1), "3");
}

/* t1, t2, t3 of test_filter_match_trace and an unknown one, in domains 0 to 3. */
static void f12_filters_of_any_frame(void **state)
{
    (void)state;
    static const struct test_stack stacks[] = {
        {0, 1, 1, 2, {TEST_LINE('a', 2), TEST_LINE('b', 3)}},
        {1, 1, 1, 2, {TEST_LINE('b', 4), TEST_LINE('b', 5)}},
        {2, 1, 1, 2, {TEST_LINE('c', 5), 0}},
        {3, 1, 1, 1, {0}},
    };
    static const struct {
        struct pm_snapshot_filter filter;
        const char *passing;
    } cases[] = {
        {{.inclusive = true, .file = "b.py", .all_frames = true}, "01"},
        {{.inclusive = true, .file = "b.py"}, "1"},
        {{.file = "b.py", .all_frames = true}, "23"},
        {{.file = "b.py"}, "023"},
        {{.inclusive = true, .file = "<unknown>"}, "3"},
        {{.inclusive = true, .file = "<unknown>", .all_frames = true}, "23"},
        {{.file = "<unknown>"}, "012"},
        {{.file = "<unknown>", .all_frames = true}, "01"},
    };
    pm_snapshot *snapshot = test_snapshot_of(stacks, 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(passing(snapshot, &cases[i].filter, 1), cases[i].passing);
    pm_snapshot_free(snapshot);
}

/* ---- our own ---- */

static void patterns_are_those_of_fnmatch(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        bool fits; /* "a.py" */
    } cases[] = {
        {"a.py", true},      {"*", true},       {"a*", true},      {"*y", true},
        {"*.p?", true},      {"a?py", true},    {"**p**y*", true}, {"[a-c].py", true},
        {"[!b]*", true},     {"[ab].py", true}, {"", false},       {"a", false},
        {"a.pyc", false},    {"A.py", false},   {"?.??y", false},  {"[!a]*", false},
        {"[b-z].py", false}, {"*.pyx", false},  {"[a", false},     {"[]a].py", true},
        {"a[.]py", true},    {"*a*a*", false},  {"?*?*?*?", true}, {"?*?*?*?*?", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pm_snapshot_filter filter = {.inclusive = true, .file = cases[i].pattern};
        bool fits = strchr(passing(first, &filter, 1), '0') != NULL;
        if (fits != cases[i].fits)
            fprintf(stderr, "pattern %s\n", cases[i].pattern);
        assert_int_equal(fits, cases[i].fits);
    }
}

static void filters_look_at_modules_and_functions_too(void **state)
{
    (void)state;
    const struct pm_snapshot_filter in_a = {.inclusive = true, .module = "*/a.so"};
    const struct pm_snapshot_filter through_b = {
        .inclusive = true, .module = "*/b.so", .all_frames = true};
    const struct pm_snapshot_filter not_f = {.function = "a_*"};
    const struct pm_snapshot_filter both = {
        .inclusive = true, .module = "*/a.so", .function = "b_*"};
    pm_snapshot *mapped = test_mapped_snapshot();
    assert_string_equal(passing(mapped, &in_a, 1), "01");
    assert_string_equal(passing(mapped, &through_b, 1), "012");
    assert_string_equal(passing(mapped, &not_f, 1), "23");
    assert_string_equal(passing(mapped, &both, 1), "");
    pm_snapshot_free(mapped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f12_filters_of_files_and_lines),
        cmocka_unit_test(f12_filters_of_domains),
        cmocka_unit_test(f12_filters_of_any_frame),
        cmocka_unit_test(patterns_are_those_of_fnmatch),
        cmocka_unit_test(filters_look_at_modules_and_functions_too),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
