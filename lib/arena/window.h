/* SPDX-License-Identifier: MIT */
/*
 * Windows: reserved address space in which arenas lie, and the address tables beside it. One window
 * is made at start; further ones are added when it is full. Frees test the first window inline; the
 * others are found by a short search on the slow path (invariant I1).
 *
 *        descriptor lines       base
 *   ... | unit 2 | unit 1 |    | routes | remote lines | arena table | empties |   arenas ...
 *   <- grows downwards         ^ unit 0, arena 0                               ^ first_arena
 *
 * The tables lie inside the index space of the window, so one address, `base`, leads to all of them
 * and to every unit: unit i starts at base + i * PM_UNIT_BYTES, its route at base + 8 * i, its
 * descriptor line at base - PM_LINE_BYTES * i. The units under the tables, of which unit 0 is one,
 * never hold blocks.
 *
 * Where the program gives the memory of arenas the tables are apart from it, and lead on from
 * `tables` as they do here from the base (piece.h).
 */
#ifndef PM_ARENA_WINDOW_H
#define PM_ARENA_WINDOW_H

#include "base/atomic.h"
#include "base/bits.h"
#include "base/config.h"

struct pm_arena;
struct pm_page_hooks;

struct pm_window {
    /* Set once, before the window is published; relaxed loads suffice, since whoever holds a
     * pointer into the window got it after that. Zero units: no window yet. */
    _Atomic uintptr_t base;
    _Atomic size_t units;
    uintptr_t tables; /* the base, but of memory that the program gave (piece.h) */
    char *remote_lines;
    struct pm_arena *arenas;
    uint64_t *empties; /* one bit per arena that is wholly free and listed; under the arena lock */
    uint32_t first_arena, arenas_end;
    uint16_t number;
    /* Under the grow lock; away from what every free reads. */
    uint32_t next_arena __attribute__((aligned(
        PM_LINE_BYTES))); /* the first that was never used; also read under the arena lock */
    uint32_t tables_end;  /* tables are committed for the arenas below */
    /* Who reserved it, constant: see os/pages.h. */
    const struct pm_page_hooks *pages;
    bool closed; /* nothing is added here for now; as next_arena */
} __attribute__((aligned(PM_LINE_BYTES)));

/* The first window. */
extern struct pm_window pm_window PM_HIDDEN;

/*
 * A route is the owner in the high bits and the distance to the head unit of the run in the low
 * ones, in steps of 8: so an address of the form base + index * 8 leads a free from its unit's
 * descriptor line to the head's (docs/decisions/038-a-free-finds-its-pool-in-fewer-cycles.md).
 * Owners are addresses of thread heaps, aligned to PM_ROUTE_ALIGN, or one of these. Of what lies
 * below PM_ROUTE_FLOATING, no thread may push on a remote word.
 */
#define PM_ROUTE_STEP 8
#define PM_ROUTE_ALIGN (PM_POOL_UNITS_MAX * PM_ROUTE_STEP)
#define PM_ROUTE_DISTANCE_MASK ((uint64_t)PM_ROUTE_ALIGN - 1)
#define PM_ROUTE_VOID ((uint64_t)0)              /* nothing allocated here */
#define PM_ROUTE_SPAN ((uint64_t)PM_ROUTE_ALIGN) /* head unit of a large block */
#define PM_ROUTE_USER                                                                              \
    ((uint64_t)2 * PM_ROUTE_ALIGN) /* a user heap's pool; the remote line says whose */
#define PM_ROUTE_FLOATING ((uint64_t)3 * PM_ROUTE_ALIGN) /* a pool without an owner */

_Static_assert((PM_ROUTE_ALIGN & (PM_ROUTE_ALIGN - 1)) == 0, "a mask takes the distance apart");

/* In units. */
PM_INLINE size_t pm_route_distance(uint64_t route)
{
    return (route & PM_ROUTE_DISTANCE_MASK) / PM_ROUTE_STEP;
}

PM_INLINE uintptr_t pm_window_base(const struct pm_window *w)
{
    return pm_load_relaxed(&w->base);
}

/* Routes start here, and lines end. Where it is known to be the first window the base does. */
PM_INLINE uintptr_t pm_window_tables(const struct pm_window *w)
{
    bool first = __builtin_constant_p(w == &pm_window) && w == &pm_window;
    return first ? pm_window_base(w) : w->tables;
}

PM_INLINE _Atomic uint64_t *pm_window_route(const struct pm_window *w, size_t unit)
{
    return (_Atomic uint64_t *)pm_window_tables(w) + unit;
}

PM_INLINE void *pm_window_line(const struct pm_window *w, size_t unit)
{
    return (char *)pm_window_tables(w) - PM_LINE_BYTES * unit;
}

PM_INLINE void *pm_window_remote_line(const struct pm_window *w, size_t unit)
{
    return w->remote_lines + PM_LINE_BYTES * unit;
}

PM_INLINE char *pm_window_unit(const struct pm_window *w, size_t unit)
{
    return (char *)pm_window_base(w) + (unit << PM_UNIT_SHIFT);
}

PM_INLINE size_t pm_window_index(const struct pm_window *w, const void *ptr)
{
    return ((uintptr_t)ptr - pm_window_base(w)) >> PM_UNIT_SHIFT;
}

/* The window that holds the address, or NULL: the pointer is foreign. */
struct pm_window *pm_window_find_added(const void *ptr);

PM_INLINE struct pm_window *pm_window_find(const void *ptr)
{
    bool first = pm_below_relaxed(pm_window_index(&pm_window, ptr), &pm_window.units);
    return pm_likely(first) ? &pm_window : pm_window_find_added(ptr);
}

/* The same of an address that nobody vouches for, and its unit, whose route and lines can be read
 * whatever becomes of the window meanwhile. */
struct pm_window *pm_window_locate(const void *ptr, size_t *unit);

/* The window with that number. From PM_WINDOWS_MAX on they are pieces (piece.h). */
struct pm_window *pm_window_numbered(unsigned number);

/* Calls back for each window, oldest first; then for pieces. */
void pm_window_each(void (*visit)(struct pm_window *, void *), void *arg);

/* Sets the routes of a run of units: owner with the distances 0, 1, 2... */
void pm_window_set_routes(const struct pm_window *w, size_t unit, unsigned units, uint64_t owner);

#endif
