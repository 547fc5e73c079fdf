/* SPDX-License-Identifier: MIT */
/* Statistics and checks of the arena layer, and its repair in the child of a fork. */
#include "arena/internal.h"
#include "arena/span.h"
#include "base/report.h"
#include "os/os.h"

static bool is_of_pool(uint64_t owner)
{
    return owner != PM_ROUTE_VOID && owner != PM_ROUTE_SPAN;
}

/* Units of pools, and spans, by their routes: relaxed, a moment's picture. */
static void add_by_routes(struct pm_arena_stats *stats, struct pm_window *w, uint32_t arena)
{
    for (size_t i = 0; i < PM_ARENA_UNITS; i++) {
        uint64_t route = pm_load_relaxed(pm_window_route(w, (size_t)arena * PM_ARENA_UNITS + i));
        uint64_t owner = route & ~PM_ROUTE_DISTANCE_MASK;
        stats->pool_units += is_of_pool(owner);
        stats->floating_units += owner == PM_ROUTE_FLOATING;
        stats->spans += route == PM_ROUTE_SPAN;
    }
}

static void add_window(struct pm_window *w, void *arg)
{
    struct pm_arena_stats *stats = arg;
    stats->bytes_reserved += pm_load_relaxed(&w->units) << PM_UNIT_SHIFT;
    for (uint32_t i = w->first_arena; i < w->next_arena; i++) {
        stats->free_units += pm_bits_count(w->arenas[i].free);
        stats->dirty_units += pm_bits_count(w->arenas[i].dirty);
        stats->arenas_in_use += ~w->arenas[i].free != 0;
        /* Not one that is being committed again. */
        stats->decommitted_arenas += w->arenas[i].decommitted && ~w->arenas[i].free == 0;
        stats->no_huge_arenas += w->arenas[i].no_huge;
        add_by_routes(stats, w, i);
    }
}

void pm_arena_stats(struct pm_arena_stats *stats)
{
    *stats = (struct pm_arena_stats){0};
    pm_lock_acquire(&pm_arena_lock);
    pm_window_each(add_window, stats);
    stats->arenas = pm_arena_totals.arenas;
    stats->purging_units = pm_arena_totals.purging_units;
    stats->span_units = pm_arena_totals.span_units;
    stats->span_held_units = pm_arena_totals.span_held_units;
    stats->purged_arenas = pm_arena_totals.purged;
    stats->purged_units = pm_arena_totals.purged_units;
    stats->purges = pm_arena_totals.purges;
    pm_lock_release(&pm_arena_lock);
    stats->lock_acquisitions =
        pm_load_relaxed(&pm_arena_lock.acquisitions) + pm_load_relaxed(&pm_grow_lock.acquisitions);
    stats->lock_contended =
        pm_load_relaxed(&pm_arena_lock.contended) + pm_load_relaxed(&pm_grow_lock.contended);
}

bool pm_arena_is_held(void)
{
    enum pm_lock_fork state = pm_lock_state(&pm_arena_lock);
    return state == PM_LOCK_INTERRUPTED || state == PM_LOCK_FOR_FORK;
}

static bool violated(const char *what, const struct pm_arena *a)
{
    pm_warn("arena check: %s (arena %u: free %p, dirty %p, place %u)", what, (unsigned)a->index,
            (void *)(uintptr_t)a->free, (void *)(uintptr_t)a->dirty, (unsigned)a->place);
    return false;
}

bool pm_arena_check_one(const struct pm_arena *a)
{
    bool empty = ~a->free == 0;
    bool bit = pm_arena_window(a)->empties[a->index / 64] >> a->index % 64 & 1;
    if ((a->dirty & ~a->free) != 0)
        return violated("a unit in use is called dirty", a);
    if (a->free_units != pm_bits_count(a->free))
        return violated("free units miscounted", a);
    if (bit != empty)
        return violated("the bit of empty arenas is wrong", a);
    enum pm_arena_place place = a->free == 0     ? PM_NOWHERE
                                : !empty         ? PM_BIN
                                : a->decommitted ? PM_DECOMMITTED
                                : a->foreign     ? PM_DIRTY_EMPTY
                                : a->dirty       ? PM_DIRTY_EMPTY
                                                 : PM_CLEAN_EMPTY;
    if (a->foreign && (a->dirty != 0 || a->decommitted || a->no_huge))
        return violated("memory of the program's is to be changed", a);
    if ((a->dirty != 0) != (a->dirty_link.next != NULL))
        return violated("in the list of dirty arenas, or not, against its bits", a);
    if (a->place != place)
        return violated("in the wrong list", a);
    if (place == PM_BIN && a->longest != pm_bits_longest_run(a->free))
        return violated("in the wrong bin", a);
    return true;
}

struct check {
    bool good;
    size_t arenas, empties;
};

static void check_window(struct pm_window *w, void *arg)
{
    struct check *check = arg;
    for (uint32_t i = w->first_arena; check->good && i < w->next_arena; i++) {
        check->good = pm_arena_check_one(&w->arenas[i]);
        check->arenas++;
        check->empties += ~w->arenas[i].free == 0;
    }
}

bool pm_arena_check(void)
{
    struct check check = {.good = true};
    pm_lock_acquire(&pm_arena_lock);
    pm_window_each(check_window, &check);
    const struct pm_arena_totals t = pm_arena_totals;
    pm_lock_release(&pm_arena_lock);
    size_t empties = t.dirty_empties + t.clean_empties + t.decommitted;
    if (check.good && (check.arenas != t.arenas || check.empties != empties)) {
        pm_warn("arena check: totals do not add up (%zu arenas of %zu, %zu empty of %zu)",
                check.arenas, t.arenas, check.empties, empties);
        check.good = false;
    }
    return check.good;
}

static void recount_spans(struct pm_window *w, uint32_t arena)
{
    for (size_t i = 0; i < PM_ARENA_UNITS; i++) {
        size_t unit = (size_t)arena * PM_ARENA_UNITS + i;
        if (pm_load_relaxed(pm_window_route(w, unit)) == PM_ROUTE_SPAN) {
            pm_arena_totals.span_units += pm_span_at(w, unit)->units;
            pm_arena_totals.span_held_units += pm_span_held_units(pm_span_at(w, unit));
        }
    }
}

/* The thread that held the lock may have been between any two stores: what is free stays free, and
 * counts as dirty. Units that it was moving are lost. */
static void rebuild_window(struct pm_window *w, void *now_ns)
{
    for (uint32_t i = 0; i < (w->tables_end + 63) / 64; i++)
        w->empties[i] = 0;
    for (uint32_t i = w->first_arena; i < w->next_arena; i++) {
        struct pm_arena *a = &w->arenas[i];
        uint64_t free_units = a->free;
        a->place = PM_NOWHERE;
        a->free = a->dirty = 0;
        a->link = a->dirty_link = (struct pm_link){0};
        pm_arena_add_units(a, free_units, a->decommitted ? 0 : free_units,
                           *(const uint64_t *)now_ns);
        pm_arena_file(a);
        pm_arena_totals.arenas++;
        recount_spans(w, i);
    }
}

void pm_span_count_waiting(size_t units, size_t held_units)
{
    pm_arena_totals.span_units += units;
    pm_arena_totals.span_held_units += held_units;
}

void pm_arena_rebuild_in_child(void)
{
    const struct pm_arena_totals *old = &pm_arena_totals;
    pm_arena_totals = (struct pm_arena_totals){
        .purged = old->purged, .purged_units = old->purged_units, .purges = old->purges};
    pm_arena_lists_clear();
    uint64_t now_ns = pm_os_now_ns();
    pm_window_each(rebuild_window, &now_ns);
}
