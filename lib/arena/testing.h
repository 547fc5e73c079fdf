/* SPDX-License-Identifier: MIT */
/* What the tests of the arena layer share. Only x_test.c files include it. */
#ifndef PM_ARENA_TESTING_H
#define PM_ARENA_TESTING_H

#include "arena/internal.h"
#include "base/asan.h"
#include "base/options.h"
#include "base/testing.h"
#include "os/os.h"

/* In a child, before anything else: a first window of that many arenas, and no purging by bound. */
static inline void test_arena_start(size_t window_arenas)
{
    pm_options.window_bytes = window_arenas * PM_ARENA_BYTES;
    pm_options.keep_bytes = SIZE_MAX;
    pm_os_init();
    require(pm_arena_init());
}

/* Ends the test where a page is larger than a unit, so that single units cannot be purged;
 * machine_fault_test.c is for those machines. */
static inline void test_needs_small_pages(void)
{
    if (pm_os_page_bytes() > PM_UNIT_BYTES)
        test_skipped("a page is larger than a unit");
}

static inline size_t test_arena_number(const void *ptr)
{
    return (uintptr_t)ptr >> PM_ARENA_SHIFT;
}

/* The place of the unit in its arena. */
static inline unsigned test_unit_place(const void *ptr)
{
    return (uintptr_t)ptr >> PM_UNIT_SHIFT & (PM_ARENA_UNITS - 1);
}

/* As if units had come back to it, of the first window, so many ticks earlier, or later. */
static inline void test_dirty_earlier(const void *ptr, int ticks)
{
    size_t unit = pm_window_index(&pm_window, ptr);
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_prefer(pm_arena_of(&pm_window, unit), (uint32_t)ticks);
    pm_lock_release(&pm_arena_lock);
}

static inline struct pm_arena_stats test_arena_stats(void)
{
    struct pm_arena_stats stats;
    pm_arena_stats(&stats);
    return stats;
}

/* Some words of every page. */
static inline bool test_reads_as_zero(const char *start, size_t bytes)
{
    pm_asan_unpoison(start, bytes);
    for (size_t i = 0; i < bytes; i += 1024) {
        if (*(const uint64_t *)(const void *)(start + i) != 0)
            return false;
    }
    return true;
}

/* Leaves its mark on every page. */
static inline void test_dirty(char *start, size_t bytes)
{
    pm_asan_unpoison(start, bytes);
    for (size_t i = 0; i < bytes; i += 1024)
        *(uint64_t *)(void *)(start + i) = (uintptr_t)start + i;
}

/* The marks of test_dirty are all there. */
static inline bool test_is_dirty(const char *start, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 1024) {
        if (*(const uint64_t *)(const void *)(start + i) != (uintptr_t)start + i)
            return false;
    }
    return true;
}

#endif
