/* SPDX-License-Identifier: MIT */
/* User heaps by their public functions: what a program sees. */
#include "base/testing.h"
#include "poolmalloc/heap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BLOCKS = 3000 };

static pm_user_heap *new_heap(size_t limit_bytes)
{
    pm_user_heap *heap = pm_heap_new(limit_bytes);
    assert_non_null(heap);
    return heap;
}

static void a_heap_that_is_destroyed_takes_its_blocks_along(void **state)
{
    struct pm_stats before, after;
    pm_user_heap *heap = new_heap(0);
    (void)state;
    pm_stats_get(&before);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < BLOCKS; i++)
            memset(pm_heap_malloc(heap, i), 1, i);
        assert_true(pm_heap_bytes(heap) >= BLOCKS / 2 * BLOCKS);
        pm_heap_destroy(heap);
        heap = new_heap(0);
        assert_int_equal(pm_heap_bytes(heap), 0);
    }
    pm_heap_destroy(heap);
    pm_stats_get(&after);
    assert_int_equal(after.pool_bytes, before.pool_bytes);
    assert_int_equal(after.span_bytes, before.span_bytes);
    assert_int_equal(after.mallocs - before.mallocs, 3 * BLOCKS);
    assert_int_equal(after.frees - before.frees, 3 * BLOCKS);
    assert_true(pm_check());
}

static void blocks_are_told_from_those_of_others_and_stay_in_their_heap(void **state)
{
    pm_user_heap *heap = new_heap(0);
    (void)state;
    char *block = pm_heap_malloc(heap, 100), *plain = pm_malloc(100);
    assert_ptr_equal(pm_heap_of(block), heap);
    assert_null(pm_heap_of(plain));
    assert_null(pm_heap_of(NULL));
    for (size_t n = 200; n < 20u << 20; n *= 2) {
        memset(block, 5, n / 2);
        block = n % 400 ? pm_realloc(block, n) : pm_heap_realloc(heap, block, n);
        assert_ptr_equal(pm_heap_of(block), heap);
        for (size_t i = 0; i < n / 2; i++)
            assert_int_equal(block[i], 5);
    }
    assert_null(pm_realloc(block, 0));
    block = pm_heap_realloc(heap, NULL, 10);
    assert_ptr_equal(pm_heap_of(block), heap);
    pm_free(block);
    pm_free(plain);
    pm_heap_destroy(heap);
}

static void the_limit_gives_enomem_and_can_be_changed(void **state)
{
    int n = 0;
    pm_user_heap *heap = new_heap(1 << 20);
    (void)state;
    errno = 0;
    while (pm_heap_malloc(heap, 1000) != NULL)
        n++;
    assert_int_equal(errno, ENOMEM);
    assert_true(n > 800 && pm_heap_bytes(heap) <= 1 << 20);
    assert_null(pm_heap_calloc(heap, 1 << 20, 2));
    pm_heap_set_limit(heap, 0);
    assert_non_null(pm_heap_calloc(heap, 1 << 20, 2));
    pm_heap_destroy(heap);
}

static void a_block_that_shrinks_stays_where_there_is_no_smaller_one(void **state)
{
    pm_user_heap *heap = new_heap(1 << 20);
    (void)state;
    unsigned char *block = pm_heap_malloc(heap, 1 << 19);
    memset(block, 7, 1 << 19);
    while (pm_heap_malloc(heap, 3000) != NULL || pm_heap_malloc(heap, 100) != NULL)
        continue;
    errno = EDOM;
    assert_ptr_equal(pm_realloc(block, 90), block);
    assert_ptr_equal(pm_reallocarray(block, 10, 9), block);
    assert_int_equal(errno, EDOM);
    assert_true(block[0] == 7 && block[89] == 7 && pm_malloc_usable_size(block) >= 90);
    assert_null(pm_realloc(block, 1 << 20));
    assert_int_equal(errno, ENOMEM);
    pm_heap_destroy(heap);
}

static void what_no_heap_can_hold_is_refused(void **state)
{
    pm_user_heap *heap = new_heap(0);
    (void)state;
    errno = 0;
    assert_null(pm_heap_malloc(heap, (size_t)PTRDIFF_MAX + 1));
    assert_int_equal(errno, ENOMEM);
    assert_null(pm_heap_calloc(heap, SIZE_MAX / 2, 3));
    errno = 0;
    assert_null(pm_heap_aligned_alloc(heap, 24, 10));
    assert_int_equal(errno, EINVAL);
    assert_int_equal((uintptr_t)pm_heap_aligned_alloc(heap, 4096, 10) % 4096, 0);
    assert_non_null(pm_heap_malloc(heap, 0));
    errno = 5;
    pm_heap_destroy(heap);
    pm_heap_destroy(NULL);
    assert_int_equal(errno, 5);
}

static bool add(void *block, size_t bytes, void *sum)
{
    assert_true(pm_malloc_usable_size(block) <= bytes);
    *(size_t *)sum += pm_malloc_usable_size(block);
    return true;
}

static void a_walk_sees_what_lives(void **state)
{
    size_t live = 0, seen = 0;
    pm_user_heap *heap = new_heap(0);
    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) {
        void *block = pm_heap_malloc(heap, i * i % 100000);
        if (i % 3 == 0)
            pm_free(block);
        else
            live += pm_malloc_usable_size(block);
    }
    assert_true(pm_heap_walk(heap, add, &seen));
    assert_int_equal(seen, live);
    pm_heap_destroy(heap);
}

static void use_no_heap(const void *heap)
{
    pm_heap_bytes((pm_user_heap *)(uintptr_t)heap);
}

static void a_destroyed_heap_is_named(void **state)
{
    pm_user_heap *heap = new_heap(0);
    (void)state;
    pm_heap_destroy(heap);
    assert_true(test_aborts(use_no_heap, heap, "pm_heap_bytes("));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heap_that_is_destroyed_takes_its_blocks_along),
        cmocka_unit_test(blocks_are_told_from_those_of_others_and_stay_in_their_heap),
        cmocka_unit_test(the_limit_gives_enomem_and_can_be_changed),
        cmocka_unit_test(a_block_that_shrinks_stays_where_there_is_no_smaller_one),
        cmocka_unit_test(what_no_heap_can_hold_is_refused),
        cmocka_unit_test(a_walk_sees_what_lives),
        cmocka_unit_test(a_destroyed_heap_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
