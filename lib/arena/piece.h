/* SPDX-License-Identifier: MIT */
/*
 * Pieces: memory for arenas that a function of the program gave (poolmalloc/hooks.h). Each is a
 * window of its own, whose tables lie elsewhere, in memory of ours. When all its arenas are free it
 * can go back to the program; its tables stay, so that who looks a pointer up meanwhile reads that
 * nothing is there, and serve a later piece.
 *
 *   state     place            arenas added   moves to
 *   new       0                none           live: pm_piece_make, then pm_piece_publish
 *   live      address, arenas  all            retired: pm_piece_take_empty, all its units are free
 *   retired   0                none           live, if its tables are large enough
 *
 * Of the memory of a piece nothing is ever known to be zero, and the system is told nothing of it:
 * it is not purged, not decommitted, not moved, and gets no advice. Its arenas are `foreign`.
 */
#ifndef PM_ARENA_PIECE_H
#define PM_ARENA_PIECE_H

#include "arena/internal.h"
#include "poolmalloc/hooks.h"

static inline bool pm_window_is_piece(const struct pm_window *w)
{
    return w->number >= PM_WINDOWS_MAX;
}

/* Who gives memory for arenas from now on. Under the grow and the arena lock. */
void pm_piece_set_source(const struct pm_arena_allocator *by);
/* Whether new arenas come from a function of the program. Under the grow or the arena lock. */
bool pm_piece_wanted(void);

/* Under the grow lock: how many arenas are asked for, when `least` are needed. */
size_t pm_piece_arenas(size_t least);
/* Under the grow lock: a window of so many arenas, not yet published; NULL: the program refuses, or
 * there are too many pieces. */
struct pm_window *pm_piece_make(size_t arenas);
/* Under the arena lock: its addresses are found from now on. */
void pm_piece_publish(struct pm_window *w);

/* What a retired piece was made of. */
struct pm_piece_memory {
    struct pm_arena_allocator by;
    void *start;
    size_t bytes; /* 0: there is none */
};
/* Under the arena lock: retires the piece if it is wholly free and more is than shall be kept, or
 * `any` is. What is left to do: pm_piece_give_back, without the lock. */
struct pm_piece_memory pm_piece_take_empty(struct pm_window *w, bool any);
void pm_piece_return(const struct pm_piece_memory *memory);
PM_INLINE void pm_piece_give_back(const struct pm_piece_memory *memory)
{
    if (pm_unlikely(memory->bytes != 0))
        pm_piece_return(memory);
}
/* All that are wholly free, or the first only. False: there is none. */
bool pm_piece_give_back_empties(bool all);

/* For window.c: how many there ever were, and the one that holds the address. */
uint32_t pm_piece_count(void);
struct pm_window *pm_piece_find(const void *ptr, size_t *unit);

#endif
