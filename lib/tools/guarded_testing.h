/* SPDX-License-Identifier: MIT */
/* What the tests of guarded blocks share. Only x_test.c files include it. */
#ifndef PM_TOOLS_GUARDED_TESTING_H
#define PM_TOOLS_GUARDED_TESTING_H

#include "base/asan.h"
#include "base/options.h"
#include "base/testing.h"
#include "os/os.h"
#include "poolmalloc/poolmalloc.h"
#include "tools/guarded_slots.h"
#include "tools/stack.h"

enum { TEST_SLOTS = 8 };

/* In a child, before anything else. */
static inline void test_guarded_start(unsigned one_in)
{
    pm_stack_start();
    pm_store_relaxed(&pm_options.guarded_slots, TEST_SLOTS);
    require(pm_guarded_start(one_in));
}

static inline void *test_guarded_ask(size_t bytes, size_t align)
{
    struct pm_request request = {.bytes = bytes, .align = align, .function = "malloc"};
    return pm_guarded_make(&request);
}

static inline char *test_guarded(size_t bytes)
{
    char *block = test_guarded_ask(bytes, 1);
    require(block != NULL && pm_guarded_owns(block));
    return block;
}

static inline size_t test_slot_of(const void *block)
{
    return pm_guarded_slot_at((uintptr_t)block);
}

/* The end that it lies at. */
static inline bool test_is_right(const void *block)
{
    uintptr_t middle = pm_guarded_slot_start(test_slot_of(block)) + pm_guarded_slot_bytes() / 2;
    return (uintptr_t)block >= middle;
}

/* A block of less than a page at that end. */
static inline char *test_guarded_at(size_t bytes, bool right)
{
    for (unsigned i = 0; i < 200; i++) {
        char *block = test_guarded(bytes);
        if (test_is_right(block) == right)
            return block;
        pm_free(block);
    }
    require(!"blocks come to both ends");
    return NULL;
}

#endif
