/* SPDX-License-Identifier: MIT */
/* Frees by other threads and their batches, frees in added windows, misuse. */
#include "heap/testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, SIZE = 64, OTHER_SIZE = 128, SOME = 500 };

static void *blocks[TEST_BLOCKS_MAX];

static unsigned pushed(const struct pm_pool *pool)
{
    return pm_word_count(test_word(pool));
}

/* Blocks of a pool, all of which are carved, that are not live any more. */
static unsigned came_back(const struct pm_pool *pool)
{
    return pm_word_state(test_word(pool)) == PM_OWNED ? pushed(pool)
                                                      : pool->capacity - pushed(pool);
}

/* In a thread with a heap: the first block of a pool goes at once, the next ones wait. */
static void free_three(struct pm_pool *pool)
{
    test_get_heap();
    test_release(blocks[0]);
    require(pushed(pool) == 1);
    test_release(blocks[1]);
    test_release(blocks[2]);
    require(pushed(pool) == 1);
}

static void *free_three_and_exit(void *pool)
{
    free_three(pool);
    return NULL;
}

static void *free_three_and_allocate(void *pool)
{
    free_three(pool);
    test_alloc(OTHER_SIZE); /* the first of its class: the slow path */
    require(pushed(pool) == 3);
    return NULL;
}

static void *free_three_and_trim(void *pool)
{
    free_three(pool);
    pm_heap_trim();
    require(pushed(pool) == 3);
    return NULL;
}

ISOLATED(batches_are_flushed_at_thread_exit)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_fill_pool(SIZE, blocks);
    test_in_thread(free_three_and_exit, pool);
    require(pushed(pool) == 3 && pm_pool_take_remote(pool) == 3);
}

ISOLATED(batches_are_flushed_on_the_slow_path)
{
    test_heap_start(WINDOW_ARENAS);
    test_in_thread(free_three_and_allocate, test_fill_pool(SIZE, blocks));
}

ISOLATED(batches_are_flushed_by_trim)
{
    test_heap_start(WINDOW_ARENAS);
    test_in_thread(free_three_and_trim, test_fill_pool(SIZE, blocks));
}

static void *free_until_flushed(void *arg)
{
    struct pm_pool *pool = arg;
    unsigned limit = test_eighth(pool) < PM_BATCH_BLOCKS ? test_eighth(pool) : PM_BATCH_BLOCKS;
    test_get_heap();
    for (unsigned i = 0; i < limit; i++) {
        test_release(blocks[i]);
        require(pushed(pool) == 1);
    }
    test_release(blocks[limit]); /* one went directly: so many are in the batch now */
    require(pushed(pool) == limit + 1);
    return NULL;
}

ISOLATED(a_full_batch_is_pushed)
{
    test_heap_start(WINDOW_ARENAS);
    test_in_thread(free_until_flushed, test_fill_pool(SIZE, blocks));
}

static void *free_over_many_pools(void *arg)
{
    void ***pools = arg;
    test_get_heap();
    for (unsigned block = 0; block < 3; block++) {
        for (unsigned i = 0; i < 2 * PM_BATCH_SLOTS; i++)
            test_release(pools[i][block]);
    }
    unsigned waiting = 0; /* in batches */
    for (unsigned i = 0; i < 2 * PM_BATCH_SLOTS; i++)
        waiting += 3 - came_back(test_pool_of(pools[i][0]));
    require(waiting <= PM_BATCH_SLOTS * PM_BATCH_BLOCKS);
    return NULL;
}

ISOLATED(a_batch_ends_when_another_pool_needs_its_slot_and_nothing_is_lost)
{
    static void *pools[2 * PM_BATCH_SLOTS][TEST_BLOCKS_MAX], **heads[2 * PM_BATCH_SLOTS];
    test_heap_start(WINDOW_ARENAS);
    for (unsigned i = 0; i < 2 * PM_BATCH_SLOTS; i++) {
        test_fill_pool(SIZE, pools[i]);
        heads[i] = pools[i];
    }
    test_in_thread(free_over_many_pools, heads);
    for (unsigned i = 0; i < 2 * PM_BATCH_SLOTS; i++)
        require(came_back(test_pool_of(pools[i][0])) == 3);
    require(test_heap_stats().remote_frees == 3 * 2 * PM_BATCH_SLOTS);
}

static void *free_without_allocating(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < PM_CALLS_BEFORE_HEAP; i++) {
        test_release(blocks[i]);
        require(pm_heap_self == &pm_heap_none);
    }
    test_release(blocks[PM_CALLS_BEFORE_HEAP]);
    require(pm_heap_self != &pm_heap_none);
    return NULL;
}

ISOLATED(a_thread_that_only_frees_gets_a_heap_for_its_batches_after_a_while)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_fill_pool(SIZE, blocks);
    test_in_thread(free_without_allocating, NULL);
    require(pushed(pool) == PM_CALLS_BEFORE_HEAP + 1);
}

static void *free_whole_pool(void *arg)
{
    struct pm_pool *pool = arg;
    unsigned capacity = pool->capacity;
    test_release_some(blocks, 0, capacity);
    return NULL;
}

ISOLATED(a_floating_pool_whose_last_block_a_heapless_thread_frees_goes_back_to_the_arena)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_float_pool(PM_BLOCK_MAX, blocks);
    require(pool->capacity <= PM_CALLS_BEFORE_HEAP);
    uint64_t free_units = test_arena_stats().free_units;
    unsigned units = pool->units;
    test_in_thread(free_whole_pool, pool);
    require(test_arena_stats().free_units == free_units + units);
    require(pm_arena_check());
}

static void *free_some(void *arg)
{
    (void)arg;
    test_release_some(blocks, 0, SOME);
    return NULL;
}

ISOLATED(pools_in_added_windows_are_served_like_those_in_the_first)
{
    test_heap_start(1);
    while (pm_window_find(blocks[0] = test_alloc(SIZE)) == &pm_window)
        continue;
    for (unsigned i = 1; i < SOME; i++)
        blocks[i] = test_alloc(SIZE);
    void *one = test_alloc(SIZE), *two = test_alloc(SIZE);
    require(pm_window_find(one) != &pm_window);
    test_release(one);
    test_release(two);
    require(test_alloc(SIZE) == two && test_alloc(SIZE) == one);
    require(pm_heap_usable(one, "test") == SIZE);
    test_in_thread(free_some, NULL);
    require(pm_heap_check() && pm_arena_check());
    require(test_heap_stats().remote_frees == SOME);
}

ISOLATED(freeing_nothing_does_nothing_and_errno_is_preserved)
{
    errno = EDOM;
    pm_thread_free_elsewhere(NULL, "free"); /* before the first allocation, too */
    test_heap_start(WINDOW_ARENAS);
    void *small = test_alloc(SIZE), *large = test_alloc(PM_ARENA_BYTES);
    pm_options.keep_bytes = 0;
    errno = EDOM;
    test_release(NULL);
    test_release(small);
    test_release(large);
    require(errno == EDOM);
}

static void free_it(const void *ptr)
{
    test_release((void *)(uintptr_t)ptr);
}

static const char outside[64] __attribute__((aligned(64)));

ISOLATED(foreign_pointers_are_named)
{
    char stack[64];
    test_heap_start(WINDOW_ARENAS);
    test_alloc(SIZE);
    char *block = malloc(100);
    require(test_aborts(free_it, outside, "not a block of this allocator"));
    require(test_aborts(free_it, stack, "not a block of this allocator"));
    require(test_aborts(free_it, block, "not a block of this allocator"));
    require(test_aborts(free_it, (void *)8, "not a block of this allocator"));
    free(block);
}

ISOLATED(interior_pointers_of_floating_pools_and_of_others_pools_are_named)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_float_pool(SIZE, blocks);
    require(test_aborts(free_it, (char *)blocks[3] + PM_GRANULE_BYTES, "points inside a block"));
    require(test_aborts(free_it, (char *)blocks[3] + 1, "points inside a block"));
    require(test_aborts(free_it, (char *)blocks[pool->capacity - 1] + SIZE - 1,
                        "points inside a block"));
}

static void *free_two_and_one_inside(void *pool)
{
    test_get_heap();
    test_release(blocks[0]);
    test_release(blocks[1]);
    require(pushed(pool) == ((struct pm_pool *)pool)->capacity - 1u); /* the second one waits */
    test_release((char *)blocks[2] + PM_GRANULE_BYTES);
    return NULL;
}

static void free_inside_in_a_streak(const void *pool)
{
    test_in_thread(free_two_and_one_inside, (void *)(uintptr_t)pool);
}

ISOLATED(an_interior_pointer_among_blocks_of_a_batch_is_named)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_float_pool(SIZE, blocks);
    require(test_aborts(free_inside_in_a_streak, pool, "points inside a block"));
}

/* As if blocks of other pools were freed in between: each goes to its pool at once. */
static void *free_one_again_and_again(void *pool)
{
    test_get_heap();
    for (unsigned i = 0; i <= ((struct pm_pool *)pool)->capacity; i++) {
        test_release(blocks[0]);
        for (unsigned slot = 0; slot < PM_BATCH_SLOTS; slot++)
            pm_heap_self->batch[slot].remote = NULL;
    }
    return NULL;
}

static void free_too_often(const void *pool)
{
    test_in_thread(free_one_again_and_again, (void *)(uintptr_t)pool);
}

ISOLATED(a_block_that_another_thread_frees_again_and_again_is_named)
{
    test_heap_start(WINDOW_ARENAS);
    blocks[0] = test_alloc(SIZE);
    require(test_aborts(free_too_often, test_pool_of(blocks[0]), "freed twice"));
}

ISOLATED(a_block_of_a_pool_that_was_given_back_is_not_allocated)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_float_pool(PM_BLOCK_MAX, blocks);
    test_in_thread(free_whole_pool, pool);
    require(test_aborts(free_it, blocks[0], "not allocated"));
    require(test_aborts(free_it, blocks[2], "not allocated"));
}

ISOLATED(an_address_where_nothing_was_ever_allocated_is_not_allocated)
{
    test_heap_start(WINDOW_ARENAS);
    test_alloc(SIZE);
    const char *base = (const char *)pm_window_base(&pm_window);
    size_t bytes = pm_load_relaxed(&pm_window.units) << PM_UNIT_SHIFT;
    require(test_aborts(free_it, base, "not allocated"));
    require(test_aborts(free_it, base + bytes - PM_UNIT_BYTES, "not allocated"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_flushed_at_thread_exit),
        cmocka_unit_test(batches_are_flushed_on_the_slow_path),
        cmocka_unit_test(batches_are_flushed_by_trim),
        cmocka_unit_test(a_full_batch_is_pushed),
        cmocka_unit_test(a_batch_ends_when_another_pool_needs_its_slot_and_nothing_is_lost),
        cmocka_unit_test(a_thread_that_only_frees_gets_a_heap_for_its_batches_after_a_while),
        cmocka_unit_test(
            a_floating_pool_whose_last_block_a_heapless_thread_frees_goes_back_to_the_arena),
        cmocka_unit_test(pools_in_added_windows_are_served_like_those_in_the_first),
        cmocka_unit_test(freeing_nothing_does_nothing_and_errno_is_preserved),
        cmocka_unit_test(foreign_pointers_are_named),
        cmocka_unit_test(interior_pointers_of_floating_pools_and_of_others_pools_are_named),
        cmocka_unit_test(an_interior_pointer_among_blocks_of_a_batch_is_named),
        cmocka_unit_test(a_block_that_another_thread_frees_again_and_again_is_named),
        cmocka_unit_test(a_block_of_a_pool_that_was_given_back_is_not_allocated),
        cmocka_unit_test(an_address_where_nothing_was_ever_allocated_is_not_allocated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
