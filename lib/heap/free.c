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

/* The heap becomes the owner of a pool an eighth of which is free if it allocates that class. */
static uint64_t adopter(const struct pm_heap *heap, const struct pm_remote *remote)
{
    bool allocates = heap->current[remote->class] != &pm_pool_none;
    return allocates && pm_heap_is_real(heap) ? pm_heap_route(heap) : 0;
}

static void give_retired(struct pm_heap *heap, struct pm_pool *pool)
{
    if (pm_heap_is_real(heap)) {
        pm_heap_keep(heap, pool);
    } else {
        struct pm_run run = pm_pool_run(pool);
        pm_arena_give_run(&run);
    }
}

static void push(struct pm_heap *heap, struct pm_place_of at, void *head, void *tail, unsigned n,
                 const char *function)
{
    struct pm_remote *remote = pm_remote_at(at.window, at.unit);
    struct pm_pool *pool = pm_pool_at(at.window, at.unit);
    enum pm_push result = pm_remote_push(at, head, tail, n, adopter(heap, remote), function);
    if (pm_heap_is_real(heap)) {
        pm_count_owner(&heap->remote_frees, n);
        pm_count_owner(&heap->remote_flushes, 1);
    } else {
        pm_count_shared(&heap->remote_frees, n); /* a sentinel's, which several threads use */
        pm_count_shared(&heap->remote_flushes, 1);
    }
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
    if (n > 0)
        push(heap, batch->at, batch->head, batch->tail, n, function);
}

void pm_heap_flush(struct pm_heap *heap)
{
    for (unsigned i = 0; i < PM_BATCH_SLOTS; i++)
        flush_batch(heap, &heap->batch[i], "free");
}

/* A held-back batch is never more than what makes a pool worth adopting. */
static void batch_start(struct pm_batch *batch, void *ptr)
{
    unsigned eighth = (unsigned)(batch->remote->capacity - batch->remote->adopt_live);
    batch->limit = eighth < PM_BATCH_BLOCKS ? eighth : PM_BATCH_BLOCKS;
    batch->tail = ptr;
    pm_block_set_next(ptr, NULL);
}

static void free_remote(struct pm_heap *heap, struct pm_place_of at, void *ptr,
                        const char *function)
{
    struct pm_remote *remote = pm_remote_at(at.window, at.unit);
    struct pm_batch *batch = &heap->batch[at.unit % PM_BATCH_SLOTS];
    if (batch->remote != remote) { /* the streak, if any, has ended */
        flush_batch(heap, batch, function);
        batch->remote = remote;
        batch->at = at;
        push(heap, at, ptr, ptr, 1, function);
        return;
    }
    if (batch->count == 0)
        batch_start(batch, ptr);
    else
        pm_block_set_next(ptr, batch->head);
    batch->head = ptr;
    if (++batch->count >= batch->limit)
        flush_batch(heap, batch, function);
}

/* Threads that only free get a heap after some time, for its batches; not at once, since a thread's
 * only free may be one that the C library does while the thread ends. */
static struct pm_heap *heap_for_free(void)
{
    if (pm_heap_self == &pm_heap_none && ++frees_without_heap > PM_FREES_BEFORE_HEAP)
        pm_heap_get();
    return pm_heap_self;
}

static void free_in_pool(struct pm_place_of at, uint64_t owner, void *ptr, const char *function)
{
    struct pm_heap *heap = heap_for_free();
    struct pm_remote *remote = pm_remote_at(at.window, at.unit);
    struct pm_pool *pool = pm_pool_at(at.window, at.unit);
    pm_remote_block_number(remote, pm_window_unit(at.window, at.unit), ptr, function);
    pm_asan_block_back(ptr, (size_t)remote->block_granules * PM_GRANULE_BYTES);
    if (owner == pm_heap_route(heap)) { /* ours, in a window that the fast path does not know */
        pm_block_set_next(ptr, pool->free);
        pool->free = ptr;
        if (--pool->count == 0)
            pm_heap_pool_emptied(pool);
    } else if (pm_heap_is_real(heap)) {
        free_remote(heap, at, ptr, function);
    } else {
        push(heap, at, ptr, ptr, 1, function);
    }
}

PM_NOINLINE void pm_heap_free_slow(void *ptr, const char *function)
{
    if (ptr == NULL)
        return;
    struct pm_window *w = pm_window_find(ptr);
    if (pm_unlikely(w == NULL))
        pm_fatal_foreign(function, ptr);
    size_t unit = pm_window_index(w, ptr);
    uint64_t route = pm_load_relaxed(pm_window_route(w, unit));
    uint64_t owner = route & ~PM_ROUTE_DISTANCE_MASK;
    if (owner == PM_ROUTE_SPAN) {
        pm_span_free(w, ptr, function);
    } else if (pm_unlikely(owner == PM_ROUTE_VOID)) {
        pm_span_fatal_void(w, ptr, function);
    } else {
        struct pm_place_of at = {w, unit - (route & PM_ROUTE_DISTANCE_MASK)};
        free_in_pool(at, owner, ptr, function);
    }
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
