/* SPDX-License-Identifier: MIT */
/*
 * Many arenas that drain in random order: the list's order after each step, what stays resident on
 * the way, and in the end. F.6 of docs/reliability.md.
 */
#include "arena/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <cmocka.h>

enum { ARENAS = 24, RUNS = ARENAS * PM_ARENA_UNITS };

static struct pm_run runs[RUNS];
static uint64_t model[ARENAS]; /* free units, by the arenas' addresses */
static size_t first_number;

static void fill_arenas(void)
{
    require(pm_options_parse("huge_pages=never"));
    test_arena_start(ARENAS);
    pm_options.keep_bytes = PM_ARENA_BYTES;
    first_number = SIZE_MAX;
    for (int i = 0; i < RUNS; i++) {
        require(pm_arena_take_run(1, &runs[i]));
        test_dirty(runs[i].base, PM_UNIT_BYTES);
        runs[i].dirty = 1;
        if (test_arena_number(runs[i].base) < first_number)
            first_number = test_arena_number(runs[i].base);
    }
    require(test_arena_stats().arenas == ARENAS && test_arena_stats().free_units == 0);
}

static void give(const struct pm_run *run)
{
    size_t number = test_arena_number(run->base) - first_number;
    require(number < ARENAS);
    model[number] |= (uint64_t)1 << test_unit_place(run->base);
    pm_arena_give_run(run);
}

/* Free units of the fullest arena in use that has a run of that length, or all of an arena's. */
static unsigned fullest(unsigned units)
{
    unsigned best = PM_ARENA_UNITS;
    for (int i = 0; i < ARENAS; i++) {
        unsigned count = (unsigned)pm_bits_count(model[i]);
        if (count != 0 && count < best && pm_bits_longest_run(model[i]) >= units)
            best = count;
    }
    return best;
}

/* That the list can lead to: decommitted ones are no part of it. */
static bool is_some_empty(void)
{
    if (pm_os_charges_commit())
        return false;
    for (int i = 0; i < ARENAS; i++) {
        if (~model[i] == 0)
            return true;
    }
    return false;
}

/* For a run of any length the list leads to the fullest arena that has it. */
static void require_order(void)
{
    pm_lock_acquire(&pm_arena_lock);
    for (unsigned units = 1; units <= PM_ARENA_UNITS; units++) {
        const struct pm_arena *a = pm_arena_find(units);
        unsigned best = fullest(units);
        require(a != NULL || (best == PM_ARENA_UNITS && !is_some_empty()));
        if (a == NULL)
            continue;
        size_t number = test_arena_number(pm_arena_base(a)) - first_number;
        require(number < ARENAS && a->free == model[number] && a->free_units == best);
        require(pm_bits_longest_run(model[number]) >= units);
    }
    pm_lock_release(&pm_arena_lock);
}

/* Free and resident is an arena's worth, the one spare of pymalloc, and an eighth of what is in
 * use; it may lie in parts of several arenas. */
static void require_bound(void)
{
    struct pm_arena_stats stats = test_arena_stats();
    size_t in_use = ARENAS * PM_ARENA_UNITS - stats.free_units;
    require(stats.dirty_units <= PM_ARENA_UNITS + in_use / PM_KEEP_PART);
}

/* By the system's own pages. */
static size_t resident_bytes(void)
{
    static unsigned char pages[ARENAS * PM_ARENA_BYTES / 4096];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), resident = 0;
    void *start = (void *)(first_number << PM_ARENA_SHIFT);
    require(mincore(start, ARENAS * PM_ARENA_BYTES, pages) == 0);
    for (size_t i = 0; i < ARENAS * PM_ARENA_BYTES / page; i++)
        resident += (pages[i] & 1) * page;
    return resident;
}

ISOLATED(f6_arenas_freed_in_random_order_stay_in_order_and_leave_one_arena_resident)
{
    uint64_t seed = 71;
    test_needs_small_pages();
    fill_arenas();
    require(resident_bytes() == ARENAS * PM_ARENA_BYTES);
    for (unsigned left = RUNS; left > 0; left--) {
        unsigned pick = (unsigned)test_random_below(&seed, left);
        give(&runs[pick]);
        runs[pick] = runs[left - 1];
        require_order();
        require_bound();
    }
    require(pm_arena_check() && test_arena_stats().arenas_in_use == 0);
    require(resident_bytes() <= PM_ARENA_BYTES);
    pm_arena_purge_all();
    require(resident_bytes() == 0);
}

/* Once half of it came back, what is asked for fills the fullest arenas to the last unit, and the
 * emptiest are left to drain. */
ISOLATED(f6_what_is_taken_again_comes_from_the_fullest_arena)
{
    uint64_t seed = 72;
    test_needs_small_pages();
    fill_arenas();
    for (unsigned left = RUNS; left > RUNS / 2; left--) {
        unsigned pick = (unsigned)test_random_below(&seed, left);
        give(&runs[pick]);
        runs[pick] = runs[left - 1];
    }
    while (test_arena_stats().free_units > 0) {
        struct pm_run run;
        unsigned best = fullest(1);
        require(pm_arena_take_run(1, &run));
        size_t number = test_arena_number(run.base) - first_number;
        require(number < ARENAS && (unsigned)pm_bits_count(model[number]) == best);
        model[number] &= ~((uint64_t)1 << test_unit_place(run.base));
        require_order();
    }
    require(test_arena_stats().arenas == ARENAS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            f6_arenas_freed_in_random_order_stay_in_order_and_leave_one_arena_resident),
        cmocka_unit_test(f6_what_is_taken_again_comes_from_the_fullest_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
