/* SPDX-License-Identifier: MIT */
/*
 * What the files of the arena layer share.
 *
 * An arena's place (field `place`) and what it means:
 *
 *   place        free units       moves to
 *   NOWHERE      none             BIN or DIRTY_EMPTY when units come back
 *   BIN          1 .. 63          any of NOWHERE and the empties
 *   DIRTY_EMPTY  64, some dirty   BIN, NOWHERE; CLEAN_EMPTY or DECOMMITTED through NOWHERE
 *                (or foreign)
 *   CLEAN_EMPTY  64, none dirty   BIN, NOWHERE
 *   DECOMMITTED  64, none dirty   NOWHERE, to be committed: CLEAN_EMPTY, or a span
 *
 * Beside its place, an arena with dirty free units is in the list of these, in the order in which
 * units last came back. A purge and a span hold units as any other user does: their bits are not in
 * `free`.
 *
 * In foreign arenas, whose memory the program gave (piece.h), no unit is marked as dirty, so that
 * nothing there is purged; but who takes units there is told that all of them are.
 */
#ifndef PM_ARENA_INTERNAL_H
#define PM_ARENA_INTERNAL_H

#include "arena/arena.h"
#include "base/list.h"
#include "base/lock.h"

enum pm_arena_place { PM_NOWHERE, PM_BIN, PM_DIRTY_EMPTY, PM_CLEAN_EMPTY, PM_DECOMMITTED };

/* Everything under the arena lock, except window and index, which are constant. */
struct pm_arena {
    struct pm_link link;
    struct pm_link dirty_link; /* linked while `dirty` is not 0 */
    uint64_t free;             /* units that nobody has */
    uint64_t dirty;            /* of these: units that may hold old contents and be resident */
    uint32_t index;
    uint32_t dirty_since; /* ticks of PM_TICK_SHIFT, when dirty units came back last */
    uint16_t window;      /* number of its window */
    uint8_t place;        /* enum pm_arena_place */
    uint8_t longest;      /* with place == PM_BIN: its bin */
    uint8_t free_units;
    uint8_t decommitted; /* not committed */
    uint8_t no_huge;     /* the system was told to make no huge pages here */
    uint8_t foreign;     /* the program gave the memory: see piece.h */
};

_Static_assert(sizeof(struct pm_arena) == PM_LINE_BYTES, "one line an arena");
_Static_assert(PM_WINDOWS_MAX + PM_PIECES_MAX <= 1 << 16, "a window's number is two bytes");

extern struct pm_lock pm_arena_lock PM_HIDDEN;
extern struct pm_lock pm_grow_lock PM_HIDDEN;
extern struct pm_lock pm_decommit_lock PM_HIDDEN; /* held over each decommit */

/* Under the arena lock. */
struct pm_arena_totals {
    size_t arenas;   /* added, and not given back to the program */
    size_t promised; /* being added, and counted for the limit; set under the grow lock, too */
    size_t dirty_empties, clean_empties, decommitted;
    size_t foreign_empties;         /* of the dirty ones: of memory that the program gave */
    size_t free_units, dirty_units; /* of all arenas */
    size_t purging_units;           /* on their way to the system, or back */
    size_t span_units;              /* units asked for by live spans */
    size_t span_held_units;         /* the same with what they leave of whole arenas */
    uint64_t purged;                /* arenas given back to the system so far */
    uint64_t purged_units;          /* units, of these arenas and others */
    uint64_t purges;                /* steps in which that happened */
};
extern struct pm_arena_totals pm_arena_totals PM_HIDDEN;

/* Units are where they were on their way to. In the child of a fork from amid that, which has
 * counted anew, none are. */
static inline void pm_arena_arrived(size_t units)
{
    size_t *purging = &pm_arena_totals.purging_units;
    *purging -= units < *purging ? units : *purging;
}

static inline struct pm_window *pm_arena_window(const struct pm_arena *a)
{
    return pm_window_numbered(a->window);
}

static inline char *pm_arena_base(const struct pm_arena *a)
{
    return pm_window_unit(pm_arena_window(a), (size_t)a->index * PM_ARENA_UNITS);
}

static inline struct pm_arena *pm_arena_of(struct pm_window *w, size_t unit)
{
    return &w->arenas[unit / PM_ARENA_UNITS];
}

/* Under the arena lock: put into, and take out of, the list that its bits ask for. */
void pm_arena_file(struct pm_arena *a);
void pm_arena_unfile(struct pm_arena *a);
/* Empties all lists. */
void pm_arena_lists_clear(void);
/* Units leave the arena, or come back to it; of an arena that is not filed. */
void pm_arena_remove_units(struct pm_arena *a, uint64_t units);
void pm_arena_add_units(struct pm_arena *a, uint64_t units, uint64_t dirty, uint64_t now_ns);
/* A decommitted arena (of the first window), off its list and without free units, or NULL. */
struct pm_arena *pm_arena_take_decommitted(bool first_window);
/* The arena whose dirty units came back least lately, or NULL. */
struct pm_arena *pm_arena_longest_dirty(void);
/* For how many ticks nothing came back to it. */
uint32_t pm_arena_dirty_ticks(const struct pm_arena *a, uint64_t now_ns);
/* Of an arena with dirty units, none of which can be purged now: the next ones are longer dirty. */
void pm_arena_postpone(struct pm_arena *a, uint64_t now_ns);
/* Its dirty units are the longest dirty, for so many ticks more. */
void pm_arena_prefer(struct pm_arena *a, uint32_t ticks);
/* Of wholly free arenas with dirty units, this one is used first, and purged last; or the other way
 * round. */
void pm_arena_use(struct pm_arena *a, bool first);
/* Prints what is wrong with a filed arena and returns false. */
bool pm_arena_check_one(const struct pm_arena *a);
/* The fullest arena with a free run of that length, or NULL. */
struct pm_arena *pm_arena_find(unsigned units);
/* Claims units of a listed arena; which of them are dirty (shifted down) is the result. */
uint64_t pm_arena_claim(struct pm_arena *a, unsigned first, unsigned units, uint64_t now_ns);
/* The fullest arena with a free run of that length, if need be a new one, with the arena lock held;
 * NULL, without it: out of memory. */
struct pm_arena *pm_arena_lock_with_run(unsigned units, uint64_t now_ns);
void pm_arena_unlock_after_claim(struct pm_arena *a, uint64_t now_ns);
/* The dirty empty arena that was used least lately, or NULL. */
struct pm_arena *pm_arena_oldest_dirty_empty(void);
/* Of wholly free arenas that are committed, the one that is missed least, or NULL. */
struct pm_arena *pm_arena_cheapest_empty(void);
/* A run of wholly free arenas, `arenas` long, starting at a multiple of `align` arenas; NULL: none.
 * Dirty ones, or clean ones, as far as there are such. */
struct pm_arena *pm_arena_find_empties(unsigned arenas, unsigned align, bool clean);
/* Before a new arena is mapped: asks the layers above to give back what they keep, if that is much;
 * `all`: however little, as there is nothing else. No lock held. True: something came back. */
bool pm_arena_reclaim(bool all);

/* Adds fresh arenas. `span` NULL: one, into the list (or none, when another thread was faster);
 * else `arenas` in a row, aligned, claimed, and returned through it. False: the system refuses. */
bool pm_arena_grow(unsigned arenas, unsigned align, struct pm_arena **span, uint64_t now_ns);
/* Adds what free arenas at the end of the first window lack to be `arenas` in a row, if that is no
 * more than there are; `clean`: of those that are clean. True: the row is there now. */
bool pm_arena_lengthen(unsigned arenas, bool clean, uint64_t now_ns);

/* Commits whole arenas, with the advice about huge pages that the options ask for. */
bool pm_arena_commit(const struct pm_window *w, void *start, size_t bytes);
/* The same of arenas in a row that were decommitted. */
bool pm_arena_recommit(const struct pm_arena *first, size_t arenas);

/* Option limit_bytes. Under the arena lock: whether so many arenas more may be committed. */
bool pm_limit_allows(size_t arenas);
bool pm_limit_is_set(void); /* any lock or none */
/* Without the arena lock. The same, after free arenas were decommitted as far as that helps. */
bool pm_limit_make_room(size_t arenas, uint64_t now_ns);
/* The same under the grow lock; and they count from now on, until they are added, or 0 is promised
 * instead. */
bool pm_limit_promise(size_t arenas, uint64_t now_ns);

/* Option cgroup. Asks the system, if that is due: some system calls. Any lock but the arena lock
 * may be held. */
void pm_group_look(uint64_t now_ns);
/* What it allows the arenas, in bytes, if it is to be a limit; SIZE_MAX: no limit. */
size_t pm_group_limit_bytes(void);
/* So many arenas more are in use: what is kept makes room for them. No lock held. */
void pm_group_grown(size_t arenas, uint64_t now_ns);
/* Whether it may allow less tomorrow than today. */
bool pm_group_is_heeded(void);
/* How many free units may be dirty, of those that the other bounds allow. */
size_t pm_group_keep_units(size_t in_use_units, size_t keep_units);

/* Makes a window of about that size, with at least so many arenas, of which the first is aligned.
 * Under the grow lock. */
struct pm_window *pm_window_add(size_t bytes, size_t least_arenas, size_t align);
/* Whether arenas can be added. Under the grow or the arena lock. */
static inline bool pm_window_has_room(const struct pm_window *w)
{
    return !w->closed && w->next_arena < w->arenas_end;
}

/* The end of the arenas that were ever added. Takes the arena lock. */
uint32_t pm_window_arenas_added(struct pm_window *w);
/* Tables apart from the memory that they are of, for so many arenas, all zero. They stay. */
bool pm_window_make_tables(struct pm_window *w, size_t arenas);
/* The first window; false: no address space. */
bool pm_window_init(void);
bool pm_window_commit_tables(struct pm_window *w, uint32_t arenas_end);

/* Under the arena lock, when units are taken that cost page faults. */
void pm_demand_note(size_t units, uint64_t now_ns);
/* Under the arena lock: whether more than the bound is free and dirty. */
bool pm_purge_wanted(uint64_t now_ns);
/* Purges what is beyond the bound; `given` units came back by this call. Takes the arena lock. */
void pm_purge_excess(size_t given, uint64_t now_ns);
/* Under the arena lock: units were purged by the bound, and are missed if they are taken soon. */
void pm_demand_purged(size_t units, uint64_t now_ns);
/* Under the arena lock: the system refused, and nothing is purged by the bound for a time. */
void pm_purge_refused(uint64_t now_ns);
bool pm_purge_is_paused(uint64_t now_ns);

/* The peak, under the arena lock (see bound.c). By how many units more than ever are resident, or
 * would be with so many clean ones more. */
size_t pm_peak_excess(size_t more_units);
/* The arena whose dirty units were left alone long enough to go for it, or NULL. */
struct pm_arena *pm_peak_arena(uint64_t now_ns);
/* After units were taken: if that passed the peak, and there is what can go for it, who took them
 * is to call pm_arena_settle. */
void pm_peak_look(uint64_t now_ns);
/* So many dirty ones were purged for that. */
void pm_peak_purged(size_t units);
/* What is resident now is the peak. */
void pm_peak_accept(void);
/* Takes the arena lock: instead of so many units, or 0, so many are in use in two blocks, of which
 * one gets the pages of the other. */
void pm_peak_move(size_t from_units, size_t to_units);
/* Decommits one wholly free arena. False: there is none, or the system refuses. */
bool pm_purge_decommit_one(uint64_t now_ns);
/* Under the arena lock: if the arena is wholly free, its dirty units are due now. */
void pm_purge_hasten(struct pm_arena *a);
/* Under the arena lock: dirty units came back, which are purged by deadline. */
void pm_purge_set_deadline(uint64_t now_ns);
/* Outside the lock: tells the system of an arena that has no free unit any more that huge pages
 * pay there, if it was told otherwise. */
void pm_arena_densify(struct pm_arena *a);

#endif
