/* SPDX-License-Identifier: MIT */
/*
 * How much free memory stays resident. The bound is a fixed amount, plus a part of what is in use,
 * plus what recent demand justifies: units that were purged and soon after missed raise the bound,
 * and this allowance fades when no such regret follows. And what is kept does not make the process
 * larger than it ever was: see the peak below. All under the arena lock but where something else is
 * said.
 */
#include "arena/internal.h"
#include "base/options.h"

static struct {
    size_t allowance_units; /* kept because of demand */
    size_t purged_units;    /* purged lately and not yet regretted */
    uint64_t last_purge_ns, last_regret_ns;
    uint64_t refused_until_ns; /* the system refused (locked memory): not again at once */
    size_t peak_units;         /* the most that was resident */
    size_t peak_purged_units;  /* purged so that no more was */
    size_t moving_units;       /* in use twice, but resident once: pages that go to another block */
} demand;

/* Clocks were read before the lock was taken, so that an earlier one may come later. */
static bool long_since(uint64_t now_ns, uint64_t then_ns)
{
    return now_ns > then_ns && now_ns - then_ns > PM_DEMAND_NS;
}

void pm_demand_note(size_t units, uint64_t now_ns)
{
    if (demand.purged_units == 0 || units == 0)
        return;
    if (long_since(now_ns, demand.last_purge_ns)) {
        demand.purged_units = 0;
        return;
    }
    if (units > demand.purged_units)
        units = demand.purged_units;
    demand.purged_units -= units;
    demand.allowance_units += 2 * units; /* a loop is learnt in few rounds; the rest fades */
    demand.last_regret_ns = now_ns;
}

static void demand_fade(uint64_t now_ns)
{
    while (demand.allowance_units > 0 && long_since(now_ns, demand.last_regret_ns)) {
        demand.allowance_units /= 2;
        demand.last_regret_ns += PM_DEMAND_NS;
    }
}

/* Changed under the arena lock; relaxed, as who reads it without orders nothing by it. */
_Atomic size_t pm_purge_leased_units;

static size_t less(size_t n, size_t by)
{
    return n > by ? n - by : 0;
}

/* What is leased counts as free, as it may be at any time. */
static size_t keep_units(size_t allowance_units)
{
    const struct pm_arena_totals *t = &pm_arena_totals;
    size_t taken = t->arenas * PM_ARENA_UNITS - t->free_units - t->purging_units;
    size_t in_use = less(taken, pm_load_relaxed(&pm_purge_leased_units));
    size_t fixed = pm_load_relaxed(&pm_options.keep_bytes) >> PM_UNIT_SHIFT;
    size_t keep = fixed + in_use / PM_KEEP_PART + allowance_units;
    return pm_group_keep_units(in_use, keep);
}

/* Leases take of what demand allows, and leave the rest of the bound to who has none. */
bool pm_purge_wanted(uint64_t now_ns)
{
    demand_fade(now_ns);
    size_t allowance = less(demand.allowance_units, pm_load_relaxed(&pm_purge_leased_units));
    return pm_unlikely(pm_arena_totals.dirty_units > keep_units(allowance));
}

bool pm_purge_lease(size_t from_units, size_t to_units)
{
    pm_lock_acquire(&pm_arena_lock);
    size_t leased = less(pm_load_relaxed(&pm_purge_leased_units), from_units) + to_units;
    bool done = to_units <= from_units ||
                (!pm_group_is_heeded() && /* else what was granted could be too much tomorrow */
                 pm_arena_totals.dirty_units + leased <= keep_units(demand.allowance_units));
    if (done)
        pm_store_relaxed(&pm_purge_leased_units, leased);
    pm_lock_release(&pm_arena_lock);
    return done;
}

/* Nobody else is there, and interrupted code of this thread may hold the lock: at worst it stores
 * what it read before. */
void pm_purge_set_leases_in_child(size_t units)
{
    pm_store_relaxed(&pm_purge_leased_units, units);
}

void pm_demand_purged(size_t units, uint64_t now_ns)
{
    if (long_since(now_ns, demand.last_purge_ns))
        demand.purged_units = 0;
    demand.purged_units += units;
    demand.last_purge_ns = now_ns;
}

void pm_purge_refused(uint64_t now_ns)
{
    demand.refused_until_ns = now_ns + PM_DEMAND_NS;
}

bool pm_purge_is_paused(uint64_t now_ns)
{
    return now_ns < demand.refused_until_ns;
}

/*
 * The peak. Who takes clean units when more was never resident gets dirty ones in their place, or
 * as many dirty ones go to the system: so a program that grows is no larger for what is kept. Only
 * those of arenas to which nothing came back for a while: what was left just now is likely to be
 * taken soon, and would cost its page faults again. These units are not regretted. What keep_bytes
 * allows is never too much. And where large parts are left alone and taken by turns, that has an
 * end: no more than the peak is purged for it, in all. At a limit, or where no arena can be added,
 * nothing is: who wants units while they are on their way to the system would be refused.
 */

/* Relaxed: it orders nothing; who misses it leaves it to the next. */
_Atomic bool pm_peak_is_passed;

/* What is in use counts as if it had been touched; not what large blocks leave of whole arenas. */
static size_t resident_units(void)
{
    const struct pm_arena_totals *t = &pm_arena_totals;
    size_t clean = t->free_units + t->purging_units - t->dirty_units;
    size_t unused = less(t->span_held_units, t->span_units);
    return less(t->arenas * PM_ARENA_UNITS, clean + unused + demand.moving_units);
}

static size_t peak_units(void)
{
    size_t fixed = pm_load_relaxed(&pm_options.keep_bytes) >> PM_UNIT_SHIFT;
    return fixed > demand.peak_units ? fixed : demand.peak_units;
}

size_t pm_peak_excess(size_t more_units)
{
    return less(resident_units() + more_units, peak_units());
}

void pm_peak_accept(void)
{
    size_t resident = resident_units();
    if (resident > demand.peak_units)
        demand.peak_units = resident;
}

void pm_peak_move(size_t from_units, size_t to_units)
{
    pm_lock_acquire(&pm_arena_lock);
    demand.moving_units = less(demand.moving_units, from_units) + to_units;
    pm_lock_release(&pm_arena_lock);
}

struct pm_arena *pm_peak_arena(uint64_t now_ns)
{
    struct pm_arena *a = pm_arena_longest_dirty();
    bool rests = a != NULL && pm_arena_dirty_ticks(a, now_ns) >= PM_PEAK_REST_TICKS;
    bool can_go = rests && demand.peak_purged_units < demand.peak_units && !pm_limit_is_set() &&
                  pm_window_has_room(&pm_window);
    return can_go && !pm_purge_is_paused(now_ns) ? a : NULL;
}

void pm_peak_look(uint64_t now_ns)
{
    if (pm_peak_excess(0) != 0 && pm_peak_arena(now_ns) != NULL)
        pm_store_relaxed(&pm_peak_is_passed, true);
    else
        pm_peak_accept();
}

void pm_peak_purged(size_t units)
{
    demand.peak_purged_units += units;
}
