/* SPDX-License-Identifier: MIT */
/* What the files of the profiler share. See profile_table.h for who may call. */
#ifndef PM_TOOLS_PROFILE_INTERNAL_H
#define PM_TOOLS_PROFILE_INTERNAL_H

#include "tools/profile_table.h"

/* ---- memory that grows: profile_table.c ---- */

struct pm_profile_room {
    char *_Atomic start; /* NULL: not yet; released when the rest is set */
    _Atomic size_t item_bytes, items;
    _Atomic size_t used;            /* items that were handed out */
    _Atomic size_t committed_bytes; /* released once they are */
};
/* False: out of memory. */
bool pm_profile_room_init(struct pm_profile_room *room, size_t item_bytes, size_t items);
/* So many items in a row, zero. */
bool pm_profile_room_take(struct pm_profile_room *room, size_t count, size_t *first);

static inline _Atomic uint64_t *pm_profile_word(uint64_t *field)
{
    return (_Atomic uint64_t *)(void *)field;
}

/* Four steps to a doubling: within one the scale (pm_profile_scale) differs by a tenth. */
static inline unsigned pm_profile_step_of(size_t bytes)
{
    unsigned top = 63 - (unsigned)__builtin_clzll((uint64_t)bytes | 1);
    return top * 4 + (top < 2 ? 0 : bytes >> (top - 2) & 3);
}

/* Changes the figures of a row, and of its copy in the page. */
void pm_profile_count(uint32_t number, const struct pm_profile_change *change);

/* ---- live blocks: profile_live.c ---- */

bool pm_profile_live_init(void);
bool pm_profile_live_is_there(void);

/* ---- stacks: profile_take.c ---- */

/* The row of the caller's stack, as pm_profile_row_for. */
uint32_t pm_profile_row_here(size_t bytes, uint64_t mean);

/* ---- the page: profile_page.c ---- */

/* Makes the page of this process, with what the table has. In a child of fork: anew. */
void pm_profile_page_start(void);
void pm_profile_page_set_mean(uint64_t mean);
void pm_profile_page_count_dropped(void);
/* A row that is about to be published; its figures are 0. */
void pm_profile_page_add_row(uint32_t number, const struct pm_profile_row *row);
void pm_profile_page_change(uint32_t number, const struct pm_profile_change *change);

#endif
