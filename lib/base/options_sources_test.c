/* SPDX-License-Identifier: MIT */
/* Options from a file, help, and changes by call. Each body has the initial options before it. */
#include "base/options.h"
#include "base/testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const char file[] = "# what this machine wants\n"
                           "keep_bytes=3m   # a comment, heap_keep_bytes=1\r\n"
                           "\n"
                           " \theap_keep_bytes=4k , heaps_keep_bytes=5k\t\n"
                           "#purge_delay_ms=7\n"
                           ",,\n"
                           "stats_at_exit=/tmp/a b";

ISOLATED(a_file_has_a_setting_a_line_or_several_and_comments)
{
    require(pm_options_parse_file("/f", file, sizeof file - 1));
    require(pm_options.keep_bytes == (size_t)3 << 20);
    require(pm_options.heap_keep_bytes == 4096 && pm_options.heaps_keep_bytes == 5 << 10);
    require(pm_options.purge_delay_ms == PM_PURGE_DELAY_MS_DEFAULT);
    require(strcmp(pm_options.stats_at_exit, "/tmp/a b") == 0);
    require(pm_option_source(pm_option_find("keep_bytes", 10)) == PM_OPTION_FILE);
    require(pm_option_source(pm_option_find("purge_delay_ms", 14)) == PM_OPTION_DEFAULT);
}

/* No byte beyond the length is looked at: the next would make the number another. */
ISOLATED(of_a_file_no_more_is_read_than_there_is)
{
    require(pm_options_parse_file("/f", "keep_bytes=77", 12));
    require(pm_options.keep_bytes == 7);
    require(pm_options_parse_file("/f", "keep_bytes=99", 0));
    require(pm_options.keep_bytes == 7);
}

static void parse_a_bad_file(const void *arg)
{
    static const char bad[] = "keep_bites=1\nkeep_bytes=1\0,help\nheap_keep_bytes=8k";
    (void)arg;
    require(!pm_options_parse_file("/the/file", bad, sizeof bad - 1));
    require(pm_options.keep_bytes == PM_KEEP_BYTES_DEFAULT && pm_options.heap_keep_bytes == 8192);
}

static void what_is_wrong_in_a_file_is_named_with_its_path_a_line_each(void **state)
{
    char text[2000];
    unsigned lines = 0;
    (void)state;
    assert_int_equal(test_stderr_of(parse_a_bad_file, NULL, text, sizeof text), 0);
    assert_non_null(strstr(text, "/the/file: unknown option \"keep_bites=1\""));
    assert_non_null(strstr(text, "/the/file: value not understood in \"keep_bytes=1?\""));
    assert_non_null(strstr(text, "/the/file: unknown option \"help\""));
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 3);
}

static void ask_for_help(const void *text)
{
    require(setenv("POOLMALLOC_OPTIONS", text, 1) == 0);
    require(pm_options_parse_file("/f", "heap_keep_bytes=3k", 18));
    pm_options_init();
    require(pm_options_change("limit_bytes", "1g") == 0);
    pm_options.stats_at_exit[0] = 0;
}

static void help_prints_every_option_with_its_value_source_default_and_meaning(void **state)
{
    char text[12000];
    (void)state;
    assert_int_equal(test_stderr_of(ask_for_help, "keep_bytes=5m,help,stats_at_exit=a\x1b[2J", text,
                                    sizeof text),
                     0);
#define IS_SHOWN(kind, name, initial, least, most, when, doc)                                      \
    assert_non_null(strstr(text, "\n  " #name "="));                                               \
    assert_non_null(strstr(text, pm_option_meaning(pm_option_find(#name, strlen(#name)))));
    PM_OPTIONS(IS_SHOWN)
#undef IS_SHOWN
    assert_non_null(strstr(text, "\n  keep_bytes=5m (environment)\n    size, 0 or more; default "
                                 "\"2m\"; can be changed later\n"));
    assert_non_null(strstr(text, "\n  heap_keep_bytes=3k (file)\n"));
    assert_non_null(strstr(text, "\n  huge_pages=default (default)\n    choice, "
                                 "default|never|always; default \"default\"; at start only\n"));
    assert_non_null(strstr(text, "\n  stats_at_exit=a?[2J (environment)\n"));
    assert_non_null(strstr(text, "\n  limit_bytes=0 (default)\n"));
}

static void help_alone_is_a_setting_and_no_help_prints_nothing(void **state)
{
    char text[12000];
    (void)state;
    assert_int_equal(test_stderr_of(ask_for_help, "help", text, sizeof text), 0);
    assert_non_null(strstr(text, "poolmalloc: options in force"));
    assert_int_equal(test_stderr_of(ask_for_help, "keep_bytes=1", text, sizeof text), 0);
    assert_string_equal(text, "");
}

ISOLATED(later_sources_win_over_earlier_ones)
{
    const struct pm_option *keep = pm_option_find("keep_bytes", 10);
    require(pm_options_parse_file("/f", "keep_bytes=1,heap_keep_bytes=1", 30));
    require(pm_option_source(keep) == PM_OPTION_FILE);
    require(setenv("POOLMALLOC_OPTIONS", "keep_bytes=2", 1) == 0);
    pm_options_init();
    require(pm_options.keep_bytes == 2 && pm_option_source(keep) == PM_OPTION_ENVIRONMENT);
    require(pm_options.heap_keep_bytes == 1);
    require(pm_options_change("keep_bytes", "3") == 0);
    require(pm_options.keep_bytes == 3 && pm_option_source(keep) == PM_OPTION_CALL);
    require(pm_options_change_number("keep_bytes", 4) == 0 && pm_options.keep_bytes == 4);
}

ISOLATED(changes_are_refused_at_start_only_out_of_range_and_of_no_option)
{
    struct pm_options before = pm_options;
    require(pm_options_change("window_bytes", "1g") == EPERM);
    require(pm_options_change("huge_pages", "never") == EPERM);
    require(pm_options_change_number("window_bytes", 1) == EPERM);
    require(pm_options_change("keep_bites", "1") == ENOENT);
    require(pm_options_change_number("keep_bites", 1) == ENOENT);
    require(pm_options_change("help", "") == ENOENT);
    require(pm_options_change("keep_bytes", "1,heap_keep_bytes=1") == EINVAL);
    require(pm_options_change("purge_delay_ms", "31536000001") == EINVAL);
    require(pm_options_change_number("purge_delay_ms", 31536000001) == EINVAL);
    require(pm_options_change_number("stats_at_exit", 1) == EINVAL);
    require(memcmp(&before, &pm_options, sizeof before) == 0);
}

ISOLATED(a_value_is_told_with_the_largest_unit_and_can_be_set_again)
{
    static const char *const values[] = {"0",     "1",  "1023", "1k", "1025",
                                         "1536k", "3m", "5g",   "7t", "18446744073709551615"};
    char text[30], small[5];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        require(pm_options_change("keep_bytes", values[i]) == 0);
        require(pm_options_value("keep_bytes", text, sizeof text) == 0);
        require(strcmp(text, values[i]) == 0);
    }
    require(pm_options_change("purge_delay_ms", "2048") == 0); /* a number has no unit */
    require(pm_options_value("purge_delay_ms", text, sizeof text) == 0 &&
            strcmp(text, "2048") == 0);
    require(pm_options_value("purge_delay_ms", small, 5) == 0);
    require(pm_options_value("purge_delay_ms", small, 4) == ERANGE);
    require(pm_options_value("huge_pages", text, sizeof text) == 0);
    require(strcmp(text, "default") == 0);
    require(pm_options_value("x", text, sizeof text) == ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_a_setting_a_line_or_several_and_comments),
        cmocka_unit_test(of_a_file_no_more_is_read_than_there_is),
        cmocka_unit_test(what_is_wrong_in_a_file_is_named_with_its_path_a_line_each),
        cmocka_unit_test(help_prints_every_option_with_its_value_source_default_and_meaning),
        cmocka_unit_test(help_alone_is_a_setting_and_no_help_prints_nothing),
        cmocka_unit_test(later_sources_win_over_earlier_ones),
        cmocka_unit_test(changes_are_refused_at_start_only_out_of_range_and_of_no_option),
        cmocka_unit_test(a_value_is_told_with_the_largest_unit_and_can_be_set_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
