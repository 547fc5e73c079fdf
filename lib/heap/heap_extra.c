/* SPDX-License-Identifier: MIT */
/* Statistics, checks and fork handling of the heap layer. */
#include "base/report.h"
#include "heap/internal.h"

static void add_heap(struct pm_heap_stats *stats, const struct pm_heap *heap)
{
    stats->mallocs += pm_load_relaxed(&heap->mallocs);
    stats->frees += pm_load_relaxed(&heap->frees);
    stats->remote_frees += pm_load_relaxed(&heap->remote_frees);
    stats->remote_batches += pm_load_relaxed(&heap->remote_batches);
    stats->refills += pm_load_relaxed(&heap->refills);
    stats->adopted += pm_load_relaxed(&heap->adopted);
}

/* What the calling thread did since its pools' last slow path. */
static void account_own(struct pm_heap *heap)
{
    for (unsigned class = 0; class < PM_CLASSES; class++) {
        struct pm_pool *pool = heap->current[class];
        struct pm_link *parked = &heap->parked[class], *at = parked->next;
        if (pool != &pm_pool_none)
            pm_heap_account(heap, pool, pm_pool_count_local(pool));
        for (; at != NULL && at != parked; at = at->next) {
            pool = pm_container_of(at, struct pm_pool, link);
            pm_heap_account(heap, pool, pool->carved - pool->count);
        }
    }
}

void pm_heap_stats(struct pm_heap_stats *stats)
{
    *stats = (struct pm_heap_stats){0};
    if (pm_heap_self->real)
        account_own(pm_heap_self);
    pm_lock_acquire(&pm_registry_lock);
    for (const struct pm_heap *heap = pm_registry.heaps; heap != NULL; heap = heap->next) {
        add_heap(stats, heap);
        stats->heaps++;
        stats->heaps_in_use += heap->in_use;
        stats->kept_bytes += pm_load_relaxed(&heap->kept_bytes);
    }
    stats->shell_bytes = pm_registry.shell_bytes;
    pm_lock_release(&pm_registry_lock);
    add_heap(stats, &pm_heap_none);
    add_heap(stats, &pm_heap_dead);
    add_heap(stats, &pm_heap_cold);
    stats->lock_acquisitions = pm_load_relaxed(&pm_registry_lock.acquisitions) +
                               pm_load_relaxed(&pm_cold_lock.acquisitions);
    stats->lock_contended =
        pm_load_relaxed(&pm_registry_lock.contended) + pm_load_relaxed(&pm_cold_lock.contended);
}

bool pm_heap_check(void)
{
    const struct pm_heap *heap = pm_heap_self;
    for (unsigned class = 0; class < PM_CLASSES; class++) {
        const struct pm_link *parked = &heap->parked[class];
        if (heap->current[class] != &pm_pool_none && !pm_pool_check(heap->current[class]))
            return false;
        for (const struct pm_link *at = parked->next; at != NULL && at != parked; at = at->next) {
            const struct pm_pool *pool = pm_container_of(at, struct pm_pool, link);
            if (pool->place != PM_PLACE_PARKED || !pm_pool_check(pool))
                return false;
        }
    }
    return true;
}

/* In the child the other threads are gone: their heaps stay in use for ever, the pools that they
 * could allocate from stay theirs, and what is freed into those waits in the remote words. */
void pm_heap_fork_prepare(void)
{
    pm_lock_acquire(&pm_init_lock);
    pm_lock_acquire(&pm_registry_lock);
    pm_lock_acquire(&pm_cold_lock);
    pm_floating_fork_prepare();
    pm_arena_fork_prepare();
}

void pm_heap_fork_parent(void)
{
    pm_arena_fork_parent();
    pm_floating_fork_parent();
    pm_lock_release(&pm_cold_lock);
    pm_lock_release(&pm_registry_lock);
    pm_lock_release(&pm_init_lock);
}

void pm_heap_fork_child(void)
{
    pm_arena_fork_child();
    pm_floating_fork_child();
    pm_lock_reset_in_child(&pm_cold_lock);
    pm_lock_reset_in_child(&pm_registry_lock);
    pm_lock_reset_in_child(&pm_init_lock);
}
