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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_array_that_grows_alone_moves_once),
        cmocka_unit_test(arrays_that_grow_in_turn_leave_each_other_room),
        cmocka_unit_test(small_changes_of_what_has_room_move_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
