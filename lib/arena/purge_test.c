/* SPDX-License-Identifier: MIT */
/* What is given back to the system: by the bound, by demand, and all of it on request. */
#include "arena/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <cmocka.h>

enum { HALF = PM_ARENA_UNITS / 2, ARENAS = 20 };

/* An arena as two runs. */
struct whole {
    struct pm_run half[2];
};

static struct whole take_whole(void)
{
    struct whole whole;
    for (int i = 0; i < 2; i++)
        require(pm_arena_take_run(HALF, &whole.half[i]));
    require(test_arena_number(whole.half[0].base) == test_arena_number(whole.half[1].base));
    return whole;
}

static void dirty_half(struct pm_run *run)
{
    test_dirty(run->base, (size_t)run->units << PM_UNIT_SHIFT);
    run->dirty = ~(uint64_t)0;
}

static void give_whole(struct whole *whole, bool dirty)
{
    for (int i = 0; i < 2; i++) {
        if (dirty)
            dirty_half(&whole->half[i]);
        pm_arena_give_run(&whole->half[i]);
    }
    require(pm_arena_check());
}

static void start(size_t keep_arenas)
{
    test_arena_start(4 * ARENAS);
    pm_options.keep_bytes = keep_arenas * PM_ARENA_BYTES;
}

static void take_all(struct whole *wholes, int count)
{
    for (int i = 0; i < count; i++)
        wholes[i] = take_whole();
}

ISOLATED(dirty_empty_arenas_within_the_bound_are_kept)
{
    struct whole wholes[3];
    start(3);
    take_all(wholes, 3);
    for (int i = 0; i < 3; i++)
        give_whole(&wholes[i], true);
    require(test_arena_stats().purged_arenas == 0);
    require(test_arena_stats().dirty_units == 3 * PM_ARENA_UNITS);
}

ISOLATED(dirty_empty_arenas_beyond_the_bound_are_purged_and_read_as_zero)
{
    struct whole wholes[ARENAS];
    start(3);
    take_all(wholes, ARENAS);
    for (int i = 0; i < ARENAS; i++)
        give_whole(&wholes[i], true);
    require(test_arena_stats().purged_arenas == ARENAS - 3);
    require(test_arena_stats().dirty_units == 3 * PM_ARENA_UNITS);
    require(test_arena_stats().free_units == ARENAS * PM_ARENA_UNITS);
    for (int i = 0; i < ARENAS; i++) {
        struct pm_run run;
        require(pm_arena_take_run(PM_ARENA_UNITS - 1, &run));
        size_t bytes = (size_t)run.units << PM_UNIT_SHIFT;
        require(run.dirty == 0 ? test_reads_as_zero(run.base, bytes)
                               : test_is_dirty(run.base, PM_UNIT_BYTES));
    }
}

ISOLATED(a_part_of_what_is_in_use_is_kept_besides)
{
    struct whole wholes[2 * PM_KEEP_PART + 4];
    start(1);
    take_all(wholes, 2 * PM_KEEP_PART + 4);
    for (int i = 0; i < 4; i++)
        give_whole(&wholes[i], true);
    require(test_arena_stats().purged_arenas == 1); /* kept: one, and two for those in use */
    require(test_arena_stats().dirty_units == 3 * PM_ARENA_UNITS);
}

ISOLATED(clean_empty_arenas_are_not_purged)
{
    struct whole wholes[4];
    start(0);
    take_all(wholes, 4);
    for (int i = 0; i < 4; i++)
        give_whole(&wholes[i], false);
    require(test_arena_stats().purged_arenas == 0 && test_arena_stats().dirty_units == 0);
}

ISOLATED(the_arena_that_was_emptied_first_is_purged_first)
{
    struct whole wholes[3];
    start(2);
    take_all(wholes, 3);
    for (int i = 0; i < 3; i++)
        give_whole(&wholes[i], true);
    require(test_reads_as_zero(wholes[0].half[0].base, PM_UNIT_BYTES));
    require(test_is_dirty(wholes[1].half[0].base, PM_UNIT_BYTES));
    require(test_is_dirty(wholes[2].half[0].base, PM_UNIT_BYTES));
}

/* An arena that is emptied, purged and needed again at times that the tests choose. */
static struct pm_arena *emptied_arena(void)
{
    struct whole whole;
    start(0);
    pm_options.keep_bytes = SIZE_MAX; /* until now_ns is ours */
    whole = take_whole();
    give_whole(&whole, true);
    pm_options.keep_bytes = 0;
    return pm_arena_of(&pm_window, pm_window_index(&pm_window, whole.half[0].base));
}

static void claim_at(struct pm_arena *a, uint64_t now_ns)
{
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_claim(a, 0, PM_ARENA_UNITS, now_ns);
    pm_lock_release(&pm_arena_lock);
}

static void empty_again(struct pm_arena *a)
{
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_unfile(a);
    pm_arena_add_units(a, ~(uint64_t)0, ~(uint64_t)0, 0);
    pm_arena_file(a);
    pm_lock_release(&pm_arena_lock);
}

static bool is_purged_at(const struct pm_arena *a, uint64_t now_ns)
{
    pm_purge_excess(0, now_ns);
    require(pm_arena_check());
    return a->dirty == 0;
}

ISOLATED(an_arena_that_was_missed_soon_after_its_purge_is_kept_until_demand_fades)
{
    const uint64_t now = 10 * PM_DEMAND_NS;
    struct pm_arena *a = emptied_arena();
    require(is_purged_at(a, now));
    claim_at(a, now + PM_DEMAND_NS / 2);
    empty_again(a);
    require(!is_purged_at(a, now + PM_DEMAND_NS));
    require(is_purged_at(a, now + 3 * PM_DEMAND_NS));
}

ISOLATED(an_arena_that_is_needed_long_after_its_purge_justifies_nothing)
{
    const uint64_t now = 10 * PM_DEMAND_NS;
    struct pm_arena *a = emptied_arena();
    require(is_purged_at(a, now));
    claim_at(a, now + 2 * PM_DEMAND_NS);
    empty_again(a);
    require(is_purged_at(a, now + 2 * PM_DEMAND_NS));
}

/* A thread reads the clock, and another one is faster to the lock. */
ISOLATED(a_clock_read_before_the_last_demand_does_not_fade_it)
{
    const uint64_t now = 10 * PM_DEMAND_NS;
    struct pm_arena *a = emptied_arena();
    require(is_purged_at(a, now));
    claim_at(a, now - 1);
    empty_again(a);
    require(!is_purged_at(a, now - 2));
}

static size_t resident_pages(const char *first, size_t bytes)
{
    unsigned char pages[PM_ARENA_BYTES / 4096];
    size_t resident = 0, count = bytes / pm_os_page_bytes();
    require(mincore((void *)(uintptr_t)first, bytes, pages) == 0);
    for (size_t i = 0; i < count; i++)
        resident += pages[i] & 1;
    return resident;
}

ISOLATED(purge_all_gives_back_empty_and_partly_free_arenas_and_spares_what_lives)
{
    struct whole wholes[4];
    size_t half_bytes = (size_t)HALF << PM_UNIT_SHIFT;
    test_arena_start(4 * ARENAS);
    take_all(wholes, 4);
    for (int i = 0; i < 2; i++)
        give_whole(&wholes[i], true);
    for (int i = 2; i < 4; i++) {
        dirty_half(&wholes[i].half[0]);
        dirty_half(&wholes[i].half[1]);
        pm_arena_give_run(&wholes[i].half[0]);
    }
    require(test_arena_stats().dirty_units == 3 * PM_ARENA_UNITS);
    require(pm_arena_purge_all() && pm_arena_check());
    require(test_arena_stats().dirty_units == 0);
    require(test_arena_stats().purged_arenas == 2);
    require(test_arena_stats().free_units == 3 * PM_ARENA_UNITS);
    for (int i = 2; i < 4; i++) {
        require(resident_pages(wholes[i].half[0].base, half_bytes) == 0);
        require(test_is_dirty(wholes[i].half[1].base, half_bytes));
    }
    require(resident_pages(wholes[0].half[0].base, half_bytes) == 0);
    require(test_reads_as_zero(wholes[0].half[0].base, half_bytes));
}

ISOLATED(purge_all_says_whether_there_was_something)
{
    struct whole whole;
    test_arena_start(ARENAS);
    require(!pm_arena_purge_all());
    whole = take_whole();
    require(!pm_arena_purge_all());
    give_whole(&whole, true);
    require(pm_arena_purge_all());
    require(!pm_arena_purge_all());
}

ISOLATED(only_the_dirty_units_of_an_arena_in_use_are_purged)
{
    struct whole whole;
    test_arena_start(ARENAS);
    whole = take_whole();
    whole.half[0].dirty = 0xff;
    test_dirty(whole.half[0].base, 9 * PM_UNIT_BYTES); /* one more than it is said to */
    pm_arena_give_run(&whole.half[0]);
    require(test_arena_stats().dirty_units == 8);
    require(pm_arena_purge_all() && pm_arena_check());
    require(test_reads_as_zero(whole.half[0].base, 8 * PM_UNIT_BYTES));
    const char *ninth = whole.half[0].base + 8 * PM_UNIT_BYTES;
    require(!test_reads_as_zero(ninth, PM_UNIT_BYTES));
}

#define DELAY_NS ((uint64_t)PM_PURGE_DELAY_MS_DEFAULT * 1000000)
#define TICK_NS ((uint64_t)1 << PM_TICK_SHIFT)

/* Gives the run back, dirty, at a time that the test chooses. */
static void give_at(const struct pm_run *run, uint64_t now_ns)
{
    struct pm_window *w = pm_window_find(run->base);
    struct pm_arena *a = pm_arena_of(w, pm_window_index(w, run->base));
    uint64_t units = pm_bits_run(test_unit_place(run->base), run->units);
    test_dirty(run->base, (size_t)run->units << PM_UNIT_SHIFT);
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_unfile(a);
    pm_arena_add_units(a, units, units, now_ns);
    pm_arena_file(a);
    pm_lock_release(&pm_arena_lock);
}

ISOLATED(what_nobody_touched_for_the_delay_is_purged_at_the_next_tick_and_not_before)
{
    const uint64_t now = 10 * PM_DEMAND_NS;
    struct pm_run used, runs[2];
    test_needs_small_pages();
    start(SIZE_MAX);
    require(pm_arena_take_run(1, &used)); /* the arena stays in use */
    require(pm_arena_take_run(3, &runs[0]) && pm_arena_take_run(5, &runs[1]));
    give_at(&runs[0], now);
    give_at(&runs[1], now + DELAY_NS / 2);
    pm_arena_tick(now + DELAY_NS + TICK_NS);
    require(test_arena_stats().dirty_units == 8); /* the arena was touched since */
    pm_arena_tick(now + DELAY_NS / 2 + DELAY_NS + 2 * TICK_NS);
    require(test_arena_stats().dirty_units == 0 && pm_arena_check());
    require(test_arena_stats().purged_units == 8);
    for (int i = 0; i < 2; i++)
        require(test_reads_as_zero(runs[i].base, (size_t)runs[i].units << PM_UNIT_SHIFT));
    require(pm_load_relaxed(&pm_purge_deadline_ns) == PM_PURGE_NEVER);
}

ISOLATED(a_deadline_that_is_looked_at_with_an_earlier_clock_is_kept)
{
    const uint64_t now = 10 * PM_DEMAND_NS;
    struct pm_run run;
    start(SIZE_MAX);
    require(pm_arena_take_run(3, &run));
    give_at(&run, now);
    pm_purge_due(now - PM_DEMAND_NS);
    require(test_arena_stats().dirty_units == 3);
    pm_arena_tick(now + DELAY_NS + 2 * TICK_NS);
    require(test_arena_stats().dirty_units == 0 && pm_arena_check());
}

ISOLATED(a_deadline_purges_in_slices_until_all_is_done)
{
    const uint64_t now = 10 * PM_DEMAND_NS;
    struct pm_run runs[3 * PM_PURGE_SLICE_ARENAS];
    start(SIZE_MAX);
    for (size_t i = 0; i < 3 * PM_PURGE_SLICE_ARENAS; i++)
        require(pm_arena_take_run(PM_ARENA_UNITS - 1, &runs[i]));
    for (size_t i = 0; i < 3 * PM_PURGE_SLICE_ARENAS; i++)
        give_at(&runs[i], now);
    for (int slice = 1; slice <= 3; slice++) {
        pm_arena_tick(now + DELAY_NS + TICK_NS + (uint64_t)slice * PM_PURGE_PAUSE_NS);
        require(test_arena_stats().purged_arenas == (unsigned)slice * PM_PURGE_SLICE_ARENAS);
    }
    require(test_arena_stats().dirty_units == 0 && pm_arena_check());
}

/* A limit on data makes the system charge committed memory, as strict overcommit does. Far off:
 * sanitizers map much. */
static void start_charged(size_t keep_arenas)
{
    test_limit(RLIMIT_DATA, (rlim_t)1 << 60);
    start(keep_arenas);
    require(pm_os_charges_commit());
}

ISOLATED(where_commit_is_charged_whole_arenas_are_decommitted_and_come_back_as_zero)
{
    struct whole wholes[4], again;
    start_charged(1);
    take_all(wholes, 4);
    for (int i = 0; i < 4; i++)
        give_whole(&wholes[i], true);
    require(test_arena_stats().decommitted_arenas == 3);
    for (int i = 0; i < 4; i++)
        again = take_whole();
    require(test_arena_stats().decommitted_arenas == 0 && test_arena_stats().arenas == 4);
    require(test_reads_as_zero(again.half[0].base, PM_UNIT_BYTES * HALF));
}

ISOLATED(large_blocks_use_decommitted_arenas_again)
{
    bool zero = false;
    start_charged(0);
    char *block = pm_span_alloc(5 * PM_ARENA_BYTES, 1, &zero);
    test_dirty(block, 5 * PM_ARENA_BYTES);
    pm_span_free(&pm_window, block, "free");
    require(test_arena_stats().decommitted_arenas == 5 && pm_arena_check());
    require(pm_span_alloc(4 * PM_ARENA_BYTES, 1, &zero) == block && zero);
    require(test_reads_as_zero(block, 4 * PM_ARENA_BYTES));
    require(test_arena_stats().decommitted_arenas == 1 && pm_arena_check());
    require(!pm_span_resize(&pm_window, block, 5 * PM_ARENA_BYTES, "realloc"));
}

ISOLATED(arenas_purged_in_part_get_no_huge_pages_until_they_are_full_again)
{
    struct pm_run used, rest;
    test_needs_small_pages();
    start(SIZE_MAX);
    require(pm_options_parse("huge_pages=always"));
    require(pm_arena_take_run(1, &used) && pm_arena_take_run(PM_ARENA_UNITS - 1, &rest));
    struct pm_arena *a = pm_arena_of(&pm_window, pm_window_index(&pm_window, used.base));
    dirty_half(&rest);
    pm_arena_give_run(&rest);
    require(pm_arena_purge_all() && a->no_huge);
    require(pm_arena_take_run(PM_ARENA_UNITS - 1, &rest) && rest.dirty == 0 && !a->no_huge);
    pm_arena_give_run(&rest);
    require(pm_arena_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dirty_empty_arenas_within_the_bound_are_kept),
        cmocka_unit_test(dirty_empty_arenas_beyond_the_bound_are_purged_and_read_as_zero),
        cmocka_unit_test(a_part_of_what_is_in_use_is_kept_besides),
        cmocka_unit_test(clean_empty_arenas_are_not_purged),
        cmocka_unit_test(the_arena_that_was_emptied_first_is_purged_first),
        cmocka_unit_test(an_arena_that_was_missed_soon_after_its_purge_is_kept_until_demand_fades),
        cmocka_unit_test(an_arena_that_is_needed_long_after_its_purge_justifies_nothing),
        cmocka_unit_test(a_clock_read_before_the_last_demand_does_not_fade_it),
        cmocka_unit_test(purge_all_gives_back_empty_and_partly_free_arenas_and_spares_what_lives),
        cmocka_unit_test(purge_all_says_whether_there_was_something),
        cmocka_unit_test(only_the_dirty_units_of_an_arena_in_use_are_purged),
        cmocka_unit_test(
            what_nobody_touched_for_the_delay_is_purged_at_the_next_tick_and_not_before),
        cmocka_unit_test(a_deadline_that_is_looked_at_with_an_earlier_clock_is_kept),
        cmocka_unit_test(a_deadline_purges_in_slices_until_all_is_done),
        cmocka_unit_test(
            where_commit_is_charged_whole_arenas_are_decommitted_and_come_back_as_zero),
        cmocka_unit_test(large_blocks_use_decommitted_arenas_again),
        cmocka_unit_test(arenas_purged_in_part_get_no_huge_pages_until_they_are_full_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
