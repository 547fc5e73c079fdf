/* SPDX-License-Identifier: MIT */
/*
 * Statistics of snapshots, and differences. Those that begin with "f12" are the tests of CPython's
 * Lib/test/test_tracemalloc.py (TestSnapshot), with stacks for its traces: the same rows in the
 * same order.
 */
#include "tools/snapshot_testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A row, as tracemalloc's Statistic and StatisticDiff; file NULL: unknown. */
struct expected {
    const char *file;
    uint64_t line, bytes, blocks;
    int64_t bytes_diff, blocks_diff;
};

static void assert_same_text(const char *text, const char *expected)
{
    assert_int_equal(text == NULL, expected == NULL);
    if (expected != NULL)
        assert_string_equal(text, expected);
}

static void assert_rows(struct pm_snapshot_table *table, const struct expected *rows, size_t count)
{
    assert_non_null(table);
    assert_int_equal(table->count, count);
    for (size_t i = 0; i < count; i++) {
        const struct pm_snapshot_row *row = &table->rows[i];
        assert_same_text(row->frames[0].file, rows[i].file);
        assert_int_equal(row->frames[0].line, rows[i].line);
        assert_int_equal(row->bytes, rows[i].bytes);
        assert_int_equal(row->blocks, rows[i].blocks);
        assert_int_equal(row->bytes_diff, rows[i].bytes_diff);
        assert_int_equal(row->blocks_diff, rows[i].blocks_diff);
    }
    pm_snapshot_table_free(table);
}

#define ASSERT_ROWS(table, ...)                                                                    \
    assert_rows(table, (const struct expected[]){__VA_ARGS__},                                     \
                sizeof((const struct expected[]){__VA_ARGS__}) / sizeof(struct expected))

static pm_snapshot *first, *second;

static int make(void **state)
{
    (void)state;
    first = test_first_snapshot();
    second = test_second_snapshot();
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    pm_snapshot_free(first);
    pm_snapshot_free(second);
    return 0;
}

static struct pm_snapshot_table *by(const pm_snapshot *snapshot, enum pm_snapshot_group group)
{
    return pm_snapshot_statistics(snapshot, group, false, &test_lines);
}

static struct pm_snapshot_table *difference(enum pm_snapshot_group group)
{
    return pm_snapshot_compare(second, first, group, false, &test_lines);
}

/* ---- tracemalloc's tests ---- */

static void f12_statistics_by_line(void **state)
{
    (void)state;
    ASSERT_ROWS(by(first, PM_SNAPSHOT_BY_LINE), {"b.py", 1, 66, 1, 0, 0}, {"a.py", 2, 30, 3, 0, 0},
                {NULL, 0, 7, 1, 0, 0}, {"a.py", 5, 2, 1, 0, 0});
    ASSERT_ROWS(by(second, PM_SNAPSHOT_BY_LINE), {"a.py", 5, 5002, 2, 0, 0},
                {"c.py", 578, 400, 1, 0, 0}, {"a.py", 2, 30, 3, 0, 0});
    ASSERT_ROWS(difference(PM_SNAPSHOT_BY_LINE), {"a.py", 5, 5002, 2, 5000, 1},
                {"c.py", 578, 400, 1, 400, 1}, {"b.py", 1, 0, 0, -66, -1}, {NULL, 0, 0, 0, -7, -1},
                {"a.py", 2, 30, 3, 0, 0});
}

static void f12_statistics_by_file(void **state)
{
    (void)state;
    ASSERT_ROWS(by(first, PM_SNAPSHOT_BY_FILE), {"b.py", 0, 66, 1, 0, 0}, {"a.py", 0, 32, 4, 0, 0},
                {NULL, 0, 7, 1, 0, 0});
    ASSERT_ROWS(by(second, PM_SNAPSHOT_BY_FILE), {"a.py", 0, 5032, 5, 0, 0},
                {"c.py", 0, 400, 1, 0, 0});
    ASSERT_ROWS(difference(PM_SNAPSHOT_BY_FILE), {"a.py", 0, 5032, 5, 5000, 1},
                {"c.py", 0, 400, 1, 400, 1}, {"b.py", 0, 0, 0, -66, -1}, {NULL, 0, 0, 0, -7, -1});
}

static void f12_statistics_by_traceback(void **state)
{
    (void)state;
    struct pm_snapshot_table *table = by(first, PM_SNAPSHOT_BY_TRACEBACK);
    assert_int_equal(table->rows[1].frame_count, 2);
    assert_string_equal(table->rows[1].frames[0].file, "a.py");
    assert_int_equal(table->rows[1].frames[0].line, 2);
    assert_string_equal(table->rows[1].frames[1].file, "b.py");
    assert_int_equal(table->rows[1].frames[1].line, 4);
    assert_int_equal(table->rows[1].frames[1].address, TEST_LINE('b', 4));
    ASSERT_ROWS(table, {"b.py", 1, 66, 1, 0, 0}, {"a.py", 2, 30, 3, 0, 0}, {NULL, 0, 7, 1, 0, 0},
                {"a.py", 5, 2, 1, 0, 0});
    ASSERT_ROWS(by(second, PM_SNAPSHOT_BY_TRACEBACK), {"a.py", 5, 5002, 2, 0, 0},
                {"c.py", 578, 400, 1, 0, 0}, {"a.py", 2, 30, 3, 0, 0});
    ASSERT_ROWS(difference(PM_SNAPSHOT_BY_TRACEBACK), {"a.py", 5, 5002, 2, 5000, 1},
                {"c.py", 578, 400, 1, 400, 1}, {"b.py", 1, 0, 0, -66, -1}, {NULL, 0, 0, 0, -7, -1},
                {"a.py", 2, 30, 3, 0, 0});
}

static void f12_statistics_cumulative(void **state)
{
    (void)state;
    ASSERT_ROWS(pm_snapshot_statistics(first, PM_SNAPSHOT_BY_FILE, true, &test_lines),
                {"b.py", 0, 98, 5, 0, 0}, {"a.py", 0, 32, 4, 0, 0}, {NULL, 0, 7, 1, 0, 0});
    ASSERT_ROWS(pm_snapshot_statistics(first, PM_SNAPSHOT_BY_LINE, true, &test_lines),
                {"b.py", 1, 66, 1, 0, 0}, {"b.py", 4, 32, 4, 0, 0}, {"a.py", 2, 30, 3, 0, 0},
                {NULL, 0, 7, 1, 0, 0}, {"a.py", 5, 2, 1, 0, 0});
    errno = 0;
    assert_null(pm_snapshot_statistics(first, PM_SNAPSHOT_BY_TRACEBACK, true, &test_lines));
    assert_int_equal(errno, EINVAL);
}

/* ---- our own ---- */

static void a_domain_or_module_is_a_row(void **state)
{
    (void)state;
    static const uint64_t bytes[] = {66, 30, 7, 2};
    static const unsigned domains[] = {2, 0, 3, 1};
    pm_snapshot *mapped = test_mapped_snapshot();
    struct pm_snapshot_table *table = by(mapped, PM_SNAPSHOT_BY_DOMAIN);
    assert_int_equal(table->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(table->rows[i].bytes, bytes[i]);
        assert_int_equal(table->rows[i].domain, domains[i]);
        assert_int_equal(table->rows[i].frame_count, 0);
    }
    pm_snapshot_table_free(table);
    table = by(mapped, PM_SNAPSHOT_BY_MODULE);
    assert_int_equal(table->count, 3);
    assert_string_equal(table->rows[0].frames[0].module, "/lib/b.so");
    assert_string_equal(table->rows[1].frames[0].module, "/lib/a.so");
    assert_null(table->rows[2].frames[0].module);
    assert_int_equal(table->rows[1].bytes, 32);
    pm_snapshot_table_free(table);
    table = by(mapped, PM_SNAPSHOT_BY_FUNCTION);
    assert_string_equal(table->rows[1].frames[0].function, "a_f");
    assert_string_equal(table->rows[1].frames[0].module, "/lib/a.so");
    assert_int_equal(table->rows[1].blocks, 4);
    pm_snapshot_table_free(table);
    pm_snapshot_free(mapped);
}

/* Unlike tracemalloc, which counts a frame as often as it comes: sums would exceed all there is. */
static void a_recursion_counts_once(void **state)
{
    (void)state;
    static const struct test_stack stack = {
        0, 2, 50, 4, {TEST_LINE('a', 1), TEST_LINE('a', 9), TEST_LINE('a', 1), TEST_LINE('b', 1)}};
    pm_snapshot *snapshot = test_snapshot_of(&stack, 1);
    ASSERT_ROWS(pm_snapshot_statistics(snapshot, PM_SNAPSHOT_BY_FILE, true, &test_lines),
                {"b.py", 0, 50, 2, 0, 0}, {"a.py", 0, 50, 2, 0, 0});
    ASSERT_ROWS(pm_snapshot_statistics(snapshot, PM_SNAPSHOT_BY_LINE, true, &test_lines),
                {"b.py", 1, 50, 2, 0, 0}, {"a.py", 9, 50, 2, 0, 0}, {"a.py", 1, 50, 2, 0, 0});
    pm_snapshot_free(snapshot);
}

/* One program, of which two runs have it at other addresses. */
static void places_are_the_same_wherever_their_module_is_mapped(void **state)
{
    (void)state;
    static const char here[] = "7f0000000000-7f0000010000 r-xp 00001000 08:01 7    /lib/a b.so\n";
    static const char there[] = "550000000000-550000010000 r-xp 00001000 08:01 7    /lib/a b.so\n";
    const uintptr_t frames[][2] = {{0x7f0000000010, 0x7f0000000020},
                                   {0x550000000010, 0x550000000020}};
    pm_snapshot *new = pm_snapshot_new(), *old = pm_snapshot_new();
    assert_true(pm_snapshot_add_maps(new, here, sizeof here - 1));
    assert_true(pm_snapshot_add_maps(old, there, sizeof there - 1));
    assert_true(pm_snapshot_add(new, 0, frames[0], 2, 3, 300));
    assert_true(pm_snapshot_add(old, 0, frames[1], 2, 2, 200));
    for (int group = 0; group <= PM_SNAPSHOT_BY_DOMAIN; group++) {
        struct pm_snapshot_table *table = pm_snapshot_compare(new, old, group, false, NULL);
        assert_int_equal(table->count, 1);
        assert_int_equal(table->rows[0].bytes_diff, 100);
        assert_int_equal(table->rows[0].blocks_diff, 1);
        if (group == PM_SNAPSHOT_BY_ADDRESS) {
            assert_int_equal(table->rows[0].frames[0].offset, 0x1010);
            assert_int_equal(table->rows[0].frames[0].address, 0x7f0000000010);
            assert_string_equal(table->rows[0].frames[0].module, "/lib/a b.so");
        }
        pm_snapshot_table_free(table);
    }
    pm_snapshot_free(new);
    pm_snapshot_free(old);
}

/* The call before a return address may be the last of its mapping. */
static void a_module_is_that_of_the_call(void **state)
{
    (void)state;
    static const char maps[] = "00001000-00002000 r-xp 00000000 08:01 7    /a\n"
                               "00002000-00003000 rw-p 00000000 00:00 0 \n"
                               "00003000-00004000 r-xp 00000000 08:01 7    /b\n"
                               "00005000-00006000 r-xp 00000000 00:00 0    [vdso]\n";
    static const struct {
        uint64_t address;
        const char *module;
    } cases[] = {{0x1000, NULL},     {0x1001, "/a"}, {0x2000, "/a"}, {0x2001, NULL},
                 {0x3000, NULL},     {0x3001, "/b"}, {0x4000, "/b"}, {0x4001, NULL},
                 {0x5001, "[vdso]"}, {0x6001, NULL}, {0, NULL},      {UINT64_MAX, NULL}};
    struct pm_snapshot_frame frame;
    pm_snapshot *snapshot = pm_snapshot_new();
    assert_true(pm_snapshot_add_maps(snapshot, maps, sizeof maps - 1));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool known = pm_snapshot_frame_of(snapshot, cases[i].address, &frame);
        assert_int_equal(known, cases[i].module != NULL);
        assert_same_text(frame.module, cases[i].module);
        assert_int_equal(frame.address, cases[i].address);
    }
    pm_snapshot_free(snapshot);
}

static void what_is_wrong_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const maps[] = {"1000-2000 r-xp 0 08:01 7 /a",
                                       "x\n",
                                       "2000-1000 r-xp 0 08:01 7 /a\n",
                                       "1000-2000 r-xq 0 08:01 7 /a\n",
                                       "1000-2000 r-xp 0 0801 7 /a\n",
                                       "1000-2000 r-xp 0 08:01 7 /a\n800-900 r-xp 0 08:01 7 /b\n"};
    const uintptr_t frame = 0x1800;
    struct pm_snapshot_frame at;
    pm_snapshot *snapshot = pm_snapshot_new();
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        errno = 0;
        assert_false(pm_snapshot_add_maps(snapshot, maps[i], strlen(maps[i])));
        assert_int_equal(errno, EINVAL);
        assert_false(pm_snapshot_frame_of(snapshot, frame, &at));
    }
    assert_true(pm_snapshot_add(snapshot, 0, &frame, 1, 1, INT64_MAX - 1));
    errno = 0;
    assert_false(pm_snapshot_add(snapshot, 0, &frame, 1, 1, 2));
    assert_int_equal(errno, EINVAL);
    struct pm_snapshot_about about;
    pm_snapshot_get_about(snapshot, &about);
    assert_int_equal(about.blocks, 1);
    about.time_s = UINT64_MAX;
    assert_false(pm_snapshot_set_about(snapshot, &about));
    assert_null(pm_snapshot_statistics(snapshot, (enum pm_snapshot_group)7, false, NULL));
    pm_snapshot_free(snapshot);
    pm_snapshot_free(NULL);
    pm_snapshot_table_free(NULL);
}

/* More than any first array or index holds. */
static void many_stacks_are_kept_apart_and_sorted(void **state)
{
    (void)state;
    enum { STACKS = 20000 };
    uint64_t random = 1, sum = 0;
    pm_snapshot *snapshot = pm_snapshot_new();
    for (unsigned twice = 0; twice < 2; twice++) {
        for (uintptr_t i = 0; i < STACKS; i++) {
            const uintptr_t frames[3] = {TEST_LINE('a', i % 100), TEST_LINE('b', i / 100), 0};
            uint64_t bytes = test_random_below(&random, 1000);
            assert_true(pm_snapshot_add(snapshot, 1, frames, 3, 1, bytes));
            sum += bytes;
        }
    }
    struct pm_snapshot_table *table = by(snapshot, PM_SNAPSHOT_BY_TRACEBACK);
    assert_int_equal(table->count, STACKS);
    for (size_t i = 0; i < STACKS; i++) {
        const struct pm_snapshot_row *row = &table->rows[i];
        assert_int_equal(row->blocks, 2);
        if (i > 0 && row->bytes == row[-1].bytes) { /* then by the outermost frames, descending */
            assert_true(row->frames[1].line <= row[-1].frames[1].line);
        } else {
            assert_true(i == 0 || row->bytes < row[-1].bytes);
        }
        sum -= row->bytes;
    }
    assert_int_equal(sum, 0);
    pm_snapshot_table_free(table);
    pm_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f12_statistics_by_line),
        cmocka_unit_test(f12_statistics_by_file),
        cmocka_unit_test(f12_statistics_by_traceback),
        cmocka_unit_test(f12_statistics_cumulative),
        cmocka_unit_test(a_domain_or_module_is_a_row),
        cmocka_unit_test(a_recursion_counts_once),
        cmocka_unit_test(places_are_the_same_wherever_their_module_is_mapped),
        cmocka_unit_test(a_module_is_that_of_the_call),
        cmocka_unit_test(what_is_wrong_is_refused_and_changes_nothing),
        cmocka_unit_test(many_stacks_are_kept_apart_and_sorted),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
