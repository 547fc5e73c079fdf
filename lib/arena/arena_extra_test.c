/* SPDX-License-Identifier: MIT */
/*
 * The check of the arena layer names each violation that it looks for, and lists made anew from the
 * arenas' bits are those that were there before.
 */
#include "arena/span_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 16, RUN_UNITS = 5 };

static void check_fails(const void *arg)
{
    (void)arg;
    require(!pm_arena_check());
}

static void require_report(const char *what)
{
    char text[400];
    require(test_stderr_of(check_fails, NULL, text, sizeof text) == 0);
    if (strstr(text, what) == NULL)
        fprintf(stderr, "expected \"%s\", not: %s", what, text);
    require(strncmp(text, "poolmalloc: arena check: ", 25) == 0 && strstr(text, what) != NULL);
}

/* An arena with free and used units, none of them dirty. */
static struct pm_arena *arena_in_part_used(void)
{
    struct pm_run run;
    test_arena_start(WINDOW_ARENAS);
    require(pm_arena_take_run(RUN_UNITS, &run) && pm_arena_check());
    return pm_arena_of(&pm_window, pm_window_index(&pm_window, run.base));
}

ISOLATED(a_dirty_unit_that_is_in_use_is_reported)
{
    struct pm_arena *a = arena_in_part_used();
    a->dirty |= ~a->free;
    require_report("a unit in use is called dirty");
}

ISOLATED(free_units_that_are_miscounted_are_reported)
{
    struct pm_arena *a = arena_in_part_used();
    a->free_units++;
    require_report("free units miscounted");
}

ISOLATED(a_wrong_bit_of_the_empty_arenas_is_reported)
{
    struct pm_arena *a = arena_in_part_used();
    pm_window.empties[a->index / 64] |= (uint64_t)1 << a->index % 64;
    require_report("the bit of empty arenas is wrong");
}

ISOLATED(an_arena_with_dirty_units_that_is_not_in_their_list_is_reported)
{
    struct pm_arena *a = arena_in_part_used();
    a->dirty = a->free;
    require_report("in the list of dirty arenas, or not");
}

ISOLATED(an_arena_in_the_wrong_list_is_reported)
{
    struct pm_arena *a = arena_in_part_used();
    a->place = PM_NOWHERE;
    require_report("in the wrong list");
}

ISOLATED(an_arena_in_the_wrong_bin_is_reported)
{
    struct pm_arena *a = arena_in_part_used();
    a->longest--;
    require_report("in the wrong bin");
}

ISOLATED(totals_that_do_not_add_up_are_reported)
{
    arena_in_part_used();
    pm_arena_totals.arenas++;
    require_report("totals do not add up");
}

/* Charged memory, so that empty arenas are decommitted. */
static void limit_data(void)
{
    test_limit(RLIMIT_DATA, (rlim_t)1 << 60);
    require(pm_os_charges_commit());
}

ISOLATED(lists_made_anew_know_of_large_blocks_and_of_decommitted_arenas)
{
    test_arena_start(4 * WINDOW_ARENAS);
    limit_data();
    char *small = simple_span(RUN_UNITS), *large = simple_span(3 * PM_ARENA_UNITS - 2);
    span_free(simple_span(5 * PM_ARENA_UNITS));
    require(pm_arena_purge_all());
    struct pm_arena_stats before = test_arena_stats();
    require(before.decommitted_arenas == 5);
    pm_arena_rebuild_in_child();
    struct pm_arena_stats after = test_arena_stats();
    require(pm_arena_check());
    require(after.span_units == before.span_units);
    require(after.span_held_units == before.span_held_units);
    require(after.decommitted_arenas == 5 && after.free_units == before.free_units);
    test_dirty(simple_span(5 * PM_ARENA_UNITS), 5 * PM_ARENA_BYTES); /* committed again */
    span_free(small);
    span_free(large);
    require(test_arena_stats().span_units == 5 * PM_ARENA_UNITS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dirty_unit_that_is_in_use_is_reported),
        cmocka_unit_test(free_units_that_are_miscounted_are_reported),
        cmocka_unit_test(a_wrong_bit_of_the_empty_arenas_is_reported),
        cmocka_unit_test(an_arena_with_dirty_units_that_is_not_in_their_list_is_reported),
        cmocka_unit_test(an_arena_in_the_wrong_list_is_reported),
        cmocka_unit_test(an_arena_in_the_wrong_bin_is_reported),
        cmocka_unit_test(totals_that_do_not_add_up_are_reported),
        cmocka_unit_test(lists_made_anew_know_of_large_blocks_and_of_decommitted_arenas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
