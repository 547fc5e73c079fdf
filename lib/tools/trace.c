/* SPDX-License-Identifier: MIT */
/*
 * Starting and stopping of tracing, and what it tells. See trace.h. Any thread; starts, stops and
 * clears are one at a time, and nobody else waits for them.
 */
#include "tools/trace.h"

#include "base/lock.h"
#include "base/options.h"
#include "base/report.h"
#include "heap/user.h"
#include "tools/stack.h"
#include "tools/trace_others.h"
#include "tools/trace_take.h"

#include <errno.h>

static struct pm_lock service_lock = PM_LOCK_INIT(PM_RANK_SERVICE);

/* Under the service's lock, or that of start-up. */
static unsigned last_epoch;
static bool watching; /* the watch is set, whether something is traced or not */

static bool made; /* all that a start makes once; the same */

static bool refuse(int error)
{
    errno = error;
    return false;
}

/* ---- epochs ---- */

static void begin_epoch(unsigned epoch)
{
    last_epoch = epoch;
    pm_trace_count_epoch(epoch);
    /* Release: who finds the epoch finds what was made for it. Pairs with pm_trace_epoch. */
    pm_store_release(&pm_tracing.trace_epoch, epoch);
}

/* No trace of an epoch is left when its number comes again: nobody writes one meanwhile, but who is
 * in a call that began some thousand clears ago. */
static void end_epoch(void)
{
    pm_store_release(&pm_tracing.trace_epoch, 0);
    pm_trace_slots_purge();
    pm_trace_others_purge(0);
}

static void next_epoch(void)
{
    if (last_epoch + 1 == PM_TRACE_EPOCHS) {
        end_epoch();
        last_epoch = 0;
    }
    begin_epoch(last_epoch + 1);
}

/* ---- start ---- */

static bool forget_block(void *block, size_t bytes, void *arg)
{
    (void)arg;
    const struct pm_watch *below = pm_trace_below();
    pm_trace_forget(PM_TRACE_HEAP, below != NULL ? below->shown(block, &bytes) : block);
    return true;
}

/* Before its blocks go back: in a walk of the heap, under its lock. */
static void heap_ends(struct pm_user_heap *heap)
{
    if (pm_trace_busy || pm_trace_epoch() == 0)
        return;
    pm_watch_suspend();
    pm_trace_busy = true;
    pm_user_walk(heap, forget_block, NULL, "pm_heap_destroy");
    pm_trace_busy = false;
    pm_watch_resume();
}

/* Without room beside the window all traces are others. */
static bool make_once(void)
{
    if (made)
        return true;
    if (!pm_trace_stacks_start() || !pm_trace_others_start())
        return false;
    pm_trace_slots_start();
    made = true;
    return true;
}

static bool begin(unsigned frames)
{
    if (!make_once())
        return refuse(ENOMEM);
    pm_store_relaxed(&pm_tracing.trace_frames, frames);
    pm_store_release(&pm_user_ending, heap_ends);
    next_epoch();
    watching = true;
    return true;
}

bool pm_trace_wanted(void)
{
    return pm_load_relaxed(&pm_options.trace) != 0;
}

const struct pm_watch *pm_trace_at_start(const struct pm_watch *below)
{
    pm_lock_register(&service_lock);
    pm_trace_set_below(below);
    if (!pm_trace_wanted())
        return below;
    if (PM_VALGRIND) {
        pm_warn("option trace: not in a build for valgrind, whose tools know more");
        return below;
    }
    if (begin((unsigned)pm_load_relaxed(&pm_options.trace)))
        return &pm_trace_watch;
    pm_warn("option trace: there is no memory for it");
    return below;
}

static bool start(unsigned frames)
{
    if (pm_trace_is_on())
        return true;
    if (!make_once())
        return refuse(ENOMEM);
    if (!pm_trace_domains_start())
        return false;
    if (!begin(frames))
        return false;
    pm_watch_set(&pm_trace_watch);
    return true;
}

/* Nothing is called under the lock that may wait for the loader, whose holder may start us. */
bool pm_trace_start(unsigned frames)
{
    if (frames == 0 || frames > PM_TRACE_FRAMES_MAX)
        return refuse(EINVAL);
    if (PM_VALGRIND)
        return refuse(ENOTSUP);
    if (!pm_heap_process_init())
        return refuse(ENOMEM);
    pm_stack_start();
    pm_lock_acquire(&service_lock);
    bool started = start(frames);
    pm_lock_release(&service_lock);
    return started;
}

void pm_trace_stop(void)
{
    pm_lock_acquire(&service_lock);
    if (watching) {
        end_epoch();
        pm_watch_set(pm_trace_below());
        pm_trace_domains_stop();
        watching = false;
    }
    pm_lock_release(&service_lock);
}

void pm_trace_clear(void)
{
    pm_lock_acquire(&service_lock);
    if (pm_trace_is_on()) {
        next_epoch();
        pm_trace_others_purge(last_epoch);
    }
    pm_lock_release(&service_lock);
}

/* ---- figures ---- */

bool pm_trace_is_on(void)
{
    return pm_trace_epoch() != 0;
}

unsigned pm_trace_limit(void)
{
    return pm_trace_is_on() ? pm_load_relaxed(&pm_tracing.trace_frames) : 0;
}

void pm_trace_memory(size_t *current, size_t *peak)
{
    size_t figures[2] = {0, 0};
    if (pm_trace_is_on())
        pm_trace_count_get(&figures[0], &figures[1]);
    if (current != NULL)
        *current = figures[0];
    if (peak != NULL)
        *peak = figures[1];
}

void pm_trace_reset_peak(void)
{
    pm_lock_acquire(&service_lock);
    if (pm_trace_is_on())
        pm_trace_count_reset_peak();
    pm_lock_release(&service_lock);
}

size_t pm_trace_own_bytes(void)
{
    return pm_room_bytes();
}

/* ---- single blocks ---- */

/* False: in a signal handler that interrupted the tracing. */
static bool enter(void)
{
    if (pm_trace_busy)
        return false;
    pm_watch_suspend();
    pm_trace_busy = true;
    return true;
}

static void leave(void)
{
    pm_trace_busy = false;
    pm_watch_resume();
}

static unsigned copy_frames(uint32_t number, uintptr_t *frames, unsigned most)
{
    const struct pm_trace_stack *stack = pm_trace_stack(number);
    unsigned count = stack->count < most ? stack->count : most;
    for (unsigned i = 0; i < count; i++)
        frames[i] = stack->frames[i];
    return count;
}

unsigned pm_trace_of(unsigned domain, const void *ptr, uintptr_t *frames, unsigned most,
                     size_t *bytes)
{
    struct pm_traced traced = {0};
    unsigned epoch = pm_trace_epoch();
    if (epoch == 0 || !enter())
        return 0;
    traced = pm_trace_look(domain, pm_untagged(ptr), epoch);
    leave();
    if (traced.stack == 0)
        return 0;
    if (bytes != NULL)
        *bytes = traced.bytes;
    return copy_frames(traced.stack, frames, most);
}

bool pm_trace_track(unsigned domain, const void *ptr, size_t bytes)
{
    if (!pm_trace_is_on() || !enter())
        return false;
    struct pm_trace_lifted lifted = pm_trace_lift(domain, ptr);
    lifted.traced.stack = 0; /* the domain is the caller's */
    pm_trace_lay(&lifted, domain, ptr, bytes);
    leave();
    return pm_trace_is_on();
}

bool pm_trace_untrack(unsigned domain, const void *ptr)
{
    if (!pm_trace_is_on() || !enter())
        return false;
    pm_trace_forget(domain, ptr);
    leave();
    return true;
}

void pm_trace_report(const void *ptr)
{
    struct pm_traced traced = {0};
    uintptr_t frames[PM_TRACE_FRAMES_MAX];
    unsigned epoch = pm_trace_epoch();
    _Atomic uint64_t *slot = epoch != 0 ? pm_trace_slot_of(ptr, false) : NULL;
    if (slot != NULL)
        traced = pm_trace_slot_get(slot, epoch, true);
    if (traced.stack == 0)
        return;
    pm_print("    The block was allocated by:\n");
    pm_stack_report(frames, copy_frames(traced.stack, frames, PM_TRACE_FRAMES_MAX));
}

/* ---- all blocks ---- */

enum { ROWS = 128 };

/* Adds up what comes near to one another. */
struct gatherer {
    struct row {
        uint64_t blocks, bytes;
        uint32_t stack, domain;
    } rows[ROWS];
    void (*visit)(unsigned domain, const uintptr_t *frames, unsigned count, uint64_t blocks,
                  uint64_t bytes, void *arg);
    void *arg;
};

static void tell(struct gatherer *to, struct row *row)
{
    const struct pm_trace_stack *stack = pm_trace_stack(row->stack);
    if (row->blocks != 0)
        to->visit(row->domain, stack->frames, stack->count, row->blocks, row->bytes, to->arg);
    *row = (struct row){0};
}

static void gather(const struct pm_traced *traced, void *arg)
{
    struct gatherer *to = arg;
    struct row *row = &to->rows[(traced->stack * 0x9e3779b1u ^ traced->domain) % ROWS];
    if (row->stack != traced->stack || row->domain != traced->domain) {
        tell(to, row);
        row->stack = traced->stack;
        row->domain = traced->domain;
    }
    row->blocks++;
    row->bytes += traced->bytes;
}

bool pm_trace_each(void (*visit)(unsigned domain, const uintptr_t *frames, unsigned count,
                                 uint64_t blocks, uint64_t bytes, void *arg),
                   void *arg)
{
    struct gatherer to = {.visit = visit, .arg = arg};
    unsigned epoch = pm_trace_epoch();
    if (epoch == 0)
        return false;
    pm_trace_slots_each(epoch, gather, &to);
    pm_trace_others_each(epoch, gather, &to);
    for (unsigned i = 0; i < ROWS; i++)
        tell(&to, &to.rows[i]);
    return true;
}
