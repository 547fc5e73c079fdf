/* SPDX-License-Identifier: MIT */
/* Arrays that grow by realloc: they get room, and then stay where they are. */
#include "base/asan.h"
#include "base/options.h"
#include "base/testing.h"
#include "heap/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { ARRAYS = 4, FIRST_BYTES = PM_BLOCK_MAX + 1, LAST_BYTES = PM_ARENA_BYTES / 8 };

struct array {
    unsigned char *bytes;
    size_t size;
    unsigned moves;
};

static void start(void)
{
    pm_options.window_bytes = 64 * PM_ARENA_BYTES;
    pm_free(pm_malloc(1));
    for (unsigned i = 0; i <= PM_CALLS_BEFORE_HEAP; i++)
        pm_heap_get();
}

static void grow(struct array *array, size_t size)
{
    unsigned char *bytes = pm_realloc(array->bytes, size);
    require(bytes != NULL);
    for (size_t i = 0; i < array->size; i += 512)
        require(bytes[i] == (unsigned char)(i >> 9));
    for (size_t i = 0; i < size; i += 512)
        bytes[i] = (unsigned char)(i >> 9);
    array->moves += bytes != array->bytes;
    *array = (struct array){bytes, size, array->moves};
}

/* By an eighth at a time; in turn, so that each could stand in the way of another. */
static void grow_all(struct array *arrays, unsigned count)
{
    for (size_t size = FIRST_BYTES; size < LAST_BYTES; size += size / 8) {
        for (unsigned i = 0; i < count; i++)
            grow(&arrays[i], size);
    }
}

static void free_all(struct array *arrays, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        pm_free(arrays[i].bytes);
    pm_purge();
    struct pm_stats stats;
    pm_stats_get(&stats);
    require(stats.spans == 0 && pm_check());
}

ISOLATED(an_array_that_grows_alone_moves_once)
{
    struct array array = {0};
    start();
    grow(&array, 100);
    grow(&array, FIRST_BYTES);
    array.moves = 0;
    grow_all(&array, 1);
    require(array.moves == 0);
    free_all(&array, 1);
}

ISOLATED(arrays_that_grow_in_turn_leave_each_other_room)
{
    struct array arrays[ARRAYS] = {0};
    unsigned moves = 0;
    start();
    for (unsigned i = 0; i < ARRAYS; i++)
        grow(&arrays[i], 100);
    grow_all(arrays, ARRAYS);
    for (unsigned i = 0; i < ARRAYS; i++)
        moves += arrays[i].moves - 2; /* the first block, and the first with room */
    require(moves <= ARRAYS);
    free_all(arrays, ARRAYS);
}

/* One that grows by little does not go back and forth between a pool and a large block. */
ISOLATED(small_changes_of_what_has_room_move_nothing)
{
    struct array array = {0};
    start();
    grow(&array, 100);
    grow(&array, FIRST_BYTES);
    unsigned moves = array.moves;
    for (size_t i = 1; i < 64; i++) {
        grow(&array, FIRST_BYTES + i % 2 * 64 + i);
        array.bytes = pm_realloc(array.bytes, array.size);
    }
    require(array.moves == moves);
    array.size = 100;
    grow(&array, 100); /* what it was given room for is at its end */
    require(pm_malloc_usable_size(array.bytes) <= PM_BLOCK_MAX);
    free_all(&array, 1);
}

/* From a small array to one that a pool's block would hold still; by half at a time. */
static void grow_to(struct array *array, size_t size)
{
    for (size_t at = 1000; at < size; at += at / 2)
        grow(array, at);
    grow(array, size);
}

static bool is_early(const struct array *array)
{
    size_t usable = pm_malloc_usable_size(array->bytes) + PM_ASAN_REDZONE_BYTES;
    return usable % PM_UNIT_BYTES == 0; /* whole units: no class of such sizes is that */
}

enum { EARLY_BYTES = PM_EARLY_MIN_BYTES + PM_EARLY_MIN_BYTES / 8 };

static void require_early_blocks(void)
{
    if (PM_BLOCK_MAX < 2 * PM_EARLY_MIN_BYTES || PM_VALGRIND)
        test_skipped("pools have no blocks of such sizes here, or realloc does not ask them first");
}

ISOLATED(an_array_that_grows_step_by_step_is_large_early_and_moves_no_more)
{
    struct array array = {0};
    require_early_blocks();
    start();
    grow_to(&array, EARLY_BYTES);
    require(is_early(&array));
    unsigned moves = array.moves;
    for (size_t size = EARLY_BYTES; size < LAST_BYTES; size += size / 2)
        grow(&array, size);
    require(array.moves == moves);
    free_all(&array, 1);
}

ISOLATED(no_more_than_a_few_arrays_are_large_early_at_a_time)
{
    struct array arrays[PM_EARLY_SPANS + 1] = {0};
    require_early_blocks();
    start();
    for (int i = 0; i <= PM_EARLY_SPANS; i++) {
        grow_to(&arrays[i], EARLY_BYTES);
        require(is_early(&arrays[i]) == (i < PM_EARLY_SPANS));
    }
    pm_free(arrays[1].bytes);
    arrays[1] = (struct array){0};
    grow_to(&arrays[1], EARLY_BYTES); /* in place of the one that is gone */
    require(is_early(&arrays[1]));
    grow(&arrays[0], 2 * PM_BLOCK_MAX); /* no more early */
    pm_free(arrays[2].bytes);
    arrays[2] = (struct array){0};
    grow_to(&arrays[2], EARLY_BYTES);
    require(is_early(&arrays[2]));
    free_all(arrays, PM_EARLY_SPANS + 1);
}

ISOLATED(what_was_large_early_and_shrinks_goes_back_to_a_pool)
{
    struct array array = {0};
    require_early_blocks();
    start();
    grow_to(&array, EARLY_BYTES);
    array.size = 3000;
    grow(&array, 3000);
    require(!is_early(&array));
    free_all(&array, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_that_grows_alone_moves_once),
        cmocka_unit_test(arrays_that_grow_in_turn_leave_each_other_room),
        cmocka_unit_test(small_changes_of_what_has_room_move_nothing),
        cmocka_unit_test(an_array_that_grows_step_by_step_is_large_early_and_moves_no_more),
        cmocka_unit_test(no_more_than_a_few_arrays_are_large_early_at_a_time),
        cmocka_unit_test(what_was_large_early_and_shrinks_goes_back_to_a_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
