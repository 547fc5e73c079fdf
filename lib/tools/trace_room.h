/* SPDX-License-Identifier: MIT */
/*
 * Memory of the tracing's own: rooms, which are reserved at once and committed in steps, by whoever
 * touches a step first. No lock: two threads that commit the same step do the same.
 */
#ifndef PM_TOOLS_TRACE_ROOM_H
#define PM_TOOLS_TRACE_ROOM_H

#include "base/atomic.h"
#include "base/bits.h"

#define PM_ROOM_STEP_SHIFT 18
#define PM_ROOM_STEP_BYTES ((size_t)1 << PM_ROOM_STEP_SHIFT)

struct pm_room {
    char *start; /* what follows is constant once the room is made */
    size_t bytes;
    _Atomic uint8_t *committed; /* a byte for each step */
};

/* Reserves; at least a step. False: out of address space. */
bool pm_room_make(struct pm_room *room, size_t bytes);
/* The slow part of the next. */
bool pm_room_commit(const struct pm_room *room, size_t first, size_t last);
/* Gives back all pages: they read as zero. By one thread; what others write meanwhile may stay. */
void pm_room_purge(const struct pm_room *room);
/* Of all rooms, committed. */
size_t pm_room_bytes(void);

/* Acquire pairs with the release in pm_room_commit: the memory can be used. */
PM_INLINE bool pm_room_has(const struct pm_room *room, size_t offset)
{
    return pm_load_acquire(&room->committed[offset >> PM_ROOM_STEP_SHIFT]) != 0;
}

/* Can be used, from offset on. False: out of memory. */
PM_INLINE bool pm_room_need(const struct pm_room *room, size_t offset, size_t bytes)
{
    size_t first = offset >> PM_ROOM_STEP_SHIFT, last = (offset + bytes - 1) >> PM_ROOM_STEP_SHIFT;
    if (pm_likely(first == last && pm_room_has(room, offset)))
        return true;
    return pm_room_commit(room, first, last);
}

#endif
