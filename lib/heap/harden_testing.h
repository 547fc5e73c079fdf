/* SPDX-License-Identifier: MIT */
/* What the tests of hardened heaps share. Only x_test.c files include it. */
#ifndef PM_HEAP_HARDEN_TESTING_H
#define PM_HEAP_HARDEN_TESTING_H

#include "heap/harden.h"
#include "heap/testing.h"
#include "os/os.h"

#include <string.h>

enum { TEST_QUARANTINE = 16 << 10 };

/* The names of enum pm_harden_fault. */
static inline void test_harden_fatal(const struct pm_harden_report *report)
{
    static const char *const names[] = {"behind", "before", "freed", "written", "link"};
    pm_warn("%s: %s, byte %zu", report->function, names[report->fault], report->at);
    abort();
}

static struct pm_harden test_harden = {.links = true,
                                       .order = true,
                                       .canaries = true,
                                       .guards = true,
                                       .zero = true,
                                       .quarantine_bytes = TEST_QUARANTINE,
                                       .secret = 0x5eed,
                                       .fatal = test_harden_fatal};

/* Whether pages are small enough against units to trap beside blocks (docs/hardened.md). */
static inline bool test_harden_can_guard(void)
{
    return pm_os_page_bytes() <= PM_UNIT_BYTES / 4;
}

/* Before the first allocator call; test_harden as it is then. */
static inline struct pm_user_heap *test_harden_start(size_t window_arenas, size_t limit_bytes)
{
    test_heap_start(window_arenas);
    pm_harden_set(&test_harden);
    struct pm_user_heap *heap = pm_user_new(limit_bytes);
    require(heap != NULL);
    return heap;
}

static inline char *test_harden_alloc(struct pm_user_heap *heap, size_t n)
{
    char *block = pm_user_alloc(heap, n, 1, false, "test");
    require(block != NULL && pm_heap_usable(block, "test") == n);
    return block;
}

#endif
