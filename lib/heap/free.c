/* SPDX-License-Identifier: MIT */
/*
 * The slow path of free: blocks of other owners, of floating pools, spans, and errors. Any thread.
 *
 * Blocks of one pool that are freed in a row travel in a batch: the first goes to its pool at once,
 * the second starts the batch, which is pushed when it is full, when another pool needs the slot,
 * on the slow path of malloc, and at thread exit (I7).
 */
#include "heap/fast.h"
#include "heap/guests.h"
#include "heap/harden.h"
#include "heap/kept_spans.h"
#include "heap/sample.h"
#include "heap/user.h"
#include "heap/watch.h"

#include "base/asan.h"

/* The pool that ptr lies in, whose route is a thread heap's or PM_ROUTE_FLOATING. */
PM_INLINE struct pm_place_of pool_of(struct pm_window *w, const void *ptr)
{
    size_t unit = pm_window_index(w, ptr);
    uint64_t route = pm_load_relaxed(pm_window_route(w, unit));
    return (struct pm_place_of){w, unit - pm_route_distance(route)};
}

PM_INLINE struct pm_remote *remote_of(struct pm_place_of at)
{
    return pm_remote_at(at.window, at.unit);
}

/* The slot by the low bits of the pool's unit, which are those of its remote line. */
PM_INLINE struct pm_batch *batch_of(struct pm_heap *heap, const struct pm_remote *remote)
{
    _Static_assert(sizeof(struct pm_batch) == sizeof(struct pm_remote), "a slot is a line, too");
    uintptr_t slot = (uintptr_t)remote & (PM_BATCH_SLOTS - 1) * sizeof(struct pm_batch);
    return (struct pm_batch *)(void *)((char *)heap->batch + slot);
}

PM_INLINE void asan_back(const struct pm_remote *remote, void *block)
{
    pm_asan_block_back(block, remote->block_bytes);
}

/* Where threads free each other's blocks, one would adopt more than it needs while another takes
 * fresh units. The only heap does best to have all. */
static bool has_enough_parked(const struct pm_heap *heap, unsigned class)
{
    bool alone = heap->next == NULL && pm_load_relaxed(&pm_registry.heaps) == heap;
    unsigned parked = heap->parked_units[class];
    return !alone && parked != 0 && parked + pm_class_units(class) > PM_PARKED_UNITS;
}

/* The heap becomes the owner of a pool an eighth of which is free if it allocates that class, and
 * can need it. */
static uint64_t adopter(const struct pm_heap *heap, const struct pm_remote *remote)
{
    unsigned class = pm_load_relaxed(&remote->class);
    bool allocates = heap->current[class] != &pm_pool_none;
    return allocates && heap->real && !has_enough_parked(heap, class) ? pm_heap_route(heap) : 0;
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
    bool own = heap == pm_heap_self; /* and not within something that entered it already */
    if (own)
        pm_heap_enter(heap);
    enum pm_push result = pm_remote_push(at, head, tail, n, adopter(heap, remote_of(at)), function);
    if (result == PM_PUSH_LAST) {
        give_retired(heap, pool);
    } else if (result == PM_PUSH_ADOPTED) {
        pm_heap_park(heap, pool);
        pm_count_owner(&heap->adopted, 1);
    }
    if (own)
        pm_heap_leave(heap);
}

static void flush_batch(struct pm_heap *heap, struct pm_batch *batch, const char *function)
{
    unsigned n = batch->count;
    void *head = batch->head;
    pm_count_event(PM_EVENT_SLOW_PATH);
    batch->count = batch->limit = 0;
    batch->head = NULL;
    heap->batch_slots &= ~(1u << (batch - heap->batch));
    pm_count_owner(&heap->remote_batches, 1);
    pm_count_owner(&heap->remote_frees, n);
    pm_heap_tick(heap);
    push(heap, batch->at, head, batch->tail, n, function);
}

void pm_heap_flush(struct pm_heap *heap)
{
    while (heap->batch_slots != 0)
        flush_batch(heap, &heap->batch[__builtin_ctz(heap->batch_slots)], "free");
}

/* The uncommon ways of a remote free, each the end of one: they find the pool again, so that the
 * common way keeps nothing for them. */

/* At once, and whatever that brings about. */
static PM_NOINLINE void push_one(void *ptr, const char *function)
{
    struct pm_heap *self = pm_heap_self;
    if (self->real) {
        pm_count_owner(&self->remote_frees, 1);
    } else {
        pm_count_shared(&self->remote_frees, 1); /* a sentinel's, which several threads use */
        pm_heap_get_in_passing();                /* a thread that only frees gets a heap, too */
    }
    push(pm_heap_self, pool_of(pm_window_find(ptr), ptr), ptr, ptr, 1, function);
}

static PM_NOINLINE void free_no_block(void *ptr, const char *function)
{
    struct pm_place_of at = pool_of(pm_window_find(ptr), ptr);
    pm_remote_check_block(remote_of(at), pm_window_unit(at.window, at.unit), ptr, function);
}

/* The second block in a row of a pool, which is the batch's only one now. A held-back batch is
 * never more than what makes a pool worth adopting. */
static void batch_start(struct pm_heap *heap, struct pm_batch *batch, void *ptr)
{
    unsigned eighth = (unsigned)(batch->remote->capacity - batch->remote->adopt_live);
    batch->limit = eighth < PM_BATCH_BLOCKS ? eighth : PM_BATCH_BLOCKS;
    batch->at = pool_of(pm_window_find(ptr), ptr);
    batch->tail = ptr;
    /* A signal handler that flushes finds the batch complete, or does not find it. */
    atomic_signal_fence(memory_order_seq_cst);
    heap->batch_slots |= 1u << (batch - heap->batch);
}

static PM_NOINLINE void batch_start_or_end(struct pm_batch *batch, void *ptr, const char *function)
{
    if (batch->limit == 0)
        batch_start(pm_heap_self, batch, ptr);
    if (batch->count >= batch->limit)
        flush_batch(pm_heap_self, batch, function);
}

PM_INLINE void batch_add(struct pm_batch *batch, struct pm_remote *remote, void *ptr,
                         uint64_t distance, const char *function)
{
    if (pm_unlikely(!pm_remote_is_block(remote, pm_pool_offset(ptr, distance))))
        return free_no_block(ptr, function);
    asan_back(remote, ptr);
    pm_block_set_next(ptr, batch->head);
    batch->head = ptr;
    if (pm_unlikely(++batch->count >= batch->limit))
        return batch_start_or_end(batch, ptr, function);
}

/* Of a thread that is watched, or has no heap. */
static PM_NOINLINE void free_without_heap(void *ptr, const char *function)
{
    pm_count_event(PM_EVENT_SLOW_PATH);
    if (pm_likely(pm_watch_is_short()))
        return pm_watch_short.free(ptr, function);
    const struct pm_watch *watch = pm_watch_of_thread();
    if (watch != NULL)
        return pm_watch_free(watch, ptr, function);
    struct pm_place_of at = pool_of(pm_window_find(ptr), ptr);
    pm_remote_check_block(remote_of(at), pm_window_unit(at.window, at.unit), ptr, function);
    asan_back(remote_of(at), ptr);
    push_one(ptr, function);
}

/* A block of a pool that the slot does not stand for: a streak, if there was one, has ended. */
static PM_NOINLINE void free_direct(void *ptr, struct pm_place_of at, uint64_t distance,
                                    const char *function)
{
    struct pm_heap *heap = pm_heap_self;
    struct pm_remote *remote = remote_of(at);
    struct pm_batch *batch = batch_of(heap, remote);
    char *base = pm_window_unit(at.window, at.unit);
    pm_count_event(PM_EVENT_SLOW_PATH);
    if (pm_unlikely(!pm_remote_is_block(remote, pm_pool_offset(ptr, distance))))
        return free_no_block(ptr, function);
    asan_back(remote, ptr);
    if (pm_unlikely(batch->count != 0))
        flush_batch(heap, batch, function);
    batch->remote = remote;
    if (pm_unlikely(!pm_remote_push_simple(remote, base, ptr)))
        return push_one(ptr, function);
    pm_count_owner(&heap->remote_frees, 1);
}

/* The block's pool is another thread heap's, or floats. */
PM_INLINE void free_in_pool(struct pm_window *w, size_t unit, uint64_t route, void *ptr,
                            const char *function)
{
    uint64_t distance = pm_route_distance(route);
    struct pm_place_of at = {w, unit - distance};
    struct pm_batch *batch = batch_of(pm_heap_self, remote_of(at));
    if (batch->remote == remote_of(at)) /* never in a sentinel */
        return batch_add(batch, remote_of(at), ptr, distance, function);
    if (pm_unlikely(!pm_heap_self->real))
        return free_without_heap(ptr, function);
    free_direct(ptr, at, distance, function);
}

static void free_span(struct pm_window *w, void *ptr, const char *function)
{
    struct pm_heap *heap = pm_heap_self;
    size_t units = pm_span_retire(w, ptr, function);
    if (pm_unlikely(!heap->real)) {
        pm_span_give(w, ptr, false);
        pm_count_shared(&heap->frees, 1);
        return;
    }
    pm_count_owner(&heap->frees, 1);
    pm_heap_enter(heap);
    bool kept = pm_heap_keep_span(heap, ptr, units);
    if (kept)
        pm_heap_tick(heap);
    pm_heap_leave(heap);
    if (!kept)
        pm_span_give(w, ptr, false);
}

/* Of a block in no pool that is a thread heap's or floats. */
static PM_NOINLINE void free_special(struct pm_window *w, size_t unit, void *ptr,
                                     const char *function)
{
    uint64_t route = pm_load_relaxed(pm_window_route(w, unit));
    uint64_t owner = route & ~PM_ROUTE_DISTANCE_MASK;
    pm_count_event(PM_EVENT_SLOW_PATH);
    const struct pm_watch *watch = pm_watch_asked();
    if (pm_unlikely(watch != NULL))
        return pm_watch_free(watch, ptr, function);
    if (owner == PM_ROUTE_VOID)
        pm_harden_fatal_void(w, ptr, function);
    if (pm_unlikely(pm_sampling_was_on()))
        pm_sample_freed(ptr); /* before the block: somebody may get it again at once */
    if (owner == PM_ROUTE_USER)
        return pm_user_free(w, unit - pm_route_distance(route), ptr, function);
    if (pm_user_of_run(w, unit) != NULL)
        return pm_user_free_span(w, unit, ptr, function);
    free_span(w, ptr, function);
}

/* The route is read again: in between, a signal handler may have given the thread a heap. */
PM_NOINLINE void pm_thread_free_remote(void *ptr, size_t unit, const char *function)
{
    uint64_t route = pm_load_relaxed(pm_window_route(&pm_window, unit));
    if (pm_unlikely(route < PM_ROUTE_FLOATING))
        return free_special(&pm_window, unit, ptr, function);
    free_in_pool(&pm_window, unit, route, ptr, function);
}

/* A pool of ours that the fast path does not know. */
static void free_own(struct pm_place_of at, void *ptr, const char *function)
{
    struct pm_pool *pool = pm_pool_at(at.window, at.unit);
    pm_remote_check_block(remote_of(at), pool->base, ptr, function);
    pm_asan_block_back(ptr, pool->block_bytes);
    pm_block_set_next(ptr, pool->free);
    if (--pool->count == 0)
        return pm_heap_pool_emptied(ptr, pool);
    pool->free = ptr;
}

/* In no window, unless a tag is taken off: one takes a pointer off the fast path, so that it costs
 * nothing there. Or a guest. */
static PM_NOINLINE void free_outside(void *ptr, const char *function)
{
    void *plain = pm_untagged(ptr);
    const struct pm_guests *guests = pm_guests_at(plain);
    if (guests != NULL)
        return guests->give_back(plain, function);
    if (plain == ptr || pm_window_find(plain) == NULL)
        pm_fatal_foreign(function, ptr);
    pm_thread_free_elsewhere(plain, function);
}

PM_NOINLINE void pm_thread_free_elsewhere(void *ptr, const char *function)
{
    if (ptr == NULL)
        return;
    const struct pm_watch *watch = pm_watch_asked();
    if (pm_unlikely(watch != NULL))
        return pm_watch_free(watch, ptr, function);
    size_t unit;
    struct pm_window *w = pm_window_locate(ptr, &unit);
    if (pm_unlikely(w == NULL))
        return free_outside(ptr, function);
    uint64_t route = pm_load_relaxed(pm_window_route(w, unit));
    uint64_t owner = route & ~PM_ROUTE_DISTANCE_MASK;
    if (owner < PM_ROUTE_FLOATING)
        free_special(w, unit, ptr, function);
    else if (owner == pm_heap_route(pm_heap_self))
        free_own(pool_of(w, ptr), ptr, function);
    else
        free_in_pool(w, unit, route, ptr, function);
}

PM_NOINLINE void pm_heap_pool_emptied(void *last, struct pm_pool *pool)
{
    pool->free = last;
    pm_count_event(PM_EVENT_SLOW_PATH);
    struct pm_heap *heap = pm_heap_self;
    if (pool->place == PM_PLACE_CURRENT) { /* as many frees as the counter can count */
        pm_count_owner(&heap->frees, pool->start);
        pm_count_owner(&heap->mallocs, pool->start);
        heap->until[pool->class] -= pool->start;
        bool full = pool->start == PM_COUNT_CURRENT; /* else a bound of sample.h */
        pool->count = pool->start = PM_COUNT_CURRENT;
        if (pm_likely(full))
            pm_heap_tick_now();
        else
            pm_heap_tick(heap);
        if (pm_unlikely(pm_sampling_on()))
            pm_sample_look(heap, pool);
        pm_heap_leave(heap);
        return;
    }
    pm_heap_enter(heap);
    if (pool->place != PM_PLACE_PARKED || pool->count != 0) { /* a signal handler was faster */
        pm_heap_leave(heap);
        return;
    }
    pm_heap_account(heap, pool, pool->carved);
    pm_heap_unpark(heap, pool);
    pm_pool_retire(pool);
    pm_heap_keep(heap, pool);
    pm_heap_leave(heap);
}

/* As pm_thread_free, of a block of our pool. True: the pool is ours still. */
PM_INLINE bool push_own(struct pm_pool *pool, uint64_t steps, void *ptr, const char *function)
{
#if PM_ASAN || PM_CHECK
    if (!pm_pool_is_block(pool, pm_pool_offset(ptr, pm_route_distance(steps))))
        free_no_block(ptr, function);
    pm_asan_block_back(ptr, pool->block_bytes);
#else
    (void)steps, (void)function;
#endif
    pm_block_set_next(ptr, pool->free);
    if (pm_unlikely(--pool->count == 0)) {
        pm_heap_pool_emptied(ptr, pool);
        return false;
    }
    pool->free = ptr;
    return true;
}

/* The pool of ours that the block lies in, and how far its unit is from the head, as a route says
 * it; NULL: it is no block of ours, and freed now. */
PM_INLINE struct pm_pool *own_pool_or_free(void *ptr, size_t unit, uint64_t *steps,
                                           const char *function)
{
    if (pm_unlikely(!pm_below_relaxed(unit, &pm_window.units))) {
        pm_thread_free_elsewhere(ptr, function);
        return NULL;
    }
    *steps = pm_load_relaxed(pm_window_route(&pm_window, unit)) - pm_heap_route(pm_heap_self);
    if (pm_unlikely(*steps > PM_ROUTE_DISTANCE_MASK)) {
        pm_thread_free_remote(ptr, unit, function);
        return NULL;
    }
    return pm_pool_around(pm_window_line(&pm_window, unit), *steps);
}

/* What is known of a pool of ours holds for the next block, if it lies in the same unit. */
void pm_thread_free_batch(void *const *blocks, size_t count, const char *function)
{
#if PM_VALGRIND
    for (size_t i = 0; i < count; i++)
        pm_thread_free(blocks[i], function);
    return;
#endif
    const size_t no_unit = SIZE_MAX; /* no address has this one */
    const uintptr_t base = pm_window_base(&pm_window);
    struct pm_pool *pool = NULL;
    size_t known_unit = no_unit;
    uint64_t steps = 0;
    for (size_t i = 0; i < count; i++) {
        size_t unit = ((uintptr_t)blocks[i] - base) >> PM_UNIT_SHIFT;
        if (unit != known_unit) {
            pool = own_pool_or_free(blocks[i], unit, &steps, function);
            known_unit = pool != NULL ? unit : no_unit;
            if (pool == NULL)
                continue;
        }
        if (pm_unlikely(!push_own(pool, steps, blocks[i], function)))
            known_unit = no_unit;
    }
}
