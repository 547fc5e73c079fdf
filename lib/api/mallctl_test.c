/* SPDX-License-Identifier: MIT */
/* mallctl: every name with right and wrong lengths, by name and by number. */
#include "api/jemalloc.h"
#include "api/je_stats.h"
#include "api/mallctl.h"
#include "api/testing.h"
#include "base/testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MISSING = 0x5a };

static size_t width_of(const struct pm_ctl *ctl)
{
    static const size_t widths[] = {0, 1, sizeof(unsigned), sizeof(size_t), 8, 8, sizeof(char *)};
    return widths[ctl->kind];
}

/* The row's name with a digit for each index. */
static const char *name_of(const struct pm_ctl *ctl, char digit)
{
    static char name[100];
    char *to = name;
    for (const char *c = ctl->name; *c != 0; c++) {
        *to++ = *c == '<' ? digit : *c;
        c += *c == '<' ? strlen("i>") : 0;
    }
    *to = 0;
    return name;
}

static bool is_readable(const struct pm_ctl *ctl)
{
    return ctl->get != NULL || ctl->make != NULL;
}

static void rows_are_sorted_and_none_begins_another(void **state)
{
    (void)state;
    for (size_t i = 1; i < pm_ctl_count; i++) {
        const char *before = pm_ctl_rows[i - 1].name, *name = pm_ctl_rows[i].name;
        size_t bytes = strlen(before);
        assert_true(strcmp(before, name) < 0);
        assert_false(strncmp(before, name, bytes) == 0 && name[bytes] == '.');
        assert_true(strstr(name, "<i>") == strchr(name, '<') && strchr(name, '*') == NULL);
        assert_true(strstr(name, "<j>") == NULL || strstr(name, "<i>") != NULL);
    }
}

static void every_row_can_do_what_its_kind_says(void **state)
{
    (void)state;
    for (const struct pm_ctl *ctl = pm_ctl_rows; ctl < pm_ctl_rows + pm_ctl_count; ctl++) {
        unsigned parts = 1;
        for (const char *c = ctl->name; *c; c++)
            parts += *c == '.';
        assert_true(parts <= PM_CTL_DEPTH_MAX && ctl->name[strlen(ctl->name) - 1] != '>');
        assert_true(is_readable(ctl) || ctl->set != NULL);
        assert_true(ctl->kind != PM_CTL_VOID || (!is_readable(ctl) && ctl->set != NULL));
        assert_true(ctl->get == NULL || ctl->make == NULL);
    }
}

static void every_value_is_read_with_its_length_and_no_other(void **state)
{
    (void)state;
    for (const struct pm_ctl *ctl = pm_ctl_rows; ctl < pm_ctl_rows + pm_ctl_count; ctl++) {
        const char *name = name_of(ctl, '0');
        for (size_t given = 0; given <= 16; given++) {
            unsigned char value[17], whole[17];
            size_t length = given, width = width_of(ctl);
            memset(value, MISSING, sizeof value);
            int error = pm_je_mallctl(name, value, &length, NULL, 0);
            if (!is_readable(ctl)) {
                assert_int_equal(error, EPERM);
                assert_int_equal(length, given);
                continue;
            }
            assert_int_equal(error, given == width ? 0 : EINVAL);
            size_t read = ctl->make != NULL && error ? 0 : given < width ? given : width;
            assert_int_equal(length, read);
            assert_int_equal(value[read], MISSING); /* and nothing behind it */
            length = width;
            if (ctl->make == NULL && pm_je_mallctl(name, whole, &length, NULL, 0) == 0)
                assert_memory_equal(value, whole, read); /* as much as there is room for */
        }
    }
}

static void reading_into_nothing_is_no_error_but_for_what_makes_something(void **state)
{
    size_t length = 8;
    uint64_t value = 0;
    (void)state;
    for (const struct pm_ctl *ctl = pm_ctl_rows; ctl < pm_ctl_rows + pm_ctl_count; ctl++) {
        int wanted = ctl->make != NULL ? EINVAL : ctl->get == NULL ? EPERM : 0;
        assert_int_equal(pm_je_mallctl(name_of(ctl, '0'), NULL, &length, NULL, 0), wanted);
        assert_int_equal(pm_je_mallctl(name_of(ctl, '0'), &value, NULL, NULL, 0), wanted);
    }
}

static void what_cannot_be_written_says_so_and_what_can_takes_its_length_only(void **state)
{
    (void)state;
    for (const struct pm_ctl *ctl = pm_ctl_rows; ctl < pm_ctl_rows + pm_ctl_count; ctl++) {
        const char *name = name_of(ctl, '0');
        uint64_t value[3] = {0};
        bool writable = ctl->set != NULL && ctl->kind != PM_CTL_VOID;
        if (writable && !is_readable(ctl))
            assert_int_equal(pm_je_mallctl(name, NULL, NULL, NULL, 0), EINVAL);
        for (size_t given = 0; given <= 16; given++) {
            if (writable && given == width_of(ctl))
                continue; /* what it does is for other tests */
            assert_int_equal(pm_je_mallctl(name, NULL, NULL, value, given),
                             writable ? EINVAL : EPERM);
        }
    }
}

static void void_names_do_something_without_any_value(void **state)
{
    (void)state;
    for (const struct pm_ctl *ctl = pm_ctl_rows; ctl < pm_ctl_rows + pm_ctl_count; ctl++) {
        if (ctl->kind == PM_CTL_VOID) /* the one arena that holds memory stays */
            assert_int_equal(pm_je_mallctl(name_of(ctl, '0'), NULL, NULL, NULL, 0),
                             strcmp(ctl->name, "arena.<i>.destroy") == 0 ? EFAULT : 0);
    }
}

static void what_is_no_name_is_enoent(void **state)
{
    static const char *const names[] = {"",
                                        ".",
                                        "stats",
                                        "stats.",
                                        ".stats.active",
                                        "stats.active.",
                                        "stats.active.x",
                                        "stats.activ",
                                        "stats.actives",
                                        "stats..active",
                                        "Epoch",
                                        "epoch ",
                                        "arena.0",
                                        "arena..purge",
                                        "arena.x.purge",
                                        "arena.-1.purge",
                                        "arena.+0.purge",
                                        "arena. 0.purge",
                                        "arena.0x0.purge",
                                        "arena.<i>.purge",
                                        "arena.9999999999999999999999.purge",
                                        "arena.4294967296.purge",
                                        "arena.5000.purge",
                                        "arenas.bin.x.size",
                                        "arenas.bin.0",
                                        "arenas.lextent.0.size",
                                        "prof.active",
                                        "prof.dump",
                                        "opt.prof",
                                        "thread.allocated",
                                        "thread.allocatedp",
                                        "thread.deallocated",
                                        "thread.deallocatedp",
                                        "thread.peak.read",
                                        "experimental.utilization.query",
                                        "experimental.utilization.batch_query",
                                        "arena.0.extent_hooks",
                                        "arena.0.reset",
                                        "stats.mutexes.ctl.num_ops",
                                        "stats.arenas.0.bins.0",
                                        "stats.arenas.0.bins.0.nmalloc",
                                        "stats.arenas.0.bins.999.curregs",
                                        "stats.arenas.7.bins.0.curregs",
                                        "stats.arenas.0.bins.x.curregs",
                                        "arenas.extend"};
    uint64_t value;
    size_t mib[8], length = sizeof value, miblen = 8;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(pm_je_mallctl(names[i], &value, &length, NULL, 0), ENOENT);
        assert_int_equal(pm_je_mallctl(names[i], NULL, NULL, NULL, 0), ENOENT);
        assert_int_equal(pm_je_mallctlnametomib(names[i], mib, &miblen), ENOENT);
        assert_int_equal(miblen, 8);
    }
}

static void numbers_lead_where_the_name_leads(void **state)
{
    (void)state;
    pm_je_refresh();
    for (const struct pm_ctl *ctl = pm_ctl_rows; ctl < pm_ctl_rows + pm_ctl_count; ctl++) {
        const char *name = name_of(ctl, '0');
        size_t mib[8] = {0}, miblen = 8, part[8], width = width_of(ctl);
        uint64_t by_name = 0, by_number = 0;
        assert_int_equal(pm_je_mallctlnametomib(name, mib, &miblen), 0);
        assert_true(miblen >= 1 && miblen <= PM_CTL_DEPTH_MAX);
        for (size_t few = 0; few < miblen; few++) {
            size_t partlen = few;
            assert_int_equal(pm_je_mallctlnametomib(name, part, &partlen), 0);
            assert_int_equal(partlen, few);
            assert_memory_equal(part, mib, few * sizeof *mib);
            assert_int_equal(pm_je_mallctlbymib(mib, few, NULL, NULL, NULL, 0), ENOENT);
        }
        if (ctl->get != NULL) {
            assert_int_equal(pm_je_mallctl(name, &by_name, &width, NULL, 0), 0);
            assert_int_equal(pm_je_mallctlbymib(mib, miblen, &by_number, &width, NULL, 0), 0);
            assert_int_equal(by_name, by_number);
        }
        memcpy(part, mib, sizeof part);
        part[0]++; /* of another beginning */
        if (miblen > 1)
            assert_int_equal(pm_je_mallctlbymib(part, miblen, NULL, NULL, NULL, 0), ENOENT);
        assert_int_equal(pm_je_mallctlbymib(mib, miblen + 1, NULL, NULL, NULL, 0), ENOENT);
        for (size_t i = 0; i < miblen; i++) { /* nothing of a number is left out of sight */
            memcpy(part, mib, sizeof part);
            part[i] += (size_t)1 << 32;
            assert_int_equal(pm_je_mallctlbymib(part, miblen, NULL, NULL, NULL, 0), ENOENT);
        }
        mib[miblen - 1] = pm_ctl_count;
        assert_int_equal(pm_je_mallctlbymib(mib, miblen, NULL, NULL, NULL, 0), ENOENT);
    }
}

/* As the manual shows it. */
static void bins_are_walked_by_changing_one_number(void **state)
{
    size_t mib[4], miblen = 4, bytes, length = sizeof bytes, before = 0;
    unsigned bins = (unsigned)test_number("arenas.nbins");
    (void)state;
    assert_int_equal(pm_je_mallctlnametomib("arenas.bin.0.size", mib, &miblen), 0);
    assert_true(miblen == 4 && mib[2] == 0);
    for (unsigned bin = 0; bin < bins; bin++) {
        mib[2] = bin;
        assert_int_equal(pm_je_mallctlbymib(mib, miblen, &bytes, &length, NULL, 0), 0);
        assert_true(bytes > before);
        if (!PM_ASAN) /* which makes blocks larger */
            assert_int_equal(pm_je_nallocx(before + 1, 0), bytes);
        before = bytes;
    }
    assert_int_equal(bytes, PM_BLOCK_MAX);
    mib[2] = bins;
    assert_int_equal(pm_je_mallctlbymib(mib, miblen, &bytes, &length, NULL, 0), ENOENT);
    assert_true(test_number("arenas.bin.3.nregs") * test_number("arenas.bin.3.size") <=
                test_number("arenas.bin.3.slab_size"));
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    errno = EDOM;
    pm_je_refresh();
    pm_je_mallctl("arena.0.purge", NULL, NULL, NULL, 0);
    pm_je_mallctl("no.such.name", NULL, NULL, NULL, 0);
    assert_int_equal(errno, EDOM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sorted_and_none_begins_another),
        cmocka_unit_test(every_row_can_do_what_its_kind_says),
        cmocka_unit_test(every_value_is_read_with_its_length_and_no_other),
        cmocka_unit_test(reading_into_nothing_is_no_error_but_for_what_makes_something),
        cmocka_unit_test(what_cannot_be_written_says_so_and_what_can_takes_its_length_only),
        cmocka_unit_test(void_names_do_something_without_any_value),
        cmocka_unit_test(what_is_no_name_is_enoent),
        cmocka_unit_test(numbers_lead_where_the_name_leads),
        cmocka_unit_test(bins_are_walked_by_changing_one_number),
        cmocka_unit_test(errno_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
