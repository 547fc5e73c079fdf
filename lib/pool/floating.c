/* SPDX-License-Identifier: MIT */
/*
 * Floating sets: for each class the pools without an owner of which an eighth or more is free. The
 * newest is taken first: it has lost the fewest blocks, so the others go on emptying.
 */
#include "base/lock.h"
#include "base/probe.h"
#include "pool/pool.h"

static struct pm_lock lock = PM_LOCK_INIT(PM_RANK_FLOATING);
static struct pm_link sets[PM_CLASSES];
/* A hint that spares the lock: relaxed, since who misses a pool that is just being published only
 * takes fresh units instead. */
static _Atomic uint32_t counts[PM_CLASSES];

void pm_floating_lock_acquire(void)
{
    pm_lock_acquire(&lock);
}

void pm_floating_lock_release(void)
{
    pm_lock_release(&lock);
}

void pm_floating_insert(struct pm_pool *pool)
{
    pm_list_push(&sets[pool->class], &pool->link);
    pm_store_relaxed(&counts[pool->class], pm_load_relaxed(&counts[pool->class]) + 1);
}

void pm_floating_remove(struct pm_pool *pool)
{
    pm_list_remove(&pool->link);
    pm_store_relaxed(&counts[pool->class], pm_load_relaxed(&counts[pool->class]) - 1);
}

/* Under the lock nothing but pushes changes the word of a published pool. */
static struct pm_pool *take_locked(unsigned class)
{
    if (pm_list_empty(&sets[class]))
        return NULL;
    struct pm_pool *pool = pm_container_of(sets[class].next, struct pm_pool, link);
    struct pm_remote *remote = pm_pool_remote(pool);
    pm_floating_remove(pool);
    /* Acquire-release, as in pm_remote_push, with which it pairs. */
    uint64_t word = pm_exchange_acq_rel(&remote->word, pm_word_make(PM_OWNED, NULL, NULL, 0));
    pm_assert(pm_word_state(word) == PM_PUBLISHED);
    pool->free = pm_word_head(word, pool->base);
    pool->count = pm_word_count(word);
    pm_pool_set_live_base(pool, pool->count);
    return pool;
}

struct pm_pool *pm_floating_take(unsigned class, uint64_t owner)
{
    if (pm_load_relaxed(&counts[class]) == 0)
        return NULL;
    pm_lock_acquire(&lock);
    struct pm_pool *pool = take_locked(class);
    pm_lock_release(&lock);
    if (pool != NULL) {
        struct pm_window *w = pm_window_find(pool->base);
        pm_window_set_routes(w, pm_window_index(w, pool->base), pool->units, owner);
        PM_PROBE4(adopt, class, pool->base, pool->count, owner);
    }
    return pool;
}

void pm_floating_stats(struct pm_floating_stats *stats)
{
    stats->pools = 0;
    for (unsigned class = 0; class < PM_CLASSES; class++)
        stats->pools += pm_load_relaxed(&counts[class]);
    stats->lock_acquisitions = pm_load_relaxed(&lock.acquisitions);
    stats->lock_contended = pm_load_relaxed(&lock.contended);
}

void pm_floating_init(void)
{
    pm_lock_register(&lock);
}

static void rebuild_window(struct pm_window *w, void *arg)
{
    (void)arg;
    size_t end = (size_t)w->next_arena * PM_ARENA_UNITS;
    for (size_t unit = (size_t)w->first_arena * PM_ARENA_UNITS; unit < end; unit++) {
        /* Relaxed: no other thread exists. */
        bool head = pm_load_relaxed(pm_window_route(w, unit)) == PM_ROUTE_FLOATING;
        uint64_t word = pm_load_relaxed(&pm_remote_at(w, unit)->word);
        if (head && pm_word_state(word) == PM_PUBLISHED)
            pm_floating_insert(pm_pool_at(w, unit));
    }
}

void pm_floating_rebuild_in_child(void)
{
    for (unsigned class = 0; class < PM_CLASSES; class++) {
        sets[class] = (struct pm_link){0};
        pm_store_relaxed(&counts[class], 0);
    }
    pm_window_each(rebuild_window, NULL);
}
