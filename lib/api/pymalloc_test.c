/* SPDX-License-Identifier: MIT */
/*
 * What pymalloc promises of classes, blocks, pools and arenas, of the object domain as a program
 * calls it. F.3 to F.6 of docs/reliability.md; in the classic configuration to pymalloc's own
 * numbers.
 */
#include "api/domains_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, ARENAS = 12 };

static void *blocks[TEST_BLOCKS_MAX];

/* Before the first allocation: no huge page brings neighbours along. */
static void start(void)
{
    require(pm_options_parse("huge_pages=never"));
    test_heap_start(WINDOW_ARENAS);
}

static void f3_each_size_has_the_class_that_its_granule_gives(void **state)
{
    (void)state;
    for (size_t n = 1; n <= PM_SMALL_MAX; n++) {
        size_t index = (n - 1) / PM_GRANULE_BYTES, size = (index + 1) * PM_GRANULE_BYTES;
        assert_int_equal(pm_class_bytes(pm_class_of(n)), size);
        /* Classes are numbered in 8-byte steps, those that are not used among them. */
        assert_int_equal((pm_class_of(n) + 1) * 8 / PM_GRANULE_BYTES - 1, index);
    }
}

ISOLATED(f3_blocks_have_the_size_of_their_class_and_are_aligned)
{
    for (size_t n = 1; n <= TEST_POOL_MAX; n++) {
        void *block = pm_object_malloc(n);
        size_t index = (n + PM_ASAN_REDZONE_BYTES - 1) / PM_GRANULE_BYTES;
        require(test_pool_of(block)->block_bytes == (index + 1) * PM_GRANULE_BYTES);
        require((uintptr_t)block % PM_GRANULE_BYTES == 0);
    }
}

ISOLATED(f4_the_block_freed_last_is_used_first)
{
    for (size_t n = 1; n <= TEST_POOL_MAX; n += PM_GRANULE_BYTES) {
        void *one = pm_object_malloc(n), *two = pm_object_malloc(n), *three = pm_object_malloc(n);
        pm_object_free(one);
        pm_object_free(three);
        pm_object_free(two);
        require(pm_object_malloc(n) == two);
        require(pm_object_malloc(n) == three);
        require(pm_object_malloc(n) == one);
    }
}

/* By the system's own pages. */
static size_t resident_bytes(void *from, size_t bytes)
{
    static unsigned char pages[2 * ARENAS * PM_ARENA_BYTES / 4096];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), resident = 0;
    require(bytes / page <= sizeof pages && mincore(from, bytes, pages) == 0);
    for (size_t i = 0; i < bytes / page; i++)
        resident += (pages[i] & 1) * page;
    return resident;
}

static char *arena_of(const void *block)
{
    return (char *)((uintptr_t)block & ~(PM_ARENA_BYTES - 1));
}

ISOLATED(f4_a_fresh_pool_with_two_live_blocks_leaves_later_pages_untouched)
{
    start();
    char *one = pm_object_malloc(TEST_POOL_MAX), *two = pm_object_malloc(TEST_POOL_MAX);
    one[0] = two[0] = 1;
    require(test_pool_of(one) == test_pool_of(two));
    /* Nor is anything touched in the units behind the pool. */
    require(resident_bytes(arena_of(one), PM_ARENA_BYTES) <= pm_os_page_bytes());
}

/* Blocks of that size until the first pool of the class is full. */
static struct pm_pool *fill_pool(size_t size)
{
    size_t bytes = pm_class_bytes(pm_class_of(size + PM_ASAN_REDZONE_BYTES));
    unsigned capacity = (unsigned)((PM_UNIT_BYTES - PM_POOL_HEADER_BYTES) / bytes);
    for (unsigned i = 0; i < capacity; i++)
        blocks[i] = pm_object_malloc(size);
    struct pm_pool *pool = test_pool_of(blocks[0]);
    require(pool->capacity == capacity && pool->units == 1);
    for (unsigned i = 0; i < capacity; i++)
        require(test_pool_of(blocks[i]) == pool);
    return pool;
}

static void free_blocks(unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        pm_object_free(blocks[i]);
    pm_heap_flush(pm_heap_self);
}

/* used -> full -> floating, which is "parked" there -> used -> empty */
ISOLATED(f5_a_pool_passes_through_its_states_with_its_exact_capacity)
{
    static const size_t sizes[] = {1, 64, TEST_POOL_MAX / 2, TEST_POOL_MAX};
    start();
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct pm_pool *pool = fill_pool(sizes[i]);
        require(pool->place == PM_PLACE_CURRENT && test_is(pool, PM_OWNED, 0));
        void *next = pm_object_malloc(sizes[i]);
        require(test_pool_of(next) != pool && test_is(pool, PM_FLOATING, pool->capacity));
        unsigned eighth = test_eighth(pool);
        for (unsigned freed = 0; freed < eighth; freed++) {
            require(test_is(pool, PM_FLOATING, pool->capacity - freed));
            free_blocks(freed, freed + 1);
        }
        require(pool->place == PM_PLACE_PARKED && test_is(pool, PM_OWNED, 0));
        require(pool->count == pool->capacity - eighth);
        free_blocks(eighth, pool->capacity);
        require(pool->place == PM_PLACE_KEPT && test_is(pool, PM_FREE, 0));
        require(pm_heap_check());
    }
}

ISOLATED(f5_pools_of_every_class_hold_the_blocks_that_fit_behind_their_header)
{
    start();
    for (size_t size = PM_GRANULE_BYTES; size <= TEST_POOL_MAX; size += PM_GRANULE_BYTES) {
        struct pm_pool *pool = fill_pool(size);
        require(test_pool_of(pm_object_malloc(size)) != pool);
    }
}

/* The column "classic" of the reference, its header counted: 48 bytes that the pool leaves free. */
static void f5_the_classic_configuration_has_the_numbers_of_pymalloc(void **state)
{
    (void)state;
    if (!PM_CLASSIC)
        return;
    assert_int_equal(PM_UNIT_BYTES, 4096);
    assert_int_equal(PM_ARENA_UNITS, 64);
    assert_int_equal(PM_ARENA_BYTES, 256 << 10);
    assert_int_equal(PM_GRANULE_BYTES, 8);
    assert_int_equal(PM_SMALL_CLASSES, 64);
    for (unsigned class = 0; class < PM_SMALL_CLASSES; class ++)
        assert_int_equal(pm_class_capacity(class), (4096 - 48) / (8 * (class + 1)));
    assert_int_equal(pm_class_capacity(0), 506);
    assert_int_equal(pm_class_capacity(PM_SMALL_CLASSES - 1), 7);
}

static void shuffle(void **all, size_t count, uint64_t *seed)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = test_random_below(seed, i);
        void *block = all[i - 1];
        all[i - 1] = all[other];
        all[other] = block;
    }
}

ISOLATED(f6_objects_freed_in_random_order_leave_no_more_than_an_arena_resident)
{
    enum { OBJECTS = ARENAS * PM_ARENA_BYTES / PM_SMALL_MAX };
    static void *objects[OBJECTS];
    uint64_t seed = 81;
    test_needs_small_pages();
    pm_options.keep_bytes = PM_ARENA_BYTES;
    pm_options.heap_keep_bytes = 0;
    start();
    for (size_t i = 0; i < OBJECTS; i++)
        memset(objects[i] = pm_object_malloc(TEST_POOL_MAX), 1, TEST_POOL_MAX);
    char *first = pm_window_unit(&pm_window, (size_t)pm_window.first_arena * PM_ARENA_UNITS);
    size_t bytes = (size_t)(pm_window.next_arena - pm_window.first_arena) << PM_ARENA_SHIFT;
    require(resident_bytes(first, bytes) >= (ARENAS - 1) * PM_ARENA_BYTES);
    shuffle(objects, OBJECTS, &seed);
    for (size_t i = 0; i < OBJECTS; i++)
        pm_object_free(objects[i]);
    /* The bound; and what the thread can allocate from: a pool, and the rest of its group. */
    size_t held = (1 + PM_GROUP_UNITS) * PM_UNIT_BYTES;
    require(resident_bytes(first, bytes) <= PM_ARENA_BYTES + held + held / PM_KEEP_PART);
    pm_purge();
    require(resident_bytes(first, bytes) == 0 && pm_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f3_each_size_has_the_class_that_its_granule_gives),
        cmocka_unit_test(f3_blocks_have_the_size_of_their_class_and_are_aligned),
        cmocka_unit_test(f4_the_block_freed_last_is_used_first),
        cmocka_unit_test(f4_a_fresh_pool_with_two_live_blocks_leaves_later_pages_untouched),
        cmocka_unit_test(f5_a_pool_passes_through_its_states_with_its_exact_capacity),
        cmocka_unit_test(f5_pools_of_every_class_hold_the_blocks_that_fit_behind_their_header),
        cmocka_unit_test(f5_the_classic_configuration_has_the_numbers_of_pymalloc),
        cmocka_unit_test(f6_objects_freed_in_random_order_leave_no_more_than_an_arena_resident),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
