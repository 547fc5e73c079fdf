/* SPDX-License-Identifier: MIT */
/* See trace_slots.h. */
#include "tools/trace_slots.h"

#define SLOT_BYTES sizeof(uint64_t)

struct pm_room pm_trace_slots_room;
bool pm_trace_slots_interior;

bool pm_trace_slots_start(void)
{
    size_t bytes = pm_load_relaxed(&pm_window.units) << PM_UNIT_SHIFT;
    if (pm_trace_slots_room.start != NULL)
        return true;
    /* One more: the word behind the last is a second one, too. */
    return bytes != 0 && pm_room_make(&pm_trace_slots_room,
                                      (bytes >> PM_GRANULE_SHIFT) * SLOT_BYTES + SLOT_BYTES);
}

void pm_trace_slots_purge(void)
{
    if (pm_trace_slots_room.start != NULL)
        pm_room_purge(&pm_trace_slots_room);
}

/* A word that changed meanwhile is somebody else's who is at work just now, and is looked at once
 * more. */
static void visit_slot(_Atomic uint64_t *slot, unsigned epoch,
                       void (*visit)(const struct pm_traced *traced, void *arg), void *arg)
{
    struct pm_traced traced;
    uint64_t word, again = pm_load_acquire(slot); /* pairs with pm_trace_slot_put */
    do {
        word = again;
        if ((word & PM_SLOT_LIVE) == 0 || !pm_trace_slot_is_of(word, epoch))
            return;
        traced = pm_trace_slot_read(slot, word);
        again = pm_load_acquire(slot);
    } while (again != word);
    visit(&traced, arg);
}

void pm_trace_slots_each(unsigned epoch, void (*visit)(const struct pm_traced *traced, void *arg),
                         void *arg)
{
    for (size_t at = 0; pm_trace_slots_room.start != NULL && at < pm_trace_slots_room.bytes;
         at += PM_ROOM_STEP_BYTES) {
        if (!pm_room_has(&pm_trace_slots_room, at))
            continue;
        _Atomic uint64_t *slot = (_Atomic uint64_t *)(void *)(pm_trace_slots_room.start + at);
        for (size_t i = 0; i < PM_ROOM_STEP_BYTES / SLOT_BYTES; i++)
            visit_slot(slot + i, epoch, visit, arg);
    }
}
