/* SPDX-License-Identifier: MIT */
/* What the tests of the heap layer share. Only x_test.c files include it. */
#ifndef PM_HEAP_TESTING_H
#define PM_HEAP_TESTING_H

#include "heap/fast.h"
#include "heap/internal.h"
#include "pool/testing.h"

#include <pthread.h>

enum { TEST_BLOCKS_MAX = 1 << 13 };

/* The whole block may be written: what the api layer tells AddressSanitizer. */
static inline void *test_told(void *block)
{
    if (block != NULL)
        pm_asan_unpoison(block, pm_heap_usable(block, "test"));
    return block;
}

static inline void *test_alloc(size_t n)
{
    void *block = test_told(pm_thread_malloc(n));
    require(block != NULL && (uintptr_t)block % PM_GRANULE_BYTES == 0);
    return block;
}

static inline void test_release(void *block)
{
    pm_thread_free(block, "free");
}

static inline struct pm_pool *test_pool_of(const void *block)
{
    struct pm_place_of at = test_place(block);
    return pm_pool_at(at.window, at.unit);
}

static inline struct pm_heap_stats test_heap_stats(void)
{
    struct pm_heap_stats stats;
    pm_heap_stats(&stats);
    return stats;
}

/* The calling thread's first slow calls are over: it has a heap of its own. */
static inline void test_get_heap(void)
{
    for (unsigned i = 0; i <= PM_CALLS_BEFORE_HEAP; i++)
        pm_heap_get();
    require(pm_heap_self->real);
}

/* Before the first allocator call. */
static inline void test_heap_start(size_t window_arenas)
{
    pm_options.window_bytes = window_arenas * PM_ARENA_BYTES;
    require(pm_heap_process_init());
}

/* All blocks of a fresh pool of the class, in the order of their addresses; the next allocation of
 * the class lets the pool float. */
static inline struct pm_pool *test_fill_pool(size_t n, void **blocks)
{
    unsigned capacity = pm_class_capacity(pm_class_of(n));
    for (unsigned i = 0; i < capacity; i++)
        blocks[i] = test_alloc(n);
    struct pm_pool *pool = test_pool_of(blocks[0]);
    require(pool->capacity == capacity && test_pool_of(blocks[capacity - 1]) == pool);
    return pool;
}

/* As test_fill_pool, and the pool floats; one block more is live, and leaked. */
static inline struct pm_pool *test_float_pool(size_t n, void **blocks)
{
    struct pm_pool *pool = test_fill_pool(n, blocks);
    require(test_pool_of(test_alloc(n)) != pool);
    require(test_is(pool, PM_FLOATING, pool->capacity));
    return pool;
}

static inline void test_release_some(void **blocks, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        test_release(blocks[i]);
}

/* Runs to its end in a thread of its own. */
static inline void test_in_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    require(pthread_create(&thread, NULL, body, arg) == 0);
    require(pthread_join(thread, NULL) == 0);
}

/* Every unit of every arena is free: nothing is lost. The caller has freed all blocks. */
static inline bool test_nothing_is_lost(void)
{
    pm_heap_trim();
    struct pm_arena_stats stats = test_arena_stats();
    return stats.free_units == stats.arenas * PM_ARENA_UNITS && pm_arena_check();
}

#endif
