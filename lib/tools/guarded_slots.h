/* SPDX-License-Identifier: MIT */
/*
 * What the files about guarded blocks share: the slots, and what is known of them. guarded.h has
 * the states. Who finds a slot by an address may meet any of them, as others are at work: it reads
 * the block between two looks at the state, or takes the slot away from all others.
 */
#ifndef PM_TOOLS_GUARDED_SLOTS_H
#define PM_TOOLS_GUARDED_SLOTS_H

#include "base/atomic.h"
#include "tools/guarded.h"

#define PM_GUARDED_FRAMES 32

/* So many bytes on either side of a block, as far as its pages go, have this value as long as
 * nothing writes there. */
#define PM_GUARDED_RIM ((size_t)64)
#define PM_GUARDED_RIM_VALUE 0xB7

enum pm_guarded_state { PM_GUARDED_FREE, PM_GUARDED_BUSY, PM_GUARDED_LIVE, PM_GUARDED_LOST };
#define PM_GUARDED_STATE_BITS 2
#define PM_GUARDED_STATE_MASK (((uint64_t)1 << PM_GUARDED_STATE_BITS) - 1)

/* A call: who, and from where. */
struct pm_guarded_call {
    uint32_t thread, count; /* count: of frames */
    uintptr_t frames[PM_GUARDED_FRAMES];
};

/* Read and written by who has the slot BUSY; the first two are read by anybody. */
struct pm_guarded_slot {
    /* Release and acquire: who reads what a later user of the slot wrote sees its state, too. */
    _Atomic uintptr_t block; /* 0: there was none */
    _Atomic size_t bytes;
    uintptr_t touchable; /* its pages that can be touched while it is LIVE */
    size_t touchable_bytes;
    struct pm_guarded_call made, freed;
};

/* The state of a slot, and above it the how-manieth free its last one was. */
struct pm_guarded_word {
    _Atomic uint64_t word;
};

struct pm_guarded_table {
    struct pm_guarded_word *states; /* a row, as all are looked at for one that is FREE */
    struct pm_guarded_slot *slots;
    size_t count; /* of slots */
    size_t page_bytes;
    uint32_t one_in;
    _Atomic uint64_t live;  /* blocks, and those in the making; a bound, relaxed */
    _Atomic uint64_t frees; /* so far, relaxed: nothing is ordered by it */
};
/* Written by pm_guarded_start, but for the counters, which are anybody's. */
extern struct pm_guarded_table pm_guarded_table PM_HIDDEN;

PM_INLINE enum pm_guarded_state pm_guarded_state_of(uint64_t word)
{
    return (enum pm_guarded_state)(word & PM_GUARDED_STATE_MASK);
}

PM_INLINE size_t pm_guarded_slot_bytes(void)
{
    return PM_GUARDED_PAGES * pm_guarded_table.page_bytes;
}

PM_INLINE uintptr_t pm_guarded_slot_start(size_t slot)
{
    size_t page = pm_guarded_table.page_bytes;
    return pm_guarded_range.start + page + slot * (pm_guarded_slot_bytes() + page);
}

/* The slot that the address lies in, or whose guard before or behind it does: the one whose block
 * is nearer. The address is in the range. */
size_t pm_guarded_slot_at(uintptr_t address) PM_HIDDEN;

/* A block as it was at one moment. */
struct pm_guarded_block {
    enum pm_guarded_state state; /* BUSY: nothing is known of the rest */
    uintptr_t start;             /* 0: there was none yet */
    size_t bytes;
};
struct pm_guarded_block pm_guarded_look(size_t slot) PM_HIDDEN;

/* The slot's word once nobody has it BUSY; still BUSY: whoever has did not come to an end for a
 * while, or was interrupted by the caller. Acquire. */
uint64_t pm_guarded_settled(size_t slot) PM_HIDDEN;
/* Makes a slot of that word BUSY, so that what is known of it stays as it is. */
bool pm_guarded_to_busy(size_t slot, uint64_t word) PM_HIDDEN;
/* By the thread that made it busy. */
void pm_guarded_busy_to(size_t slot, uint64_t word) PM_HIDDEN;

/* Notes who calls now. */
void pm_guarded_note(struct pm_guarded_call *call) PM_HIDDEN;

/* Installs the handler of SIGSEGV and SIGBUS. */
void pm_guarded_catch_faults(void) PM_HIDDEN;

#endif
