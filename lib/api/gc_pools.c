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

static bool is_too_large(size_t bytes)
{
    return bytes - 1 >= PM_GC_BYTES_MAX - PM_ASAN_REDZONE_BYTES; /* 0 too */
}

/* Hooks of other domains are no reason to refuse. */
static PM_NOINLINE void *calloc_slow(size_t bytes)
{
    if (is_too_large(bytes) || !pm_domain_is_default(PM_DOMAIN_OBJECT))
        return fail(ENOTSUP);
    void *block = pm_thread_try_gc(padded(bytes) - 1);
    if (block == NULL && (block = pm_thread_gc_slow(padded(bytes))) == NULL)
        return fail(ENOTSUP);
    clear_block(told(block, bytes), bytes - 1);
    return block;
}

FAST void *pm_gc_calloc(size_t bytes)
{
    if (pm_unlikely(is_too_large(bytes) || pm_domains_are_hooked()))
        return calloc_slow(bytes);
    void *block = pm_thread_try_gc(padded(bytes) - 1);
    if (pm_unlikely(block == NULL))
        return calloc_slow(bytes);
    clear_block(told(block, bytes), bytes - 1);
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
