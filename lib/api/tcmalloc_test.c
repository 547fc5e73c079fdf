/* SPDX-License-Identifier: MIT */
/* The C names of gperftools' MallocExtension: properties, giving back, sizes, ownership. */
#include "api/tcmalloc.h"
#include "base/options.h"
#include "base/testing.h"
#include "heap/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static size_t property(const char *name)
{
    size_t value = SIZE_MAX;
    require(pm_tc_get_numeric_property(name, &value) == 1);
    return value;
}

ISOLATED(properties_are_the_counters_of_the_header)
{
    struct pm_stats stats;
    void *block = pm_malloc(5 * PM_ARENA_BYTES), *freed = pm_malloc(2 * PM_BLOCK_MAX);
    pm_free(freed);
    pm_stats_get(&stats);
    require(property("generic.current_allocated_bytes") == stats.span_bytes && stats.spans == 1);
    require(property("generic.heap_size") == stats.arenas * stats.arena_bytes);
    require(property("tcmalloc.pageheap_free_bytes") == stats.dirty_bytes);
    require(property("tcmalloc.pageheap_unmapped_bytes") == stats.free_bytes - stats.dirty_bytes);
    require(property("tcmalloc.max_total_thread_cache_bytes") == pm_options.heaps_keep_bytes);
    require(property("tcmalloc.current_total_thread_cache_bytes") ==
            stats.kept_bytes + stats.stash_bytes);
    require(property("tcmalloc.thread_cache_free_bytes") == stats.kept_bytes + stats.stash_bytes);
    require(property("generic.total_physical_bytes") >= 5 * PM_ARENA_BYTES + stats.dirty_bytes);
    pm_free(block);
}

static void what_is_no_property_is_neither_read_nor_set(void **state)
{
    static const char *const names[] = {"", "generic", "generic.heap_size.", "Generic.heap_size",
                                        "tcmalloc.sampling_period_bytes"};
    size_t value = 77;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(pm_tc_get_numeric_property(names[i], &value), 0);
    assert_int_equal(value, 77);
    assert_int_equal(pm_tc_set_numeric_property("tcmalloc.max_total_thread_cache_bytes", 1), 0);
}

static void leave_dirty_memory(void)
{
    void *block = pm_malloc(4 * PM_BLOCK_MAX);
    memset(block, 1, 4 * PM_BLOCK_MAX);
    pm_free(block);
    require(property("tcmalloc.pageheap_free_bytes") >= 4 * PM_BLOCK_MAX);
}

ISOLATED(releasing_gives_free_memory_back)
{
    leave_dirty_memory();
    pm_tc_release_free_memory();
    require(property("tcmalloc.pageheap_free_bytes") == 0);
    leave_dirty_memory();
    pm_tc_release_to_system(1);
    require(property("tcmalloc.pageheap_free_bytes") == 0);
}

ISOLATED(an_idle_thread_holds_nothing_and_a_busy_one_allocates)
{
    for (unsigned i = 0; i < 2 * PM_CALLS_BEFORE_HEAP; i++)
        pm_free(pm_malloc(16 + 16 * i));
    pm_tc_mark_thread_idle();
    require(!pm_thread_idle());
    pm_tc_mark_thread_busy();
    pm_free(pm_malloc(100));
    require(pm_tc_get_thread_cache_size() == 0);
    require(pm_tc_verify_all_memory() == 1);
}

static void sizes_are_those_of_blocks(void **state)
{
    (void)state;
    for (size_t n = 1; n < 3 * PM_BLOCK_MAX; n += 1 + n / 5) {
        void *block = pm_malloc(n);
        assert_int_equal(pm_tc_get_allocated_size(block), pm_malloc_usable_size(block));
        assert_int_equal(pm_tc_get_estimated_allocated_size(n), pm_malloc_usable_size(block));
        pm_free(block);
    }
    assert_int_equal(pm_tc_get_allocated_size(NULL), 0);
}

static void blocks_are_owned_and_other_memory_is_not(void **state)
{
    int here;
    void *small = pm_malloc(100), *large = pm_malloc(3 * PM_ARENA_BYTES);
    (void)state;
    assert_int_equal(pm_tc_get_ownership(small), PM_TC_OWNED);
    assert_int_equal(pm_tc_get_ownership(large), PM_TC_OWNED);
    assert_int_equal(pm_tc_get_ownership((char *)large + 2 * PM_ARENA_BYTES), PM_TC_OWNED);
    assert_int_equal(pm_tc_get_ownership(&here), PM_TC_NOT_OWNED);
    assert_int_equal(pm_tc_get_ownership(NULL), PM_TC_NOT_OWNED);
    pm_free(large);
    assert_int_equal(pm_tc_get_ownership(large), PM_TC_NOT_OWNED);
    pm_free(small);
}

static void the_report_is_cut_to_the_buffer(void **state)
{
    char text[4096], cut[40];
    (void)state;
    pm_tc_get_stats(text, sizeof text);
    assert_non_null(strstr(text, "--- End poolmalloc statistics ---\n"));
    memset(cut, 'x', sizeof cut);
    pm_tc_get_stats(cut, 30);
    assert_int_equal(strlen(cut), 29);
    assert_memory_equal(cut, text, 29);
    assert_int_equal(cut[30], 'x');
    pm_tc_get_stats(cut, 1);
    assert_string_equal(cut, "");
    cut[0] = 'x';
    pm_tc_get_stats(cut, 0);
    pm_tc_get_stats(cut, -1);
    assert_int_equal(cut[0], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_are_the_counters_of_the_header),
        cmocka_unit_test(releasing_gives_free_memory_back),
        cmocka_unit_test(an_idle_thread_holds_nothing_and_a_busy_one_allocates),
        cmocka_unit_test(what_is_no_property_is_neither_read_nor_set),
        cmocka_unit_test(sizes_are_those_of_blocks),
        cmocka_unit_test(blocks_are_owned_and_other_memory_is_not),
        cmocka_unit_test(the_report_is_cut_to_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
