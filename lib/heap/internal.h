/* SPDX-License-Identifier: MIT */
/* What the files of the heap layer share. */
#ifndef PM_HEAP_INTERNAL_H
#define PM_HEAP_INTERNAL_H

#include "base/lock.h"
#include "heap/heap.h"

extern struct pm_heap pm_heap_cold PM_HIDDEN;
extern struct pm_lock pm_cold_lock PM_HIDDEN;
extern struct pm_lock pm_init_lock PM_HIDDEN;
extern struct pm_lock pm_registry_lock PM_HIDDEN;

/* Under the registry lock. */
struct pm_registry {
    struct pm_heap *heaps; /* all ever made, by `next` */
    uint64_t shell_bytes;
};
extern struct pm_registry pm_registry PM_HIDDEN;

static inline uint64_t pm_heap_route(const struct pm_heap *heap)
{
    return (uintptr_t)heap;
}

/* The calling thread's heap, made now if it has none; NULL: the cold heap serves it. */
struct pm_heap *pm_heap_get(void);

/* ---- by the owner of the heap (of the cold heap: under its lock) ---- */

/* A block of the class when the current pool has none to pop. *zero: it reads as zero. */
void *pm_heap_refill(struct pm_heap *heap, unsigned class, bool *zero);
/* Counts what happened in the pool since the last time; `local` blocks are on its list. */
void pm_heap_account(struct pm_heap *heap, struct pm_pool *pool, unsigned local);
/* Takes a retired pool: keeps it, or gives it back. */
void pm_heap_keep(struct pm_heap *heap, struct pm_pool *pool);
void pm_heap_give_kept(struct pm_heap *heap, size_t bytes_left);
void pm_heap_park(struct pm_heap *heap, struct pm_pool *pool);
void pm_heap_unpark(struct pm_heap *heap, struct pm_pool *pool);
void pm_heap_set_current(struct pm_heap *heap, unsigned class, struct pm_pool *pool);
void pm_heap_flush(struct pm_heap *heap);
/* Lets go of all pools and units. */
void pm_heap_dissolve(struct pm_heap *heap);

#endif
