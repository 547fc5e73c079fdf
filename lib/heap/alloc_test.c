/* SPDX-License-Identifier: MIT */
/* Sizes, alignment, zeroed memory, sizes of live blocks. */
#include "heap/testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 256 };

static void *blocks[TEST_BLOCKS_MAX];

ISOLATED(every_size_gets_a_block_that_holds_it)
{
    uint64_t seed = 41;
    test_heap_start(WINDOW_ARENAS);
    for (size_t n = 0; n <= 2 * PM_BLOCK_MAX; n += 1 + test_random_below(&seed, 1 + n / 16)) {
        char *block = test_alloc(n);
        size_t usable = pm_heap_usable(block, "test");
        require(usable >= n && usable > 0);
        require(n > PM_BLOCK_MAX || usable == pm_class_bytes(pm_class_of(n)));
        memset(block, 1, usable);
        test_release(block);
    }
    require(pm_heap_check() && pm_arena_check());
}

ISOLATED(aligned_blocks_are_aligned_and_hold_their_size)
{
    uint64_t seed = 42;
    test_heap_start(WINDOW_ARENAS);
    for (size_t align = 1; align <= 4 * PM_ARENA_BYTES; align *= 2) {
        for (int i = 0; i < 20; i++) {
            size_t n =
                test_random_below(&seed, (4 * PM_BLOCK_MAX >> test_random_below(&seed, 18)) + 1);
            char *block = test_told(pm_thread_malloc_aligned(n, align));
            require(block != NULL && (uintptr_t)block % align == 0);
            require(pm_heap_usable(block, "test") >= n);
            memset(block, 1, n);
            blocks[i] = block;
        }
        test_release_some(blocks, 0, 20);
    }
    require(pm_heap_check() && pm_arena_check());
}

ISOLATED(sizes_that_nothing_holds_are_refused_with_enomem)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2, (size_t)PTRDIFF_MAX + 1,
                                   PM_WINDOW_MAX_BYTES + 1};
    test_heap_start(WINDOW_ARENAS);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        require(pm_thread_malloc(sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        require(pm_thread_calloc_medium(sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        require(pm_thread_malloc_aligned(sizes[i], 64) == NULL && errno == ENOMEM);
    }
    errno = 0;
    require(pm_thread_malloc_aligned(1, (size_t)1 << 62) == NULL && errno == ENOMEM);
}

static bool all_zero(const char *block, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (block[i] != 0)
            return false;
    }
    return true;
}

static void *calloc_checked(size_t n)
{
    char *block = test_told(pm_thread_calloc_medium(n));
    require(block != NULL && all_zero(block, n));
    return block;
}

ISOLATED(zeroed_blocks_are_zero_when_memory_is_used_again)
{
    uint64_t seed = 43;
    test_heap_start(WINDOW_ARENAS);
    pm_options.keep_bytes = 0; /* purged memory comes in, too */
    for (int round = 0; round < 600; round++) {
        size_t live = 1 + test_random_below(&seed, 30);
        for (size_t i = 0; i < live; i++) {
            size_t n =
                1 + test_random_below(&seed, 4 * PM_BLOCK_MAX >> test_random_below(&seed, 10));
            blocks[i] = test_random_below(&seed, 2) ? calloc_checked(n) : test_alloc(n);
            memset(blocks[i], 0xff, pm_heap_usable(blocks[i], "test"));
        }
        for (size_t i = 0; i < live; i++)
            test_release(blocks[i]);
        if (round % 50 == 49)
            pm_heap_trim();
        if (round % 100 == 99)
            pm_arena_purge_all();
    }
    require(pm_heap_check() && pm_arena_check());
}

static void *fill_everything(void *arg)
{
    (void)arg;
    for (size_t n = 16; n <= 4 * PM_BLOCK_MAX; n += n / 2) {
        for (int i = 0; i < 40; i++) {
            blocks[i] = test_alloc(n);
            memset(blocks[i], 0xff, pm_heap_usable(blocks[i], "test"));
        }
        test_release_some(blocks, 0, 40);
    }
    return NULL;
}

ISOLATED(zeroed_blocks_are_zero_on_what_an_exited_thread_wrote)
{
    test_heap_start(WINDOW_ARENAS);
    test_in_thread(fill_everything, NULL);
    for (size_t n = 16; n <= 4 * PM_BLOCK_MAX; n += n / 3) {
        for (int i = 0; i < 20; i++)
            calloc_checked(n);
    }
}

static size_t resident_pages(const char *block, size_t n)
{
    static unsigned char pages[(16 << 20) / 4096];
    size_t resident = 0, page = pm_os_page_bytes();
    char *first = (char *)pm_align_up((uintptr_t)block, page);
    size_t count = (n - (size_t)(first - block)) / page;
    require(count <= sizeof pages && mincore(first, count * page, pages) == 0);
    for (size_t i = 0; i < count; i++)
        resident += pages[i] & 1;
    return resident;
}

ISOLATED(zeroed_memory_fresh_from_the_system_is_not_touched)
{
    test_heap_start(WINDOW_ARENAS);
    size_t n = (size_t)8 << 20;
    char *large = pm_thread_calloc_medium(n);
    require(large != NULL && resident_pages(large, n) == 0);
    char *medium = pm_thread_calloc_medium(PM_BLOCK_MAX);
    require(medium != NULL && resident_pages(medium, PM_BLOCK_MAX) == 0);
    memset(test_told(large), 1, n);
    test_release(large);
    require(pm_arena_purge_all());
    char *again = pm_thread_calloc_medium(n);
    require(again == large && resident_pages(again, n) == 0); /* purged is as good as fresh */
}

ISOLATED(resizing_a_block_of_a_pool_in_place_wastes_at_most_half_or_moves)
{
    test_heap_start(WINDOW_ARENAS);
    for (size_t n = 64; n <= PM_BLOCK_MAX; n += n / 5) {
        char *block = test_alloc(n);
        size_t have = pm_heap_usable(block, "test");
        require(pm_heap_resize(block, have, "realloc"));
        require(pm_heap_resize(block, have / 2, "realloc"));
        require(!pm_heap_resize(block, have + 1, "realloc"));
        require(!pm_heap_resize(block, have / 2 - 1, "realloc"));
        require(pm_heap_usable(block, "test") == have);
        test_release(block);
    }
}

ISOLATED(what_a_block_of_a_pool_holds_is_known_whether_the_pool_has_an_owner_or_floats)
{
    enum { N = 1000 };
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    char *first = test_alloc(N), *last = first;
    for (unsigned n = test_pool_of(first)->capacity; n > 0; n--) /* the first one's pool floats */
        last = test_alloc(N);
    size_t have = pm_heap_good_size(N);
    require(pm_thread_own_pool(last) == test_pool_of(last) &&
            test_pool_of(last)->block_bytes == have);
    require(pm_thread_own_pool(first) == NULL);
    require(pm_heap_pooled_bytes(first) == have && pm_heap_pooled_bytes(last) == have);
    /* What is no block, or in no pool. */
    char *large = test_alloc(2 * PM_BLOCK_MAX);
    const void *others[] = {first + PM_GRANULE_BYTES, last + PM_GRANULE_BYTES, large, &large, NULL};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        require(pm_thread_own_pool(others[i]) == NULL && pm_heap_pooled_bytes(others[i]) == 0);
}

ISOLATED(a_large_block_shrinks_and_grows_where_it_is)
{
    test_heap_start(WINDOW_ARENAS);
    char *block = test_alloc(10 * PM_BLOCK_MAX);
    memset(block, 7, 10 * PM_BLOCK_MAX);
    require(pm_heap_resize(block, 4 * PM_BLOCK_MAX, "realloc"));
    require(pm_heap_usable(block, "test") == 4 * PM_BLOCK_MAX);
    require(pm_heap_resize(block, 9 * PM_BLOCK_MAX, "realloc"));
    require(pm_heap_usable(block, "test") == 9 * PM_BLOCK_MAX);
    for (size_t i = 0; i < 4 * PM_BLOCK_MAX; i++)
        require(block[i] == 7);
    require(!pm_heap_resize(block, PM_BLOCK_MAX, "realloc")); /* small enough for a pool */
    require(!pm_heap_resize(block, PTRDIFF_MAX, "realloc"));
}

static void usable_of(const void *ptr)
{
    pm_heap_usable(ptr, "malloc_usable_size");
}

ISOLATED(asking_for_the_size_of_what_is_no_block_is_a_named_error)
{
    char stack[64];
    test_heap_start(WINDOW_ARENAS);
    char *small = test_alloc(64), *large = test_alloc(2 * PM_BLOCK_MAX);
    require(test_aborts(usable_of, stack, "malloc_usable_size("));
    require(test_aborts(usable_of, stack, "not a block of this allocator"));
    require(test_aborts(usable_of, small + PM_GRANULE_BYTES, "points inside a block"));
    require(test_aborts(usable_of, large + PM_UNIT_BYTES, "points inside a block"));
    test_release(large);
    require(test_aborts(usable_of, large, "not allocated"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_gets_a_block_that_holds_it),
        cmocka_unit_test(aligned_blocks_are_aligned_and_hold_their_size),
        cmocka_unit_test(sizes_that_nothing_holds_are_refused_with_enomem),
        cmocka_unit_test(zeroed_blocks_are_zero_when_memory_is_used_again),
        cmocka_unit_test(zeroed_blocks_are_zero_on_what_an_exited_thread_wrote),
        cmocka_unit_test(zeroed_memory_fresh_from_the_system_is_not_touched),
        cmocka_unit_test(resizing_a_block_of_a_pool_in_place_wastes_at_most_half_or_moves),
        cmocka_unit_test(
            what_a_block_of_a_pool_holds_is_known_whether_the_pool_has_an_owner_or_floats),
        cmocka_unit_test(a_large_block_shrinks_and_grows_where_it_is),
        cmocka_unit_test(asking_for_the_size_of_what_is_no_block_is_a_named_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
