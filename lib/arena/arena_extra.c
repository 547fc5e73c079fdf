/* SPDX-License-Identifier: MIT */
/* Statistics, checks and fork handling of the arena layer. */
#include "arena/internal.h"
#include "base/report.h"

static void add_window(struct pm_window *w, void *arg)
{
    struct pm_arena_stats *stats = arg;
    stats->bytes_reserved += pm_load_relaxed(&w->units) << PM_UNIT_SHIFT;
    for (uint32_t i = w->first_arena; i < w->next_arena; i++) {
        stats->free_units += (unsigned)__builtin_popcountll(w->arenas[i].free);
        stats->dirty_units += (unsigned)__builtin_popcountll(w->arenas[i].dirty);
        stats->arenas_in_use += ~w->arenas[i].free != 0;
    }
}

void pm_arena_stats(struct pm_arena_stats *stats)
{
    *stats = (struct pm_arena_stats){0};
    pm_lock_acquire(&pm_arena_lock);
    pm_window_each(add_window, stats);
    stats->arenas = pm_arena_totals.arenas;
    stats->span_units = pm_arena_totals.span_units;
    stats->purged_arenas = pm_arena_totals.purged;
    pm_lock_release(&pm_arena_lock);
    stats->lock_acquisitions =
        pm_load_relaxed(&pm_arena_lock.acquisitions) + pm_load_relaxed(&pm_grow_lock.acquisitions);
    stats->lock_contended =
        pm_load_relaxed(&pm_arena_lock.contended) + pm_load_relaxed(&pm_grow_lock.contended);
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
    bool bit = a->window->empties[a->index / 64] >> a->index % 64 & 1;
    if ((a->dirty & ~a->free) != 0)
        return violated("a unit in use is called dirty", a);
    if (a->free_units != __builtin_popcountll(a->free))
        return violated("free units miscounted", a);
    if (bit != empty)
        return violated("the bit of empty arenas is wrong", a);
    enum pm_arena_place place = a->free == 0 ? PM_NOWHERE
                                : !empty     ? PM_BIN
                                : a->dirty   ? PM_DIRTY_EMPTY
                                             : PM_CLEAN_EMPTY;
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
    if (check.good &&
        (check.arenas != t.arenas || check.empties != t.dirty_empties + t.clean_empties)) {
        pm_warn("arena check: totals do not add up (%zu arenas of %zu, %zu empty of %zu)",
                check.arenas, t.arenas, check.empties, t.dirty_empties + t.clean_empties);
        check.good = false;
    }
    return check.good;
}

void pm_arena_fork_prepare(void)
{
    pm_lock_acquire(&pm_grow_lock);
    pm_lock_acquire(&pm_arena_lock);
}

void pm_arena_fork_parent(void)
{
    pm_lock_release(&pm_arena_lock);
    pm_lock_release(&pm_grow_lock);
}

void pm_arena_fork_child(void)
{
    pm_lock_reset_in_child(&pm_arena_lock);
    pm_lock_reset_in_child(&pm_grow_lock);
}
