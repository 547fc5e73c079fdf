/* SPDX-License-Identifier: MIT */
/* Which wholly free arenas a large block is made of, and how many are added for it. */
#include "base/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "arena/span_testing.h"

enum { ARENAS = 64 };

static char *arenas(size_t n)
{
    return simple_span(n * PM_ARENA_UNITS);
}

ISOLATED(a_shorter_row_is_taken_before_a_longer_one)
{
    test_arena_start(ARENAS);
    char *longer = arenas(3);
    arenas(1);
    char *shorter = arenas(2);
    arenas(1);
    span_free(longer);
    span_free(shorter);
    require(arenas(2) == shorter);
    require(arenas(2) == longer);
}

ISOLATED(of_a_row_that_is_dirty_in_part_the_dirty_ones_are_taken)
{
    test_arena_start(ARENAS);
    char *clean = arenas(2), *dirty = arenas(2);
    arenas(1);
    span_free(clean);
    require(dirty == clean + 2 * PM_ARENA_BYTES && pm_arena_purge_all());
    test_dirty(dirty, 2 * PM_ARENA_BYTES);
    span_free(dirty);
    require(arenas(3) == clean + PM_ARENA_BYTES);
}

ISOLATED(an_aligned_block_is_taken_of_the_middle_of_a_row)
{
    bool zero = false;
    test_arena_start(ARENAS);
    char *row = arenas(8), *wall = arenas(1);
    span_free(row);
    char *block = span(PM_ARENA_UNITS, 4 * PM_ARENA_BYTES, &zero);
    require(block >= row && block < wall);
}

ISOLATED(a_row_at_the_end_is_made_longer_by_what_it_lacks)
{
    test_arena_start(ARENAS);
    char *row = arenas(4);
    span_free(row);
    require(arenas(6) == row && test_arena_stats().arenas == 6);
    span_free(row);
    require(arenas(13) == row + 6 * PM_ARENA_BYTES); /* less than half was there */
    require(test_arena_stats().arenas == 6 + 13);
}

/* Two dirty arenas beside six clean ones; the block behind them. */
static char *dirty_beside_clean(char **row)
{
    *row = arenas(8);
    char *wall = arenas(1);
    span_free(*row);
    require(pm_arena_purge_all());
    test_dirty(arenas(2), 2 * PM_ARENA_BYTES);
    span_free(*row);
    return wall;
}

ISOLATED(what_shall_be_zero_is_taken_where_nothing_is_dirty)
{
    char *row;
    bool zero = true;
    test_arena_start(ARENAS);
    dirty_beside_clean(&row);
    require(span(6 * PM_ARENA_UNITS, 1, &zero) == row + 2 * PM_ARENA_BYTES && zero);
}

ISOLATED(it_may_be_dirty_if_there_is_nothing_else)
{
    char *row;
    bool zero = true;
    test_arena_start(ARENAS);
    dirty_beside_clean(&row);
    require(span(7 * PM_ARENA_UNITS, 1, &zero) == row + PM_ARENA_BYTES && !zero);
    span_free(row + PM_ARENA_BYTES);
    zero = true;
    require(span(PM_ARENA_UNITS, 1, &zero) != NULL);
}

ISOLATED(a_row_that_is_dirty_is_not_made_longer_for_what_shall_be_zero)
{
    bool zero = true;
    test_arena_start(ARENAS);
    char *row = arenas(4);
    test_dirty(row, 4 * PM_ARENA_BYTES);
    span_free(row);
    require(span(6 * PM_ARENA_UNITS, 1, &zero) == row + 4 * PM_ARENA_BYTES && zero);
}

/* However long a run is, parts of it are looked at. */
ISOLATED(blocks_are_found_in_a_very_long_run)
{
    bool zero = false;
    test_arena_start(2000);
    char *row = arenas(1500), *wall = arenas(1);
    span_free(row);
    char *block = span(700 * PM_ARENA_UNITS, 64 * PM_ARENA_BYTES, &zero);
    require(block >= row && block + 700 * PM_ARENA_BYTES <= wall);
    require(test_arena_stats().arenas == 1501);
}

ISOLATED(under_a_limit_no_arena_is_added_that_is_not_needed)
{
    test_arena_start(2 * ARENAS);
    pm_options.limit_bytes = ARENAS * PM_ARENA_BYTES;
    span_free(arenas(4));
    arenas(6);
    require(test_arena_stats().arenas == 4 + 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shorter_row_is_taken_before_a_longer_one),
        cmocka_unit_test(of_a_row_that_is_dirty_in_part_the_dirty_ones_are_taken),
        cmocka_unit_test(an_aligned_block_is_taken_of_the_middle_of_a_row),
        cmocka_unit_test(a_row_at_the_end_is_made_longer_by_what_it_lacks),
        cmocka_unit_test(what_shall_be_zero_is_taken_where_nothing_is_dirty),
        cmocka_unit_test(it_may_be_dirty_if_there_is_nothing_else),
        cmocka_unit_test(a_row_that_is_dirty_is_not_made_longer_for_what_shall_be_zero),
        cmocka_unit_test(blocks_are_found_in_a_very_long_run),
        cmocka_unit_test(under_a_limit_no_arena_is_added_that_is_not_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
