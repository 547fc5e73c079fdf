/* SPDX-License-Identifier: MIT */
/*
 * Guests: blocks in no window of ours, which a service of the tools layer made and knows. The heap
 * layer asks for them where a pointer lies in no window, before it is called foreign; so every
 * function of the allocator takes them, in every thread, watched or not, and what is off costs
 * nothing: whoever comes there would be a fatal error otherwise.
 */
#ifndef PM_HEAP_GUESTS_H
#define PM_HEAP_GUESTS_H

#include "base/atomic.h"
#include "base/bits.h"

struct pm_guests_count {
    uint64_t frees;         /* so far */
    uint64_t blocks, bytes; /* live */
};

/* The functions may be called by any thread, in any state, also within the allocator; they wait for
 * nobody. Pointers come without tags. */
struct pm_guests {
    /* Of any address: whether it lies where the service has its blocks. */
    bool (*own)(const void *ptr);
    /* Of those: whether it lies in a live block. */
    bool (*in_block)(const void *ptr);
    /* What is no live block is a named error. */
    void (*give_back)(void *ptr, const char *function);
    size_t (*usable)(const void *ptr, const char *function);
    /* Calls visit for each live block, until it returns false; the result is visit's last. */
    bool (*walk)(bool (*visit)(void *block, size_t bytes, void *arg), void *arg);
    /* Exact at rest; never more frees than there were when it began. */
    void (*count)(struct pm_guests_count *count);
};

/* Written by pm_guests_set: release. Readers: acquire. */
extern const struct pm_guests *_Atomic pm_guests_now PM_HIDDEN;

/* From now on, for ever; before the first guest is made. The table is constant. */
void pm_guests_set(const struct pm_guests *guests);

/* Whose guest is, or was, or could be at this address; NULL: nobody's. */
PM_INLINE const struct pm_guests *pm_guests_at(const void *ptr)
{
    /* Acquire pairs with the release in pm_guests_set. */
    const struct pm_guests *guests = pm_load_acquire(&pm_guests_now);
    return guests != NULL && guests->own(pm_untagged(ptr)) ? guests : NULL;
}

#endif
