/* SPDX-License-Identifier: MIT */
/* Options from text and from the environment. Each body has the initial options before it. */
#include "base/options.h"
#include "base/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Parses a text that must be refused with one warning that holds `what`. */
struct refused {
    const char *text, *what;
};

static void parse_refused(const void *arg)
{
    const struct refused *refused = arg;
    struct pm_options before = pm_options;
    require(!pm_options_parse(refused->text));
    require(memcmp(&before, &pm_options, sizeof before) == 0);
}

static bool is_refused(const char *text, const char *what)
{
    char warning[1000];
    struct refused refused = {text, what};
    int status = test_stderr_of(parse_refused, &refused, warning, sizeof warning);
    bool told = strstr(warning, what) != NULL && strstr(warning, "POOLMALLOC_OPTIONS") != NULL;
    if (status != 0 || !told)
        fprintf(stderr, "%s: status %d, %s\n", text, status, warning);
    return status == 0 && told;
}

ISOLATED(initial_options_are_those_of_the_table)
{
    require(pm_options.window_bytes == PM_WINDOW_DEFAULT_BYTES);
    require(pm_options.keep_bytes == PM_KEEP_BYTES_DEFAULT);
    require(pm_options.heap_keep_bytes == PM_HEAP_KEEP_BYTES_DEFAULT);
    require(strcmp(pm_options.stats_at_exit, "") == 0);
}

ISOLATED(sizes_take_every_suffix_in_both_cases_up_to_the_largest)
{
    static const struct {
        const char *text;
        size_t bytes;
    } cases[] = {
        {"0", 0},
        {"123", 123},
        {"4k", (size_t)4 << 10},
        {"5K", (size_t)5 << 10},
        {"6m", (size_t)6 << 20},
        {"7M", (size_t)7 << 20},
        {"8g", (size_t)8 << 30},
        {"9G", (size_t)9 << 30},
        {"2t", (size_t)2 << 40},
        {"3T", (size_t)3 << 40},
        {"16777215t", (size_t)16777215 << 40},
        {"18446744073709551609", SIZE_MAX - 6},
        {"18446744073709551610", SIZE_MAX - 5},
        {"18446744073709551615", SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[60];
        snprintf(text, sizeof text, "keep_bytes=%s", cases[i].text);
        pm_options.keep_bytes = 1;
        require(pm_options_parse(text));
        require(pm_options.keep_bytes == cases[i].bytes);
    }
}

static void sizes_that_are_none_or_overflow_are_refused_and_change_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "k",
        "-1",
        "1x",
        "1kk",
        "1 ",
        " 1",
        "0x10",
        "99999999999999999999",
        "1e3",
        "16777216t",
        "18446744073709551616",
        "17179869184g",
        "k1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[60];
        snprintf(text, sizeof text, "keep_bytes=%s", bad[i]);
        assert_true(is_refused(text, "value not understood"));
    }
}

static void an_option_without_a_value_is_refused(void **state)
{
    (void)state;
    assert_true(is_refused("keep_bytes", "value not understood in \"keep_bytes\""));
}

static void unknown_names_are_refused_and_the_nearest_one_is_named_with_its_value(void **state)
{
    (void)state;
    assert_true(is_refused("keep=1", "unknown option \"keep=1\""));
    assert_true(
        is_refused("keep_bytess=1", "the nearest is keep_bytes, which stays \"2m\" (default)"));
    assert_true(is_refused("KEEP_BYTES=1", "the nearest is keep_bytes,"));
    assert_true(is_refused("hepas_kep_bytes=1", "the nearest is heaps_keep_bytes,"));
    assert_true(
        is_refused("hugepages=never", "the nearest is huge_pages, which stays \"default\""));
    assert_true(is_refused("delay=1", "the nearest is purge_delay_ms, which stays \"1000\""));
    assert_true(
        is_refused("stats_atexit", "the nearest is stats_at_exit, which stays \"\" (default)"));
    assert_true(is_refused("=1", "unknown option \"=1\""));
    assert_true(is_refused("help=1", "unknown option \"help=1\""));
}

/* A word that is a letter off any name is nearest to that name. */
static void every_name_is_nearest_to_itself_with_a_letter_too_few(void **state)
{
    (void)state;
    for (size_t i = 0; i < PM_OPTION_COUNT; i++) {
        const struct pm_option *option = &pm_option_rows[i];
        size_t length = strlen(option->name);
        assert_ptr_equal(pm_option_nearest(option->name, length), option);
        assert_ptr_equal(pm_option_nearest(option->name, length - 1), option);
        assert_ptr_equal(pm_option_find(option->name, length), option);
        assert_null(pm_option_find(option->name, length - 1));
    }
}

static void a_value_out_of_range_is_refused_with_the_range_and_what_stays(void **state)
{
    (void)state;
    assert_true(is_refused("window_bytes=4097g", "value out of range in \"window_bytes=4097g\""));
    assert_true(is_refused("window_bytes=5t", "window_bytes takes 0 to 4t and stays "));
    assert_true(is_refused("purge_delay_ms=31536000001",
                           "purge_delay_ms takes 0 to 31536000000 and stays \"1000\" (default)"));
    assert_true(is_refused("keep_bytes=x", "keep_bytes takes 0 or more and stays \"2m\""));
    assert_true(is_refused("huge_pages=x", "huge_pages takes default|never|always and stays"));
}

ISOLATED(the_ends_of_a_range_are_taken)
{
    require(pm_options_parse("window_bytes=4t,purge_delay_ms=31536000000"));
    require(pm_options.window_bytes == PM_WINDOW_MAX_BYTES);
    require(pm_options_parse("window_bytes=0,purge_delay_ms=0"));
    require(pm_options.window_bytes == 0 && pm_options.purge_delay_ms == 0);
}

ISOLATED(nodes_are_named_by_one_number_or_two)
{
    static const char *const good[] = {"bind:0",       "bind:1023",  "bind:0-3",
                                       "bind:12-1000", "interleave", "default"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[40];
        snprintf(text, sizeof text, "numa=%s", good[i]);
        require(pm_options_parse(text) && strcmp(pm_options.numa, good[i]) == 0);
    }
    require(is_refused("numa=bind:", "value not understood"));
    require(is_refused("numa=bind:N", "value not understood"));
    require(is_refused("numa=bind:1-", "value not understood"));
    require(is_refused("numa=bind:1-2-3", "value not understood"));
    require(is_refused("numa=bind:12345", "value not understood"));
    require(is_refused("numa=bind", "value not understood"));
}

static void a_refused_setting_is_shown_in_one_line_without_control_characters(void **state)
{
    (void)state;
    assert_true(is_refused("keep\nfree(): bad", "unknown option \"keep?free(): bad\""));
    assert_true(is_refused("\x1b[2J\x7f:\t=1", "unknown option \"?[2J?:?=1\""));
    assert_true(is_refused("keep_bytes=1\n", "value not understood in \"keep_bytes=1?\""));
    assert_true(is_refused("gr\u00f6\u00dfe=1", "unknown option \"gr\u00f6\u00dfe=1\""));
}

ISOLATED(texts_are_taken_as_they_are)
{
    require(pm_options_parse("stats_at_exit=/tmp/a=b c.txt"));
    require(strcmp(pm_options.stats_at_exit, "/tmp/a=b c.txt") == 0);
    require(pm_options_parse("stats_at_exit="));
    require(strcmp(pm_options.stats_at_exit, "") == 0);
}

ISOLATED(the_longest_text_is_taken_and_a_longer_one_refused)
{
    char text[PM_OPTION_TEXT_BYTES + 40] = "stats_at_exit=";
    size_t name = strlen(text);
    memset(text + name, 'x', PM_OPTION_TEXT_BYTES);
    text[name + PM_OPTION_TEXT_BYTES - 1] = 0;
    require(pm_options_parse(text));
    require(strcmp(pm_options.stats_at_exit, text + name) == 0);
    text[name + PM_OPTION_TEXT_BYTES - 1] = 'x';
    require(is_refused(text, "value not understood"));
}

ISOLATED(empty_settings_and_trailing_commas_are_nothing)
{
    require(pm_options_parse(""));
    require(pm_options_parse(",,,"));
    require(pm_options_parse(",keep_bytes=1k,,heap_keep_bytes=2k,"));
    require(pm_options.keep_bytes == 1024 && pm_options.heap_keep_bytes == 2048);
}

ISOLATED(what_is_understood_is_in_force_beside_what_is_not)
{
    require(freopen("/dev/null", "w", stderr) != NULL);
    require(!pm_options_parse("keep_bytes=3k,nonsense,heap_keep_bytes=4k"));
    require(pm_options.keep_bytes == 3072 && pm_options.heap_keep_bytes == 4096);
}

ISOLATED(the_last_of_equal_names_wins)
{
    require(pm_options_parse("keep_bytes=1,keep_bytes=2"));
    require(pm_options.keep_bytes == 2);
}

ISOLATED(the_environment_is_read)
{
    require(setenv("POOLMALLOC_OPTIONS", "keep_bytes=5m,stats_at_exit=stderr", 1) == 0);
    pm_options_init();
    require(pm_options.keep_bytes == (size_t)5 << 20);
    require(strcmp(pm_options.stats_at_exit, "stderr") == 0);
    pm_options.stats_at_exit[0] = 0; /* this process has a destructor that reads it */
}

ISOLATED(without_the_variable_nothing_changes)
{
    struct pm_options before = pm_options;
    require(unsetenv("POOLMALLOC_OPTIONS") == 0);
    pm_options_init();
    require(memcmp(&before, &pm_options, sizeof before) == 0);
}

ISOLATED(a_choice_is_one_of_the_texts_that_its_doc_names)
{
    require(pm_options_parse("huge_pages=always"));
    require(strcmp(pm_options.huge_pages, "always") == 0);
    require(pm_options_parse("huge_pages=default"));
    require(is_refused("huge_pages=alway", "value not understood"));
    require(is_refused("huge_pages=always|never", "value not understood"));
    require(is_refused("huge_pages=", "value not understood"));
    require(strcmp(pm_options.huge_pages, "default") == 0);
}

ISOLATED(a_number_has_no_unit)
{
    require(pm_options_parse("purge_delay_ms=25"));
    require(pm_options.purge_delay_ms == 25);
    require(is_refused("purge_delay_ms=25k", "value not understood"));
    require(is_refused("purge_delay_ms=", "value not understood"));
    require(pm_options.purge_delay_ms == 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_options_are_those_of_the_table),
        cmocka_unit_test(sizes_take_every_suffix_in_both_cases_up_to_the_largest),
        cmocka_unit_test(sizes_that_are_none_or_overflow_are_refused_and_change_nothing),
        cmocka_unit_test(an_option_without_a_value_is_refused),
        cmocka_unit_test(unknown_names_are_refused_and_the_nearest_one_is_named_with_its_value),
        cmocka_unit_test(every_name_is_nearest_to_itself_with_a_letter_too_few),
        cmocka_unit_test(a_value_out_of_range_is_refused_with_the_range_and_what_stays),
        cmocka_unit_test(the_ends_of_a_range_are_taken),
        cmocka_unit_test(nodes_are_named_by_one_number_or_two),
        cmocka_unit_test(a_refused_setting_is_shown_in_one_line_without_control_characters),
        cmocka_unit_test(texts_are_taken_as_they_are),
        cmocka_unit_test(the_longest_text_is_taken_and_a_longer_one_refused),
        cmocka_unit_test(empty_settings_and_trailing_commas_are_nothing),
        cmocka_unit_test(what_is_understood_is_in_force_beside_what_is_not),
        cmocka_unit_test(the_last_of_equal_names_wins),
        cmocka_unit_test(the_environment_is_read),
        cmocka_unit_test(without_the_variable_nothing_changes),
        cmocka_unit_test(a_choice_is_one_of_the_texts_that_its_doc_names),
        cmocka_unit_test(a_number_has_no_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
