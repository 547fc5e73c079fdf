/* SPDX-License-Identifier: MIT */
/* Large blocks that change their size by moving their pages. */
#include "arena/span_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64 };

static void *move(char *start, size_t units)
{
    char *moved = pm_span_move(pm_window_find(start), start, units << PM_UNIT_SHIFT, "realloc");
    require(pm_arena_check());
    return moved;
}

ISOLATED(whole_arenas_are_moved_by_the_page_tables_and_leave_clean_ones)
{
    enum { ARENAS = 5 };
    test_arena_start(WINDOW_ARENAS);
    char *block = simple_span(ARENAS * PM_ARENA_UNITS - 7);
    char *wall = simple_span(PM_ARENA_UNITS); /* no growth in place */
    span_free(simple_span(8 * ARENAS * PM_ARENA_UNITS));
    require(pm_arena_purge_all());
    size_t bytes = (ARENAS * PM_ARENA_UNITS - 7) * PM_UNIT_BYTES;
    test_dirty(block, bytes);
    char *moved = move(block, 2 * ARENAS * PM_ARENA_UNITS);
    require(moved != NULL && moved != block);
    for (size_t i = 0; i < bytes; i += 1024) /* the marks are of the old place */
        require(*(uint64_t *)(void *)(moved + i) == (uintptr_t)block + i);
    require(test_arena_stats().dirty_units == 0 && test_reads_as_zero(block, bytes));
    require(usable(moved) == 2 * ARENAS * PM_ARENA_BYTES);
    require(resize(moved, 3 * ARENAS * PM_ARENA_UNITS)); /* two mappings now */
    require(simple_span(PM_ARENA_UNITS) != NULL);
    char *again = move(moved, 4 * ARENAS * PM_ARENA_UNITS);
    require(again != NULL);
    for (size_t i = 0; i < bytes; i += 1024)
        require(*(uint64_t *)(void *)(again + i) == (uintptr_t)block + i);
    span_free(again);
    span_free(wall);
}

ISOLATED(blocks_within_one_arena_are_not_moved_by_the_page_tables)
{
    test_arena_start(WINDOW_ARENAS);
    char *block = simple_span(PM_ARENA_UNITS / 2);
    require(move(block, PM_ARENA_UNITS) == NULL && move(block, 4) == NULL);
    span_free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_arenas_are_moved_by_the_page_tables_and_leave_clean_ones),
        cmocka_unit_test(blocks_within_one_arena_are_not_moved_by_the_page_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
