/* SPDX-License-Identifier: MIT */
/*
 * The arena layer, for the layers above: runs of units from one global, lock-protected list of
 * arenas, fullest first, and spans for large blocks. Any thread. No function here makes a system
 * call under the arena lock.
 */
#ifndef PM_ARENA_ARENA_H
#define PM_ARENA_ARENA_H

#include "arena/window.h"
#include "base/atomic.h"
#include "base/config.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pm_page_hooks;
struct pm_arena_allocator;

/* Makes the first window. Once, before anything else here. False: no address space. */
bool pm_arena_init(void);

/* A run of units in one arena. Bit i of `dirty`: unit i may hold old contents; else it reads as
 * zero. */
struct pm_run {
    char *base;
    unsigned units;
    uint64_t dirty;
};

/* Some units of one aligned group, so that a line of routes has one owner as far as possible. */
struct pm_group {
    char *base;    /* of the whole group */
    uint8_t units; /* a bit for each unit that is the holder's */
    uint8_t dirty;
};

/* False: out of memory. Else pm_arena_settle is to be called when the units have their routes. */
bool pm_arena_take_run(unsigned units, struct pm_run *run);
bool pm_arena_take_group(struct pm_group *group);
/* Purges what takes of others made too much (see bound.c): last, as a fork meanwhile loses units
 * that nobody has yet. */
extern _Atomic bool pm_peak_is_passed PM_HIDDEN;
void pm_purge_at_peak(void);
PM_INLINE void pm_arena_settle(void)
{
    if (pm_unlikely(pm_load_relaxed(&pm_peak_is_passed)))
        pm_purge_at_peak();
}

/* Units come back. Their routes are void. */
void pm_arena_give_run(const struct pm_run *run);
void pm_arena_give_group(const struct pm_group *group);
/* Several at once: one visit to the list for all of them. */
void pm_arena_give_runs(const struct pm_run *runs, unsigned count);

/* A large block; `align` is a power of two. *zero says before whether it is to read as zero, if
 * there is such memory, and afterwards whether it does. NULL: out of memory. */
void *pm_span_alloc(size_t bytes, size_t align, bool *zero);
/* The same for one that is likely to grow soon, with room behind it if there is any. */
void *pm_span_alloc_roomy(size_t bytes);
/* Bytes that a large block for so many holds; 0: there is none so large. */
size_t pm_span_good_bytes(size_t bytes);
/* ptr's unit has a span's route; anything but the start of a live span is a named error. */
void pm_span_free(struct pm_window *w, void *ptr, const char *function);
/* The same in two steps, for who may keep the block: now nobody has it, but its units stay taken.
 * The units that it might use, if it can wait, holding pm_span_kept_units; else 0. */
size_t pm_span_retire(struct pm_window *w, void *ptr, const char *function);
/* Then they go to the arenas; `unused`: it has waited so long that they are to go to the system. */
void pm_span_give(struct pm_window *w, void *ptr, bool unused);
/* Or it is a large block again. */
void pm_span_revive(struct pm_window *w, void *ptr);
static inline size_t pm_span_kept_units(size_t units)
{
    return units < PM_ARENA_UNITS ? units : pm_align_up(units, PM_ARENA_UNITS);
}
/* What large blocks wait in heaps is leased: as much as the bound would let lie dirty in arenas.
 * Changes a lease of some units to one of others, 0 for none. False: it is as it was. */
bool pm_purge_lease(size_t from_units, size_t to_units);
/* In the child of a fork: there are leases of so many units. Takes no lock. */
void pm_purge_set_leases_in_child(size_t units);
extern _Atomic size_t pm_purge_leased_units PM_HIDDEN; /* all of them; relaxed, a hint */
size_t pm_span_usable(struct pm_window *w, const void *ptr, const char *function);
/* ptr lies in a unit whose route is void: the report says whether a large block covers it. */
_Noreturn void pm_span_fatal_void(struct pm_window *w, const void *ptr, const char *function);
/* The start of the live span that covers a unit whose route is void, or NULL. */
void *pm_span_covering(struct pm_window *w, size_t unit);
/* Changes the size in place; false: it cannot. */
bool pm_span_resize(struct pm_window *w, void *ptr, size_t bytes, const char *function);

/* A link in the descriptor of a live large block, for who made it; the unit is its first. And back.
 */
struct pm_link *pm_span_link(struct pm_window *w, size_t unit);
void *pm_span_of_link(const struct pm_link *link);

/* Spans never write two bytes of a unit's line, which start here. So walks may read there what they
 * took for the descriptor of a pool, although the pool is gone and the unit a span by now. */
#define PM_LINE_NOT_OF_SPANS 22

/* What who made a live large block wants to know of it, in the descriptor. */
struct pm_span_note {
    size_t offset, bytes;
    uint32_t marks;
};
struct pm_span_note *pm_span_note(struct pm_window *w, size_t unit);
/* The memory of the window is the system's, and private: not of the program's hooks. */
bool pm_arena_is_systems(const struct pm_window *w);

/* Moves the contents of a large block to a new one of `bytes` by the page tables, and frees the old
 * one. NULL: the system cannot, or out of memory; nothing happened. */
void *pm_span_move(struct pm_window *w, void *ptr, size_t bytes, const char *function);

/* Gives all free dirty memory back to the system. True: there was some. */
bool pm_arena_purge_all(void);

/* Who takes a slow path calls this now and then: free memory that was not touched for some time is
 * given back. */
#define PM_PURGE_NEVER UINT64_MAX
extern _Atomic uint64_t pm_purge_deadline_ns PM_HIDDEN;
void pm_purge_due(uint64_t now_ns);
uint64_t pm_purge_delay_ns(void);
/* After the option purge_delay_ms was changed: the deadline is another. */
void pm_purge_delay_changed(void);
PM_INLINE void pm_arena_tick(uint64_t now_ns)
{
    if (pm_unlikely(now_ns >= pm_load_relaxed(&pm_purge_deadline_ns)))
        pm_purge_due(now_ns);
}

/* Called, without a lock, before a new arena is mapped: gives back what the layers above keep, if
 * that is much; and `all` of it when there is no memory else. True: there was something. */
void pm_arena_set_reclaim(bool (*reclaim)(bool all));

/* Who reserves and commits new arenas (poolmalloc/hooks.h); NULL: the system. False: too many
 * different ones. */
bool pm_arena_set_page_hooks(const struct pm_page_hooks *hooks);

/* Who gives memory for new arenas; that of the system, or alike: windows. */
void pm_arena_set_allocator(const struct pm_arena_allocator *by);
void pm_arena_get_allocator(struct pm_arena_allocator *by);

/* Calls back for each unit that heads a pool or a large block, with its route; windows oldest
 * first. No lock is held, and nobody is stopped: what is made or given back meanwhile may be seen
 * or missed. The tables of the unit can be read, whatever became of it. */
void pm_arena_walk(void (*visit)(struct pm_window *w, size_t unit, uint64_t route, void *arg),
                   void *arg);

/* Between these two no unit of an arena is handed out, comes back or is decommitted: whatever has a
 * route that is not void can be read. The arena lock: for few steps, and nothing else is taken. */
void pm_arena_freeze(void);
void pm_arena_thaw(void);

/* Between these two no arena is decommitted: what was in use after the first call, as a route
 * shows, can be read until the second, whatever became of it. For a short time. */
void pm_arena_hold_committed(void);
void pm_arena_let_decommit(void);

/* Bytes that the large block with that head unit holds; 0: there is none now. Takes the arena lock.
 */
size_t pm_span_bytes_now(struct pm_window *w, size_t unit);

/* Whether the address, any at all, lies in a pool or a large block. Takes the arena lock where the
 * route does not say. */
bool pm_arena_owns(const void *ptr);

struct pm_arena_stats {
    uint64_t bytes_reserved; /* address space of all windows */
    uint64_t arenas;         /* added and not given back to a hook, all sizes PM_ARENA_BYTES */
    uint64_t arenas_in_use;  /* not wholly free */
    uint64_t no_huge_arenas; /* in which the system was told to make no huge pages */
    uint64_t free_units, dirty_units;
    uint64_t purging_units;   /* on their way to the system or back: neither free nor anybody's */
    uint64_t spans;           /* live large blocks, by the routes */
    uint64_t span_units;      /* in live large blocks */
    uint64_t span_held_units; /* the same with the rest of the last arena of each */
    uint64_t decommitted_arenas;
    uint64_t purged_arenas;
    uint64_t purged_units;
    uint64_t purges;
    uint64_t pool_units;     /* cut into pools, by the routes */
    uint64_t floating_units; /* of these: without an owner */
    uint64_t lock_acquisitions, lock_contended;
};
void pm_arena_stats(struct pm_arena_stats *stats);
/* Whether the calling thread has the arena lock: in a signal handler, which then must not ask for
 * statistics of this layer, nor walk. */
bool pm_arena_is_held(void);

/* Prints the first violation and returns false. Takes the arena lock. */
bool pm_arena_check(void);

/* In the child of a fork, when another thread that is gone now held the arena lock: makes the lists
 * anew from the arenas' bits. */
void pm_arena_rebuild_in_child(void);
/* Then: blocks that wait are counted, too, which no route shows. */
void pm_span_count_waiting(size_t units, size_t held_units);

#endif
