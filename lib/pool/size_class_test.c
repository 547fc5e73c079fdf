/* SPDX-License-Identifier: MIT */
/* Size classes: for every size, the class that the definition asks for. */
#include "base/testing.h"
#include "pool/size_class.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static bool is_mallocs(unsigned class)
{
    return pm_class_bytes(class) % PM_GRANULE_BYTES == 0 && !pm_class_is_gc(class);
}

static void class_sizes_ascend_in_8_byte_steps_and_then_8_steps_per_doubling(void **state)
{
    (void)state;
    for (unsigned class = 0; class < PM_SMALL_CLASSES; class ++)
        assert_true(pm_class_is_gc(class) || pm_class_bytes(class) == 8 * (class + 1));
    for (unsigned class = PM_SMALL_CLASSES; class < PM_PLAIN_CLASSES; class ++) {
        uint32_t bytes = pm_class_bytes(class), smaller = pm_class_bytes(class - 1);
        assert_int_equal(bytes - smaller, (uint32_t)1 << (pm_log2_floor(smaller) - 3));
        assert_true(is_mallocs(class));
    }
    assert_int_equal(pm_class_bytes(PM_SMALL_CLASSES - 1), PM_SMALL_MAX);
    assert_int_equal(pm_class_bytes(PM_PLAIN_CLASSES - 1), PM_BLOCK_MAX);
}

static void gc_has_steps_of_8_bytes_then_16_then_32_and_keeps_alignment(void **state)
{
    (void)state;
    for (size_t n = 9; n <= PM_SMALL_MAX; n++) {
        size_t step = n <= 80 ? 8 : n <= 384 ? 16 : 32;
        unsigned class = pm_class_gc(n);
        assert_int_equal(pm_class_bytes(class), (n + step - 1) / step * step);
        assert_int_equal(pm_class_first(class) % 16, 0);
        if (n % 16 == 0)
            assert_int_equal(pm_class_bytes(class) % 16, 0);
    }
}

static void the_kinds_share_no_class_and_none_is_without_a_use(void **state)
{
    unsigned of_gc = 0, of_malloc = 0, last = PM_CLASSES, used = 0;
    (void)state;
    for (size_t n = 9; n <= PM_SMALL_MAX; n++) {
        unsigned class = pm_class_gc(n);
        assert_true(class < PM_CLASSES && pm_class_is_gc(class));
        assert_false(pm_class_is_gc(pm_class_of(n)));
        used += class != last;
        last = class;
    }
    assert_int_equal(used, PM_GC_CLASSES);
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        of_gc += pm_class_is_gc(class);
        of_malloc += is_mallocs(class);
    }
    assert_int_equal(of_gc, PM_GC_CLASSES);
    assert_int_equal(of_gc + of_malloc, PM_CLASSES);
}

static void every_size_gets_the_smallest_used_class_that_holds_it(void **state)
{
    unsigned smallest = 0;
    (void)state;
    for (size_t n = 0; n <= PM_BLOCK_MAX; n++) {
        while (pm_class_bytes(smallest) < n || !is_mallocs(smallest))
            smallest++;
        assert_int_equal(pm_class_of(n), smallest);
    }
}

static void the_table_of_steps_has_the_same_classes(void **state)
{
    (void)state;
    for (size_t n = PM_DIRECT_MAX + 1; n <= PM_BLOCK_MAX; n++)
        assert_int_equal(pm_class_by_step(n - 1), pm_class_of(n));
}

static void above_the_small_limit_at_most_an_eighth_is_wasted(void **state)
{
    (void)state;
    for (size_t n = PM_SMALL_MAX + 1; n <= PM_BLOCK_MAX; n++) {
        size_t bytes = pm_class_bytes(pm_class_of(n));
        assert_true((bytes - n) * 8 <= bytes);
    }
}

static void pools_hold_the_blocks_that_fit_their_units(void **state)
{
    (void)state;
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        size_t room = ((size_t)pm_class_units(class) << PM_UNIT_SHIFT) - pm_class_first(class);
        size_t used = (size_t)pm_class_capacity(class) * pm_class_bytes(class);
        assert_true(used <= room && room - used < pm_class_bytes(class));
        assert_true(pm_class_units(class) >= 1 && pm_class_units(class) <= PM_POOL_UNITS_MAX);
        if (pm_class_bytes(class) <= PM_SMALL_MAX)
            assert_int_equal(pm_class_units(class), 1);
    }
}

static void medium_pools_have_the_fewest_units_for_their_minimum_of_blocks(void **state)
{
    (void)state;
    for (unsigned class = PM_SMALL_CLASSES; class < PM_PLAIN_CLASSES; class ++) {
        size_t wanted = (size_t)pm_class_bytes(class) * PM_POOL_MIN_BLOCKS;
        size_t bytes = (size_t)pm_class_units(class) << PM_UNIT_SHIFT;
        assert_true(bytes >= wanted || pm_class_units(class) == PM_POOL_UNITS_MAX);
        assert_true(bytes - PM_UNIT_BYTES < wanted);
    }
}

static void the_classic_geometry_has_the_block_counts_of_pymalloc(void **state)
{
    (void)state;
    if (!PM_CLASSIC)
        return;
    assert_int_equal(pm_class_capacity(pm_class_of(8)), 506);
    assert_int_equal(pm_class_capacity(pm_class_of(512)), 7);
    for (size_t n = 1; n <= PM_SMALL_MAX; n++) {
        assert_int_equal(pm_class_of(n), (n - 1) / 8);
        assert_int_equal(pm_class_capacity((unsigned)(n - 1) / 8), (4096 - 48) / ((n + 7) / 8 * 8));
    }
}

/* A block's address is a multiple of its size past the first one; the pool is unit-aligned. */
static bool all_blocks_are_aligned(unsigned class, size_t align)
{
    for (unsigned i = 0; i < pm_class_capacity(class); i++) {
        if ((pm_class_first(class) + (size_t)i * pm_class_bytes(class)) % align != 0)
            return false;
    }
    return true;
}

static void all_blocks_of_an_aligned_class_are_aligned_and_hold_the_size(void **state)
{
    uint64_t seed = 21;
    (void)state;
    for (size_t align = PM_GRANULE_BYTES; align <= PM_UNIT_BYTES; align *= 2) {
        for (int i = 0; i < 300; i++) {
            size_t n = test_random_below(&seed, (PM_BLOCK_MAX >> test_random_below(&seed, 16)) + 1);
            unsigned class = pm_class_aligned(n, align);
            assert_true(class <= PM_CLASSES);
            if (class == PM_CLASSES)
                continue;
            assert_true(pm_class_bytes(class) >= n && is_mallocs(class));
            assert_true(all_blocks_are_aligned(class, align));
        }
    }
}

static void the_aligned_class_is_the_smallest_one(void **state)
{
    uint64_t seed = 22;
    (void)state;
    for (size_t align = PM_GRANULE_BYTES; align <= PM_UNIT_BYTES; align *= 2) {
        for (int i = 0; i < 200; i++) {
            size_t n = test_random_below(&seed, (PM_BLOCK_MAX >> test_random_below(&seed, 16)) + 1);
            unsigned smallest = 0;
            while (smallest < PM_CLASSES &&
                   (pm_class_is_gc(smallest) || pm_class_bytes(smallest) < n ||
                    pm_class_bytes(smallest) % align != 0 || pm_class_first(smallest) % align != 0))
                smallest++;
            assert_int_equal(pm_class_aligned(n, align), smallest);
        }
    }
}

static void the_aligned_class_of_small_sizes_is_mallocs_for_the_size_rounded_up(void **state)
{
    (void)state;
    if (PM_POOL_HEADER_BYTES != 0)
        return;
    for (size_t align = 1; align < PM_ROUNDED_MAX; align *= 2) {
        for (size_t n = align; n <= PM_ROUNDED_MAX; n += align) {
            assert_int_equal(pm_class_aligned(n, align), pm_class_of(n));
            assert_int_equal(pm_class_aligned(n - align + 1, align), pm_class_of(n));
            assert_true(all_blocks_are_aligned(pm_class_of(n), align));
        }
    }
    /* Not beyond: the next class is coloured. */
    assert_true(pm_class_aligned(PM_ROUNDED_MAX + 128, 128) > pm_class_of(PM_ROUNDED_MAX + 128));
}

static void no_class_serves_an_alignment_above_a_unit_or_a_size_above_the_largest(void **state)
{
    (void)state;
    assert_int_equal(pm_class_aligned(1, 2 * PM_UNIT_BYTES), PM_CLASSES);
    assert_int_equal(pm_class_aligned(PM_BLOCK_MAX + 1, 16), PM_CLASSES);
    assert_int_equal(pm_class_aligned(SIZE_MAX, 16), PM_CLASSES);
    assert_int_equal(pm_class_aligned(1, (size_t)1 << 63), PM_CLASSES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_sizes_ascend_in_8_byte_steps_and_then_8_steps_per_doubling),
        cmocka_unit_test(gc_has_steps_of_8_bytes_then_16_then_32_and_keeps_alignment),
        cmocka_unit_test(the_kinds_share_no_class_and_none_is_without_a_use),
        cmocka_unit_test(every_size_gets_the_smallest_used_class_that_holds_it),
        cmocka_unit_test(the_table_of_steps_has_the_same_classes),
        cmocka_unit_test(above_the_small_limit_at_most_an_eighth_is_wasted),
        cmocka_unit_test(pools_hold_the_blocks_that_fit_their_units),
        cmocka_unit_test(medium_pools_have_the_fewest_units_for_their_minimum_of_blocks),
        cmocka_unit_test(the_classic_geometry_has_the_block_counts_of_pymalloc),
        cmocka_unit_test(all_blocks_of_an_aligned_class_are_aligned_and_hold_the_size),
        cmocka_unit_test(the_aligned_class_is_the_smallest_one),
        cmocka_unit_test(the_aligned_class_of_small_sizes_is_mallocs_for_the_size_rounded_up),
        cmocka_unit_test(no_class_serves_an_alignment_above_a_unit_or_a_size_above_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
