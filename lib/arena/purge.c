/* SPDX-License-Identifier: MIT */
/*
 * Giving memory back, without a thread of its own. Free units that may hold old contents are kept
 * up to a bound (bound.c), because they are quicker to use again; what is beyond it is purged by
 * the thread that gave the last ones: wholly free arenas first, then the units of those arenas that
 * were left alone longest. Who takes clean units while more was never resident purges as many dirty
 * ones that rested. What the bound leaves is purged when nothing was given back to its arena for
 * some time, by whoever ticks next.
 */
#include "arena/piece.h"
#include "base/options.h"
#include "base/report.h"
#include "os/pages.h"

/* Relaxed: it orders nothing; who reads an older one comes a little later, or in vain. */
_Atomic uint64_t pm_purge_deadline_ns = PM_PURGE_NEVER;

/* What the system does about huge pages where nothing else was said. */
static enum pm_huge huge_policy(void)
{
    switch (pm_options.huge_pages[0]) {
    case 'a':
        return PM_HUGE_ALWAYS;
    case 'n':
        return PM_HUGE_NEVER;
    default:
        return pm_os_huge_policy();
    }
}

/* Units of an arena on their way to the system; nobody else has them. */
struct purge {
    struct pm_arena *arena;
    uint64_t units, dirty, still_dirty;
    bool by_bound, at_peak; /* what made them go, and counts them when they went */
    bool decommit;          /* if it is wholly free */
    bool decommitted;
    bool forbid_huge, allow_huge;
};

/* A page may be larger than a unit. */
static unsigned units_in_page(void)
{
    size_t bytes = pm_os_page_bytes();
    return bytes > PM_UNIT_BYTES ? (unsigned)(bytes >> PM_UNIT_SHIFT) : 1;
}

/* Under the arena lock: the free units that can be purged, of pages that have dirty ones; of a page
 * that is larger than a unit only if its units are all free. */
static uint64_t purgeable_units(const struct pm_arena *a)
{
    unsigned in_page = units_in_page();
    uint64_t units = 0;
    if (in_page == 1)
        return a->dirty;
    for (unsigned first = 0; first < PM_ARENA_UNITS; first += in_page) {
        uint64_t page = pm_bits_run(first, in_page);
        if ((a->free & page) == page && (a->dirty & page) != 0)
            units |= page;
    }
    return units;
}

/* The last pages of them, as few as have `most` units. */
static uint64_t last_units(uint64_t units, size_t most)
{
    unsigned in_page = units_in_page();
    for (size_t n = pm_bits_count(units); n >= most + in_page; n -= in_page)
        units &= ~pm_bits_run((unsigned)__builtin_ctzll(units), in_page);
    return units;
}

/* Under the arena lock: takes an arena out of the list for its dirty free units, `most` of them, or
 * for all if it is wholly free. No units: there is no page to purge, and the arena comes last. The
 * rest of an arena purged in part would come back with the next huge page that the system makes of
 * it. */
static struct purge purge_begin_some(struct pm_arena *a, size_t most, enum pm_huge policy,
                                     uint64_t now_ns)
{
    uint64_t some = last_units(purgeable_units(a), most);
    bool whole = ~a->free == 0 && (a->dirty & ~some) == 0;
    struct purge purge = {.arena = a, .units = whole ? a->free : some};
    purge.dirty = a->dirty & purge.units;
    if (pm_unlikely(purge.units == 0)) {
        pm_arena_postpone(a, now_ns);
        return purge;
    }
    pm_arena_unfile(a);
    pm_arena_remove_units(a, purge.units);
    pm_arena_totals.purging_units += pm_bits_count(purge.units);
    pm_arena_file(a);
    purge.forbid_huge = !whole && !a->no_huge && policy == PM_HUGE_ALWAYS;
    purge.allow_huge = whole && a->no_huge;
    a->no_huge = (a->no_huge || purge.forbid_huge) && !whole;
    return purge;
}

static struct purge purge_begin(struct pm_arena *a, enum pm_huge policy, uint64_t now_ns)
{
    return purge_begin_some(a, PM_ARENA_UNITS, policy, now_ns);
}

static void purge_end(const struct purge *purge, uint64_t now_ns)
{
    struct pm_arena *a = purge->arena;
    bool whole = ~purge->units == 0;
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_unfile(a);
    a->decommitted = purge->decommitted; /* first: see pm_arena_rebuild_in_child */
    pm_arena_add_units(a, purge->units, purge->still_dirty, now_ns);
    size_t units = pm_bits_count(purge->dirty & ~purge->still_dirty);
    pm_arena_arrived(pm_bits_count(purge->units));
    pm_arena_totals.purges++;
    pm_arena_totals.purged += whole && purge->still_dirty == 0;
    pm_arena_totals.purged_units += units;
    if (purge->by_bound)
        pm_demand_purged(units, now_ns);
    if (purge->at_peak)
        pm_peak_purged(units);
    pm_arena_file(a);
    /* One that was refused comes first: purges take the last, and then another one. */
    if (a->place == PM_DIRTY_EMPTY)
        pm_arena_use(a, purge->still_dirty != 0);
    pm_lock_release(&pm_arena_lock);
}

/* Which units are dirty still: the system may refuse. */
static uint64_t purge_units(struct pm_arena *a, uint64_t units)
{
    uint64_t still_dirty = 0;
    const struct pm_page_hooks *pages = pm_arena_window(a)->pages;
    while (units != 0) {
        unsigned first = (unsigned)__builtin_ctzll(units);
        uint64_t rest = units >> first;
        unsigned length = ~rest == 0 ? PM_ARENA_UNITS : (unsigned)__builtin_ctzll(~rest);
        uint64_t run = pm_bits_run(first, length);
        char *start = pm_arena_base(a) + ((size_t)first << PM_UNIT_SHIFT);
        if (!pm_pages_purge(pages, start, (size_t)length << PM_UNIT_SHIFT))
            still_dirty |= run;
        units &= ~run;
    }
    return still_dirty;
}

/* The lock is for walks, which read what others may be giving back. */
static bool decommit(const struct pm_page_hooks *pages, char *base)
{
    pm_lock_acquire(&pm_decommit_lock);
    bool done = pm_pages_decommit(pages, base, PM_ARENA_BYTES);
    pm_lock_release(&pm_decommit_lock);
    return done;
}

/* Outside the lock. False: the system refused, all of it. */
static bool purge_run(struct purge *purge, uint64_t now_ns)
{
    char *base = pm_arena_base(purge->arena);
    const struct pm_page_hooks *pages = pm_arena_window(purge->arena)->pages;
    if (~purge->units == 0 && (purge->decommit || pm_pages_charge_commit(pages)))
        purge->decommitted = decommit(pages, base);
    if (purge->decommitted)
        pm_os_describe(base, PM_ARENA_BYTES, PM_OS_ARENAS);
    if (purge->forbid_huge || (purge->allow_huge && !purge->decommitted))
        pm_os_advise_huge(base, PM_ARENA_BYTES, purge->allow_huge); /* no more than advice */
    if (!purge->decommitted)
        purge->still_dirty = purge_units(purge->arena, purge->units) & purge->dirty;
    purge_end(purge, now_ns);
    return purge->decommitted || purge->still_dirty != purge->dirty;
}

static struct pm_arena *excess_arena(uint64_t now_ns)
{
    if (!pm_purge_wanted(now_ns) || pm_purge_is_paused(now_ns))
        return NULL;
    struct pm_arena *a = pm_arena_oldest_dirty_empty();
    return a ? a : pm_arena_longest_dirty();
}

/* Not again at once. */
static void pause_excess(uint64_t now_ns)
{
    pm_lock_acquire(&pm_arena_lock);
    pm_purge_refused(now_ns);
    pm_lock_release(&pm_arena_lock);
}

void pm_purge_excess(size_t given, uint64_t now_ns)
{
    enum pm_huge policy = huge_policy();
    size_t slices = given / PM_ARENA_UNITS + PM_PURGE_SLICE_ARENAS;
    bool some = false;
    for (; slices > 0; slices--) {
        struct purge purge = {0};
        pm_lock_acquire(&pm_arena_lock);
        struct pm_arena *a = excess_arena(now_ns);
        if (a != NULL) {
            purge = purge_begin(a, policy, now_ns);
            purge.by_bound = true;
        }
        pm_lock_release(&pm_arena_lock);
        if (a == NULL)
            return;
        some |= purge.units != 0;
        if (purge.units != 0 && !purge_run(&purge, now_ns))
            pause_excess(now_ns);
    }
    if (!some) /* all these arenas have no page to purge */
        pause_excess(now_ns);
}

/* True: there may be more to do. */
static bool purge_at_peak(enum pm_huge policy, uint64_t now_ns)
{
    struct purge purge = {0};
    pm_lock_acquire(&pm_arena_lock);
    size_t excess = pm_peak_excess(0);
    struct pm_arena *a = excess != 0 ? pm_peak_arena(now_ns) : NULL;
    if (a != NULL) {
        purge = purge_begin_some(a, excess, policy, now_ns);
        purge.at_peak = true;
    } else { /* nothing is left that could go */
        pm_peak_accept();
    }
    pm_lock_release(&pm_arena_lock);
    if (purge.units != 0 && !purge_run(&purge, now_ns))
        pause_excess(now_ns); /* then the next turn accepts the peak */
    return a != NULL;         /* one without a page to purge does not rest any more */
}

/* In slices: the thread may hold a heap's lock, and the excess may be another's. Whoever takes
 * clean units next goes on. */
void pm_purge_at_peak(void)
{
    uint64_t now_ns = pm_os_now_ns();
    enum pm_huge policy = huge_policy();
    size_t slices = PM_PURGE_SLICE_ARENAS;
    pm_store_relaxed(&pm_peak_is_passed, false);
    while (slices > 0 && purge_at_peak(policy, now_ns))
        slices--;
}

uint64_t pm_purge_delay_ns(void)
{
    const uint64_t never = (uint64_t)1 << 62; /* and no sum overflows */
    uint64_t ms = pm_load_relaxed(&pm_options.purge_delay_ms);
    return ms < never / 1000000 ? ms * 1000000 : never;
}

void pm_purge_delay_changed(void)
{
    pm_store_relaxed(&pm_purge_deadline_ns, 0); /* the next tick sets it by the lists */
}

void pm_purge_set_deadline(uint64_t now_ns)
{
    if (pm_load_relaxed(&pm_purge_deadline_ns) == PM_PURGE_NEVER)
        pm_store_relaxed(&pm_purge_deadline_ns, now_ns + pm_purge_delay_ns());
}

void pm_purge_hasten(struct pm_arena *a)
{
    uint64_t delay_ticks = (pm_purge_delay_ns() >> PM_TICK_SHIFT) + 1;
    if (a->dirty == 0 || ~a->free != 0 || delay_ticks > INT32_MAX)
        return;
    pm_arena_prefer(a, (uint32_t)delay_ticks);
    pm_store_relaxed(&pm_purge_deadline_ns, 0); /* the next tick finds it */
}

/* Under the arena lock: when the arena's dirty units are due, counted from when they came. */
static uint64_t due_ns(const struct pm_arena *a, uint64_t now_ns)
{
    uint64_t age = pm_arena_dirty_ticks(a, now_ns);
    return now_ns - (age << PM_TICK_SHIFT) + pm_purge_delay_ns();
}

/* Under the arena lock: the next arena that is due; none: the deadline is that of the next. */
static struct pm_arena *due_arena(uint64_t now_ns, bool slice_left)
{
    struct pm_arena *a = pm_arena_longest_dirty();
    uint64_t due = a ? due_ns(a, now_ns) : PM_PURGE_NEVER;
    if (slice_left && due <= now_ns)
        return a;
    if (due <= now_ns)
        due = now_ns + PM_PURGE_PAUSE_NS;
    pm_store_relaxed(&pm_purge_deadline_ns, due);
    return NULL;
}

void pm_purge_due(uint64_t now_ns)
{
    enum pm_huge policy = huge_policy();
    pm_store_relaxed(&pm_purge_deadline_ns, now_ns + PM_PURGE_PAUSE_NS); /* for other threads */
    pm_group_look(now_ns);
    for (size_t left = PM_PURGE_SLICE_ARENAS;; left--) {
        struct purge purge = {0};
        pm_lock_acquire(&pm_arena_lock);
        struct pm_arena *a = due_arena(now_ns, left > 0);
        if (a != NULL)
            purge = purge_begin(a, policy, now_ns);
        pm_lock_release(&pm_arena_lock);
        if (a == NULL)
            return;
        if (purge.units != 0)
            purge_run(&purge, now_ns);
    }
}

bool pm_purge_decommit_one(uint64_t now_ns)
{
    enum pm_huge policy = huge_policy();
    struct purge purge = {0};
    if (pm_piece_give_back_empties(false))
        return true;
    pm_lock_acquire(&pm_arena_lock);
    struct pm_arena *a = pm_arena_cheapest_empty();
    if (a != NULL)
        purge = purge_begin(a, policy, now_ns);
    pm_lock_release(&pm_arena_lock);
    if (purge.units == 0)
        return false;
    purge.decommit = true;
    purge_run(&purge, now_ns);
    return purge.decommitted;
}

struct purge_all {
    enum pm_huge policy;
    uint64_t now_ns;
    bool some;
};

static void purge_window(struct pm_window *w, void *arg)
{
    struct purge_all *all = arg;
    if (pm_window_is_piece(w)) /* as a whole, or not at all */
        return;
    uint32_t end = pm_window_arenas_added(w);
    bool decommit = pm_pages_charge_commit(w->pages); /* clean arenas cost, too */
    for (uint32_t i = w->first_arena; i < end; i++) {
        struct pm_arena *a = &w->arenas[i];
        struct purge purge = {0};
        pm_lock_acquire(&pm_arena_lock);
        if (a->dirty != 0 || (decommit && a->place == PM_CLEAN_EMPTY))
            purge = purge_begin(a, all->policy, all->now_ns);
        pm_lock_release(&pm_arena_lock);
        if (purge.units != 0)
            all->some |= purge_run(&purge, all->now_ns);
    }
}

bool pm_arena_purge_all(void)
{
    struct purge_all all = {.policy = huge_policy(), .now_ns = pm_os_now_ns()};
    pm_window_each(purge_window, &all);
    all.some |= pm_piece_give_back_empties(true);
    return all.some;
}

void pm_arena_densify(struct pm_arena *a)
{
    pm_lock_acquire(&pm_arena_lock);
    bool dense = a->free == 0 && a->no_huge;
    if (dense)
        a->no_huge = 0;
    pm_lock_release(&pm_arena_lock);
    if (dense)
        pm_os_advise_huge(pm_arena_base(a), PM_ARENA_BYTES, true);
}
