/* SPDX-License-Identifier: MIT */
/* See trace_room.h. Any thread, but for what says something else. */
#include "tools/trace_room.h"

#include "os/os.h"

/* Of all rooms. Relaxed: a figure. */
static _Atomic uint64_t committed_bytes;

static size_t steps_of(const struct pm_room *room)
{
    return room->bytes >> PM_ROOM_STEP_SHIFT;
}

bool pm_room_make(struct pm_room *room, size_t bytes)
{
    size_t page = pm_os_page_bytes(), whole = pm_align_up(bytes, PM_ROOM_STEP_BYTES);
    size_t notes = pm_align_up(whole >> PM_ROOM_STEP_SHIFT, page);
    char *start = pm_os_reserve(whole + notes, page);
    if (start == NULL)
        return false;
    if (!pm_os_commit(start + whole, notes)) {
        pm_os_release(start, whole + notes);
        return false;
    }
    pm_os_describe(start, whole + notes, PM_OS_TABLES);
    *room = (struct pm_room){start, whole, (_Atomic uint8_t *)(start + whole)};
    pm_count_shared(&committed_bytes, notes);
    return true;
}

static bool commit_step(const struct pm_room *room, size_t step)
{
    if (!pm_os_commit(room->start + (step << PM_ROOM_STEP_SHIFT), PM_ROOM_STEP_BYTES))
        return false;
    /* Acquire-release: see pm_room_has; and of two, one counts it. */
    if (pm_exchange_acq_rel(&room->committed[step], 1) == 0)
        pm_count_shared(&committed_bytes, PM_ROOM_STEP_BYTES);
    return true;
}

PM_COLD bool pm_room_commit(const struct pm_room *room, size_t first, size_t last)
{
    for (size_t step = first; step <= last; step++) {
        if (step >= steps_of(room))
            return false;
        if (!pm_room_has(room, step << PM_ROOM_STEP_SHIFT) && !commit_step(room, step))
            return false;
    }
    return true;
}

/* It stays committed, so that who is late does not trap; but it counts no more until it is used. */
void pm_room_purge(const struct pm_room *room)
{
    for (size_t step = 0; step < steps_of(room); step++) {
        char *start = room->start + (step << PM_ROOM_STEP_SHIFT);
        if (!pm_room_has(room, step << PM_ROOM_STEP_SHIFT))
            continue;
        pm_os_purge(start, PM_ROOM_STEP_BYTES); /* refused: old traces, which nobody takes as new */
        if (pm_exchange_acq_rel(&room->committed[step], 0) != 0)
            pm_count_shared(&committed_bytes, -(uint64_t)PM_ROOM_STEP_BYTES);
    }
}

size_t pm_room_bytes(void)
{
    return pm_load_relaxed(&committed_bytes);
}
