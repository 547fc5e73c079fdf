/* SPDX-License-Identifier: MIT */
/*
 * The slow path of malloc: where the next block of a class comes from when the current pool's list
 * is empty. In this order: what other threads freed into the current pool; what it has not carved;
 * (then it is full and floats) a parked pool; a floating pool; a kept empty pool; fresh units.
 * By the owner of the heap.
 */
#include "base/probe.h"
#include "heap/internal.h"

void pm_heap_account(struct pm_heap *heap, struct pm_pool *pool, unsigned local)
{
    bool current = pool->place == PM_PLACE_CURRENT;
    unsigned live = pool->carved - local;
    unsigned frees = (current ? pool->start : pm_pool_live_base(pool)) - pool->count;
    /* May be below zero, after pm_heap_pool_emptied() took some for granted; so in 64 bits. */
    uint64_t mallocs = (uint64_t)live + frees - pm_pool_live_base(pool);
    pm_count_owner(&heap->frees, frees);
    pm_count_owner(&heap->mallocs, mallocs);
    heap->until[pool->class] -= (uint32_t)mallocs;
    pm_pool_set_live_base(pool, live);
    if (current)
        pool->start = (uint16_t)pool->count;
    else
        pool->count = live;
}

/* The size slots that the class serves, first and last; none: first > last. */
static void direct_slots(unsigned class, unsigned *first, unsigned *last)
{
    if (pm_class_is_gc(class)) {
        *first = 1;
        *last = 0;
        return;
    }
    if (class<PM_SMALL_CLASSES &&class> PM_GRANULE_BYTES / 8) { /* a step is a granule */
        *first = *last = (class + 1) * 8 / (unsigned)PM_GRANULE_BYTES;
        return;
    }
    unsigned bytes = pm_class_bytes(class), smaller = bytes - (unsigned)PM_GRANULE_BYTES;
    if (class >= PM_SMALL_CLASSES)
        smaller = pm_class_bytes(class - 1);
    *first = smaller == 0 ? 0 : smaller / (unsigned)PM_GRANULE_BYTES + 1;
    *last = bytes > PM_DIRECT_MAX ? 0 : bytes / (unsigned)PM_GRANULE_BYTES;
}

void pm_heap_set_current(struct pm_heap *heap, unsigned class, struct pm_pool *pool)
{
    unsigned slot, last;
    heap->current[class] = pool;
    heap->used_classes[class / 64] |= (uint64_t)1 << class % 64;
    for (direct_slots(class, &slot, &last); slot <= last; slot++)
        heap->direct[slot] = pool; /* of a gc class: none */
    if (pool == &pm_pool_none)
        return;
    pool->place = PM_PLACE_CURRENT;
    pool->count = pool->start = PM_COUNT_CURRENT;
}

void pm_heap_park(struct pm_heap *heap, struct pm_pool *pool)
{
    pool->place = PM_PLACE_PARKED;
    pm_assert(pm_pool_check(pool));
    pm_list_push(&heap->parked[pool->class], &pool->link);
    heap->parked_units[pool->class] += pool->units;
    heap->used_classes[pool->class / 64] |= (uint64_t)1 << pool->class % 64;
    heap->parked_classes[pool->class / 64] |= (uint64_t)1 << pool->class % 64;
}

void pm_heap_unpark(struct pm_heap *heap, struct pm_pool *pool)
{
    pm_list_remove(&pool->link);
    heap->parked_units[pool->class] -= pool->units;
    pool->place = PM_PLACE_NONE;
    if (pm_list_empty(&heap->parked[pool->class]))
        heap->parked_classes[pool->class / 64] &= ~((uint64_t)1 << pool->class % 64);
}

/* Takes what others freed into a parked pool. True: it is empty now, and gone. */
static bool poll_parked(struct pm_heap *heap, struct pm_pool *pool)
{
    unsigned n = pm_pool_take_remote(pool);
    pool->count -= n;
    pm_pool_set_live_base(pool, pm_pool_live_base(pool) - n);
    if (pool->count > 0)
        return false;
    pm_heap_account(heap, pool, pool->carved);
    pm_heap_unpark(heap, pool);
    pm_pool_retire(pool);
    pm_heap_keep(heap, pool);
    return true;
}

/* The next class after `class` that has parked pools, round and round; there is one. */
static unsigned next_parked_class(const struct pm_heap *heap, unsigned class)
{
    for (unsigned word = (class + 1) / 64, first = (class + 1) % 64; word < 2; word++, first = 0) {
        uint64_t later = heap->parked_classes[word] >> first << first;
        if (later != 0)
            return word * 64 + (unsigned)__builtin_ctzll(later);
    }
    unsigned word = heap->parked_classes[0] == 0;
    return word * 64 + (unsigned)__builtin_ctzll(heap->parked_classes[word]);
}

/* I8: of the classes in turn, one parked pool, the one parked first, is polled and goes to the
 * front. */
static void poll_next(struct pm_heap *heap)
{
    if ((heap->parked_classes[0] | heap->parked_classes[1]) == 0)
        return;
    unsigned class = next_parked_class(heap, heap->poll_class);
    heap->poll_class = class;
    struct pm_pool *pool = pm_container_of(heap->parked[class].prev, struct pm_pool, link);
    if (!poll_parked(heap, pool)) {
        pm_list_remove(&pool->link);
        pm_list_push(&heap->parked[class], &pool->link);
    }
}

static struct pm_pool *take_parked(struct pm_heap *heap, unsigned class)
{
    if (pm_list_empty(&heap->parked[class]))
        return NULL;
    struct pm_pool *pool = pm_container_of(heap->parked[class].next, struct pm_pool, link);
    pm_heap_account(heap, pool, pool->carved - pool->count);
    pm_heap_unpark(heap, pool);
    return pool;
}

static struct pm_pool *take_fresh(struct pm_heap *heap, unsigned class)
{
    struct pm_run run;
    if (!pm_heap_take_units(heap, pm_class_units(class), &run))
        return NULL;
    if (pm_class_is_gc(class) && pm_unlikely(!pm_gc_may_lie_at(run.base))) {
        heap->gc_pause = PM_GC_PAUSE;
        pm_arena_give_run(&run);
        return NULL;
    }
    struct pm_pool *pool = pm_pool_cut(&run, class, pm_heap_route(heap));
    pm_arena_settle();
    return pool;
}

/* The heap's next current pool of the class; NULL: out of memory. */
static struct pm_pool *next_pool(struct pm_heap *heap, unsigned class)
{
    struct pm_pool *pool = take_parked(heap, class);
    if (pool == NULL)
        pool = pm_floating_take(class, pm_heap_route(heap));
    if (pool == NULL)
        pool = pm_heap_take_kept(heap, class);
    if (pool == NULL)
        pool = take_fresh(heap, class);
    pm_assert(pool == NULL || pm_pool_check(pool));
    return pool;
}

/* A block from a pool whose list is empty, or NULL. */
static void *carve(struct pm_pool *pool, bool *zero)
{
    if (pool->block_bytes > (pool->worn ? PM_CARVE_WORN_MAX : PM_CARVE_BATCH_MAX)) {
        void *block = pm_pool_carve_one(pool);
        *zero = block != NULL && pool->zero;
        return block;
    }
    return pm_pool_carve(pool) ? pool->free : NULL;
}

void *pm_heap_take_block(struct pm_pool *pool, bool *zero)
{
    void *block = pool->free;
    *zero = false;
    if (block == NULL && (block = carve(pool, zero)) == NULL)
        return NULL;
    if (block == pool->free)
        pool->free = pm_block_next(block);
    return block;
}

/* The current pool's list is empty: what else it has. NULL: it was full, and floats now. */
static void *renew_current(struct pm_heap *heap, struct pm_pool *pool, bool *zero)
{
    pm_heap_account(heap, pool, 0);
    for (;;) {
        unsigned taken = pm_pool_take_remote(pool);
        pm_pool_set_live_base(pool, pm_pool_live_base(pool) - taken);
        void *block = pm_heap_take_block(pool, zero);
        if (block != NULL)
            return block;
        if (pm_pool_float_full(pool, pm_heap_route(heap)))
            return NULL;
        pool->place = PM_PLACE_CURRENT;
    }
}

void pm_heap_tend(struct pm_heap *heap)
{
    pm_count_owner(&heap->refills, 1);
    pm_heap_tick(heap);
    pm_heap_flush(heap);
    poll_next(heap);
}

void *pm_heap_refill(struct pm_heap *heap, unsigned class, bool *zero)
{
    pm_heap_tend(heap);
    struct pm_pool *pool = heap->current[class];
    if (pool != &pm_pool_none) {
        void *block = renew_current(heap, pool, zero);
        if (block != NULL) {
            PM_PROBE4(refill, class, pool->block_bytes, pool->base, heap);
            return block;
        }
    }
    pool = next_pool(heap, class);
    pm_heap_set_current(heap, class, pool ? pool : &pm_pool_none);
    if (pool == NULL)
        return NULL;
    PM_PROBE4(refill, class, pool->block_bytes, pool->base, heap);
    return pm_heap_take_block(pool, zero);
}
