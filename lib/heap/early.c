/* SPDX-License-Identifier: MIT */
/*
 * Arrays that grow step by step become large blocks early: while a pool's block would hold them
 * still, at the price of the rest of a unit, but from then on they grow in place. Each heap makes a
 * few at a time, whichever thread frees them; who has no heap makes none. By the heap's owner.
 */
#include "heap/internal.h"

/* Of a block that was early once. Its place may be another's by now: at worst a guess. */
static bool is_early_still(const void *block)
{
    struct pm_window *w = pm_window_find(block);
    if (w == NULL)
        return false;
    size_t unit = pm_window_index(w, block);
    if (pm_load_relaxed(pm_window_route(w, unit)) != PM_ROUTE_SPAN) /* spares the lock */
        return false;
    size_t bytes = pm_span_bytes_now(w, unit);
    return bytes != 0 && bytes <= PM_BLOCK_MAX;
}

void *pm_heap_early_span(struct pm_heap *heap, size_t n)
{
    for (unsigned i = 0; i < PM_EARLY_SPANS; i++) {
        unsigned slot = (heap->early_next + i) % PM_EARLY_SPANS;
        if (heap->early[slot] != NULL && is_early_still(heap->early[slot]))
            continue;
        heap->early[slot] = pm_span_alloc_roomy(n);
        heap->early_next = (slot + 1) % PM_EARLY_SPANS;
        return heap->early[slot];
    }
    return NULL;
}
