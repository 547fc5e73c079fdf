/* SPDX-License-Identifier: MIT */
/* Batches: many blocks in one call, of every size, from every heap, and what comes back. */
#include "heap/testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 128, MANY = 3000, SIZE = 64 };

static void *blocks[TEST_BLOCKS_MAX];

static int by_address(const void *a, const void *b)
{
    uintptr_t one = *(const uintptr_t *)a, two = *(const uintptr_t *)b;
    return one < two ? -1 : one > two;
}

/* All there, of that size, aligned, and no two overlap. */
static void require_good_batch(size_t n, size_t count)
{
    require(pm_thread_malloc_batch(n, count, blocks) == count);
    for (size_t i = 0; i < count; i++) {
        require(blocks[i] != NULL && (uintptr_t)blocks[i] % PM_GRANULE_BYTES == 0);
        require(pm_heap_usable(blocks[i], "test") == pm_heap_good_size(n));
        memset(test_told(blocks[i]), (int)i, n);
    }
    void *sorted[MANY];
    memcpy(sorted, blocks, count * sizeof *blocks);
    qsort(sorted, count, sizeof *sorted, by_address);
    for (size_t i = 1; i < count; i++)
        require((uintptr_t)sorted[i] - (uintptr_t)sorted[i - 1] >= pm_heap_good_size(n));
}

ISOLATED(batches_of_every_size_are_distinct_blocks_and_all_come_back)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (size_t n = 0; n <= 3 * PM_BLOCK_MAX; n += n / 2 + 1) {
        size_t count = n <= 1024 ? MANY : n <= PM_BLOCK_MAX ? 100 : 5;
        require_good_batch(n, count);
        require(pm_heap_check());
        pm_thread_free_batch(blocks, count, "free");
        require(pm_heap_check());
    }
    require(test_nothing_is_lost());
}

ISOLATED(a_batch_and_single_calls_take_from_one_pool)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    void *first = test_alloc(SIZE);
    test_release(first);
    require(pm_thread_malloc_batch(SIZE, 1, blocks) == 1 && blocks[0] == first);
    require(pm_thread_malloc_batch(SIZE, 0, blocks + 1) == 0);
    pm_thread_free_batch(blocks, 1, "free");
    require(test_alloc(SIZE) == first);
    require(pm_thread_malloc_batch(SIZE, 2, blocks) == 2);
    pm_thread_free_batch(blocks, 2, "free");
    require(test_alloc(SIZE) == blocks[1] && test_alloc(SIZE) == blocks[0]); /* I9 */
}

ISOLATED(batches_are_counted_block_by_block)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    struct pm_heap_stats before = test_heap_stats();
    require(pm_thread_malloc_batch(SIZE, MANY, blocks) == MANY);
    struct pm_heap_stats after = test_heap_stats();
    require(after.mallocs - before.mallocs == MANY && after.frees == before.frees);
    pm_thread_free_batch(blocks, MANY, "free");
    pm_heap_flush(pm_heap_self);
    after = test_heap_stats();
    require(after.mallocs - before.mallocs == MANY);
    require(after.frees + after.remote_frees - before.frees - before.remote_frees == MANY);
}

/* Before the thread has a heap: the cold heap's blocks, one by one, and then its own. */
static void *first_calls(void *arg)
{
    (void)arg;
    require(!pm_heap_self->real);
    require(pm_thread_malloc_batch(SIZE, MANY, blocks) == MANY && pm_heap_self->real);
    pm_thread_free_batch(blocks, MANY, "free");
    return NULL;
}

ISOLATED(a_batch_may_be_a_threads_first_call)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    test_in_thread(first_calls, NULL);
    require(test_nothing_is_lost());
}

static void *free_all(void *count)
{
    pm_thread_free_batch(blocks, *(size_t *)count, "free");
    return NULL;
}

/* Blocks of several pools and of a large one, out of order, with NULLs between. */
ISOLATED(another_threads_blocks_large_ones_and_nulls_are_freed_in_one_batch)
{
    size_t count = 0;
    uint64_t seed = 1;
    test_heap_start(WINDOW_ARENAS);
    for (size_t n = 16; n <= 2 * PM_BLOCK_MAX; n *= 2) {
        require(pm_thread_malloc_batch(n, 20, blocks + count) == 20);
        count += 20;
        blocks[count++] = NULL;
    }
    for (size_t i = count; i-- > 1;) {
        size_t other = test_random_below(&seed, i + 1);
        void *block = blocks[i];
        blocks[i] = blocks[other];
        blocks[other] = block;
    }
    size_t half = count / 2;
    test_in_thread(free_all, &half);
    pm_thread_free_batch(blocks + half, count - half, "free");
    require(test_nothing_is_lost());
}

/* All of one pool, which was full and was adopted on the way: with its last block it goes. */
static void fill_and_keep_one(void)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_float_pool(SIZE, blocks);
    for (unsigned i = pool->capacity; --i > 0;)
        test_release(blocks[i]);
    pm_heap_flush(pm_heap_self);
    require(pool->place == PM_PLACE_PARKED && pool->count == 1);
}

ISOLATED(a_batch_goes_on_after_a_block_that_emptied_its_pool)
{
    fill_and_keep_one();
    struct pm_pool *pool = test_pool_of(blocks[0]);
    blocks[1] = test_alloc(SIZE);
    blocks[2] = test_alloc(2 * SIZE);
    pm_thread_free_batch(blocks, 3, "free");
    require(pool->place == PM_PLACE_KEPT && pm_heap_check());
}

static void free_last_twice(const void *arg)
{
    (void)arg;
    fill_and_keep_one();
    blocks[1] = blocks[0];
    pm_thread_free_batch(blocks, 2, "pm_free_batch");
}

/* What was known of its pool no longer holds. */
static void a_block_that_comes_twice_and_emptied_its_pool_is_named(void **state)
{
    (void)state;
    assert_true(test_aborts(free_last_twice, NULL, "pm_free_batch("));
    assert_true(test_aborts(free_last_twice, NULL, "not allocated"));
}

ISOLATED(blocks_of_an_added_window_are_freed_in_batches_too)
{
    test_heap_start(1);
    require(pm_thread_malloc_batch(1024, TEST_BLOCKS_MAX, blocks) == TEST_BLOCKS_MAX);
    require(pm_window_find(blocks[TEST_BLOCKS_MAX - 1]) != &pm_window);
    pm_thread_free_batch(blocks, TEST_BLOCKS_MAX, "free");
    require(test_nothing_is_lost());
}

static void free_interior(const void *arg)
{
    (void)arg;
    blocks[2] = (char *)blocks[2] + 8;
    pm_thread_free_batch(blocks, 3, "pm_free_batch");
}

static void free_foreign(const void *arg)
{
    (void)arg;
    blocks[1] = blocks;
    pm_thread_free_batch(blocks, 3, "pm_free_batch");
}

/* In the runner itself, and so the last. */
static void wrong_pointers_in_a_batch_are_named(void **state)
{
    (void)state;
    require(pm_thread_malloc_batch(SIZE, 3, blocks) == 3);
    assert_true(test_aborts(free_foreign, NULL, "pm_free_batch("));
    if (PM_CHECK || PM_ASAN) /* as of free: the fast path looks at blocks in these builds only */
        assert_true(test_aborts(free_interior, NULL, "points inside a block"));
    pm_thread_free_batch(blocks, 3, "free");
}

ISOLATED(a_batch_that_memory_ends_in_has_what_there_was)
{
    if (PM_ASAN || PM_TSAN)
        test_skipped("sanitizers need more address space than any limit");
    test_limit(RLIMIT_AS, (size_t)512 << 20);
    test_heap_start(1);
    errno = 0;
    size_t made = pm_thread_malloc_batch((size_t)8 << 20, TEST_BLOCKS_MAX, blocks);
    require(made > 0 && made < TEST_BLOCKS_MAX && errno == ENOMEM);
    pm_thread_free_batch(blocks, made, "free");
    errno = 0;
    require(pm_thread_malloc_batch(SIZE_MAX, 2, blocks) == 0 && errno == ENOMEM);
    require(test_nothing_is_lost());
}

ISOLATED(a_block_of_a_pool_expands_as_far_as_it_holds)
{
    test_heap_start(WINDOW_ARENAS);
    for (size_t n = 1; n <= PM_BLOCK_MAX; n += n / 3 + 1) {
        char *block = test_alloc(n);
        size_t have = pm_heap_usable(block, "test");
        require(pm_heap_expand(block, have, "test") && pm_heap_expand(block, 1, "test"));
        require(!pm_heap_expand(block, have + 1, "test"));
        require(pm_heap_usable(block, "test") == have);
        test_release(block);
    }
    require(test_nothing_is_lost());
}

ISOLATED(a_large_block_changes_in_place_while_there_is_room)
{
    test_heap_start(WINDOW_ARENAS);
    char *large = test_alloc(4 * PM_BLOCK_MAX);
    require(pm_heap_expand(large, 6 * PM_BLOCK_MAX, "test"));
    require(pm_heap_usable(large, "test") == 6 * PM_BLOCK_MAX);
    require(pm_heap_expand(large, 2 * PM_BLOCK_MAX, "test"));
    require(pm_heap_usable(large, "test") == 2 * PM_BLOCK_MAX);
    require(pm_heap_expand(large, 16, "test")); /* it stays a large block */
    require(!pm_heap_expand(large, (size_t)1 << 45, "test"));
    test_release(large);
    require(test_nothing_is_lost());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_of_every_size_are_distinct_blocks_and_all_come_back),
        cmocka_unit_test(a_batch_and_single_calls_take_from_one_pool),
        cmocka_unit_test(batches_are_counted_block_by_block),
        cmocka_unit_test(a_batch_may_be_a_threads_first_call),
        cmocka_unit_test(another_threads_blocks_large_ones_and_nulls_are_freed_in_one_batch),
        cmocka_unit_test(a_batch_goes_on_after_a_block_that_emptied_its_pool),
        cmocka_unit_test(a_block_that_comes_twice_and_emptied_its_pool_is_named),
        cmocka_unit_test(blocks_of_an_added_window_are_freed_in_batches_too),
        cmocka_unit_test(a_batch_that_memory_ends_in_has_what_there_was),
        cmocka_unit_test(a_block_of_a_pool_expands_as_far_as_it_holds),
        cmocka_unit_test(a_large_block_changes_in_place_while_there_is_room),
        cmocka_unit_test(wrong_pointers_in_a_batch_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
