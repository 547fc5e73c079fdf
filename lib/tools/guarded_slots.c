/* SPDX-License-Identifier: MIT */
/* See guarded_slots.h: which slot, and what is there. Any thread; also in signal handlers. */
#include "tools/guarded_slots.h"

#include <sched.h>

#define TABLE pm_guarded_table

enum { BUSY_TRIES = 10000 };

struct pm_guarded_block pm_guarded_look(size_t slot)
{
    struct pm_guarded_slot *at = &TABLE.slots[slot];
    for (;;) {
        /* Acquire pairs with pm_guarded_busy_to. A block that was written since, which is read by
         * an acquire, too, brings the word that says so. */
        uint64_t word = pm_load_acquire(&TABLE.states[slot].word);
        struct pm_guarded_block block = {pm_guarded_state_of(word), pm_load_acquire(&at->block),
                                         pm_load_acquire(&at->bytes)};
        if (block.state == PM_GUARDED_BUSY || pm_load_relaxed(&TABLE.states[slot].word) == word)
            return block;
    }
}

/* How far from the slot's block. */
static uintptr_t distance(size_t slot, uintptr_t address)
{
    struct pm_guarded_block block = pm_guarded_look(slot);
    if (block.start == 0)
        return UINTPTR_MAX;
    if (address < block.start)
        return block.start - address;
    return address - block.start < block.bytes ? 0 : address - block.start - block.bytes + 1;
}

size_t pm_guarded_slot_at(uintptr_t address)
{
    size_t page = TABLE.page_bytes, step = pm_guarded_slot_bytes() + page;
    if (address < pm_guarded_slot_start(0))
        return 0;
    size_t offset = address - pm_guarded_slot_start(0), slot = offset / step;
    bool in_guard = offset % step >= pm_guarded_slot_bytes();
    if (in_guard && slot + 1 < TABLE.count && distance(slot + 1, address) < distance(slot, address))
        slot++;
    return slot;
}

uint64_t pm_guarded_settled(size_t slot)
{
    for (unsigned i = 0;; i++) {
        /* Acquire pairs with pm_guarded_busy_to: what is known of the slot. */
        uint64_t word = pm_load_acquire(&TABLE.states[slot].word);
        if (pm_guarded_state_of(word) != PM_GUARDED_BUSY || i == BUSY_TRIES)
            return word;
        sched_yield();
    }
}

bool pm_guarded_to_busy(size_t slot, uint64_t word)
{
    /* Acquire: what whoever had it noted of it. Release: the block's last uses come before. */
    return pm_guarded_state_of(word) != PM_GUARDED_BUSY &&
           pm_cas_acq_rel(&TABLE.states[slot].word, &word,
                          (word & ~PM_GUARDED_STATE_MASK) | PM_GUARDED_BUSY);
}

void pm_guarded_busy_to(size_t slot, uint64_t word)
{
    pm_store_release(&TABLE.states[slot].word, word); /* what is known of the slot */
}
