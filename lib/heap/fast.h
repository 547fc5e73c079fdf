/* SPDX-License-Identifier: MIT */
/*
 * The fast paths: straight lines without an atomic read-modify-write or a call. What is uncommon
 * leaves by a tail call. The instruction budgets are held by the budget test. What serves a block
 * from the calling thread's heap, or takes it back there, is called pm_thread_...: pm_heap_malloc
 * and its like are public, and of user heaps.
 *
 *   malloc -> pm_thread_malloc -+-> pm_thread_malloc_slow     no current pool, or its list is empty
 *                               +-> pm_thread_malloc_large    the same above PM_DIRECT_MAX; a span
 *   new    -> pm_thread_malloc_at_hand, then malloc's
 *   memalign, posix_memalign
 *          -> pm_thread_aligned_at_hand, then pm_thread_malloc_aligned
 *   calloc -> pm_thread_try_malloc -> pm_thread_calloc_medium the same, and above PM_DIRECT_MAX
 *   gc     -> pm_thread_try_gc -> pm_thread_gc_slow           the same, as far as gc pools serve
 *   realloc -> pm_thread_own_pool, and the block stays or there is a malloc, a copy, a free
 *   free   -> pm_thread_free ---+-> pm_thread_free_remote     another owner, none, a span
 *                               +-> pm_thread_free_elsewhere  NULL, another window, foreign
 *                               +-> pm_heap_pool_emptied      nothing live in the pool any more
 */
#ifndef PM_HEAP_FAST_H
#define PM_HEAP_FAST_H

#include "base/asan.h"
#include "heap/heap.h"
#include "heap/valgrind.h"

/* The next block may have left the cache since it was freed; the next malloc of the class reads it.
 */
PM_INLINE void *pm_heap_pop(struct pm_pool *pool, void *block)
{
    void *next = pm_block_next(block);
    pool->free = next;
    __builtin_prefetch(next);
    return block;
}

/* NULL where there is none. */
PM_INLINE void *pm_heap_pop_if_any(struct pm_pool *pool)
{
    void *block = pool->free;
    return pm_likely(block != NULL) ? pm_heap_pop(pool, block) : NULL;
}

/* Above PM_DIRECT_MAX; NULL: there is none at hand. */
PM_INLINE void *pm_thread_medium_at_hand(size_t n)
{
    if (pm_unlikely(n > PM_BLOCK_MAX))
        return NULL;
    return pm_heap_pop_if_any(pm_heap_self->current[pm_class_by_step(n - 1)]);
}

PM_INLINE void *pm_thread_malloc(size_t n)
{
    if (pm_unlikely(n > PM_DIRECT_MAX)) {
        void *medium = pm_thread_medium_at_hand(n);
        return pm_likely(medium != NULL) ? medium : pm_thread_malloc_large(n);
    }
    struct pm_pool *pool = pm_heap_self->direct[(n + PM_GRANULE_BYTES - 1) >> PM_GRANULE_SHIFT];
    void *block = pool->free;
    if (pm_unlikely(block == NULL))
        return pm_thread_malloc_slow(n);
    return pm_heap_pop(pool, block);
}

/* For operator new, which has to look at what its slow paths bring: NULL where malloc would leave.
 */
PM_INLINE void *pm_thread_malloc_at_hand(size_t n)
{
    if (pm_unlikely(n > PM_DIRECT_MAX))
        return pm_thread_medium_at_hand(n);
    return pm_heap_pop_if_any(pm_heap_self->direct[(n + PM_GRANULE_BYTES - 1) >> PM_GRANULE_SHIFT]);
}

/* The same of a block on a multiple of `align`, a power of two; NULL also where the class is not
 * malloc's for what is rounded up (PM_ROUNDED_MAX). 0 bytes are too many here. */
PM_INLINE void *pm_thread_aligned_at_hand(size_t n, size_t align)
{
    size_t last_byte = (n - 1) | (align - 1);
    if (PM_POOL_HEADER_BYTES != 0 || pm_unlikely(last_byte >= PM_ROUNDED_MAX))
        return NULL;
    if (pm_unlikely(last_byte >= PM_DIRECT_MAX))
        return pm_heap_pop_if_any(pm_heap_self->current[pm_class_by_step(last_byte)]);
    return pm_heap_pop_if_any(pm_heap_self->direct[(last_byte >> PM_GRANULE_SHIFT) + 1]);
}

/* For calloc: last_byte + 1 bytes, 1..PM_DIRECT_MAX; NULL: the current pool's list is empty. */
PM_INLINE void *pm_thread_try_malloc(size_t last_byte)
{
    struct pm_pool *pool = pm_heap_self->direct[(last_byte >> PM_GRANULE_SHIFT) + 1];
    void *block = pool->free;
    if (pm_likely(block != NULL))
        pool->free = pm_block_next(block);
    return block;
}

/* The same of a gc pool: n bytes, 9..PM_SMALL_MAX. */
PM_INLINE void *pm_thread_try_gc(size_t n)
{
    struct pm_pool *pool = pm_heap_self->current[pm_class_gc(n)];
    void *block = pool->free;
    if (pm_likely(block != NULL))
        pool->free = pm_block_next(block);
    return block;
}

/* The pool of the calling thread that the block lies in; NULL: whatever ptr is, it is no such
 * block. Of a thread that is watched none is. */
PM_INLINE const struct pm_pool *pm_thread_own_pool(const void *ptr)
{
    uintptr_t base = pm_window_base(&pm_window);
    size_t unit = ((uintptr_t)ptr - base) >> PM_UNIT_SHIFT;
    if (pm_unlikely(!pm_below_relaxed(unit, &pm_window.units)))
        return NULL;
    /* Relaxed, as in pm_thread_free. */
    uint64_t route = pm_load_relaxed((_Atomic uint64_t *)base + unit);
    uint64_t steps = route - (uintptr_t)pm_heap_self;
    if (pm_unlikely(steps > PM_ROUTE_DISTANCE_MASK))
        return NULL;
    struct pm_pool *pool = pm_pool_around((void *)(base - unit * PM_LINE_BYTES), steps);
    uint32_t offset = pm_pool_offset(ptr, pm_route_distance(steps));
    return pm_likely(pm_pool_is_block(pool, offset)) ? pool : NULL;
}

/* A block of a pool stays where it is while it holds n bytes and at most half of it is wasted, or
 * there is no smaller one. n is not 0. */
PM_INLINE bool pm_heap_stays(size_t have, size_t n)
{
    return pm_likely(n - have / 2 <= have - have / 2) || (have == PM_GRANULE_BYTES && n < have);
}

/* The compiler takes line and steps for other values from here on: so it does not gather their sum
 * in a register, but adds within each address. By way of such a register a pair took a fifth
 * longer, and another time in each process; which registers are added makes a tenth:
 * docs/decisions/038-a-free-finds-its-pool-in-fewer-cycles.md. Where the way ends in a call clang
 * does so by itself, and would compare once more if asked. */
PM_INLINE void pm_forget(void **line, uint64_t *steps, bool at_end)
{
#if defined(__clang__)
    if (!at_end)
        __asm__("" : "+r"(*steps));
    (void)line;
#elif defined(__x86_64__)
    __asm__("" : "+d"(*line), "+c"(*steps));
    (void)at_end;
#else
    (void)line, (void)steps, (void)at_end;
#endif
}

/* True: that was the last. */
PM_INLINE bool pm_heap_count_down(uint32_t *count)
{
#if defined(__x86_64__) && defined(__GCC_ASM_FLAG_OUTPUTS__) && !PM_WATCHED && !PM_TSAN
    bool last; /* gcc would load, subtract and store, and the address be gathered for that */
    __asm__("subl $1, %[count]" : [count] "+m"(*count), "=@ccz"(last));
    return last;
#else
    return --*count == 0;
#endif
}

PM_INLINE void pm_thread_free(void *ptr, const char *function)
{
#if PM_VALGRIND
    if (ptr != NULL && !pm_valgrind_back(ptr, function))
        return;
#endif
    uintptr_t base = pm_window_base(&pm_window);
    size_t unit = ((uintptr_t)ptr - base) >> PM_UNIT_SHIFT;
    if (pm_unlikely(!pm_below_relaxed(unit, &pm_window.units)))
        return pm_thread_free_elsewhere(ptr, function);
    /* Relaxed: if the pool is ours we wrote the route; if not, only its distance counts, which
     * does not change while the block is live. */
    uint64_t route = pm_load_relaxed((_Atomic uint64_t *)base + unit);
    uint64_t steps = route - (uintptr_t)pm_heap_self;
    if (pm_unlikely(steps > PM_ROUTE_DISTANCE_MASK))
        return pm_thread_free_remote(ptr, unit, function);
    void *line = (void *)(base - unit * PM_LINE_BYTES);
#if PM_ASAN || PM_CHECK
    struct pm_pool *checked = pm_pool_around(line, steps);
    const struct pm_remote *remote = pm_remote_at(&pm_window, unit - pm_route_distance(steps));
    pm_remote_check_block(remote, checked->base, ptr, function);
    pm_asan_block_back(ptr, checked->block_bytes);
#endif
    pm_block_set_next(ptr, pm_pool_around(line, steps)->free);
    pm_forget(&line, &steps, false);
    if (pm_unlikely(pm_heap_count_down(&pm_pool_around(line, steps)->count))) {
        pm_forget(&line, &steps, true);
        return pm_heap_pool_emptied(ptr, pm_pool_around(line, steps));
    }
    pm_forget(&line, &steps, false);
    pm_pool_around(line, steps)->free = ptr;
}

#endif
