/* SPDX-License-Identifier: MIT */
/* The malloc family under its pm_ names: contents over realloc, errors, trimming. */
#include "base/testing.h"
#include "heap/heap.h"
#include "os/os.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { LIVE = 300, STEPS = 20000 };

static void a_block_of_a_pool_stays_in_place_when_half_of_it_is_asked_for(void **state)
{
    (void)state;
    for (size_t n = 64; n <= PM_BLOCK_MAX; n += n / 7) {
        char *block = pm_malloc(n);
        size_t have = pm_malloc_usable_size(block);
        assert_ptr_equal(pm_realloc(block, have), block);
        assert_ptr_equal(pm_realloc(block, have - have / 2), block);
        assert_int_equal(pm_malloc_usable_size(block), have);
        char *smaller = pm_realloc(block, have / 2 - 1 - PM_ASAN_REDZONE_BYTES);
        assert_true(pm_malloc_usable_size(smaller) < have);
        pm_free(smaller);
    }
}

static void realloc_keeps_the_contents_up_to_the_smaller_size(void **state)
{
    uint64_t seed = 51;
    size_t size = 1;
    unsigned char *block = pm_malloc(size);
    (void)state;
    block[0] = 1;
    for (int step = 0; step < 400; step++) {
        size_t next =
            1 + test_random_below(&seed, 6 * PM_BLOCK_MAX >> test_random_below(&seed, 16));
        block = pm_realloc(block, next);
        assert_non_null(block);
        for (size_t i = 0; i < size && i < next; i++)
            assert_int_equal(block[i], (unsigned char)(i * 7 + 1));
        for (size_t i = 0; i < next; i++)
            block[i] = (unsigned char)(i * 7 + 1);
        size = next;
    }
    pm_free(block);
}

static void realloc_of_nothing_allocates_and_to_nothing_frees(void **state)
{
    (void)state;
    void *block = pm_realloc(NULL, 100);
    assert_true(pm_malloc_usable_size(block) >= 100);
    assert_null(pm_realloc(block, 0));
    assert_ptr_equal(pm_malloc(100), block); /* it came back */
    pm_free(block);
    pm_free(NULL);
}

static void sizes_that_nothing_holds_give_enomem_and_leave_the_block_alone(void **state)
{
    char *block = pm_malloc(100);
    (void)state;
    strcpy(block, "contents");
    static const size_t sizes[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        assert_true(pm_malloc(sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        assert_true(pm_calloc(1, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        assert_true(pm_realloc(block, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        assert_true(pm_memalign(64, sizes[i]) == NULL && errno == ENOMEM);
        errno = 0;
        assert_true(pm_pvalloc(sizes[i]) == NULL && errno == ENOMEM);
    }
    errno = 0;
    assert_true(pm_calloc(SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    errno = 0;
    assert_true(pm_reallocarray(block, SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    assert_string_equal(block, "contents");
    pm_free(block);
}

static void alignments_that_are_none_are_refused(void **state)
{
    static const size_t bad[] = {0, 3, 24, SIZE_MAX};
    int here;
    void *block = &here;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        assert_true(pm_memalign(bad[i], 10) == NULL && errno == EINVAL);
        errno = 0;
        assert_true(pm_aligned_alloc(bad[i], 10) == NULL && errno == EINVAL);
        errno = EDOM;
        assert_int_equal(pm_posix_memalign(&block, bad[i], 10), EINVAL);
        assert_int_equal(pm_posix_memalign(&block, sizeof(void *) / 2, 10), EINVAL);
        assert_int_equal(pm_posix_memalign(&block, 64, SIZE_MAX), ENOMEM);
        assert_true(errno == EDOM && block == &here);
    }
}

static void zeroed_blocks_are_zero_whatever_they_held(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t n = 1; n <= 3 * PM_BLOCK_MAX; n += n < PM_DIRECT_MAX ? 1 : n / 9) {
            unsigned char *block = pm_calloc(1, n), any = 0;
            assert_non_null(block);
            for (size_t i = 0; i < n; i++)
                any |= block[i];
            assert_int_equal(any, 0);
            memset(block, 0xff, n);
            pm_free(block);
        }
    }
}

static void a_block_of_size_zero_is_one_of_its_own(void **state)
{
    (void)state;
    void *one = pm_malloc(0), *two = pm_malloc(0), *three = pm_calloc(0, 5);
    assert_true(one != NULL && two != NULL && three != NULL);
    assert_true(one != two && two != three && one != three);
    pm_free(one);
    pm_free(two);
    pm_free(three);
}

static void page_aligned_blocks_are_aligned_to_a_page(void **state)
{
    size_t page = pm_os_page_bytes();
    (void)state;
    void *one = pm_valloc(10), *two = pm_pvalloc(page + 1), *three = pm_pvalloc(0);
    assert_true((uintptr_t)one % page == 0 && (uintptr_t)two % page == 0);
    assert_true(pm_malloc_usable_size(two) >= 2 * page);
    assert_true(three != NULL && pm_malloc_usable_size(three) >= page);
    pm_free(one);
    pm_free(two);
    pm_free(three);
}

static void sized_frees_free(void **state)
{
    (void)state;
    void *block = pm_malloc(100), *aligned = pm_aligned_alloc(256, 100);
    pm_free_sized(block, 100);
    assert_ptr_equal(pm_malloc(100), block);
    pm_free_sized(block, 100);
    pm_free_aligned_sized(aligned, 256, 100);
    assert_ptr_equal(pm_aligned_alloc(256, 100), aligned);
    pm_free(aligned);
    pm_free_sized(NULL, 100);
    pm_free_aligned_sized(NULL, 256, 100);
}

/* It may have left the block where it was, larger than that. */
ISOLATED(sized_frees_take_the_size_that_realloc_was_asked_for)
{
    for (size_t size = 16; size <= 4 * PM_BLOCK_MAX; size += size / 3) {
        for (size_t less = size; less > size / 2; less -= 1 + size / 16) {
            void *block = pm_realloc(pm_malloc(size), less);
            require(block != NULL);
            pm_free_sized(block, less);
        }
    }
    require(pm_check());
}

#if !defined(__aarch64__)
static void free_it(const void *block)
{
    pm_free((void *)(uintptr_t)block);
}
#endif

/* Where the processor ignores the top byte of a pointer, so do these; elsewhere it is no pointer.
 */
static void a_tag_in_a_pointer_is_ignored_where_the_processor_ignores_it(void **state)
{
    (void)state;
    for (size_t size = 100; size <= 5000000; size *= 50) {
        char *block = pm_malloc(size);
        char *tagged = (char *)((uintptr_t)block | (uintptr_t)0x5a << 56);
#if defined(__aarch64__)
        memset(tagged, 7, size);
        assert_int_equal(pm_malloc_usable_size(tagged), pm_malloc_usable_size(block));
        assert_true(pm_owns(tagged));
        assert_true(pm_heap_in_small_pool(tagged) == pm_heap_in_small_pool(block));
        block = pm_realloc(tagged, 3 * size);
        assert_int_equal(block[size - 1], 7);
        tagged = (char *)((uintptr_t)block | (uintptr_t)0xa5 << 56);
        pm_free(tagged);
#else
        assert_true(test_aborts(free_it, tagged, "not a block of this allocator"));
        pm_free(block);
#endif
    }
    assert_true(pm_check());
}

static void free_too_much(const void *block)
{
    pm_free_sized((void *)(uintptr_t)block, 1000);
}

static void free_too_aligned(const void *block)
{
    pm_free_aligned_sized((void *)(uintptr_t)block, (size_t)1 << 40, 10);
}

static void sized_frees_that_do_not_fit_are_named_in_check_builds(void **state)
{
    void *block = pm_malloc(100);
    (void)state;
    if (PM_CHECK) {
        assert_true(test_aborts(free_too_much, block, "free_sized("));
        assert_true(test_aborts(free_too_much, block, "size or alignment 1000"));
        assert_true(test_aborts(free_too_aligned, block, "free_aligned_sized("));
    }
    pm_free(block);
}

/* Starts afresh: what others left would be trimmed, too. */
ISOLATED(trim_gives_something_back_once)
{
    char *block = pm_malloc(20 * PM_BLOCK_MAX);
    require(block != NULL);
    memset(block, 1, 20 * PM_BLOCK_MAX);
    pm_free(block);
    require(pm_malloc_trim(0) == 1);
    require(pm_malloc_trim(0) == 0);
    require(!pm_purge());
    struct pm_stats stats;
    require(pm_stats_get(&stats) && stats.dirty_bytes == 0);
    pm_free(pm_malloc(100));
    require(pm_check());
}

ISOLATED(random_calls_leave_the_structures_sound_and_all_comes_back)
{
    static struct {
        unsigned char *block;
        size_t size;
    } live[LIVE];
    uint64_t seed = 52;
    struct pm_stats stats;
    for (int step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)test_random_below(&seed, LIVE);
        size_t n = 1 + test_random_below(&seed, 3 * PM_BLOCK_MAX >> test_random_below(&seed, 12));
        require(live[i].block == NULL || (live[i].block[0] == (unsigned char)i &&
                                          live[i].block[live[i].size - 1] == (unsigned char)i));
        switch (test_random_below(&seed, 4)) {
        case 0:
            live[i].block = pm_realloc(live[i].block, n);
            break;
        case 1:
            pm_free(live[i].block);
            live[i].block = pm_calloc(1, n);
            break;
        case 2:
            pm_free(live[i].block);
            live[i].block = pm_memalign((size_t)1 << test_random_below(&seed, 14), n);
            break;
        default:
            pm_free(live[i].block);
            live[i].block = pm_malloc(n);
        }
        require(live[i].block != NULL);
        live[i].size = n;
        live[i].block[0] = live[i].block[n - 1] = (unsigned char)i;
        require(step % 500 != 0 || pm_check());
    }
    for (unsigned i = 0; i < LIVE; i++)
        pm_free(live[i].block);
    pm_malloc_trim(0);
    require(pm_check() && pm_stats_get(&stats));
    require(stats.free_bytes == stats.arenas * stats.arena_bytes && stats.span_bytes == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trim_gives_something_back_once),
        cmocka_unit_test(random_calls_leave_the_structures_sound_and_all_comes_back),
        cmocka_unit_test(a_block_of_a_pool_stays_in_place_when_half_of_it_is_asked_for),
        cmocka_unit_test(realloc_keeps_the_contents_up_to_the_smaller_size),
        cmocka_unit_test(realloc_of_nothing_allocates_and_to_nothing_frees),
        cmocka_unit_test(sizes_that_nothing_holds_give_enomem_and_leave_the_block_alone),
        cmocka_unit_test(alignments_that_are_none_are_refused),
        cmocka_unit_test(zeroed_blocks_are_zero_whatever_they_held),
        cmocka_unit_test(a_block_of_size_zero_is_one_of_its_own),
        cmocka_unit_test(page_aligned_blocks_are_aligned_to_a_page),
        cmocka_unit_test(a_tag_in_a_pointer_is_ignored_where_the_processor_ignores_it),
        cmocka_unit_test(sized_frees_free),
        cmocka_unit_test(sized_frees_take_the_size_that_realloc_was_asked_for),
        cmocka_unit_test(sized_frees_that_do_not_fit_are_named_in_check_builds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
