/* SPDX-License-Identifier: MIT */
/* Statistics in jemalloc's terms: the terms, and the report as text and as JSON. */
#include "api/je_stats.h"
#include "api/jemalloc.h"
#include "api/testing.h"
#include "base/config.h"
#include "os/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char report[8192];

static void append(void *arg, const char *text)
{
    char *to = arg;
    require(strlen(to) + strlen(text) < sizeof report);
    strcat(to, text);
}

static const char *print(const char *opts)
{
    report[0] = 0;
    pm_je_malloc_stats_print(append, report, opts);
    return report;
}

static void each_term_is_a_sum_of_what_the_header_counts(void **state)
{
    size_t page = pm_os_page_bytes();
    const struct pm_stats own = {.pool_bytes = 63 * page, /* a moment before the walk */
                                 .span_bytes = 32 * page,
                                 .span_held_bytes = 40 * page,
                                 .kept_bytes = 8 * page,
                                 .stash_bytes = 4 * page,
                                 .free_bytes = 20 * page,
                                 .dirty_bytes = 5 * page,
                                 .heap_bytes = 2 * page,
                                 .purges = 3,
                                 .purged_bytes = 7 * page,
                                 .heaps_in_use = 6};
    struct pm_je_stats stats;
    (void)state;
    pm_je_stats_of(&(struct pm_figures){.stats = own, .pool_bytes = 64 * page, .live_bytes = 700},
                   &stats);
    assert_int_equal(stats.small, 700);
    assert_int_equal(stats.large, 32 * page);
    assert_int_equal(stats.allocated, 32 * page + 700);
    assert_int_equal(stats.active, 96 * page);
    assert_int_equal(stats.metadata, 2 * page);
    assert_int_equal(stats.resident, (96 + 8 + 4 + 5 + 2) * page);
    assert_int_equal(stats.mapped, (64 + 40 + 8 + 4) * page);
    assert_int_equal(stats.retained, 15 * page);
    assert_int_equal(stats.thread_cache, 12 * page);
    assert_int_equal(stats.active_pages, 96);
    assert_int_equal(stats.dirty_pages, 17);
    assert_true(stats.purges == 3 && stats.purged_pages == 7 && stats.threads == 6);
}

/* The number behind that text; UINT64_MAX: the text is not there. */
static uint64_t number_after(const char *text, const char *what)
{
    const char *at = strstr(text, what);
    return at ? strtoull(at + strlen(what), NULL, 10) : UINT64_MAX;
}

static void the_text_has_one_line_that_scripts_look_for(void **state)
{
    (void)state;
    void *block = pm_je_mallocx(3 * PM_ARENA_BYTES, 0);
    const char *text = print(NULL);
    assert_true(strncmp(text, "___ Begin poolmalloc statistics ___\n", 36) == 0);
    assert_non_null(strstr(text, "\n--- End poolmalloc statistics ---\n"));
    assert_non_null(strstr(text, "Version: \"" PM_JE_VERSION "\"\n"));
    assert_int_equal(number_after(text, "\nAllocated: "), test_number("stats.allocated"));
    assert_int_equal(number_after(text, ", active: "), test_number("stats.active"));
    assert_int_equal(number_after(text, ", resident: "), test_number("stats.resident"));
    assert_int_equal(number_after(text, "  page: "), pm_os_page_bytes());
    assert_true(number_after(text, "  span_bytes: ") >= 3 * PM_ARENA_BYTES);
    assert_true(number_after(text, "  mallocs: ") >= 1);
    pm_je_dallocx(block, 0);
}

/* Objects, names and numbers only; returns what follows, or NULL. */
static const char *skip_object(const char *at)
{
    if (*at++ != '{')
        return NULL;
    for (;;) {
        if (*at++ != '"')
            return NULL;
        at += strspn(at, "abcdefghijklmnopqrstuvwxyz_");
        if (strncmp(at, "\":", 2) != 0)
            return NULL;
        at += 2;
        if (*at == '{')
            at = skip_object(at);
        else if (*at == '"')
            at = strchr(at + 1, '"') + 1;
        else if (*at >= '0' && *at <= '9')
            at += strspn(at, "0123456789");
        else
            return NULL;
        if (at == NULL || *at == '}')
            return at ? at + 1 : NULL;
        if (*at++ != ',')
            return NULL;
    }
}

static void with_j_it_is_one_json_object(void **state)
{
    static const char *const opts[] = {"J", "Jg", "gJmablxe"};
    (void)state;
    for (size_t i = 0; i < sizeof opts / sizeof *opts; i++) {
        const char *text = print(opts[i]), *end = skip_object(text);
        assert_non_null(end);
        assert_string_equal(end, "\n");
        assert_int_equal(strncmp(text, "{\"jemalloc\":{", 13), 0);
        assert_int_equal(number_after(text, "\"resident\":"), test_number("stats.resident"));
        assert_int_equal(number_after(text, "\"page\":") == UINT64_MAX, strchr(opts[i], 'g') != 0);
        assert_non_null(strstr(text, "},\"poolmalloc\":{\"mallocs\":"));
    }
}

static void without_general_information_the_rest_is_there(void **state)
{
    (void)state;
    const char *text = print("g");
    assert_null(strstr(text, "Version"));
    assert_null(strstr(text, "  page: "));
    assert_non_null(strstr(text, "\nAllocated: "));
}

static void print_to_nobody(const void *opts)
{
    pm_je_malloc_stats_print(NULL, NULL, opts);
}

static void without_a_callback_it_goes_to_stderr(void **state)
{
    char text[8192];
    (void)state;
    assert_int_equal(test_stderr_of(print_to_nobody, "", text, sizeof text), 0);
    assert_int_equal(strncmp(text, "___ Begin poolmalloc statistics ___\n", 36), 0);
    assert_non_null(strstr(text, "--- End poolmalloc statistics ---\n"));
}

ISOLATED(the_first_question_takes_the_first_snapshot)
{
    require(pm_je_epoch() == 1 && pm_je_epoch() == 1);
    require(pm_je_refresh() == 2 && pm_je_epoch() == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_question_takes_the_first_snapshot),
        cmocka_unit_test(each_term_is_a_sum_of_what_the_header_counts),
        cmocka_unit_test(the_text_has_one_line_that_scripts_look_for),
        cmocka_unit_test(with_j_it_is_one_json_object),
        cmocka_unit_test(without_general_information_the_rest_is_there),
        cmocka_unit_test(without_a_callback_it_goes_to_stderr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
