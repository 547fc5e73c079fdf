/* SPDX-License-Identifier: MIT */
/* jemalloc's allocation functions: sizes, alignment, what is zero, in place or not, errors. */
#include "api/jemalloc.h"
#include "base/testing.h"
#include "poolmalloc/heap.h"
#include "heap/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { SIZES_MAX = 3 * (int)PM_BLOCK_MAX, LG_ALIGN_MAX = 22 };

/* All that a block of that kind could find in reused memory. */
static void leave_old_contents(size_t size, int flags)
{
    void *block = pm_je_mallocx(size, flags & ~PM_JE_ZERO);
    assert_non_null(block);
    memset(block, 0xa5, pm_je_sallocx(block, 0));
    pm_je_dallocx(block, 0);
}

static bool all_are(const unsigned char *bytes, size_t from, size_t end, unsigned char value)
{
    while (from < end && bytes[from] == value)
        from++;
    return from == end;
}

static void what_nallocx_says_is_what_mallocx_gives(void **state)
{
    (void)state;
    for (int lg = 0; lg <= LG_ALIGN_MAX; lg++) {
        for (size_t n = 1; n <= SIZES_MAX; n += n < 100 ? 1 : n / 7) {
            void *block = pm_je_mallocx(n, lg);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % ((size_t)1 << lg), 0);
            size_t have = pm_je_sallocx(block, 0);
            assert_true(have >= n);
            assert_int_equal(pm_je_nallocx(n, lg), have);
            pm_je_dallocx(block, lg);
        }
    }
}

static void it_is_what_malloc_gives_too_and_what_it_gives_is_a_size_of_its_own(void **state)
{
    (void)state;
    for (size_t n = 1; n <= SIZES_MAX; n += n < 1000 ? 1 : n / 9) {
        void *block = pm_malloc(n);
        assert_int_equal(pm_je_nallocx(n, 0), pm_malloc_usable_size(block));
        assert_int_equal(pm_je_nallocx(pm_je_nallocx(n, 0), 0), pm_je_nallocx(n, 0));
        pm_free(block);
    }
}

static void zeroed_blocks_are_zero_to_their_real_end(void **state)
{
    (void)state;
    for (int lg = 0; lg <= 17; lg++) {
        for (size_t n = 1; n <= SIZES_MAX; n += n / 3 + 1) {
            leave_old_contents(n, lg);
            unsigned char *block = pm_je_mallocx(n, lg | PM_JE_ZERO);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % ((size_t)1 << lg), 0);
            assert_true(all_are(block, 0, pm_je_sallocx(block, 0), 0));
            memset(block, 0xa5, n);
            pm_je_sdallocx(block, n, lg);
        }
    }
}

static void growth_with_zero_clears_what_is_new_and_leaves_what_was_held(void **state)
{
    (void)state;
    for (int lg = 0; lg <= 15; lg += 5) {
        for (size_t n = 1; n <= SIZES_MAX; n += n / 2 + 1) {
            size_t more = n * 3 / 2 + 40;
            leave_old_contents(more, lg);
            unsigned char *block = pm_je_mallocx(n, lg);
            size_t have = pm_je_sallocx(block, 0);
            memset(block, 0x11, have);
            block = pm_je_rallocx(block, more, lg | PM_JE_ZERO);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % ((size_t)1 << lg), 0);
            size_t now = pm_je_sallocx(block, 0);
            assert_true(now >= more);
            assert_true(all_are(block, 0, have < more ? have : more, 0x11));
            assert_true(all_are(block, have, have < now ? now : have, 0));
            pm_je_dallocx(block, 0);
        }
    }
}

static void without_zero_contents_are_kept_up_to_the_smaller_size(void **state)
{
    uint64_t seed = 61;
    size_t size = 1;
    (void)state;
    unsigned char *block = pm_je_mallocx(size, 0);
    memset(block, 7, size);
    for (int step = 0; step < 500; step++) {
        size_t next = 1 + test_random_below(&seed, SIZES_MAX >> test_random_below(&seed, 14));
        int lg = (int)test_random_below(&seed, 18);
        block = pm_je_rallocx(block, next, lg);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % ((size_t)1 << lg), 0);
        assert_true(all_are(block, 0, size < next ? size : next, 7));
        memset(block, 7, next);
        size = next;
    }
    pm_je_sdallocx(block, size, 0);
}

static void a_block_that_is_aligned_and_fits_stays_where_it_is(void **state)
{
    (void)state;
    for (size_t n = 64; n <= SIZES_MAX; n *= 2) {
        unsigned char *block = pm_je_mallocx(n, 6);
        size_t have = pm_je_sallocx(block, 0);
        assert_ptr_equal(pm_je_rallocx(block, have, 6), block);
        assert_ptr_equal(pm_je_rallocx(block, have - have / 5, 6), block);
        pm_je_dallocx(block, 6);
    }
}

static void in_place_a_small_block_keeps_its_size_and_says_so(void **state)
{
    (void)state;
    for (size_t n = 16; n <= PM_BLOCK_MAX / 2; n *= 2) {
        void *block = pm_je_mallocx(n, 0);
        size_t have = pm_je_sallocx(block, 0);
        assert_int_equal(pm_je_xallocx(block, have, 0, 0), have);
        assert_int_equal(pm_je_xallocx(block, 1, 0, 0), have);
        assert_int_equal(pm_je_xallocx(block, have + 1, 0, 0), have);
        assert_int_equal(pm_je_xallocx(block, have, 5 * have, 0), have);
        assert_int_equal(pm_je_xallocx(block, SIZE_MAX, SIZE_MAX, 0), have);
        assert_int_equal(pm_je_sallocx(block, 0), have);
        pm_je_dallocx(block, 0);
    }
}

/* In a process of its own there is nothing behind the block. */
ISOLATED(in_place_a_large_block_grows_zeroed_and_as_far_as_it_can_and_shrinks)
{
    size_t size = 4 * PM_BLOCK_MAX, old = 6 * PM_BLOCK_MAX;
    pm_purge(); /* nor does a block wait there */
    char *left = pm_malloc(2 * old);
    memset(left, 0xa5, 2 * old);
    pm_free(left);
    unsigned char *block = pm_je_mallocx(size, 0);
    size_t have = pm_je_sallocx(block, 0);
    memset(block, 0x11, have);
    size_t grown = pm_je_xallocx(block, have + 1, PM_BLOCK_MAX, PM_JE_ZERO);
    require(grown >= have + 1 + PM_BLOCK_MAX && pm_je_sallocx(block, 0) == grown);
    require(all_are(block, 0, have, 0x11) && all_are(block, have, grown, 0));
    /* The extra bytes cannot be had, the others can. */
    size_t more = pm_je_xallocx(block, grown + 1, PTRDIFF_MAX, 0);
    require(more >= grown + 1 && more < grown + 1 + 2 * PM_UNIT_BYTES);
    require(pm_je_xallocx(block, grown + 1, SIZE_MAX, 0) == more);
    require(pm_je_xallocx(block, size / 2, 0, 0) < have);
    require(pm_je_xallocx(block, 1, 0, 0) >= 1);
    pm_je_dallocx(block, 0);
    require(pm_check());
}

static void in_place_nothing_becomes_aligned(void **state)
{
    (void)state;
    for (int lg = 0; lg <= PM_JE_LG_ALIGN_MASK; lg++) {
        unsigned char *block = pm_je_mallocx(3 * PM_BLOCK_MAX, 0);
        size_t have = pm_je_sallocx(block, 0);
        if (lg >= 63 || (uintptr_t)block % ((size_t)1 << lg) != 0)
            assert_int_equal(pm_je_xallocx(block, 4 * PM_BLOCK_MAX, 0, lg), have);
        pm_je_dallocx(block, 0);
    }
}

static void what_nobody_has_gives_enomem_and_leaves_the_block_alone(void **state)
{
    static const size_t sizes[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX};
    static const int flags[] = {0, PM_JE_ZERO, 12, 12 | PM_JE_ZERO};
    char *block = pm_je_mallocx(100, 0);
    (void)state;
    strcpy(block, "contents");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizeof flags / sizeof *flags; j++) {
            errno = 0;
            assert_true(pm_je_mallocx(sizes[i], flags[j]) == NULL && errno == ENOMEM);
            errno = 0;
            assert_true(pm_je_rallocx(block, sizes[i], flags[j]) == NULL && errno == ENOMEM);
        }
    }
    for (int lg = 62; lg <= 63; lg++) {
        errno = 0;
        assert_true(pm_je_mallocx(1, lg) == NULL && errno == ENOMEM);
        errno = 0;
        assert_true(pm_je_rallocx(block, 1, lg | PM_JE_ZERO) == NULL && errno == ENOMEM);
    }
    assert_int_equal(pm_je_nallocx((size_t)PTRDIFF_MAX + 1, 0), 0);
    assert_int_equal(pm_je_nallocx(1, 63), 0);
    assert_int_equal(pm_je_nallocx(PM_WINDOW_MAX_BYTES + 1, 0), 0); /* more than address space */
    assert_int_equal(pm_je_nallocx(1, 50), 0);
    assert_string_equal(block, "contents");
    pm_je_dallocx(block, 0);
}

static void what_the_manual_leaves_undefined_is_taken_kindly(void **state)
{
    (void)state;
    unsigned char *block = pm_je_mallocx(0, PM_JE_ZERO);
    assert_non_null(block);
    assert_int_equal(pm_je_nallocx(0, 0), pm_je_sallocx(block, 0));
    block = pm_je_rallocx(block, 0, 0);
    assert_non_null(block);
    assert_true(pm_je_xallocx(block, 0, 0, 0) >= 1);
    pm_je_dallocx(block, 0);
    block = pm_je_rallocx(NULL, 100, PM_JE_ZERO);
    assert_true(all_are(block, 0, 100, 0));
    pm_je_sdallocx(block, 100, 0);
    assert_int_equal(pm_je_sallocx(NULL, 0), 0);
    pm_je_dallocx(NULL, 0);
    pm_je_sdallocx(NULL, 100, 0);
}

static void a_block_of_a_user_heap_stays_in_its_heap(void **state)
{
    (void)state;
    pm_user_heap *heap = pm_heap_new(4 << 20);
    unsigned char *block = pm_heap_malloc(heap, 100);
    memset(block, 7, 100);
    for (int lg = 0; lg <= 15; lg += 3) {
        block = pm_je_rallocx(block, 300 + ((size_t)1 << lg), lg);
        assert_true(pm_heap_of(block) == heap && block[0] == 7 && block[99] == 7);
        assert_int_equal((uintptr_t)block % ((size_t)1 << lg), 0);
    }
    block = pm_je_rallocx(block, 1 << 20, 15);
    while (pm_heap_malloc(heap, 3000) != NULL || pm_heap_malloc(heap, 100) != NULL)
        continue;
    assert_ptr_equal(pm_je_rallocx(block, 50, 15), block); /* there is no smaller one */
    assert_null(pm_je_rallocx(block, 4 << 20, 15));
    pm_heap_destroy(heap);
}

static void caches_and_arenas_in_the_flags_change_nothing(void **state)
{
    static const int others[] = {1 << PM_JE_TCACHE_SHIFT, 5 << PM_JE_TCACHE_SHIFT,
                                 4095 << PM_JE_TCACHE_SHIFT, 1 << PM_JE_ARENA_SHIFT,
                                 (int)(4095u << PM_JE_ARENA_SHIFT)};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        unsigned char *block = pm_je_mallocx(200, others[i] | PM_JE_ZERO | 7);
        assert_int_equal((uintptr_t)block % 128, 0);
        assert_true(all_are(block, 0, 200, 0));
        assert_int_equal(pm_je_nallocx(200, others[i] | 7), pm_je_sallocx(block, others[i]));
        block = pm_je_rallocx(block, 400, others[i]);
        pm_je_dallocx(block, others[i]);
    }
}

static void a_freed_block_serves_again_and_errno_is_left_alone(void **state)
{
    (void)state;
    void *block = pm_je_mallocx(100, 0);
    errno = EDOM;
    pm_je_dallocx(block, 0);
    assert_ptr_equal(pm_malloc(100), block);
    pm_je_sdallocx(block, pm_je_nallocx(100, 0), 0);
    assert_int_equal(errno, EDOM);
    assert_ptr_equal(pm_je_mallocx(100, 0), block);
    pm_free(block);
}

static void dallocx_of(const void *ptr)
{
    pm_je_dallocx((void *)(uintptr_t)ptr, 0);
}

static void sallocx_of(const void *ptr)
{
    pm_je_sallocx(ptr, 0);
}

static void rallocx_of(const void *ptr)
{
    pm_je_rallocx((void *)(uintptr_t)ptr, 10, 0);
}

static void xallocx_of(const void *ptr)
{
    pm_je_xallocx((void *)(uintptr_t)ptr, 10, 0, 0);
}

static void sdallocx_of_too_much(const void *ptr)
{
    pm_je_sdallocx((void *)(uintptr_t)ptr, 1000, 0);
}

static void misuse_is_reported_under_the_name_that_was_called(void **state)
{
    int here;
    void *block = pm_je_mallocx(100, 0);
    (void)state;
    assert_true(test_aborts(dallocx_of, &here, "dallocx("));
    assert_true(test_aborts(sallocx_of, &here, "sallocx("));
    assert_true(test_aborts(rallocx_of, &here, "rallocx("));
    assert_true(test_aborts(xallocx_of, &here, "xallocx("));
    if (PM_CHECK)
        assert_true(test_aborts(sdallocx_of_too_much, block, "sdallocx("));
    pm_je_dallocx(block, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nallocx_says_is_what_mallocx_gives),
        cmocka_unit_test(it_is_what_malloc_gives_too_and_what_it_gives_is_a_size_of_its_own),
        cmocka_unit_test(zeroed_blocks_are_zero_to_their_real_end),
        cmocka_unit_test(growth_with_zero_clears_what_is_new_and_leaves_what_was_held),
        cmocka_unit_test(without_zero_contents_are_kept_up_to_the_smaller_size),
        cmocka_unit_test(a_block_that_is_aligned_and_fits_stays_where_it_is),
        cmocka_unit_test(in_place_a_small_block_keeps_its_size_and_says_so),
        cmocka_unit_test(in_place_a_large_block_grows_zeroed_and_as_far_as_it_can_and_shrinks),
        cmocka_unit_test(in_place_nothing_becomes_aligned),
        cmocka_unit_test(what_nobody_has_gives_enomem_and_leaves_the_block_alone),
        cmocka_unit_test(what_the_manual_leaves_undefined_is_taken_kindly),
        cmocka_unit_test(a_block_of_a_user_heap_stays_in_its_heap),
        cmocka_unit_test(caches_and_arenas_in_the_flags_change_nothing),
        cmocka_unit_test(a_freed_block_serves_again_and_errno_is_left_alone),
        cmocka_unit_test(misuse_is_reported_under_the_name_that_was_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
