/* SPDX-License-Identifier: MIT */
/*
 * Large blocks that a thread freed and is likely to ask for again: its heap keeps them as they are,
 * so that neither free nor malloc takes the arena lock. A slot is for blocks of a certain number of
 * units (its lease). It is made so when a block is freed of the number that was missed: one was
 * asked for when the last that went back to the arenas was of this number. And only if the bound on
 * free memory would let as much lie dirty in the arenas (pm_purge_lease).
 *
 *   who            slot                    span_units, span_since of the slot
 *   the owner      0 -> block, by a store  any change; nobody else writes them while it lives
 *   any thread     block -> 0, by exchange
 *
 * The lease stays with the owner when the block is taken from it: no more is kept than is leased.
 */
#include "heap/kept_spans.h"
#include "base/report.h"

/* True: there was a block. */
static bool give_slot(struct pm_heap *heap, unsigned slot, bool unused)
{
    void *block = pm_load_relaxed(&heap->spans[slot]) != 0 ? pm_slot_take(heap, slot) : NULL;
    if (block != NULL)
        pm_span_give(pm_window_find(block), block, unused);
    return block != NULL;
}

/* By the owner: a slot for so many units that has a block, or none; PM_KEPT_SPANS: there is none.
 */
static unsigned slot_for(const struct pm_heap *heap, size_t units, bool full)
{
    unsigned slot = 0;
    while (slot < PM_KEPT_SPANS && !pm_slot_is_for(heap, slot, units, full))
        slot++;
    return slot;
}

void *pm_heap_take_other_span(struct pm_heap *heap, size_t units)
{
    void *block = NULL;
    unsigned slot = units != 0 ? slot_for(heap, units, true) : PM_KEPT_SPANS; /* 0: overflow */
    if (slot < PM_KEPT_SPANS)
        block = pm_slot_take(heap, slot);
    if (block == NULL) {
        if (units == heap->span_given)
            heap->span_missed = units;
        return NULL;
    }
    heap->span_last = slot;
    pm_span_revive(pm_window_find(block), block);
    return block;
}

/* Makes another slot one for so many units; PM_KEPT_SPANS: that would be too much. */
static unsigned lease_slot(struct pm_heap *heap, size_t units)
{
    unsigned slot = heap->span_next;
    if (!pm_purge_lease(pm_load_relaxed(&heap->span_units[slot]), units))
        return PM_KEPT_SPANS;
    heap->span_next = (slot + 1) % PM_KEPT_SPANS;
    give_slot(heap, slot, false);
    pm_store_relaxed(&heap->span_units[slot], (uint32_t)units);
    return slot;
}

bool pm_heap_keep_other_span(struct pm_heap *heap, void *block, size_t units)
{
    if (pm_unlikely(units == 0)) /* it cannot wait */
        return false;
    unsigned slot = slot_for(heap, units, false);
    if (slot == PM_KEPT_SPANS && units == heap->span_missed)
        slot = lease_slot(heap, units);
    if (slot == PM_KEPT_SPANS) {
        heap->span_given = units;
        return false;
    }
    pm_slot_fill(heap, slot, block);
    return true;
}

bool pm_heap_give_spans(struct pm_heap *heap)
{
    bool some = false;
    for (unsigned slot = 0; slot < PM_KEPT_SPANS; slot++)
        some |= give_slot(heap, slot, false);
    return some;
}

bool pm_heap_give_spans_of_all(void)
{
    bool some = false;
    /* Acquire pairs with the release in pm_heap_new_shell: the heap is complete. */
    for (struct pm_heap *heap = pm_load_acquire(&pm_registry.heaps); heap; heap = heap->next)
        some |= pm_heap_give_spans(heap);
    return some;
}

/* Relaxed: at worst one goes that came just now. */
bool pm_heap_give_unused_spans(struct pm_heap *heap, uint64_t now_ns)
{
    bool some = false;
    for (unsigned slot = 0; slot < PM_KEPT_SPANS; slot++) {
        uint32_t age = pm_slot_ticks(now_ns) - pm_load_relaxed(&heap->span_since[slot]);
        bool unused = age <= INT32_MAX && /* else a clock that was read earlier */
                      (uint64_t)age << PM_TICK_SHIFT >= pm_purge_delay_ns();
        some |= unused && give_slot(heap, slot, true);
    }
    return some;
}

size_t pm_heap_leased_units(const struct pm_heap *heap)
{
    size_t units = 0;
    for (unsigned slot = 0; slot < PM_KEPT_SPANS; slot++)
        units += pm_load_relaxed(&heap->span_units[slot]);
    return units;
}

void pm_heap_end_leases(struct pm_heap *heap)
{
    size_t units = pm_heap_leased_units(heap);
    for (unsigned slot = 0; slot < PM_KEPT_SPANS; slot++)
        pm_store_relaxed(&heap->span_units[slot], 0);
    heap->span_given = heap->span_missed = 0;
    if (units != 0)
        pm_purge_lease(units, 0);
}

bool pm_heap_check_spans(const struct pm_heap *heap)
{
    for (unsigned slot = 0; slot < PM_KEPT_SPANS; slot++) {
        void *block = (void *)(uintptr_t)pm_load_relaxed(&heap->spans[slot]);
        uint32_t units = pm_load_relaxed(&heap->span_units[slot]);
        if (block == NULL || (units != 0 && !pm_arena_owns(block)))
            continue;
        /* Else another thread took it, and somebody has the place already. */
        if (pm_load_relaxed(&heap->spans[slot]) == (uintptr_t)block) {
            pm_warn("heap check: a large block that waits is in use, or in a slot for none "
                    "(block %p, slot for %u units)",
                    block, (unsigned)units);
            return false;
        }
    }
    return true;
}

void pm_heap_recount_spans_in_child(void)
{
    const struct pm_heap *heap = pm_load_relaxed(&pm_registry.heaps);
    for (uint64_t units, held_units; heap != NULL; heap = heap->next) {
        pm_heap_count_spans(heap, &units, &held_units);
        pm_span_count_waiting(units, held_units);
    }
}

void pm_heap_count_spans(const struct pm_heap *heap, uint64_t *units, uint64_t *held_units)
{
    *units = *held_units = 0;
    for (unsigned slot = 0; slot < PM_KEPT_SPANS; slot++) {
        /* Relaxed: a moment's picture, from which the owner's next step may differ. */
        uint32_t has =
            pm_load_relaxed(&heap->spans[slot]) != 0 ? pm_load_relaxed(&heap->span_units[slot]) : 0;
        *units += has;
        *held_units += pm_span_kept_units(has);
    }
}
