/* SPDX-License-Identifier: MIT */
/* The formatter, beside the C library's; warnings; each fatal error in a child. */
#include "base/report.h"
#include "base/testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Both formatters give the same text and the same length. */
#define assert_same_format(...)                                                                    \
    do {                                                                                           \
        char ours[200], theirs[200];                                                               \
        size_t length = pm_format(ours, sizeof ours, __VA_ARGS__);                                 \
        assert_int_equal(length, snprintf(theirs, sizeof theirs, __VA_ARGS__));                    \
        assert_string_equal(ours, theirs);                                                         \
    } while (0)

static void every_conversion_gives_what_printf_gives(void **state)
{
    int here;
    (void)state;
    assert_same_format("plain");
    assert_same_format("%s|%c|%%|", "text", 'c');
    assert_same_format("%u %u %u", 0u, 10u, UINT32_MAX);
    assert_same_format("%x %x %x", 0u, 0xabcdef01u, UINT32_MAX);
    assert_same_format("%zu %zu", (size_t)0, SIZE_MAX);
    assert_same_format("%lu %lu", 0ul, (unsigned long)UINT64_MAX);
    assert_same_format("%p %p", (void *)&here, (void *)(uintptr_t)0x1234);
}

static void a_null_text_and_a_null_pointer_are_shown(void **state)
{
    char text[40];
    const char *volatile none = NULL;
    (void)state;
    pm_format(text, sizeof text, "%s %p", none, (void *)none);
    assert_string_equal(text, "(null) 0x0");
}

static void a_short_buffer_cuts_the_text_but_not_the_length(void **state)
{
    char text[8];
    (void)state;
    for (size_t size = 0; size <= sizeof text; size++) {
        memset(text, '#', sizeof text);
        assert_int_equal(pm_format(text, size, "%u", 12345u), 5);
        size_t kept = size == 0 ? 0 : size - 1 < 5 ? size - 1 : 5;
        assert_memory_equal(text, "12345", kept);
        if (size > 0)
            assert_int_equal(text[kept], 0);
        for (size_t i = size; i < sizeof text; i++)
            assert_int_equal(text[i], '#');
    }
}

static void warn_number(const void *arg)
{
    errno = EPIPE;
    pm_warn("%s %u", (const char *)arg, 7u);
    require(errno == EPIPE);
}

static void a_warning_is_one_line_and_the_program_goes_on(void **state)
{
    char text[100];
    (void)state;
    assert_int_equal(test_stderr_of(warn_number, "number", text, sizeof text), 0);
    assert_string_equal(text, "poolmalloc: number 7\n");
}

static void a_warning_that_is_too_long_still_ends_its_line(void **state)
{
    char name[1000], text[2000];
    (void)state;
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    assert_int_equal(test_stderr_of(warn_number, name, text, sizeof text), 0);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_ptr_equal(strstr(text, "poolmalloc: xxxx"), text);
}

static const char here[64];

static void foreign(const void *function)
{
    pm_fatal_foreign(function, here);
}

static void not_allocated(const void *function)
{
    pm_fatal_not_allocated(function, here);
}

static void interior(const void *function)
{
    pm_fatal_interior(function, here + 8, here, sizeof here);
}

static void double_free(const void *function)
{
    pm_fatal_double_free(function, here);
}

static void circular(const void *pool)
{
    pm_fatal_circular(pool, 48);
}

static void wrong_size(const void *function)
{
    pm_fatal_wrong_size(function, here, 77, sizeof here);
}

static void no_exception(const void *size)
{
    pm_fatal_no_exception(*(const size_t *)size);
}

static void check_failed(const void *file)
{
    pm_fatal_check(file, 12, "one == two");
}

/* "free(0x...): reason" as one text. */
static const char *line(char *to, size_t size, const void *ptr, const char *reason)
{
    snprintf(to, size, "poolmalloc: free(%p): %s", ptr, reason);
    return to;
}

static void each_fatal_error_names_function_pointer_and_reason_and_aborts(void **state)
{
    char to[200];
    (void)state;
    assert_true(test_aborts(foreign, "free", line(to, sizeof to, here, "not a block")));
    assert_true(test_aborts(not_allocated, "free", line(to, sizeof to, here, "not allocated")));
    assert_true(test_aborts(interior, "free", line(to, sizeof to, here + 8, "points inside")));
    assert_true(test_aborts(double_free, "free", line(to, sizeof to, here, "freed twice")));
    assert_true(test_aborts(wrong_size, "free", line(to, sizeof to, here, "size or alignment 77")));
    snprintf(to, sizeof to, "a list of free blocks is damaged (pool %p, blocks of 48 bytes)",
             (const void *)here);
    assert_true(test_aborts(circular, here, to));
    assert_true(test_aborts(no_exception, &(const size_t){77}, "operator new(77): out of memory"));
    assert_true(test_aborts(check_failed, "x.c", "x.c:12: check failed: one == two"));
}

static void an_interior_pointer_is_told_its_block(void **state)
{
    char to[100];
    (void)state;
    snprintf(to, sizeof to, "(block %p of %zu bytes)", (const void *)here, sizeof here);
    assert_true(test_aborts(interior, "realloc", to));
}

static void assert_zero(const void *number)
{
    pm_assert(*(const int *)number == 0);
    (void)number;
}

static void a_failed_assertion_aborts_in_check_builds_only(void **state)
{
    const int zero = 0, one = 1;
    char text[100];
    (void)state;
    assert_int_equal(test_stderr_of(assert_zero, &zero, text, sizeof text), 0);
    assert_string_equal(text, "");
    if (PM_CHECK)
        assert_true(test_aborts(assert_zero, &one, "*(const int *)number == 0"));
    else
        assert_int_equal(test_stderr_of(assert_zero, &one, text, sizeof text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_conversion_gives_what_printf_gives),
        cmocka_unit_test(a_null_text_and_a_null_pointer_are_shown),
        cmocka_unit_test(a_short_buffer_cuts_the_text_but_not_the_length),
        cmocka_unit_test(a_warning_is_one_line_and_the_program_goes_on),
        cmocka_unit_test(a_warning_that_is_too_long_still_ends_its_line),
        cmocka_unit_test(each_fatal_error_names_function_pointer_and_reason_and_aborts),
        cmocka_unit_test(an_interior_pointer_is_told_its_block),
        cmocka_unit_test(a_failed_assertion_aborts_in_check_builds_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
