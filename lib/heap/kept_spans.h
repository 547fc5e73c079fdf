/* SPDX-License-Identifier: MIT */
/*
 * Large blocks that wait in the heap of the thread that freed them: what malloc and free of such
 * blocks do when a slot fits, which is most often the one that was used last. See kept_spans.c.
 */
#ifndef PM_HEAP_KEPT_SPANS_H
#define PM_HEAP_KEPT_SPANS_H

#include "heap/internal.h"
#include "os/os.h"

/* Relaxed: whether it has a block the exchange decides. */
PM_INLINE bool pm_slot_is_for(const struct pm_heap *heap, unsigned slot, size_t units, bool full)
{
    return pm_load_relaxed(&heap->span_units[slot]) == units &&
           (pm_load_relaxed(&heap->spans[slot]) != 0) == full;
}

/* Acquire pairs with the release in pm_slot_fill: the descriptor is as its last owner left it. */
PM_INLINE void *pm_slot_take(struct pm_heap *heap, unsigned slot)
{
    return (void *)(uintptr_t)pm_exchange_acquire(&heap->spans[slot], 0);
}

PM_INLINE uint32_t pm_slot_ticks(uint64_t ns)
{
    return (uint32_t)(ns >> PM_TICK_SHIFT);
}

/* To ask for the time costs a third of a free. An older one makes a block go a little early. */
PM_INLINE uint32_t pm_slot_ticks_lately(struct pm_heap *heap)
{
    if (pm_unlikely(heap->span_fills++ % PM_SPAN_CLOCK_EVERY == 0))
        heap->span_ticks = pm_slot_ticks(pm_os_now_ns());
    return heap->span_ticks;
}

/* By the owner, of an empty slot for blocks of that size. */
PM_INLINE void pm_slot_fill(struct pm_heap *heap, unsigned slot, void *block)
{
    heap->span_last = slot;
    pm_store_relaxed(&heap->span_since[slot], pm_slot_ticks_lately(heap));
    /* Release: who takes the block sees its descriptor. Only we fill slots. */
    pm_store_release(&heap->spans[slot], (uintptr_t)block);
}

/* The same of any slot that fits, or that is made fit. */
void *pm_heap_take_other_span(struct pm_heap *heap, size_t units);
bool pm_heap_keep_other_span(struct pm_heap *heap, void *block, size_t units);

/* A large block of so many units that the heap kept, or NULL. By the owner, within pm_heap_enter.
 */
PM_INLINE void *pm_heap_take_span(struct pm_heap *heap, size_t units)
{
    unsigned slot = heap->span_last;
    void *block =
        pm_likely(pm_slot_is_for(heap, slot, units, true)) ? pm_slot_take(heap, slot) : NULL;
    if (pm_unlikely(block == NULL))
        return pm_heap_take_other_span(heap, units);
    pm_span_revive(pm_window_find(block), block);
    return block;
}

/* A large block that was freed, by the owner, within pm_heap_enter. False: the heap does not keep
 * it. `units`: as pm_span_retire says. */
PM_INLINE bool pm_heap_keep_span(struct pm_heap *heap, void *block, size_t units)
{
    unsigned slot = heap->span_last;
    if (pm_unlikely(units == 0 || !pm_slot_is_for(heap, slot, units, false)))
        return pm_heap_keep_other_span(heap, block, units);
    pm_slot_fill(heap, slot, block);
    return true;
}

#endif
