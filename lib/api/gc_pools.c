/* SPDX-License-Identifier: MIT */
/*
 * Pools of kind gc under their public names: see poolmalloc/gc_pools.h. Any thread.
 *
 *   pm_gc_calloc -+-> pm_thread_try_gc, inlined
 *                 +-> calloc_slow -> pm_thread_gc_slow   the list is empty; or a domain is hooked
 */
#include "poolmalloc/gc_pools.h"
#include "api/blocks.h"
#include "api/domains.h"
#include "heap/fast.h"

#include <errno.h>

/* See malloc.c. */
#define FAST __attribute__((aligned(PM_LINE_BYTES)))

_Static_assert(PM_GC_BYTES_MAX == PM_SMALL_MAX, "as many classes as there are small blocks");

#define LEAST 9 /* the smallest block has 16 bytes */

/* Or too small; 0, too. */
static bool is_out_of_range(size_t bytes)
{
    return bytes - LEAST > PM_GC_BYTES_MAX - PM_ASAN_REDZONE_BYTES - LEAST;
}

/* Whole words of 8 bytes: blocks consist of them, and of 16 bytes at least. As clear_block. */
PM_INLINE void clear_words(void *block, size_t bytes)
{
#if !PM_WATCHED
    typedef long pair __attribute__((vector_size(16), may_alias, aligned(8)));
    if (pm_likely(bytes <= CLEAR_INLINE_MAX)) {
        pair *first = block, *last = (pair *)(void *)((char *)block + (bytes + 7) / 8 * 8) - 1;
        *first = *last = (pair){0};
        if (bytes <= 2 * sizeof(pair))
            return;
        first[1] = last[-1] = (pair){0};
        if (bytes <= 4 * sizeof(pair))
            return;
        for (first += 2; first < last - 1; first++) {
            *first = (pair){0};
            __asm__("" : "+r"(first));
        }
        return;
    }
#endif
    memset(block, 0, bytes);
}

/* Hooks of other domains are no reason to refuse. */
static PM_NOINLINE void *calloc_slow(size_t bytes)
{
    if (bytes != 0 && bytes < LEAST)
        bytes = LEAST;
    if (is_out_of_range(bytes) || !pm_domain_is_default(PM_DOMAIN_OBJECT))
        return fail(ENOTSUP);
    void *block = pm_thread_try_gc(padded(bytes));
    if (block == NULL && (block = pm_thread_gc_slow(padded(bytes))) == NULL)
        return fail(ENOTSUP);
    clear_words(told(block, bytes), bytes);
    return block;
}

FAST void *pm_gc_calloc(size_t bytes)
{
    if (pm_unlikely(is_out_of_range(bytes) || pm_domains_are_hooked()))
        return calloc_slow(bytes);
    void *block = pm_thread_try_gc(padded(bytes));
    if (pm_unlikely(block == NULL))
        return calloc_slow(bytes);
    clear_words(told(block, bytes), bytes);
    return block;
}

FAST void pm_gc_free(void *block)
{
    pm_thread_free(block, "pm_gc_free");
}

struct walk {
    bool (*visit)(const struct pm_gc_pool *pool, void *arg);
    void *arg;
};

/* The number of carved blocks is another thread's: who does not allocate now. */
static bool visit_pool(const struct pm_pool *pool, void *arg)
{
    const struct walk *walk = arg;
    const struct pm_gc_pool shown = {pool->base + pool->first, pool->block_bytes, pool->carved};
    return walk->visit(&shown, walk->arg);
}

bool pm_gc_pools_walk(bool (*visit)(const struct pm_gc_pool *pool, void *arg), void *arg)
{
    struct walk walk = {visit, arg};
    return pm_gc_pool_walk(visit_pool, &walk);
}

void pm_gc_window(char **base, size_t *bytes)
{
    pm_heap_process_init(); /* without memory there is no window */
    *base = (char *)pm_window_base(&pm_window);
    *bytes = pm_load_relaxed(&pm_window.units) << PM_UNIT_SHIFT;
}
