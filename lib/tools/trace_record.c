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

PM_INLINE bool put(const void *ptr, unsigned epoch, const struct pm_traced *traced,
                   struct pm_trace_thread *thread)
{
    uint64_t replaced;
    _Atomic uint64_t *slot = traced->domain < PM_TRACE_DOMAINS ? pm_trace_slot_of(ptr) : NULL;
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

PM_INLINE struct pm_traced drop(unsigned domain, const void *ptr, unsigned epoch)
{
    _Atomic uint64_t *slot = domain < PM_TRACE_DOMAINS ? pm_trace_slot_of(ptr) : NULL;
    return slot != NULL ? pm_trace_slot_drop(slot, epoch)
                        : pm_trace_others_drop(domain, ptr, epoch);
}

struct pm_traced pm_trace_look(unsigned domain, const void *ptr, unsigned epoch)
{
    _Atomic uint64_t *slot = domain < PM_TRACE_DOMAINS ? pm_trace_slot_of(ptr) : NULL;
    return slot != NULL ? pm_trace_slot_get(slot, epoch, false)
                        : pm_trace_others_get(domain, ptr, epoch);
}

/* What was counted to the epoch for the block before. */
PM_INLINE bool record(unsigned epoch, unsigned domain, const void *ptr, size_t bytes,
                      uint64_t counted)
{
    struct pm_trace_thread *thread = pm_trace_thread();
    struct pm_trace_held *held = thread != NULL ? &thread->held : NULL;
    struct pm_traced traced = {.bytes = bytes, .domain = domain};
    traced.stack = pm_trace_take_stack(thread, pm_load_relaxed(&pm_tracing.trace_frames));
    if (bytes >= counted)
        pm_trace_count_made(held, epoch, bytes - counted);
    else
        pm_trace_count_freed(held, epoch, counted - bytes);
    if (pm_likely(traced.stack != 0 && put(ptr, epoch, &traced, thread)))
        return true;
    give_up(epoch);
    return false;
}

bool pm_trace_record(unsigned domain, const void *ptr, size_t bytes)
{
    unsigned epoch = pm_trace_epoch();
    return epoch != 0 && record(epoch, domain, ptr, bytes, 0);
}

struct pm_traced pm_trace_forget(unsigned domain, const void *ptr)
{
    unsigned epoch = pm_trace_epoch();
    struct pm_traced traced = {0};
    if (pm_unlikely(epoch == 0))
        return traced;
    traced = drop(domain, ptr, epoch);
    if (traced.stack != 0) {
        struct pm_trace_thread *thread = pm_trace_thread();
        pm_trace_count_freed(thread ? &thread->held : NULL, epoch, traced.bytes);
    }
    return traced;
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
    if (lifted->traced.stack != 0 && !put(ptr, lifted->epoch, &lifted->traced, pm_trace_thread()))
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

static bool is_asked(void)
{
    return !pm_trace_busy && pm_load_relaxed(&pm_tracing.trace_epoch) != 0;
}

static void *trace_make(const struct pm_request *request)
{
    void *block = below != NULL ? below->make(request) : pm_debug_pools_make(request);
    if (pm_likely(block != NULL && is_asked())) {
        pm_trace_busy = true;
        pm_trace_record(domain_of(request->maker), block, request->bytes - PM_ASAN_REDZONE_BYTES);
        pm_trace_busy = false;
    }
    return block;
}

static void trace_give_back(void *ptr, const struct pm_return *how)
{
    if (pm_likely(is_asked())) {
        pm_trace_busy = true;
        pm_trace_forget(domain_of(how->maker), pm_untagged(ptr));
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
    if (!is_asked())
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
