/* SPDX-License-Identifier: MIT */
/*
 * What the files of the arena layer share.
 *
 * An arena's place (field `list`) and what it means:
 *
 *   place        free units       moves to
 *   NOWHERE      none             BIN or DIRTY_EMPTY when units come back
 *   BIN          1 .. 63          any of the others
 *   DIRTY_EMPTY  64, some dirty   BIN, NOWHERE; CLEAN_EMPTY through NOWHERE while it is purged
 *   CLEAN_EMPTY  64, none dirty   BIN, NOWHERE
 *
 * A purge and a span hold units as any other user does: their bits are not in `free`.
 */
#ifndef PM_ARENA_INTERNAL_H
#define PM_ARENA_INTERNAL_H

#include "arena/arena.h"
#include "base/list.h"
#include "base/lock.h"

enum pm_arena_place { PM_NOWHERE, PM_BIN, PM_DIRTY_EMPTY, PM_CLEAN_EMPTY };

/* Everything under the arena lock, except window and index, which are constant. */
struct pm_arena {
    struct pm_link link;
    uint64_t free;  /* units that nobody has */
    uint64_t dirty; /* of these: units that may hold old contents and be resident */
    struct pm_window *window;
    uint32_t index;
    uint8_t place;   /* enum pm_arena_place */
    uint8_t longest; /* with place == PM_BIN: its bin */
    uint8_t free_units;
    uint8_t padding[PM_LINE_BYTES - 47];
};

_Static_assert(sizeof(struct pm_arena) == PM_LINE_BYTES, "one line an arena");

extern struct pm_lock pm_arena_lock PM_HIDDEN;
extern struct pm_lock pm_grow_lock PM_HIDDEN;

/* Under the arena lock. */
struct pm_arena_totals {
    size_t arenas; /* ever added */
    size_t dirty_empties, clean_empties, purging;
    size_t span_arenas; /* whole arenas in spans */
    size_t span_units;  /* units asked for by live spans, in whole arenas or not */
    uint64_t purged;    /* arenas given back to the system so far */
};
extern struct pm_arena_totals pm_arena_totals PM_HIDDEN;

static inline char *pm_arena_base(const struct pm_arena *a)
{
    return pm_window_unit(a->window, (size_t)a->index * PM_ARENA_UNITS);
}

static inline struct pm_arena *pm_arena_of(struct pm_window *w, size_t unit)
{
    return &w->arenas[unit / PM_ARENA_UNITS];
}

/* Under the arena lock: put into, and take out of, the list that its bits ask for. */
void pm_arena_file(struct pm_arena *a);
void pm_arena_unfile(struct pm_arena *a);
/* Prints what is wrong with a filed arena and returns false. */
bool pm_arena_check_one(const struct pm_arena *a);
/* The fullest arena with a free run of that length, or NULL. */
struct pm_arena *pm_arena_find(unsigned units);
/* Claims units of a listed arena; which of them are dirty (shifted down) is the result. */
uint64_t pm_arena_claim(struct pm_arena *a, unsigned first, unsigned units, uint64_t now_ns);
/* The dirty empty arena that was used least lately; there is one. */
struct pm_arena *pm_arena_oldest_dirty_empty(void);
/* A run of wholly free arenas, `arenas` long, starting at a multiple of `align` arenas; NULL: none.
 */
struct pm_arena *pm_arena_find_empties(unsigned arenas, unsigned align);

/* Adds fresh arenas. `span` NULL: one, into the list (or none, when another thread was faster);
 * else `arenas` in a row, aligned, claimed, and returned through it. False: the system refuses. */
bool pm_arena_grow(unsigned arenas, unsigned align, struct pm_arena **span, uint64_t now_ns);

/* Makes a window of about that size, with at least so many arenas, of which the first is aligned.
 * Under the grow lock. */
struct pm_window *pm_window_add(size_t bytes, size_t least_arenas, size_t align);
/* The first window; false: no address space. */
bool pm_window_init(void);
bool pm_window_commit_tables(struct pm_window *w, uint32_t arenas_end);

/* Under the arena lock, when a wholly free arena is taken that costs page faults / when dirty
 * memory was given back: see purge.c. */
void pm_demand_note(size_t arenas, uint64_t now_ns);
/* Purges what is beyond the bound. Takes the arena lock. */
void pm_purge_excess(uint64_t now_ns);

#endif
