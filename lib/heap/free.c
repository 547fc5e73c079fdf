/* SPDX-License-Identifier: MIT */
/*
 * The slow path of free: blocks of other owners, of floating pools, spans, and errors. Any thread.
 *
 * Blocks of one pool that are freed in a row travel in a batch: the first goes to its pool at once,
 * the second starts the batch, which is pushed when it is full, when another pool needs the slot,
 * on the slow path of malloc, and at thread exit (I7).
 */
#include "heap/internal.h"

#include "base/asan.h"

static __thread unsigned frees_without_heap;

/* The pool that ptr lies in, whose route is not void or a span's. */
PM_INLINE struct pm_place_of pool_of(struct pm_window *w, const void *ptr)
{
    size_t unit = pm_window_index(w, ptr);
    uint64_t route = pm_load_relaxed(pm_window_route(w, unit));
    return (struct pm_place_of){w, unit - (route & PM_ROUTE_DISTANCE_MASK)};
}

PM_INLINE struct pm_remote *remote_of(struct pm_place_of at)
{
    return pm_remote_at(at.window, at.unit);
}

/* The heap becomes the owner of a pool an eighth of which is free if it allocates that class. */
static uint64_t adopter(const struct pm_heap *heap, const struct pm_remote *remote)
{
    bool allocates = heap->current[remote->class] != &pm_pool_none;
    return allocates && heap->real ? pm_heap_route(heap) : 0;
}

static void give_retired(struct pm_heap *heap, struct pm_pool *pool)
{
    if (heap->real) {
        pm_heap_keep(heap, pool);
    } else {
        struct pm_run run = pm_pool_run(pool);
        pm_arena_give_run(&run);
    }
}

static void push(struct pm_heap *heap, struct pm_place_of at, void *head, void *tail, unsigned n,
                 const char *function)
{
    struct pm_pool *pool = pm_pool_at(at.window, at.unit);
    enum pm_push result = pm_remote_push(at, head, tail, n, adopter(heap, remote_of(at)), function);
    if (result == PM_PUSH_LAST) {
        give_retired(heap, pool);
    } else if (result == PM_PUSH_ADOPTED) {
        pm_heap_park(heap, pool);
        pm_count_owner(&heap->adopted, 1);
    }
}

static void flush_batch(struct pm_heap *heap, struct pm_batch *batch, const char *function)
{
    unsigned n = batch->count;
    batch->count = 0;
    if (n == 0)
        return;
    pm_count_owner(&heap->remote_batches, 1);
    push(heap, batch->at, batch->head, batch->tail, n, function);
}

void pm_heap_flush(struct pm_heap *heap)
{
    for (unsigned i = 0; i < PM_BATCH_SLOTS; i++)
        flush_batch(heap, &heap->batch[i], "free");
}

/* The uncommon ways of a remote free, each the end of one: they find the pool again, so that the
 * common way keeps nothing for them. */

static PM_NOINLINE void push_one(void *ptr, const char *function)
{
    push(pm_heap_self, pool_of(pm_window_find(ptr), ptr), ptr, ptr, 1, function);
}

/* Threads that only free get a heap after some time, for its batches; not at once, since a thread's
 * only free may be one that the C library does while the thread ends. */
static PM_NOINLINE void free_without_heap(void *ptr, const char *function)
{
    pm_count_shared(&pm_heap_self->remote_frees, 1); /* a sentinel's, which several threads use */
    if (pm_heap_self == &pm_heap_none && ++frees_without_heap > PM_FREES_BEFORE_HEAP)
        pm_heap_get();
    push_one(ptr, function);
}

/* A pool of ours, in a window that the fast path does not know. */
static PM_NOINLINE void free_own(void *ptr)
{
    struct pm_place_of at = pool_of(pm_window_find(ptr), ptr);
    struct pm_pool *pool = pm_pool_at(at.window, at.unit);
    pm_block_set_next(ptr, pool->free);
    pool->free = ptr;
    if (--pool->count == 0)
        pm_heap_pool_emptied(pool);
}

static PM_NOINLINE void free_no_block(void *ptr, const char *function)
{
    struct pm_place_of at = pool_of(pm_window_find(ptr), ptr);
    pm_remote_block_number(remote_of(at), pm_window_unit(at.window, at.unit), ptr, function);
}

/* The second block in a row of a pool. A held-back batch is never more than what makes a pool worth
 * adopting. */
static PM_NOINLINE void batch_start(struct pm_batch *batch, void *ptr, const char *function)
{
    unsigned eighth = (unsigned)(batch->remote->capacity - batch->remote->adopt_live);
    if (eighth == 1) {
        push_one(ptr, function);
        return;
    }
    batch->limit = eighth < PM_BATCH_BLOCKS ? eighth : PM_BATCH_BLOCKS;
    batch->at = pool_of(pm_window_find(ptr), ptr);
    batch->head = batch->tail = ptr;
    pm_block_set_next(ptr, NULL);
    batch->count = 1;
}

PM_INLINE void batch_add(struct pm_heap *heap, struct pm_batch *batch, void *ptr,
                         const char *function)
{
    if (pm_unlikely(batch->count == 0)) {
        batch_start(batch, ptr, function);
        return;
    }
    pm_block_set_next(ptr, batch->head);
    batch->head = ptr;
    if (pm_unlikely(++batch->count >= batch->limit))
        flush_batch(heap, batch, function);
}

/* The streak that the slot stands for has ended. */
static PM_NOINLINE void flush_and_push_one(struct pm_batch *batch, void *ptr, const char *function)
{
    flush_batch(pm_heap_self, batch, function);
    push_one(ptr, function);
}

PM_INLINE void free_in_pool(struct pm_place_of at, uint64_t owner, void *ptr, const char *function)
{
    struct pm_heap *heap = pm_heap_self;
    struct pm_remote *remote = remote_of(at);
    struct pm_batch *batch = &heap->batch[at.unit % PM_BATCH_SLOTS];
    char *base = pm_window_unit(at.window, at.unit);
    if (pm_unlikely(pm_remote_number(remote, base, ptr) >= remote->capacity))
        return free_no_block(ptr, function);
    pm_asan_block_back(ptr, (size_t)remote->block_granules * PM_GRANULE_BYTES);
    if (pm_unlikely(!heap->real))
        return free_without_heap(ptr, function);
    if (pm_unlikely(owner == pm_heap_route(heap)))
        return free_own(ptr);
    pm_count_owner(&heap->remote_frees, 1);
    if (batch->remote == remote)
        return batch_add(heap, batch, ptr, function);
    batch->remote = remote;
    if (pm_unlikely(batch->count != 0))
        return flush_and_push_one(batch, ptr, function);
    if (pm_unlikely(!pm_remote_push_simple(remote, base, ptr)))
        return push_one(ptr, function);
}

/* Spans, pointers into other windows, errors. */
static PM_NOINLINE void free_uncommon(void *ptr, const char *function)
{
    if (ptr == NULL)
        return;
    struct pm_window *w = pm_window_find(ptr);
    if (pm_unlikely(w == NULL))
        pm_fatal_foreign(function, ptr);
    uint64_t route = pm_load_relaxed(pm_window_route(w, pm_window_index(w, ptr)));
    uint64_t owner = route & ~PM_ROUTE_DISTANCE_MASK;
    if (owner == PM_ROUTE_SPAN)
        pm_span_free(w, ptr, function);
    else if (pm_unlikely(owner == PM_ROUTE_VOID))
        pm_span_fatal_void(w, ptr, function);
    else
        free_in_pool(pool_of(w, ptr), owner, ptr, function);
}

PM_NOINLINE void pm_heap_free_slow(void *ptr, const char *function)
{
    size_t unit = pm_window_index(&pm_window, ptr);
    if (pm_unlikely(!pm_below_relaxed(unit, &pm_window.units)))
        return free_uncommon(ptr, function);
    uint64_t route = pm_load_relaxed(pm_window_route(&pm_window, unit));
    uint64_t owner = route & ~PM_ROUTE_DISTANCE_MASK;
    if (pm_unlikely(owner == PM_ROUTE_SPAN || owner == PM_ROUTE_VOID))
        return free_uncommon(ptr, function);
    free_in_pool((struct pm_place_of){&pm_window, unit - (route & PM_ROUTE_DISTANCE_MASK)}, owner,
                 ptr, function);
}

PM_NOINLINE void pm_heap_pool_emptied(struct pm_pool *pool)
{
    struct pm_heap *heap = pm_heap_self;
    if (pool->place == PM_PLACE_CURRENT) { /* as many frees as the counter can count */
        pm_count_owner(&heap->frees, PM_COUNT_CURRENT);
        pm_count_owner(&heap->mallocs, PM_COUNT_CURRENT);
        pool->count = PM_COUNT_CURRENT;
        return;
    }
    pm_heap_account(heap, pool, pool->carved);
    pm_heap_unpark(pool);
    pm_pool_retire(pool);
    pm_heap_keep(heap, pool);
}
