/* SPDX-License-Identifier: MIT */
/*
 * Sampled guarded blocks: one allocation in so many gets pages of its own between pages that
 * nobody may touch, so that an access behind it, before it or after its free traps at that very
 * instruction. The idea, and much of what the report says, is GWP-ASan's (llvm.org, GwpAsan.rst).
 * docs/guarded.md tells how to read a report, docs/decisions/018-guarded-blocks.md why it is so.
 *
 *     | guard |   slot 0    | guard |   slot 1    | guard | ...
 *               [block      ]         [      block]
 *
 * A block lies at random at the left or the right end of its slot, as near to the end as its
 * alignment allows. What is freed becomes untouchable, and is used again last of all.
 *
 * A slot is of PM_GUARDED_PAGES pages, of which only those that its block needs can be touched.
 * There are twice as many slots as blocks may be live: of those freed last so many are watched at
 * least. What is known of a slot lies elsewhere, in a table. No locks: a fork, or a thread that
 * stops within, costs a slot at most.
 *
 *   state of a slot   its pages     leaves by
 *   FREE              untouchable   FREE -> BUSY  pm_guarded_make, the one that was freed first
 *   BUSY              either        BUSY -> LIVE, BUSY -> FREE, BUSY -> LOST: the thread that made
 *                                   it busy, and never else; so a report keeps a slot as it is
 *   LIVE              its block's   LIVE -> BUSY  pm_guarded_give_back; a report, which puts it
 * back LOST              either        a report only: the system refused to make it untouchable
 *
 * Guarded blocks lie in no window: they are in no statistics of arenas, and under no limit of
 * them. The heap layer knows them as guests (heap/guests.h), so that every function of the
 * allocator takes them, whoever watches the calling thread.
 */
#ifndef PM_TOOLS_GUARDED_H
#define PM_TOOLS_GUARDED_H

#include "heap/watch.h"

#define PM_GUARDED_PAGES 2

/* Where all slots and guards are. Written by pm_guarded_start, constant since then. */
struct pm_guarded_range {
    uintptr_t start;
    size_t bytes; /* 0: not started */
};
extern struct pm_guarded_range pm_guarded_range PM_HIDDEN;

/* From now on one call of pm_guarded_make in so many (0: none) is chosen, by each thread for
 * itself; so many blocks at a time as the option guarded_slots says. Reserves memory, and installs
 * a handler for SIGSEGV and SIGBUS, which asks the one that was there for all that it does not
 * know. Once, before a second thread allocates; allocates nothing, takes no lock, leaves errno
 * alone; also under the lock of start-up. False: not started, and said in one line if that was for
 * want of memory. */
bool pm_guarded_start(unsigned one_in);

/* A guarded block for the request, or NULL: not chosen, too large, aligned to more than a page, a
 * user heap's, or no slot is free; then whoever asks serves it as always. The usual case is a
 * counter of the thread. Any thread; errno stays. */
void *pm_guarded_make(const struct pm_request *request);

/* Whether the address lies in a slot, or in a guard beside one, whatever is there now: of any
 * pointer. */
PM_INLINE bool pm_guarded_owns(const void *ptr)
{
    return (uintptr_t)pm_untagged(ptr) - pm_guarded_range.start < pm_guarded_range.bytes;
}

/* These two take what pm_guarded_owns is true of. What is no live block is a named error, with the
 * stacks of those who made and freed it, and SIGABRT; so is, at the free, what something wrote
 * beside the block, and a size or alignment told that it does not have. Any thread; errno stays. */
void pm_guarded_give_back(void *ptr, const struct pm_return *how);
/* Bytes that were asked for. */
size_t pm_guarded_usable(const void *ptr, const char *function);

#endif
