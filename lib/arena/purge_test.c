/* SPDX-License-Identifier: MIT */
/* What is given back to the system: by the bound, by demand, and all of it on request. */
#include "arena/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
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
    a->free = a->dirty = ~(uint64_t)0;
    pm_arena_file(a);
    pm_lock_release(&pm_arena_lock);
}

static bool is_purged_at(const struct pm_arena *a, uint64_t now_ns)
{
    pm_purge_excess(now_ns);
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
    require(is_purged_at(a, now + 2 * PM_DEMAND_NS));
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

ISOLATED(only_the_dirty_units_of_an_empty_arena_are_purged)
{
    struct whole whole;
    test_arena_start(ARENAS);
    whole = take_whole();
    whole.half[0].dirty = 0xff;
    test_dirty(whole.half[0].base, 9 * PM_UNIT_BYTES); /* one more than it is said to */
    pm_arena_give_run(&whole.half[0]);
    pm_arena_give_run(&whole.half[1]);
    require(test_arena_stats().dirty_units == 8);
    require(pm_arena_purge_all() && pm_arena_check());
    require(test_reads_as_zero(whole.half[0].base, 8 * PM_UNIT_BYTES));
    const char *ninth = whole.half[0].base + 8 * PM_UNIT_BYTES;
    require(!test_reads_as_zero(ninth, PM_UNIT_BYTES));
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
        cmocka_unit_test(only_the_dirty_units_of_an_empty_arena_are_purged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
