/* SPDX-License-Identifier: MIT */
/*
 * A span is the run of units of one large block: some units of one arena, or whole arenas in a row.
 * Its descriptor is the line of its head unit; it belongs to whoever holds the block. The head
 * unit's route says so; the routes of its other units are void. `units` changes under the arena
 * lock only, so that others can look how far a span reaches (walk.c).
 */
#ifndef PM_ARENA_SPAN_H
#define PM_ARENA_SPAN_H

#include "arena/internal.h"

struct pm_span {
    size_t units;        /* that the block may use */
    size_t peak_units;   /* the most it ever might: these are dirty when it is freed */
    uint32_t arenas;     /* 0: in one arena; else whole arenas, of which `units` may be a part */
    uint16_t was_clean;  /* nothing was dirty when it was made */
    uint16_t not_ours;   /* never written: see PM_LINE_NOT_OF_SPANS */
    struct pm_link link; /* this and the next: for who made it */
    struct pm_span_note note;
};

_Static_assert(offsetof(struct pm_span, not_ours) == PM_LINE_NOT_OF_SPANS, "walks may read there");

_Static_assert(sizeof(struct pm_span) <= PM_LINE_BYTES, "a span's descriptor is one line");

/* The units that the span holds: whole arenas, or what it may use. */
static inline size_t pm_span_held_units(const struct pm_span *span)
{
    return span->arenas ? (size_t)span->arenas * PM_ARENA_UNITS : span->units;
}

static inline struct pm_span *pm_span_at(struct pm_window *w, size_t unit)
{
    return pm_window_line(w, unit);
}

/* The unit at whose start ptr lies; an interior pointer is a named error. */
size_t pm_span_unit(struct pm_window *w, const void *ptr, const char *function);

#endif
