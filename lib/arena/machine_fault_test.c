/* SPDX-License-Identifier: MIT */
/* Other machines than this one: pages larger than a unit, and addresses that do not fit. */
#include "arena/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { IN_PAGE = 4, RUNS = PM_ARENA_UNITS / IN_PAGE };
#define PAGE_BYTES (IN_PAGE * PM_UNIT_BYTES)

/* An arena, or nearly, as runs of a page each, all taken and dirty. */
static void start(struct pm_run *runs, unsigned count)
{
    pm_os_double_set_machine(PAGE_BYTES, 0);
    test_arena_start(8);
    for (unsigned i = 0; i < count; i++) {
        require(pm_arena_take_run(IN_PAGE, &runs[i]));
        require((uintptr_t)runs[i].base % PAGE_BYTES == 0);
        test_dirty(runs[i].base, PAGE_BYTES);
        runs[i].dirty = ~(uint64_t)0;
    }
}

/* The first `units` of a run; the others stay in use. */
static void give_part(const struct pm_run *run, unsigned units)
{
    struct pm_run part = {run->base, units, run->dirty};
    pm_arena_give_run(&part);
}

ISOLATED(whole_pages_go_back_and_the_page_of_a_unit_in_use_stays)
{
    struct pm_run runs[RUNS];
    start(runs, RUNS);
    give_part(&runs[0], IN_PAGE - 1);
    for (unsigned i = 1; i < 4; i++)
        pm_arena_give_run(&runs[i]); /* one run of free units with the part before it */
    require(pm_arena_purge_all() && pm_arena_check());
    require(test_arena_stats().dirty_units == IN_PAGE - 1);
    require(test_is_dirty(runs[0].base, PAGE_BYTES));
    require(test_reads_as_zero(runs[1].base, 3 * PAGE_BYTES));
    require(!pm_arena_purge_all() && pm_arena_check());
}

ISOLATED(a_page_goes_back_when_its_last_unit_is_free_even_if_that_one_is_clean)
{
    struct pm_run runs[RUNS];
    start(runs, RUNS);
    give_part(&runs[0], IN_PAGE - 1);
    struct pm_run last = {runs[0].base + (IN_PAGE - 1) * PM_UNIT_BYTES, 1, 0};
    pm_arena_give_run(&last);
    require(pm_arena_purge_all() && test_arena_stats().dirty_units == 0 && pm_arena_check());
    require(test_reads_as_zero(runs[0].base, PAGE_BYTES));
}

ISOLATED(arenas_without_a_free_page_do_not_keep_the_others_from_being_purged)
{
    struct pm_run runs[2 * RUNS];
    start(runs, 2 * RUNS);
    require(test_arena_number(runs[0].base) != test_arena_number(runs[RUNS].base));
    give_part(&runs[0], 1); /* longest dirty, and nothing to be done about it */
    for (unsigned i = RUNS + 1; i < 2 * RUNS; i++) /* one stays: a wholly free one comes first */
        pm_arena_give_run(&runs[i]);
    pm_options.keep_bytes = 0;
    pm_purge_excess(0, pm_os_now_ns());
    require(test_arena_stats().purged_units == PM_ARENA_UNITS - IN_PAGE && pm_arena_check());
    require(test_arena_stats().dirty_units == 1);
}

ISOLATED(where_no_page_is_free_the_system_is_not_asked_and_nobody_looks_again_at_once)
{
    struct pm_run runs[RUNS];
    start(runs, RUNS);
    for (unsigned i = 1; i < RUNS; i++)
        give_part(&runs[i], IN_PAGE - 1);
    pm_options.keep_bytes = 0;
    pm_os_fault_set(0, false);
    pm_purge_excess(0, pm_os_now_ns());
    pm_arena_give_run(&runs[0]);
    require(pm_os_fault_calls() == 0 && pm_arena_check());
    pm_purge_excess(0, pm_os_now_ns() + 2 * PM_DEMAND_NS);
    require(pm_os_fault_calls() == 1 && test_arena_stats().purged_units == IN_PAGE);
}

ISOLATED(what_is_due_by_deadline_but_has_no_free_page_waits_for_another_delay)
{
    struct pm_run runs[RUNS];
    start(runs, RUNS);
    give_part(&runs[0], 1);
    uint64_t now_ns = pm_os_now_ns() + 2 * pm_purge_delay_ns();
    pm_purge_due(now_ns);
    require(pm_load_relaxed(&pm_purge_deadline_ns) > now_ns + pm_purge_delay_ns() / 2);
    require(pm_load_relaxed(&pm_purge_deadline_ns) <= now_ns + pm_purge_delay_ns());
    require(test_arena_stats().dirty_units == 1 && pm_arena_check());
}

static void take_clean_units(unsigned units)
{
    struct pm_run run;
    pm_options.keep_bytes = 0;
    require(pm_arena_take_run(units, &run) && run.dirty == 0);
    pm_arena_settle();
    require(pm_arena_check());
}

/* A wholly free arena of dirty units that rested, and one with clean units. */
static void start_at_the_peak(void)
{
    struct pm_run runs[RUNS + 1];
    require(pm_options_parse("huge_pages=always"));
    start(runs, RUNS);
    require(pm_arena_take_run(1, &runs[RUNS]));
    for (unsigned i = 0; i < RUNS; i++)
        pm_arena_give_run(&runs[i]);
    test_dirty_earlier(runs[0].base, PM_PEAK_REST_TICKS);
}

ISOLATED(at_the_peak_as_few_pages_go_as_hold_what_was_taken)
{
    start_at_the_peak();
    take_clean_units(IN_PAGE + 1);
    require(test_arena_stats().purged_units == 2 * IN_PAGE);
    require(test_arena_stats().no_huge_arenas == 1);
}

ISOLATED(an_arena_of_which_every_page_goes_at_the_peak_goes_as_a_whole)
{
    start_at_the_peak();
    take_clean_units(PM_ARENA_UNITS - 2);
    require(test_arena_stats().purged_arenas == 1 && test_arena_stats().no_huge_arenas == 0);
}

ISOLATED(at_the_peak_an_arena_without_a_free_page_does_not_keep_the_next_from_being_purged)
{
    struct pm_run runs[2 * RUNS + 1];
    start(runs, 2 * RUNS + 1);
    for (unsigned i = 1; i < 4; i++)
        pm_arena_give_run(&runs[RUNS + i]);
    give_part(&runs[0], 1);
    test_dirty_earlier(runs[RUNS].base, PM_PEAK_REST_TICKS);
    test_dirty_earlier(runs[0].base, PM_PEAK_REST_TICKS);
    take_clean_units(4 * IN_PAGE);
    require(test_arena_stats().purged_units == 3 * IN_PAGE);
    require(test_arena_stats().dirty_units == 1);
}

static void start_above_the_addresses_that_fit(const void *place)
{
    pm_options.window_bytes = 4 * PM_ARENA_BYTES;
    pm_os_init();
    pm_os_double_set_machine(0, 0);
    for (int i = 0; i < 2; i++) {
        pm_os_double_set_place((uintptr_t)place);
        require(pm_arena_init() && pm_window_base(&pm_window) < (uintptr_t)place);
        require(pm_window.arenas_end - pm_window.first_arena == 2); /* the next try, of half */
        pm_store_relaxed(&pm_window.units, 0);                      /* another start-up */
    }
}

ISOLATED(a_window_above_the_address_bits_that_are_packed_is_refused_and_said_once)
{
    char text[1024];
    const void *place = (void *)((uintptr_t)1 << PM_ADDRESS_BITS);
#ifdef __SANITIZE_THREAD__
    test_skipped("ThreadSanitizer ends a program that unmaps such an address");
#endif
    int status = test_stderr_of(start_above_the_addresses_that_fit, place, text, sizeof text);
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    const char *said = strstr(text, "poolmalloc: the system gave memory at");
    require(said != NULL && strstr(said + 1, "poolmalloc:") == NULL);
}

static void start_with_pages_above_an_arena(const void *unused)
{
    (void)unused;
    pm_options.window_bytes = 4 * PM_ARENA_BYTES;
    pm_os_init();
    pm_os_double_set_machine(2 * PM_ARENA_BYTES, 0);
    _exit(pm_arena_init() ? 0 : 2);
}

ISOLATED(pages_larger_than_an_arena_are_refused_and_said)
{
    char text[1024];
    int status = test_stderr_of(start_with_pages_above_an_arena, NULL, text, sizeof text);
    require(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    require(strstr(text, "larger than an arena") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_pages_go_back_and_the_page_of_a_unit_in_use_stays),
        cmocka_unit_test(a_page_goes_back_when_its_last_unit_is_free_even_if_that_one_is_clean),
        cmocka_unit_test(arenas_without_a_free_page_do_not_keep_the_others_from_being_purged),
        cmocka_unit_test(
            where_no_page_is_free_the_system_is_not_asked_and_nobody_looks_again_at_once),
        cmocka_unit_test(what_is_due_by_deadline_but_has_no_free_page_waits_for_another_delay),
        cmocka_unit_test(at_the_peak_as_few_pages_go_as_hold_what_was_taken),
        cmocka_unit_test(an_arena_of_which_every_page_goes_at_the_peak_goes_as_a_whole),
        cmocka_unit_test(
            at_the_peak_an_arena_without_a_free_page_does_not_keep_the_next_from_being_purged),
        cmocka_unit_test(a_window_above_the_address_bits_that_are_packed_is_refused_and_said_once),
        cmocka_unit_test(pages_larger_than_an_arena_are_refused_and_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
