/* SPDX-License-Identifier: MIT */
/*
 * What is done of each call while tracing is on. The watch stands before the one that the mode of
 * the process wants (debug hooks, the C library's malloc), or before the pools, and hands every
 * call down. Each function runs in the thread that called the allocator, which is not watched
 * meanwhile. No lock, but for blocks outside the first window.
 *
 * The trace goes before the memory: else another thread could get the address, and lose its own.
 */
#include "tools/trace.h"

#include "base/asan.h"
#include "base/report.h"
#include "heap/fast.h"
#include "heap/user.h"
#include "tools/debug.h"
#include "tools/trace_others.h"
#include "tools/trace_take.h"

struct pm_tracing pm_tracing;
__thread bool pm_trace_busy;

static const struct pm_watch *below; /* constant once anything is made */

void pm_trace_set_below(const struct pm_watch *wanted)
{
    below = wanted;
    pm_trace_slots_interior = wanted != NULL;
}

const struct pm_watch *pm_trace_below(void)
{
    return below;
}

/* ---- traces ---- */

/* The epoch ends where it is still going on, once. */
static PM_COLD void give_up(unsigned epoch)
{
    uint32_t now = epoch;
    if (pm_cas_acq_rel(&pm_tracing.trace_epoch, &now, 0))
        pm_warn("tracing has stopped: there is no memory for more traces");
}

/* Where it is traced / where it is to be. */
static _Atomic uint64_t *slot_of(unsigned domain, const void *ptr)
{
    return domain < PM_TRACE_DOMAINS ? pm_trace_slot_of(ptr, false) : NULL;
}

static _Atomic uint64_t *slot_for(unsigned domain, const void *ptr)
{
    return domain < PM_TRACE_DOMAINS ? pm_trace_slot_of(ptr, true) : NULL;
}

PM_INLINE bool put(_Atomic uint64_t *slot, const void *ptr, unsigned epoch,
                   const struct pm_traced *traced, struct pm_trace_thread *thread)
{
    uint64_t replaced;
    if (slot != NULL) {
        if (pm_unlikely(!pm_trace_slot_need(slot)))
            return false;
        replaced = pm_trace_slot_put(slot, epoch, traced);
    } else if (!pm_trace_others_put(ptr, epoch, traced, &replaced)) {
        return false;
    }
    if (pm_unlikely(replaced != 0))
        pm_trace_count_freed(thread ? &thread->held : NULL, epoch, replaced);
    return true;
}

static struct pm_traced drop(unsigned domain, const void *ptr, unsigned epoch)
{
    _Atomic uint64_t *slot = slot_of(domain, ptr);
    return slot != NULL ? pm_trace_slot_drop(slot, epoch)
                        : pm_trace_others_drop(domain, ptr, epoch);
}

struct pm_traced pm_trace_look(unsigned domain, const void *ptr, unsigned epoch)
{
    _Atomic uint64_t *slot = slot_of(domain, ptr);
    return slot != NULL ? pm_trace_slot_get(slot, epoch, false)
                        : pm_trace_others_get(domain, ptr, epoch);
}

/* What was counted to the epoch for the block before. */
PM_INLINE bool record_by(struct pm_trace_thread *thread, unsigned epoch, unsigned domain,
                         _Atomic uint64_t *slot, const void *ptr, size_t bytes, uint64_t counted)
{
    struct pm_trace_held *held = thread != NULL ? &thread->held : NULL;
    struct pm_traced traced = {.bytes = bytes, .domain = domain};
    traced.stack = pm_trace_take_stack(thread, pm_load_relaxed(&pm_tracing.trace_frames));
    if (bytes >= counted)
        pm_trace_count_made(held, epoch, bytes - counted);
    else
        pm_trace_count_freed(held, epoch, counted - bytes);
    if (pm_likely(traced.stack != 0 && put(slot, ptr, epoch, &traced, thread)))
        return true;
    give_up(epoch);
    return false;
}

static PM_NOINLINE bool record(unsigned epoch, unsigned domain, const void *ptr, size_t bytes,
                               uint64_t counted)
{
    return record_by(pm_trace_thread(), epoch, domain, slot_for(domain, ptr), ptr, bytes, counted);
}

bool pm_trace_record(unsigned domain, const void *ptr, size_t bytes)
{
    unsigned epoch = pm_trace_epoch();
    return epoch != 0 && record(epoch, domain, ptr, bytes, 0);
}

PM_INLINE void forget_counted(struct pm_trace_thread *thread, unsigned epoch,
                              struct pm_traced traced)
{
    if (traced.stack != 0)
        pm_trace_count_freed(thread ? &thread->held : NULL, epoch, traced.bytes);
}

static PM_NOINLINE void forget(unsigned epoch, unsigned domain, const void *ptr)
{
    forget_counted(pm_trace_thread(), epoch, drop(domain, ptr, epoch));
}

void pm_trace_forget(unsigned domain, const void *ptr)
{
    unsigned epoch = pm_trace_epoch();
    if (epoch != 0)
        forget(epoch, domain, ptr);
}

/* ---- realloc ---- */

/* It stays counted until it is laid. */
struct pm_trace_lifted pm_trace_lift(unsigned domain, const void *ptr)
{
    struct pm_trace_lifted lifted = {.epoch = pm_trace_epoch()};
    if (lifted.epoch != 0)
        lifted.traced = drop(domain, ptr, lifted.epoch);
    return lifted;
}

void pm_trace_lay(const struct pm_trace_lifted *lifted, unsigned domain, const void *ptr,
                  size_t bytes)
{
    unsigned epoch = pm_trace_epoch();
    uint64_t counted = epoch == lifted->epoch ? lifted->traced.bytes : 0;
    if (epoch != 0)
        record(epoch, lifted->traced.stack != 0 ? lifted->traced.domain : domain, ptr, bytes,
               counted);
}

void pm_trace_lay_back(const struct pm_trace_lifted *lifted, const void *ptr)
{
    _Atomic uint64_t *slot = slot_for(lifted->traced.domain, ptr);
    if (lifted->traced.stack != 0 &&
        !put(slot, ptr, lifted->epoch, &lifted->traced, pm_trace_thread()))
        give_up(lifted->epoch);
}

/* ---- the watch ---- */

static unsigned domain_of(enum pm_maker maker)
{
    static const uint8_t domains[PM_MAKERS] = {
        [PM_MAKER_MALLOC] = PM_TRACE_MALLOC,
        [PM_MAKER_NEW] = PM_TRACE_NEW,
        [PM_MAKER_NEW_ARRAY] = PM_TRACE_NEW_ARRAY,
        [PM_MAKER_HEAP] = PM_TRACE_HEAP,
        [PM_MAKER_RAW] = PM_TRACE_RAW,
        [PM_MAKER_MEM] = PM_TRACE_MEM,
        [PM_MAKER_OBJECT] = PM_TRACE_OBJECT,
    };
    return domains[maker];
}

/* 0: nothing is traced, or this is inside the tracing. */
PM_INLINE unsigned asked_epoch(void)
{
    return pm_unlikely(pm_trace_busy) ? 0 : pm_trace_epoch();
}

static void *trace_make(const struct pm_request *request)
{
    void *block = below != NULL ? below->make(request) : pm_debug_pools_make(request);
    unsigned epoch = asked_epoch();
    if (pm_likely(block != NULL && epoch != 0)) {
        pm_trace_busy = true;
        record(epoch, domain_of(request->maker), block, request->bytes - PM_ASAN_REDZONE_BYTES, 0);
        pm_trace_busy = false;
    }
    return block;
}

static void trace_give_back(void *ptr, const struct pm_return *how)
{
    unsigned epoch = asked_epoch();
    if (pm_likely(epoch != 0)) {
        pm_trace_busy = true;
        forget(epoch, domain_of(how->maker), pm_untagged(ptr));
        pm_trace_busy = false;
    }
    if (below != NULL)
        below->give_back(ptr, how);
    else
        pm_thread_free(ptr, how->function);
}

static void *resize_below(void *ptr, size_t bytes, const char *function)
{
    return below != NULL ? below->resize(ptr, bytes, function) : pm_realloc(ptr, bytes);
}

static void *trace_resize(void *ptr, size_t bytes, const char *function)
{
    if (asked_epoch() == 0)
        return resize_below(ptr, bytes, function);
    pm_trace_busy = true;
    struct pm_trace_lifted lifted = pm_trace_lift(PM_TRACE_MALLOC, pm_untagged(ptr));
    void *block = resize_below(ptr, bytes, function);
    if (block != NULL)
        pm_trace_lay(&lifted, PM_TRACE_MALLOC, block, bytes - PM_ASAN_REDZONE_BYTES);
    else
        pm_trace_lay_back(&lifted, pm_untagged(ptr));
    pm_trace_busy = false;
    return block;
}

static size_t trace_usable(const void *ptr, const char *function)
{
    if (below != NULL)
        return below->usable(ptr, function);
    return pm_malloc_usable_size((void *)(uintptr_t)ptr) + PM_ASAN_REDZONE_BYTES;
}

static void *trace_shown(void *block, size_t *bytes)
{
    return below != NULL ? below->shown(block, bytes) : block;
}

const struct pm_watch pm_trace_watch = {trace_make, trace_give_back, trace_resize, trace_usable,
                                        trace_shown};

/* ---- the shorter ways: small blocks of the thread's own pools ---- */

/* Nothing is below, and nobody checks blocks. */
PM_INLINE bool is_short(const struct pm_heap *heap)
{
    return !PM_WATCHED && !PM_CHECK && below == NULL && heap->real && !pm_trace_busy &&
           heap->traced != NULL && pm_trace_slots_room.start != NULL;
}

static void *short_malloc(size_t bytes)
{
    struct pm_heap *heap = pm_watch_put_by;
    struct pm_pool *pool = bytes <= PM_DIRECT_MAX
                               ? heap->direct[(bytes + PM_GRANULE_BYTES - 1) >> PM_GRANULE_SHIFT]
                               : &pm_pool_none;
    unsigned epoch = pm_trace_epoch();
    void *block = pool->free;
    if (pm_unlikely(block == NULL || !is_short(heap) || epoch == 0))
        return pm_watch_malloc(&pm_trace_watch, bytes, 1, false);
    pm_heap_pop(pool, block);
    pm_trace_busy = true;
    record_by(heap->traced, epoch, PM_TRACE_MALLOC, pm_trace_slot_own(pool, block), block, bytes,
              0);
    pm_trace_busy = false;
    return block;
}

/* As pm_thread_free. */
static void short_free(void *ptr, const char *function)
{
    struct pm_heap *heap = pm_watch_put_by;
    size_t unit = pm_window_index(&pm_window, ptr);
    uint64_t steps = PM_ROUTE_DISTANCE_MASK + 1;
    if (pm_likely(pm_below_relaxed(unit, &pm_window.units)))
        steps = pm_load_relaxed(pm_window_route(&pm_window, unit)) - (uintptr_t)heap;
    unsigned epoch = pm_trace_epoch();
    if (pm_unlikely(steps > PM_ROUTE_DISTANCE_MASK || !is_short(heap) || epoch == 0))
        return pm_watch_free(&pm_trace_watch, ptr, function);
    struct pm_pool *pool = pm_pool_around(pm_window_line(&pm_window, unit), steps);
    _Atomic uint64_t *slot = pm_trace_slot_own(pool, ptr);
    if (pm_unlikely(pool->count == 1 || slot == NULL)) /* it is emptied, or no block */
        return pm_watch_free(&pm_trace_watch, ptr, function);
    pm_trace_busy = true;
    forget_counted(heap->traced, epoch, pm_trace_slot_drop(slot, epoch));
    pm_trace_busy = false;
    pm_block_set_next(ptr, pool->free);
    pool->free = ptr;
    pool->count--;
}

const struct pm_watch_short pm_watch_short = {&pm_trace_watch, short_malloc, short_free};
