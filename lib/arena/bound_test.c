/* SPDX-License-Identifier: MIT */
/* The peak: what is kept does not make the process larger than it ever was. */
#include "arena/hooks_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <cmocka.h>

/* So many arenas in use let two lie dirty. */
enum { HALF = PM_ARENA_UNITS / 2, ARENAS = 2 * PM_KEEP_PART + 4 };

static struct pm_run runs[ARENAS]; /* whole arenas */
static struct pm_run half;         /* of an arena whose other half is clean */

static struct pm_run take(unsigned units)
{
    struct pm_run run;
    require(pm_arena_take_run(units, &run));
    pm_arena_settle();
    return run;
}

static struct pm_group take_group(void)
{
    struct pm_group group;
    require(pm_arena_take_group(&group));
    pm_arena_settle();
    return group;
}

static char *take_span(size_t arenas)
{
    bool zero = false;
    char *block = pm_span_alloc(arenas * PM_ARENA_BYTES, 1, &zero);
    require(block != NULL && pm_arena_check());
    return block;
}

/* An arena is longer than a run may be. */
static struct pm_run take_arena(void)
{
    struct pm_run run = take(HALF), rest = take(HALF);
    require(test_arena_number(run.base) == test_arena_number(rest.base));
    run.units = PM_ARENA_UNITS;
    return run;
}

static void start(void)
{
    test_arena_start(4 * ARENAS);
    pm_options.keep_bytes = 0;
    pm_options.purge_delay_ms = SIZE_MAX; /* however slow the machine is */
    for (int i = 0; i < ARENAS; i++)
        runs[i] = take_arena();
    half = take(HALF);
}

static void give(struct pm_run *run, bool dirty)
{
    if (dirty)
        test_dirty(run->base, (size_t)run->units << PM_UNIT_SHIFT);
    run->dirty = dirty ? ~(uint64_t)0 : 0;
    pm_arena_give_run(run);
    require(pm_arena_check());
}

/* Dirty, and left alone for long. */
static void give_rested(struct pm_run *run)
{
    give(run, true);
    test_dirty_earlier(run->base, PM_PEAK_REST_TICKS);
}

/* Some units at the start of a whole arena. */
static void give_part(struct pm_run *run, unsigned units)
{
    struct pm_run part = {.base = run->base, .units = units};
    give(&part, true);
}

static uint64_t dirty_units(void)
{
    return test_arena_stats().dirty_units;
}

static size_t excess(size_t more_units)
{
    pm_lock_acquire(&pm_arena_lock);
    size_t units = pm_peak_excess(more_units);
    pm_lock_release(&pm_arena_lock);
    return units;
}

ISOLATED(who_takes_clean_units_at_the_peak_purges_as_many_dirty_ones)
{
    test_needs_small_pages();
    start();
    give_rested(&runs[0]);
    require(dirty_units() == PM_ARENA_UNITS);
    require(take(HALF).dirty == 0);
    require(test_arena_stats().purged_units == HALF && dirty_units() == HALF);
    const char *base = runs[0].base;
    size_t bytes = (size_t)HALF << PM_UNIT_SHIFT;
    require(test_is_dirty(base, bytes) && test_reads_as_zero(base + bytes, bytes));
    require(pm_arena_check());
}

ISOLATED(below_the_peak_nothing_is_purged_for_clean_units)
{
    start();
    give_rested(&runs[0]);
    give(&runs[1], false);
    require(take(HALF).dirty == 0);
    require(test_arena_stats().purged_units == 0 && dirty_units() == PM_ARENA_UNITS);
}

ISOLATED(what_was_purged_at_the_peak_makes_room_for_as_much)
{
    test_needs_small_pages();
    start();
    give_rested(&runs[0]);
    take(HALF);
    give(&half, false);
    take(HALF);
    require(test_arena_stats().purged_units == HALF);
}

ISOLATED(what_came_back_just_now_is_not_purged_and_the_peak_grows)
{
    start();
    give(&runs[0], true);
    test_dirty_earlier(runs[0].base, -1000000);
    require(take(HALF).dirty == 0);
    require(test_arena_stats().purged_units == 0 && dirty_units() == PM_ARENA_UNITS);
    test_dirty_earlier(runs[0].base, 1000000 + PM_PEAK_REST_TICKS);
    require(excess(0) == 0 && excess(1) == 1);
}

ISOLATED(at_a_limit_nothing_is_on_its_way_to_the_system_that_another_thread_may_want)
{
    start();
    give_rested(&runs[0]);
    pm_options.limit_bytes = 4 * ARENAS * PM_ARENA_BYTES;
    require(take(HALF).dirty == 0);
    require(test_arena_stats().purged_units == 0 && dirty_units() == PM_ARENA_UNITS);
    require(excess(0) == 0);
}

ISOLATED(a_group_at_the_peak_is_one_of_dirty_units_of_the_fullest_arena_in_use)
{
    start();
    take(HALF - PM_GROUP_UNITS); /* of the fullest arena, whose last units are clean */
    give(&runs[0], true);
    give_part(&runs[1], 2 * PM_GROUP_UNITS);
    give_part(&runs[2], PM_GROUP_UNITS + 4);
    give_part(&runs[3], 3 * PM_GROUP_UNITS);
    struct pm_group group = take_group();
    require(test_arena_number(group.base) == test_arena_number(runs[2].base));
    require(group.dirty == 0xff && test_arena_stats().purged_units == 0);
}

ISOLATED(below_the_peak_a_group_comes_from_the_fullest_arena)
{
    start();
    give_part(&runs[0], HALF + PM_GROUP_UNITS);
    give(&runs[1], false);
    require(test_arena_number(take_group().base) == test_arena_number(half.base));
}

/* An arena with a clean group, and one of which two units are free and dirty. */
static void start_with_a_clean_and_a_dirty_group(void)
{
    start();
    struct pm_run clean = {.base = runs[0].base, .units = PM_GROUP_UNITS};
    pm_arena_give_run(&clean);
    struct pm_run dirty = {runs[0].base + PM_GROUP_UNITS * PM_UNIT_BYTES, 2, 3};
    pm_arena_give_run(&dirty);
    test_dirty_earlier(dirty.base, -1000000); /* and stays so */
}

ISOLATED(a_group_at_the_peak_is_one_of_few_dirty_units_before_one_of_many_clean_ones)
{
    start_with_a_clean_and_a_dirty_group();
    take(HALF);
    struct pm_group group = take_group();
    require(group.units == 3 && group.dirty == 3);
}

ISOLATED(below_the_peak_a_group_is_one_of_many_clean_units_before_one_of_few_dirty_ones)
{
    start_with_a_clean_and_a_dirty_group();
    give(&runs[1], false);
    require(take_group().units == 0xff);
}

ISOLATED(a_large_block_at_the_peak_has_what_is_dirty_purged)
{
    start();
    give_rested(&runs[0]);
    require(test_reads_as_zero(take_span(2), 2 * PM_ARENA_BYTES));
    require(dirty_units() == 0);
}

/* Others rest, not side by side. The old place is free and clean then. */
ISOLATED(a_large_block_that_moves_is_in_use_once)
{
    start();
    char *block = take_span(2);
    test_dirty(block, 2 * PM_ARENA_BYTES);
    for (int i = 0; i < 6; i += 2)
        give_rested(&runs[i]);
    require(excess(0) == 0 && excess(1) == 0);
    pm_lock_acquire(&pm_arena_lock);
    pm_peak_accept();
    pm_lock_release(&pm_arena_lock);
    char *moved = pm_span_move(&pm_window, block, 3 * PM_ARENA_BYTES, "realloc");
    require(moved != NULL && moved != block && pm_arena_check());
    require(test_arena_stats().purged_units == PM_ARENA_UNITS);
    require(dirty_units() == 2 * PM_ARENA_UNITS && excess(0) == 0 && excess(1) == 1);
}

/* Who wants units while they are on their way to the system would be refused. */
ISOLATED(where_no_arena_can_be_added_nothing_goes_for_the_peak)
{
    test_needs_small_pages();
    start();
    give_rested(&runs[0]);
    pm_window.closed = true;
    take(HALF);
    require(test_arena_stats().purged_units == 0 && dirty_units() == PM_ARENA_UNITS);
}

ISOLATED(of_wholly_free_arenas_the_one_that_was_purged_in_part_is_used_last)
{
    test_needs_small_pages();
    start();
    give_rested(&runs[1]);
    give_rested(&runs[0]); /* it rests longer, and came back later */
    take(HALF);
    require(test_arena_stats().purged_units == HALF);
    pm_lock_acquire(&pm_arena_lock);
    char *first = pm_arena_base(pm_arena_find(PM_ARENA_UNITS));
    char *last = pm_arena_base(pm_arena_oldest_dirty_empty());
    pm_lock_release(&pm_arena_lock);
    require(first == runs[1].base && last == runs[0].base);
}

static struct test_book book;
static uint64_t spans_then, purging_then;

static void look_at_spans(void)
{
    spans_then = test_arena_stats().spans;
    purging_then = test_arena_stats().purging_units;
}

/* So a fork meanwhile loses nothing. */
ISOLATED(what_goes_for_a_large_block_goes_when_the_block_is_one)
{
    test_needs_small_pages();
    test_open_book(&book);
    start();
    give_rested(&runs[0]);
    book.inside = look_at_spans;
    take_span(2);
    require(book.purges + book.decommits == 1 && spans_then == 1);
    give_rested(&runs[2]);
    bool zero = false;
    require(pm_span_alloc(2 * PM_UNIT_BYTES, 1, &zero) != NULL);
    require(book.purges + book.decommits == 2 && spans_then == 2);
}

ISOLATED(an_arena_that_is_committed_again_is_neither_free_nor_resident)
{
    test_open_book(&book);
    start();
    give(&runs[0], true);
    require(pm_arena_purge_all() && test_arena_stats().decommitted_arenas == 1);
    take(HALF);
    book.inside = look_at_spans;
    unsigned commits = book.commits;
    take_arena();
    require(book.commits == commits + 1 && purging_then == PM_ARENA_UNITS);
    require(test_arena_stats().purging_units == 0 && excess(0) == 0 && excess(1) == 1);
}

ISOLATED(a_large_block_that_grows_at_the_peak_has_as_much_purged)
{
    bool zero;
    test_needs_small_pages();
    start();
    char *block = pm_span_alloc(PM_UNIT_BYTES, 1, &zero); /* in the arena with a clean half */
    give_rested(&runs[0]);
    require(pm_span_resize(&pm_window, block, HALF * PM_UNIT_BYTES, "realloc"));
    require(test_arena_stats().purged_units == HALF - 1 && pm_arena_check());
}

ISOLATED(what_keep_bytes_allows_is_no_peak)
{
    start();
    give_rested(&runs[0]);
    pm_options.keep_bytes = 4 * ARENAS * PM_ARENA_BYTES;
    take(HALF);
    require(test_arena_stats().purged_units == 0 && dirty_units() == PM_ARENA_UNITS);
}

ISOLATED(when_as_much_as_the_peak_was_purged_for_it_the_peak_may_grow)
{
    start();
    pm_lock_acquire(&pm_arena_lock);
    pm_peak_purged(ARENAS * PM_ARENA_UNITS + HALF);
    pm_lock_release(&pm_arena_lock);
    give_rested(&runs[0]);
    require(take(HALF).dirty == 0);
    require(test_arena_stats().purged_units == 0 && dirty_units() == PM_ARENA_UNITS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_takes_clean_units_at_the_peak_purges_as_many_dirty_ones),
        cmocka_unit_test(below_the_peak_nothing_is_purged_for_clean_units),
        cmocka_unit_test(what_was_purged_at_the_peak_makes_room_for_as_much),
        cmocka_unit_test(what_came_back_just_now_is_not_purged_and_the_peak_grows),
        cmocka_unit_test(
            at_a_limit_nothing_is_on_its_way_to_the_system_that_another_thread_may_want),
        cmocka_unit_test(a_group_at_the_peak_is_one_of_dirty_units_of_the_fullest_arena_in_use),
        cmocka_unit_test(below_the_peak_a_group_comes_from_the_fullest_arena),
        cmocka_unit_test(
            a_group_at_the_peak_is_one_of_few_dirty_units_before_one_of_many_clean_ones),
        cmocka_unit_test(
            below_the_peak_a_group_is_one_of_many_clean_units_before_one_of_few_dirty_ones),
        cmocka_unit_test(a_large_block_at_the_peak_has_what_is_dirty_purged),
        cmocka_unit_test(a_large_block_that_moves_is_in_use_once),
        cmocka_unit_test(where_no_arena_can_be_added_nothing_goes_for_the_peak),
        cmocka_unit_test(of_wholly_free_arenas_the_one_that_was_purged_in_part_is_used_last),
        cmocka_unit_test(what_goes_for_a_large_block_goes_when_the_block_is_one),
        cmocka_unit_test(an_arena_that_is_committed_again_is_neither_free_nor_resident),
        cmocka_unit_test(a_large_block_that_grows_at_the_peak_has_as_much_purged),
        cmocka_unit_test(when_as_much_as_the_peak_was_purged_for_it_the_peak_may_grow),
        cmocka_unit_test(what_keep_bytes_allows_is_no_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
