/* SPDX-License-Identifier: MIT */
/*
 * Giving memory back. An arena that becomes empty beyond a bound is purged by the thread that
 * emptied it. The bound is a fixed amount, plus a part of what is in use, plus what recent demand
 * justifies: each arena that was purged and soon after needed again raises the bound by one, and
 * this allowance fades when no such regret follows.
 */
#include "arena/internal.h"
#include "base/options.h"
#include "base/report.h"
#include "os/os.h"

/* Under the arena lock. */
static struct {
    size_t allowance_arenas; /* kept because of demand */
    size_t purged_arenas;    /* purged lately and not yet regretted */
    uint64_t last_purge_ns, last_regret_ns;
} demand;

/* Clocks were read before the lock was taken, so that an earlier one may come later. */
static bool long_since(uint64_t now_ns, uint64_t then_ns)
{
    return now_ns > then_ns && now_ns - then_ns > PM_DEMAND_NS;
}

void pm_demand_note(size_t arenas, uint64_t now_ns)
{
    if (demand.purged_arenas == 0)
        return;
    if (long_since(now_ns, demand.last_purge_ns)) {
        demand.purged_arenas = 0;
        return;
    }
    if (arenas > demand.purged_arenas)
        arenas = demand.purged_arenas;
    demand.purged_arenas -= arenas;
    demand.allowance_arenas += arenas;
    demand.last_regret_ns = now_ns;
}

static void demand_fade(uint64_t now_ns)
{
    while (demand.allowance_arenas > 0 && long_since(now_ns, demand.last_regret_ns)) {
        demand.allowance_arenas /= 2;
        demand.last_regret_ns += PM_DEMAND_NS;
    }
}

static size_t keep_arenas(void)
{
    const struct pm_arena_totals *t = &pm_arena_totals;
    size_t in_use = t->arenas - t->dirty_empties - t->clean_empties - t->purging;
    return (pm_options.keep_bytes >> PM_ARENA_SHIFT) + in_use / PM_KEEP_PART +
           demand.allowance_arenas;
}

/* Under the arena lock: takes an arena out of the list for its dirty free units. */
static uint64_t purge_begin(struct pm_arena *a)
{
    uint64_t units = a->dirty;
    pm_arena_unfile(a);
    a->free &= ~units;
    a->dirty &= ~units;
    pm_arena_totals.purging += a->free == 0 && ~units == 0;
    pm_arena_file(a);
    return units;
}

static void purge_end(struct pm_arena *a, uint64_t units, uint64_t still_dirty)
{
    pm_arena_unfile(a);
    a->free |= units;
    a->dirty |= still_dirty;
    pm_arena_totals.purging -= ~units == 0;
    pm_arena_totals.purged += ~units == 0 && still_dirty == 0;
    pm_arena_file(a);
}

/* Of the memory in [start, end) whole pages only: a page may be larger than a unit, and its other
 * units in use. False: part of it is dirty still. */
static bool purge_pages(char *start, char *end)
{
    uintptr_t page = pm_os_page_bytes();
    char *first = (char *)pm_align_up((uintptr_t)start, page);
    char *last = (char *)((uintptr_t)end & ~(page - 1));
    bool done = first >= last || pm_os_purge(first, (size_t)(last - first));
    return done && first == start && last == end;
}

/* Outside the lock. Which units are dirty still: the system may refuse. */
static uint64_t purge_units(struct pm_arena *a, uint64_t units)
{
    uint64_t still_dirty = 0;
    while (units != 0) {
        unsigned first = (unsigned)__builtin_ctzll(units);
        uint64_t rest = units >> first;
        unsigned length = ~rest == 0 ? PM_ARENA_UNITS : (unsigned)__builtin_ctzll(~rest);
        uint64_t run = pm_bits_run(first, length);
        char *start = pm_arena_base(a) + ((size_t)first << PM_UNIT_SHIFT);
        if (!purge_pages(start, start + ((size_t)length << PM_UNIT_SHIFT)))
            still_dirty |= run;
        units &= ~run;
    }
    return still_dirty;
}

static uint64_t purge_one(struct pm_arena *a, uint64_t units)
{
    uint64_t still_dirty = purge_units(a, units);
    pm_lock_acquire(&pm_arena_lock);
    purge_end(a, units, still_dirty);
    pm_lock_release(&pm_arena_lock);
    return still_dirty;
}

static struct pm_arena *excess_arena(uint64_t now_ns)
{
    demand_fade(now_ns);
    if (pm_arena_totals.dirty_empties <= keep_arenas())
        return NULL;
    if (long_since(now_ns, demand.last_purge_ns))
        demand.purged_arenas = 0;
    demand.purged_arenas++;
    demand.last_purge_ns = now_ns;
    return pm_arena_oldest_dirty_empty();
}

void pm_purge_excess(uint64_t now_ns)
{
    for (bool more = true; more;) {
        uint64_t units = 0;
        pm_lock_acquire(&pm_arena_lock);
        struct pm_arena *a = excess_arena(now_ns);
        if (a != NULL)
            units = purge_begin(a);
        pm_lock_release(&pm_arena_lock);
        more = a != NULL && purge_one(a, units) == 0; /* refused: do not try the next one too */
    }
}

static void purge_window(struct pm_window *w, void *arg)
{
    bool *some = arg;
    pm_lock_acquire(&pm_arena_lock);
    uint32_t end = w->next_arena;
    pm_lock_release(&pm_arena_lock);
    for (uint32_t i = w->first_arena; i < end; i++) {
        struct pm_arena *a = &w->arenas[i];
        pm_lock_acquire(&pm_arena_lock);
        uint64_t units = a->dirty != 0 ? purge_begin(a) : 0;
        pm_lock_release(&pm_arena_lock);
        if (units != 0)
            *some |= purge_one(a, units) != units;
    }
}

bool pm_arena_purge_all(void)
{
    bool some = false;
    pm_window_each(purge_window, &some);
    return some;
}
