/* SPDX-License-Identifier: MIT */
/* Who takes units at the peak purges others, whatever they are for (arena/bound.c). */
#include "heap/testing.h"
#include "heap/user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, ARENAS = 2 * PM_KEEP_PART, SMALL = 256 };

/* What is taken next is clean: units of arenas of which most is in use. A whole arena is free and
 * dirty, and rests. */
static void start_at_the_peak(void)
{
    struct pm_run runs[ARENAS], most;
    test_needs_small_pages();
    test_heap_start(WINDOW_ARENAS);
    pm_options.purge_delay_ms = SIZE_MAX; /* however slow the machine is */
    test_get_heap();
    for (unsigned i = 0; i < ARENAS; i++)
        require(pm_arena_take_run(PM_ARENA_UNITS - 1, &runs[i]));
    require(pm_arena_take_run(PM_ARENA_UNITS / 2, &most));
    runs[0].dirty = ~(uint64_t)0;
    pm_arena_give_run(&runs[0]);
    test_dirty_earlier(runs[0].base, PM_PEAK_REST_TICKS);
    pm_options.keep_bytes = 0;
    pm_lock_acquire(&pm_arena_lock);
    pm_peak_accept();
    pm_lock_release(&pm_arena_lock);
    require(test_arena_stats().purged_units == 0);
}

static void require_settled(size_t units)
{
    require(!pm_load_relaxed(&pm_peak_is_passed));
    require(test_arena_stats().purged_units == units && pm_heap_check());
}

ISOLATED(a_heap_that_takes_a_pool_of_several_units_purges_as_many)
{
    start_at_the_peak();
    test_alloc(PM_BLOCK_MAX);
    require_settled(pm_class_units(pm_class_of(PM_BLOCK_MAX)));
}

ISOLATED(a_heap_that_takes_a_group_purges_as_many_units)
{
    start_at_the_peak();
    uint64_t free_units = test_arena_stats().free_units;
    while (test_arena_stats().free_units == free_units)
        test_alloc(SMALL);
    require_settled(free_units - test_arena_stats().free_units);
}

ISOLATED(a_user_heap_that_takes_a_pool_purges_as_many_units)
{
    start_at_the_peak();
    struct pm_user_heap *heap = pm_user_new(SIZE_MAX);
    require(heap != NULL && pm_user_alloc(heap, PM_BLOCK_MAX, 1, false, "test") != NULL);
    require_settled(pm_class_units(pm_class_of(PM_BLOCK_MAX)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heap_that_takes_a_pool_of_several_units_purges_as_many),
        cmocka_unit_test(a_heap_that_takes_a_group_purges_as_many_units),
        cmocka_unit_test(a_user_heap_that_takes_a_pool_purges_as_many_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
