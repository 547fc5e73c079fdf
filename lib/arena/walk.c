/* SPDX-License-Identifier: MIT */
/*
 * Looking at all that is allocated, without stopping anybody; and what an address that nobody
 * vouches for lies in. Any thread.
 */
#include "arena/piece.h"
#include "arena/span.h"

uint32_t pm_window_arenas_added(struct pm_window *w)
{
    pm_lock_acquire(&pm_arena_lock);
    uint32_t end = w->next_arena;
    pm_lock_release(&pm_arena_lock);
    return end;
}

struct pm_lock pm_decommit_lock = PM_LOCK_INIT(PM_RANK_DECOMMIT);

void pm_arena_hold_committed(void)
{
    pm_lock_acquire(&pm_decommit_lock);
}

void pm_arena_let_decommit(void)
{
    pm_lock_release(&pm_decommit_lock);
}

struct walk {
    void (*visit)(struct pm_window *w, size_t unit, uint64_t route, void *arg);
    void *arg;
};

static void walk_window(struct pm_window *w, void *arg)
{
    const struct walk *walk = arg;
    size_t end = (size_t)pm_window_arenas_added(w) * PM_ARENA_UNITS;
    for (size_t unit = (size_t)w->first_arena * PM_ARENA_UNITS; unit < end; unit++) {
        /* Relaxed: the route alone; what else is read of the run is for the visitor to order. */
        uint64_t route = pm_load_relaxed(pm_window_route(w, unit));
        if (route != PM_ROUTE_VOID && (route & PM_ROUTE_DISTANCE_MASK) == 0)
            walk->visit(w, unit, route, walk->arg);
    }
}

void pm_arena_walk(void (*visit)(struct pm_window *w, size_t unit, uint64_t route, void *arg),
                   void *arg)
{
    struct walk walk = {visit, arg};
    pm_window_each(walk_window, &walk);
}

/* Acquire pairs with the release in span_init: the descriptor is complete. Under the arena lock it
 * stays one, since the units of a span that is freed meanwhile come back under that lock. */
static bool is_span(const struct pm_window *w, size_t unit)
{
    return pm_load_acquire(pm_window_route(w, unit)) == PM_ROUTE_SPAN;
}

size_t pm_span_bytes_now(struct pm_window *w, size_t unit)
{
    pm_lock_acquire(&pm_arena_lock);
    size_t units = is_span(w, unit) ? pm_span_at(w, unit)->units : 0;
    pm_lock_release(&pm_arena_lock);
    return units << PM_UNIT_SHIFT;
}

/* Under the arena lock: the nearest head of a pool or span before the unit, which is void itself.
 * Beyond the unit's own arena only a span of whole arenas reaches so far, and that has all units of
 * the arenas between. False: there is none. */
static bool head_before(const struct pm_window *w, size_t unit, size_t *head)
{
    size_t first = unit / PM_ARENA_UNITS * PM_ARENA_UNITS;
    for (size_t at = unit; at-- > first;) {
        if (pm_load_relaxed(pm_window_route(w, at)) != PM_ROUTE_VOID) { /* a hint; see is_span */
            *head = at;
            return true;
        }
    }
    for (size_t arena = first / PM_ARENA_UNITS; arena-- > w->first_arena;) {
        if (w->arenas[arena].free != 0)
            return false;
        *head = arena * PM_ARENA_UNITS;
        if (pm_load_relaxed(pm_window_route(w, *head)) != PM_ROUTE_VOID)
            return true;
    }
    return false;
}

static bool covered(struct pm_window *w, size_t unit)
{
    size_t head = unit;
    if (unit >= (size_t)w->next_arena * PM_ARENA_UNITS ||
        unit < (size_t)w->first_arena * PM_ARENA_UNITS ||
        (pm_arena_of(w, unit)->free >> unit % PM_ARENA_UNITS & 1) != 0)
        return false;
    return head_before(w, unit, &head) && is_span(w, head) &&
           pm_span_at(w, head)->units > unit - head;
}

static bool has_route(const struct pm_window *w, size_t unit)
{
    return pm_load_relaxed(pm_window_route(w, unit)) != PM_ROUTE_VOID;
}

bool pm_arena_owns(const void *ptr)
{
    size_t unit;
    struct pm_window *w = pm_window_locate(ptr, &unit);
    if (w == NULL)
        return false;
    if (!pm_window_is_piece(w) && has_route(w, unit)) /* a moment's answer */
        return true;
    pm_lock_acquire(&pm_arena_lock);
    w = pm_window_locate(ptr, &unit); /* pieces come and go under the lock */
    bool owns = w != NULL && (has_route(w, unit) || covered(w, unit));
    pm_lock_release(&pm_arena_lock);
    return owns;
}
