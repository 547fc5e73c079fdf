/* SPDX-License-Identifier: MIT */
/* See trace_slots.h. */
#include "tools/trace_slots.h"

#define SLOT_BYTES sizeof(uint64_t)

struct pm_room pm_trace_slots_room;
bool pm_trace_slots_interior;

/* ---- stretches of other memory ---- */

enum { STRETCH_SHIFT = 24, STRETCHES_SHIFT = 11, TRIES = 32 };
#define STRETCHES ((size_t)1 << STRETCHES_SHIFT)
/* One more: the word behind the last is a second one, too. */
#define WORDS_OF(bytes) (((size_t)(bytes) >> PM_GRANULE_SHIFT) + 1)
#define STRETCH_WORDS WORDS_OF(1 << STRETCH_SHIFT)

/* Open addressing: which stretch has the words of that place, its number and 1; from 0 to that
 * once. Relaxed: who traced a block there saw it, and so does whoever has the block after that. */
static _Atomic uint64_t stretches[STRETCHES];
static size_t places;    /* of which there are words; constant, as is the next */
static size_t far_first; /* number of the first word */

/* The place of the stretch, or `places`. */
static size_t place_of(uint64_t stretch, bool make)
{
    uint64_t hash = stretch * 0x9e3779b97f4a7c15u >> (64 - STRETCHES_SHIFT);
    for (size_t i = 0; i < TRIES && i < places; i++) {
        size_t place = (hash + i) & (places - 1);
        uint64_t found = pm_load_relaxed(&stretches[place]);
        if (found == 0 && (!make || pm_cas_acquire(&stretches[place], &found, stretch + 1)))
            return make ? place : places;
        if (found == stretch + 1)
            return place;
    }
    return places;
}

PM_NOINLINE _Atomic uint64_t *pm_trace_slot_far(const void *ptr, bool make)
{
    uintptr_t address = (uintptr_t)ptr;
    size_t place = place_of(address >> STRETCH_SHIFT, make);
    if (place == places)
        return NULL;
    size_t granule = (address & (((uintptr_t)1 << STRETCH_SHIFT) - 1)) >> PM_GRANULE_SHIFT;
    return pm_trace_slot_at(far_first + place * STRETCH_WORDS + granule);
}

/* ---- all ---- */

/* Fewer stretches where address space is limited. */
static bool make_room(size_t words)
{
    size_t wanted = STRETCHES;
    while (!pm_room_make(&pm_trace_slots_room, (words + wanted * STRETCH_WORDS) * SLOT_BYTES)) {
        if (wanted == 0)
            return false;
        wanted = wanted > 1 ? wanted / 2 : 0;
    }
    far_first = words;
    places = wanted;
    return true;
}

bool pm_trace_slots_start(void)
{
    size_t bytes = pm_load_relaxed(&pm_window.units) << PM_UNIT_SHIFT;
    if (pm_trace_slots_room.start != NULL)
        return true;
    return bytes != 0 && make_room(WORDS_OF(bytes));
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
