/* SPDX-License-Identifier: MIT */
/*
 * Where the traces are. Of blocks in the first window: in a table beside it, with a word for each
 * granule, found by arithmetic. The word of a block is written by whoever makes or frees it, so
 * that no lock and no read-modify-write is needed. A pool's blocks have the first words of its
 * units, one behind the other: a processor's cache holds eight in a line. Of what is too large for
 * pools, or does not start where a block of the pool does (the data of the debug hooks), the
 * granule numbers the word; what is too large for a word has its size in the next.
 *
 *   word of a traced block   | live 1 | epoch 12 | domain 3 | stack 28 | bytes 20 |
 *
 * Behind them are words for the granules of some stretches of other memory, which get them when the
 * first block of a stretch is traced: the C library's in mode `malloc`, windows that were added.
 *
 * Others are in a table of their own (trace_others.h). Any thread; of one block one thread at a
 * time, as with the block.
 */
#ifndef PM_TOOLS_TRACE_SLOTS_H
#define PM_TOOLS_TRACE_SLOTS_H

#include "pool/pool.h"
#include "tools/trace_stacks.h"

/* A trace; `stack` 0: there is none. */
struct pm_traced {
    uint64_t bytes;
    uint32_t stack, domain;
};

#define PM_TRACE_EPOCHS 4096 /* 0 is none */

#define PM_SLOT_BYTES_BITS 20
#define PM_SLOT_DOMAIN_SHIFT (PM_SLOT_BYTES_BITS + PM_STACK_NUMBER_BITS)
#define PM_SLOT_EPOCH_SHIFT (PM_SLOT_DOMAIN_SHIFT + 3)
#define PM_SLOT_LIVE ((uint64_t)1 << 63)
#define PM_SLOT_LARGE                                                                              \
    (((uint64_t)1 << PM_SLOT_BYTES_BITS) - 1) /* the bytes are in the next word                    \
                                               */
_Static_assert(PM_SLOT_EPOCH_SHIFT + 12 == 63, "all fits a word");

/* Once, when there is a window. False: no address space; then all are others. */
bool pm_trace_slots_start(void);
/* Drops all, and gives the memory back. By one thread. */
void pm_trace_slots_purge(void);

extern struct pm_room pm_trace_slots_room PM_HIDDEN;

/* Blocks may start inside those of pools; constant once anything is made. */
extern bool pm_trace_slots_interior PM_HIDDEN;

PM_INLINE _Atomic uint64_t *pm_trace_slot_at(size_t number)
{
    return (_Atomic uint64_t *)(void *)pm_trace_slots_room.start + number;
}

#define PM_SLOT_NONE SIZE_MAX

/* Of a live block in a pool with that head unit; all but the last argument tell how the pool is
 * divided. */
PM_INLINE size_t pm_trace_slot_number(size_t head, uint32_t inverse, unsigned shift,
                                      unsigned capacity, uint32_t offset)
{
    uint32_t product = offset * inverse; /* see pm_divides */
    uint32_t index = product >> shift | product << (-shift & 31);
    return index < capacity ? (head << (PM_UNIT_SHIFT - PM_GRANULE_SHIFT)) + index : PM_SLOT_NONE;
}

/* Of a live block of a pool of the calling thread's. */
PM_INLINE _Atomic uint64_t *pm_trace_slot_own(const struct pm_pool *pool, const void *ptr)
{
    size_t head = pm_window_index(&pm_window, pool->base);
    uint32_t offset = (uint32_t)((const char *)ptr - pool->base);
    size_t number = pm_trace_slot_number(head, pool->inverse, pool->shift, pool->capacity,
                                         offset - pool->first);
    return pm_likely(number != PM_SLOT_NONE) ? pm_trace_slot_at(number) : NULL;
}

PM_INLINE size_t pm_trace_slot_in_pool(size_t unit, uint64_t distance, const void *ptr)
{
    const struct pm_remote *remote = pm_remote_at(&pm_window, unit - distance);
    return pm_trace_slot_number(unit - distance, remote->inverse, remote->shift, remote->capacity,
                                pm_pool_offset(ptr, distance) - remote->first);
}

/* Outside the first window; `make`: the stretch gets words if it has none. NULL: there are none. An
 * address has the same answer for ever, once it was asked with `make`. */
_Atomic uint64_t *pm_trace_slot_far(const void *ptr, bool make);

/* The word of the live block, or NULL: it lies elsewhere, or is none. Relaxed: what is read of the
 * pool does not change while the block is live. */
PM_INLINE _Atomic uint64_t *pm_trace_slot_of(const void *ptr, bool make)
{
    uintptr_t offset = (uintptr_t)ptr - pm_window_base(&pm_window);
    size_t unit = offset >> PM_UNIT_SHIFT, number = PM_SLOT_NONE;
    if (pm_unlikely((offset & (PM_GRANULE_BYTES - 1)) != 0 || pm_trace_slots_room.start == NULL))
        return NULL;
    if (pm_unlikely(!pm_below_relaxed(unit, &pm_window.units)))
        return pm_trace_slot_far(ptr, make);
    uint64_t route = pm_load_relaxed(pm_window_route(&pm_window, unit));
    bool in_pool = route >= PM_ROUTE_USER;
    if (pm_likely(in_pool))
        number = pm_trace_slot_in_pool(unit, pm_route_distance(route), ptr);
    if (pm_unlikely(number == PM_SLOT_NONE)) {
        if (in_pool && !pm_trace_slots_interior)
            return NULL;
        number = offset >> PM_GRANULE_SHIFT;
    }
    return pm_trace_slot_at(number);
}

PM_INLINE size_t pm_trace_slot_offset(_Atomic uint64_t *slot)
{
    return (size_t)((char *)slot - pm_trace_slots_room.start);
}

/* Can be written. False: out of memory. */
PM_INLINE bool pm_trace_slot_need(_Atomic uint64_t *slot)
{
    return pm_room_need(&pm_trace_slots_room, pm_trace_slot_offset(slot), 2 * sizeof(uint64_t));
}

PM_INLINE bool pm_trace_slot_is_of(uint64_t word, unsigned epoch)
{
    return (word & ~PM_SLOT_LIVE) >> PM_SLOT_EPOCH_SHIFT == epoch;
}

/* Relaxed: who has the block has what was written with it; who walks looks at the word again. */
PM_INLINE struct pm_traced pm_trace_slot_read(_Atomic uint64_t *slot, uint64_t word)
{
    uint64_t bytes = word & PM_SLOT_LARGE;
    return (struct pm_traced){.bytes = bytes == PM_SLOT_LARGE ? pm_load_relaxed(slot + 1) : bytes,
                              .stack = word >> PM_SLOT_BYTES_BITS &
                                       (((uint32_t)1 << PM_STACK_NUMBER_BITS) - 1),
                              .domain = word >> PM_SLOT_DOMAIN_SHIFT & 7};
}

/* Of a word that pm_trace_slot_need was true of. Returns the bytes of the trace of this epoch that
 * was there: of a block that went back without anybody's seeing it. */
PM_INLINE uint64_t pm_trace_slot_put(_Atomic uint64_t *slot, unsigned epoch,
                                     const struct pm_traced *traced)
{
    uint64_t old = pm_load_relaxed(slot), replaced = 0;
    uint64_t word = PM_SLOT_LIVE | (uint64_t)epoch << PM_SLOT_EPOCH_SHIFT |
                    (uint64_t)traced->domain << PM_SLOT_DOMAIN_SHIFT |
                    (uint64_t)traced->stack << PM_SLOT_BYTES_BITS;
    if (pm_unlikely((old & PM_SLOT_LIVE) != 0 && pm_trace_slot_is_of(old, epoch)))
        replaced = pm_trace_slot_read(slot, old).bytes;
    if (pm_likely(traced->bytes < PM_SLOT_LARGE)) {
        word |= traced->bytes;
    } else {
        word |= PM_SLOT_LARGE;
        pm_store_relaxed(slot + 1, traced->bytes);
    }
    /* Release: who walks and sees it sees the size behind it, and the record of the stack. */
    pm_store_release(slot, word);
    return replaced;
}

/* `dead`: also one that was dropped. */
PM_INLINE struct pm_traced pm_trace_slot_get(_Atomic uint64_t *slot, unsigned epoch, bool dead)
{
    /* What was never written to is not looked at: it may be no memory. */
    uint64_t word =
        pm_room_has(&pm_trace_slots_room, pm_trace_slot_offset(slot)) ? pm_load_relaxed(slot) : 0;
    if (!pm_trace_slot_is_of(word, epoch) || (!dead && (word & PM_SLOT_LIVE) == 0))
        return (struct pm_traced){0};
    return pm_trace_slot_read(slot, word);
}

/* The trace is there no more; but what was is left for reports. */
PM_INLINE struct pm_traced pm_trace_slot_drop(_Atomic uint64_t *slot, unsigned epoch)
{
    struct pm_traced traced = pm_trace_slot_get(slot, epoch, false);
    if (traced.stack != 0)
        /* Relaxed: the block's next maker gets it after this. */
        pm_store_relaxed(slot, pm_load_relaxed(slot) & ~PM_SLOT_LIVE);
    return traced;
}

/* Calls back for each of the epoch. Takes no lock. */
void pm_trace_slots_each(unsigned epoch, void (*visit)(const struct pm_traced *traced, void *arg),
                         void *arg);

#endif
