/* SPDX-License-Identifier: MIT */
/* What is said of mappings beside their use: which calls that takes, and that refusals change
 * nothing. */
#include "arena/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64 };

/* Calls of the kind at the start, with these options. */
static unsigned calls_at_start(const char *options, enum pm_os_call kind)
{
    require(pm_options_parse(options));
    pm_os_fault_set_kinds(1u << kind, UINT32_MAX, false);
    test_arena_start(WINDOW_ARENAS);
    return pm_os_fault_calls();
}

ISOLATED(by_default_there_are_no_names)
{
    require(calls_at_start("", PM_OS_NAME) == 0);
}

ISOLATED(with_names_tables_and_arenas_get_one_each)
{
    require(calls_at_start("mapping_names=on", PM_OS_NAME) == 2);
}

ISOLATED(by_default_nobody_is_asked_for_nodes)
{
    require(calls_at_start("", PM_OS_NODES) == 0);
}

ISOLATED(by_default_core_dumps_cost_a_call_a_window_and_one_for_many_arenas)
{
    bool zero = false;
    require(calls_at_start("", PM_OS_DUMP) == 1);
    require(pm_span_alloc(PM_ARENA_BYTES, 1, &zero) != NULL && pm_os_fault_calls() == 2);
    while (test_arena_stats().arenas < PM_TABLE_STEP_ARENAS / 2)
        require(pm_span_alloc(PM_ARENA_BYTES, 1, &zero) != NULL);
    require(pm_os_fault_calls() == 2);
}

ISOLATED(core_dumps_of_all_cost_no_call)
{
    require(calls_at_start("core_dump=all", PM_OS_DUMP) == 0);
}

static void use_though_refused(const void *options)
{
    bool zero = false;
    require(pm_options_parse(options));
    pm_os_fault_set_kinds(
        1u << PM_OS_NAME | 1u << PM_OS_DUMP | 1u << PM_OS_NODES | 1u << PM_OS_ADVISE, 1, true);
    test_arena_start(WINDOW_ARENAS);
    char *block = pm_span_alloc(3 * PM_ARENA_BYTES, 1, &zero);
    require(block != NULL && zero && pm_os_fault_calls() > 3 && pm_arena_check());
    test_dirty(block, 3 * PM_ARENA_BYTES);
}

static void memory_is_used_though_nothing_that_is_said_of_it_is_taken(void **state)
{
    char text[600];
    (void)state;
    assert_int_equal(
        test_stderr_of(use_though_refused, "mapping_names=on,huge_pages=never", text, sizeof text),
        0);
    assert_string_equal(text, "");
    assert_int_equal(
        test_stderr_of(use_though_refused, "mapping_names=on,numa=bind:0", text, sizeof text), 0);
    assert_non_null(strstr(text, "option numa=bind:0: the system refuses (error 38)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_default_there_are_no_names),
        cmocka_unit_test(with_names_tables_and_arenas_get_one_each),
        cmocka_unit_test(by_default_nobody_is_asked_for_nodes),
        cmocka_unit_test(by_default_core_dumps_cost_a_call_a_window_and_one_for_many_arenas),
        cmocka_unit_test(core_dumps_of_all_cost_no_call),
        cmocka_unit_test(memory_is_used_though_nothing_that_is_said_of_it_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
