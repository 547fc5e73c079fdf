/* SPDX-License-Identifier: MIT */
/*
 * Options limit_bytes, and cgroup=limit (group.c): how much the arenas of the process may hold that
 * are committed. What counts is whole arenas, whatever part of them is in use, and not what lies
 * beside them: tables, heaps, reserved address space. Arenas that are wholly free count, too, but
 * go before a request is refused: they are decommitted. Whoever commits arenas asks here first:
 * pm_arena_grow, recommit, and take_arenas for arenas that were decommitted, which count as soon as
 * they are claimed.
 */
#include "arena/internal.h"
#include "base/options.h"

/* Under the arena lock. */
static size_t committed_arenas(void)
{
    return pm_arena_totals.arenas - pm_arena_totals.decommitted + pm_arena_totals.promised;
}

/* SIZE_MAX: there is none. */
static size_t limit_bytes(void)
{
    size_t limit = pm_load_relaxed(&pm_options.limit_bytes); /* it orders nothing */
    size_t group = pm_group_limit_bytes();
    return limit == 0 || group < limit ? group : limit;
}

bool pm_limit_is_set(void)
{
    return limit_bytes() != SIZE_MAX;
}

/* Whether the limit, if there is one, leaves room for `arenas` beside `others`. */
static bool is_within(size_t others, size_t arenas)
{
    size_t limit = limit_bytes();
    return limit == SIZE_MAX ||
           (others <= limit >> PM_ARENA_SHIFT && arenas <= (limit >> PM_ARENA_SHIFT) - others);
}

bool pm_limit_allows(size_t arenas)
{
    return arenas == 0 || is_within(committed_arenas(), arenas);
}

/* Sets *hopeless when not even the free arenas would make room. */
static bool has_room(size_t arenas, bool promise, bool *hopeless)
{
    const struct pm_arena_totals *t = &pm_arena_totals;
    pm_lock_acquire(&pm_arena_lock);
    if (promise)
        pm_arena_totals.promised = 0;
    bool room = pm_limit_allows(arenas);
    size_t empties = t->dirty_empties + t->clean_empties;
    *hopeless = !is_within(committed_arenas() - empties, arenas);
    if (room && promise)
        pm_arena_totals.promised = arenas;
    pm_lock_release(&pm_arena_lock);
    return room;
}

static bool make_room(size_t arenas, bool promise, uint64_t now_ns)
{
    bool hopeless;
    while (!has_room(arenas, promise, &hopeless)) {
        if (hopeless || !pm_purge_decommit_one(now_ns))
            return false;
    }
    return true;
}

/* The usual case takes no lock. */
bool pm_limit_make_room(size_t arenas, uint64_t now_ns)
{
    return !pm_limit_is_set() || make_room(arenas, false, now_ns);
}

bool pm_limit_promise(size_t arenas, uint64_t now_ns)
{
    return make_room(arenas, true, now_ns);
}
