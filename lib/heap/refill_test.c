/* SPDX-License-Identifier: MIT */
/* Where the next block of a class comes from, and what a heap keeps. */
#include "heap/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, SIZE = 256 };

static void *blocks[TEST_BLOCKS_MAX], *more[TEST_BLOCKS_MAX];

ISOLATED(the_block_freed_last_is_used_first)
{
    test_heap_start(WINDOW_ARENAS);
    static const size_t sizes[] = {1, SIZE, PM_DIRECT_MAX, PM_DIRECT_MAX + 1, PM_BLOCK_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *one = test_alloc(sizes[i]), *two = test_alloc(sizes[i]);
        void *three = test_alloc(sizes[i]);
        test_release(one);
        test_release(three);
        test_release(two);
        require(test_alloc(sizes[i]) == two);
        require(test_alloc(sizes[i]) == three);
        require(test_alloc(sizes[i]) == one);
    }
    require(pm_heap_check());
}

ISOLATED(sizes_of_one_class_share_a_pool_and_others_do_not)
{
    test_heap_start(WINDOW_ARENAS);
    for (size_t n = 1; n <= PM_DIRECT_MAX; n++) {
        struct pm_pool *pool = test_pool_of(test_alloc(n));
        require(pool->class == pm_class_of(n));
        require(pool == pm_heap_self->current[pool->class]);
    }
}

ISOLATED(a_full_pool_floats_at_the_next_allocation)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_fill_pool(SIZE, blocks);
    require(test_is(pool, PM_OWNED, 0));
    require(test_pool_of(test_alloc(SIZE)) != pool);
    require(test_is(pool, PM_FLOATING, pool->capacity));
    require(test_has_owner(pool, PM_ROUTE_FLOATING));
}

/* Allocates until a block comes from the pool; false: fresh units were needed before. */
static bool comes_back(const struct pm_pool *pool, size_t n)
{
    for (;;) {
        uint64_t units = test_arena_stats().free_units;
        uint64_t stash = pm_heap_stash_bytes(pm_heap_self);
        void *block = test_alloc(n);
        if (test_pool_of(block) == pool)
            return true;
        if (test_arena_stats().free_units < units || pm_heap_stash_bytes(pm_heap_self) != stash)
            return false;
    }
}

ISOLATED(a_pool_of_which_an_eighth_is_freed_comes_back_to_the_allocating_freer)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_float_pool(SIZE, blocks);
    uint64_t adopted = test_heap_stats().adopted;
    test_release_some(blocks, 0, test_eighth(pool) - 1);
    pm_heap_flush(pm_heap_self);
    require(test_heap_stats().adopted == adopted);
    require(test_is(pool, PM_FLOATING, pool->capacity - test_eighth(pool) + 1));
    test_release_some(blocks, test_eighth(pool) - 1, test_eighth(pool));
    pm_heap_flush(pm_heap_self);
    require(test_heap_stats().adopted == adopted + 1);
    require(pool->place == PM_PLACE_PARKED && test_has_owner(pool, pm_heap_route(pm_heap_self)));
    require(comes_back(pool, SIZE) && pm_heap_check());
}

/* By a thread that allocates nothing of the class. */
struct range {
    void **blocks;
    unsigned first, end;
};

static void *free_range(void *arg)
{
    const struct range *range = arg;
    test_release_some(range->blocks, range->first, range->end);
    return NULL;
}

ISOLATED(what_another_thread_freed_is_found_by_the_next_allocation_of_the_class)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_float_pool(SIZE, blocks);
    struct range range = {blocks, 0, test_eighth(pool)};
    test_in_thread(free_range, &range);
    require(test_is(pool, PM_PUBLISHED, pool->capacity - range.end));
    require(comes_back(pool, SIZE) && pm_heap_check());
}

static void *allocate_from_published(void *pool)
{
    return comes_back(pool, SIZE) ? pool : NULL;
}

ISOLATED(it_is_found_by_a_third_thread_while_the_maker_does_nothing)
{
    pthread_t third;
    void *found;
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_float_pool(SIZE, blocks);
    struct range range = {blocks, 0, test_eighth(pool)};
    test_in_thread(free_range, &range);
    require(pthread_create(&third, NULL, allocate_from_published, pool) == 0);
    require(pthread_join(third, &found) == 0 && found == pool);
}

ISOLATED(what_another_thread_freed_into_the_current_pool_comes_before_fresh_units)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_fill_pool(SIZE, blocks);
    struct range range = {blocks, 5, 6};
    test_in_thread(free_range, &range);
    require(test_alloc(SIZE) == blocks[5]);
    require(pm_heap_self->current[pool->class] == pool && test_is(pool, PM_OWNED, 0));
}

ISOLATED(a_parked_pool_that_others_empty_is_found_by_slow_paths_of_other_classes)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_float_pool(SIZE, blocks);
    unsigned eighth = test_eighth(pool);
    test_release_some(blocks, 0, eighth);
    pm_heap_flush(pm_heap_self);
    require(pool->place == PM_PLACE_PARKED);
    struct range range = {blocks, eighth, pool->capacity};
    test_in_thread(free_range, &range);
    require(pool->place == PM_PLACE_PARKED);
    test_alloc(PM_BLOCK_MAX); /* a slow path, of a class that cannot use the pool */
    require(pool->place == PM_PLACE_KEPT && test_is(pool, PM_FREE, 0));
}

enum { POOLS = PM_PARKED_UNITS + 2 };

/* Fills so many pools and frees an eighth of each: how many of them are parked then; the others are
 * published. */
static unsigned parked_of(size_t n, unsigned count)
{
    static void *filled[POOLS][PM_UNIT_BYTES / SIZE];
    struct pm_pool *pools[POOLS];
    unsigned parked = 0;
    for (unsigned i = 0; i < count; i++)
        pools[i] = test_fill_pool(n, filled[i]);
    test_alloc(n); /* the last one floats */
    for (unsigned i = 0; i < count; i++) {
        test_release_some(filled[i], 0, test_eighth(pools[i]));
        pm_heap_flush(pm_heap_self);
        bool is_parked = pools[i]->place == PM_PLACE_PARKED;
        require(is_parked ||
                test_is(pools[i], PM_PUBLISHED, pools[i]->capacity - test_eighth(pools[i])));
        parked += is_parked;
    }
    require(pm_heap_check());
    return parked;
}

static void *have_heap(void *arg)
{
    test_get_heap();
    return arg;
}

ISOLATED(the_only_heap_adopts_all_pools_that_it_frees_into)
{
    test_heap_start(WINDOW_ARENAS);
    require(parked_of(SIZE, POOLS) == POOLS);
}

ISOLATED(a_heap_beside_others_adopts_as_many_units_as_it_may_and_publishes_the_rest)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    test_in_thread(have_heap, NULL);
    require(parked_of(SIZE, POOLS) == PM_PARKED_UNITS);
    while (pm_heap_self->parked_units[pm_class_of(SIZE)] == PM_PARKED_UNITS)
        test_alloc(SIZE); /* until one is needed */
    require(pm_heap_self->parked_units[pm_class_of(SIZE)] == PM_PARKED_UNITS - 1);
    require(parked_of(PM_BLOCK_MAX, 2) == 1); /* one, however large */
}

/* A floating pool whose blocks this thread frees: adopted, emptied, kept. */
static struct pm_pool *emptied_pool(size_t n)
{
    struct pm_pool *pool = test_float_pool(n, more);
    test_release_some(more, 0, pool->capacity);
    pm_heap_flush(pm_heap_self);
    return pool;
}

ISOLATED(an_emptied_pool_is_kept_and_serves_its_class_again)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = emptied_pool(SIZE);
    require(pool->place == PM_PLACE_KEPT && test_is(pool, PM_FREE, 0));
    require(test_heap_stats().kept_bytes == (uint64_t)pool->units << PM_UNIT_SHIFT);
    require(comes_back(pool, SIZE) && pool->class == pm_class_of(SIZE));
    require(test_heap_stats().kept_bytes == 0 && pm_heap_check());
}

ISOLATED(of_the_kept_pools_one_of_the_class_is_taken_before_a_later_one_to_cut_anew)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *same = test_float_pool(SIZE, blocks), *later = test_float_pool(2 * SIZE, more);
    test_release_some(blocks, 0, same->capacity);
    test_release_some(more, 0, later->capacity);
    pm_heap_flush(pm_heap_self);
    require(same->place == PM_PLACE_KEPT && later->place == PM_PLACE_KEPT);
    require(comes_back(same, SIZE));
    require(same->class == pm_class_of(SIZE) && later->place == PM_PLACE_KEPT);
}

ISOLATED(a_kept_pool_is_cut_anew_for_another_class_of_its_units)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = emptied_pool(SIZE);
    require(test_pool_of(test_alloc(2 * SIZE)) == pool);
    require(pool->class == pm_class_of(2 * SIZE) && test_is(pool, PM_OWNED, 0));
    require(test_heap_stats().kept_bytes == 0 && pm_heap_check());
}

static void fill_and_free_pools(unsigned pools)
{
    static void *many[16][TEST_BLOCKS_MAX / 8];
    unsigned capacity = pm_class_capacity(pm_class_of(SIZE));
    require(pools <= 16 && capacity <= TEST_BLOCKS_MAX / 8);
    for (unsigned i = 0; i < pools; i++)
        test_fill_pool(SIZE, many[i]);
    for (unsigned i = 0; i < pools; i++)
        test_release_some(many[i], 0, capacity);
    pm_heap_flush(pm_heap_self);
}

ISOLATED(kept_pools_stay_within_their_bound)
{
    test_heap_start(WINDOW_ARENAS);
    pm_options.heap_keep_bytes = 3 * PM_UNIT_BYTES;
    fill_and_free_pools(12);
    require(test_heap_stats().kept_bytes == pm_options.heap_keep_bytes);
    require(pm_arena_check() && pm_heap_check());
}

ISOLATED(with_a_bound_of_zero_no_pool_is_kept)
{
    test_heap_start(WINDOW_ARENAS);
    pm_options.heap_keep_bytes = 0;
    fill_and_free_pools(12);
    require(test_heap_stats().kept_bytes == 0 && pm_heap_check());
    require(test_arena_stats().free_units + 1 + PM_GROUP_UNITS >=
            test_arena_stats().arenas * PM_ARENA_UNITS);
}

ISOLATED(trim_gives_back_kept_pools_and_units)
{
    test_heap_start(WINDOW_ARENAS);
    fill_and_free_pools(8);
    require(test_heap_stats().kept_bytes > 0);
    pm_heap_trim();
    require(test_heap_stats().kept_bytes == 0 && pm_heap_stash_bytes(pm_heap_self) == 0);
    require(test_nothing_is_lost());
    require(test_pool_of(test_alloc(SIZE))->place == PM_PLACE_CURRENT && pm_heap_check());
}

ISOLATED(trim_lets_go_of_pools_with_live_blocks_which_are_found_again)
{
    test_heap_start(WINDOW_ARENAS);
    test_fill_pool(SIZE, blocks);
    struct pm_pool *pool = test_pool_of(blocks[0]);
    test_release_some(blocks, 1, pool->capacity);
    pm_heap_trim();
    require(test_is(pool, PM_PUBLISHED, 1));
    require(test_pool_of(test_alloc(SIZE)) == pool && pm_heap_check());
}

ISOLATED(pools_of_one_heap_share_a_line_of_routes)
{
    test_heap_start(WINDOW_ARENAS);
    uintptr_t group_bytes = PM_GROUP_UNITS * PM_UNIT_BYTES, first = 0;
    for (unsigned i = 0; i < PM_GROUP_UNITS; i++) {
        struct pm_pool *pool = test_pool_of(test_alloc(16 * i + 16)); /* a class each */
        if (i == 0)
            first = (uintptr_t)pool->base / group_bytes;
        require((uintptr_t)pool->base / group_bytes == first);
    }
}

/* Two threads make a pool each in turn. */
enum { TURNS = 2 * PM_GROUP_UNITS };
static char *bases[2][TURNS];
static pthread_barrier_t turn;

static void *make_pools_in_turn(void *arg)
{
    uintptr_t me = (uintptr_t)arg;
    test_get_heap();
    for (unsigned i = 0; i < 2 * TURNS; i++) {
        pthread_barrier_wait(&turn);
        if (i % 2 == me) /* a class each */
            bases[me][i / 2] = test_pool_of(test_alloc(16 * (i / 2) + 16))->base;
    }
    pthread_barrier_wait(&turn); /* what an exiting thread leaves may be the other's next pool */
    return NULL;
}

ISOLATED(pools_of_two_heaps_share_no_line_of_routes)
{
    pthread_t threads[2];
    test_heap_start(WINDOW_ARENAS);
    require(pthread_barrier_init(&turn, NULL, 2) == 0);
    for (uintptr_t i = 0; i < 2; i++)
        require(pthread_create(&threads[i], NULL, make_pools_in_turn, (void *)i) == 0);
    for (int i = 0; i < 2; i++)
        require(pthread_join(threads[i], NULL) == 0);
    uintptr_t group_bytes = PM_GROUP_UNITS * PM_UNIT_BYTES;
    for (unsigned i = 0; i < TURNS; i++) {
        for (unsigned j = 0; j < TURNS; j++)
            require((uintptr_t)bases[0][i] / group_bytes != (uintptr_t)bases[1][j] / group_bytes);
    }
}

ISOLATED(the_counter_of_a_current_pool_wraps_without_a_trace)
{
    test_heap_start(WINDOW_ARENAS);
    void *one = test_alloc(SIZE), *two = test_alloc(SIZE);
    struct pm_pool *pool = test_pool_of(one);
    struct pm_heap_stats before = test_heap_stats();
    pool->count = 2; /* as after so many frees */
    test_release(one);
    test_release(two);
    require(pool->count == PM_COUNT_CURRENT && pool->place == PM_PLACE_CURRENT);
    require(pm_heap_self->current[pool->class] == pool);
    require(test_alloc(SIZE) == two && test_alloc(SIZE) == one);
    test_release(one);
    struct pm_heap_stats after = test_heap_stats();
    require(before.mallocs - before.frees == 2 && after.mallocs - after.frees == 1);
    require(pm_heap_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_block_freed_last_is_used_first),
        cmocka_unit_test(sizes_of_one_class_share_a_pool_and_others_do_not),
        cmocka_unit_test(a_full_pool_floats_at_the_next_allocation),
        cmocka_unit_test(a_pool_of_which_an_eighth_is_freed_comes_back_to_the_allocating_freer),
        cmocka_unit_test(what_another_thread_freed_is_found_by_the_next_allocation_of_the_class),
        cmocka_unit_test(it_is_found_by_a_third_thread_while_the_maker_does_nothing),
        cmocka_unit_test(what_another_thread_freed_into_the_current_pool_comes_before_fresh_units),
        cmocka_unit_test(a_parked_pool_that_others_empty_is_found_by_slow_paths_of_other_classes),
        cmocka_unit_test(the_only_heap_adopts_all_pools_that_it_frees_into),
        cmocka_unit_test(
            a_heap_beside_others_adopts_as_many_units_as_it_may_and_publishes_the_rest),
        cmocka_unit_test(an_emptied_pool_is_kept_and_serves_its_class_again),
        cmocka_unit_test(
            of_the_kept_pools_one_of_the_class_is_taken_before_a_later_one_to_cut_anew),
        cmocka_unit_test(a_kept_pool_is_cut_anew_for_another_class_of_its_units),
        cmocka_unit_test(kept_pools_stay_within_their_bound),
        cmocka_unit_test(with_a_bound_of_zero_no_pool_is_kept),
        cmocka_unit_test(trim_gives_back_kept_pools_and_units),
        cmocka_unit_test(trim_lets_go_of_pools_with_live_blocks_which_are_found_again),
        cmocka_unit_test(pools_of_one_heap_share_a_line_of_routes),
        cmocka_unit_test(pools_of_two_heaps_share_no_line_of_routes),
        cmocka_unit_test(the_counter_of_a_current_pool_wraps_without_a_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
