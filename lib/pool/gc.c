/* SPDX-License-Identifier: MIT */
/*
 * Pools of kind gc (poolmalloc/gc_pools.h): walking them while no thread allocates in them. They
 * are pools like others, and told by their class. All of them lie in the first window, so that a
 * collector can keep what it knows of their blocks in a table beside it. Any thread.
 *
 * What others do meanwhile, which are not stopped: they free, late, blocks that were freed to them
 * before; so a pool without a live block may be retired, and its units become memory of any kind.
 * Whoever retires a gc pool takes the lock once in between. A walk finds, under the lock, that the
 * pool is one, and has it under the lock: either it sees that the pool is retired, or the retirer
 * waits for it. A pool with a live block stays by itself.
 */
#include "base/lock.h"
#include "pool/pool.h"

static struct pm_lock lock = PM_LOCK_INIT(PM_RANK_GC);

void pm_gc_init(void)
{
    pm_lock_register(&lock);
}

void pm_gc_wait_for_walk(void)
{
    pm_lock_acquire(&lock);
    pm_lock_release(&lock);
}

bool pm_gc_may_lie_at(const char *base)
{
    return pm_below_relaxed(pm_window_index(&pm_window, base), &pm_window.units);
}

struct walk {
    bool (*visit)(const struct pm_pool *pool, void *arg);
    void *arg;
    bool on;
};

/* Acquire pairs with the release in cut_remote: the class is that of this pool or a later one. */
static bool is_gc_pool(struct pm_remote *remote)
{
    uint64_t word = pm_load_acquire(&remote->word);
    return pm_word_state(word) != PM_FREE && pm_class_is_gc(pm_load_relaxed(&remote->class));
}

static void visit_run(struct pm_window *w, size_t unit, uint64_t route, void *arg)
{
    struct walk *walk = arg;
    struct pm_remote *remote = pm_remote_at(w, unit);
    if (!walk->on || w != &pm_window || route == PM_ROUTE_SPAN || !is_gc_pool(remote))
        return;
    pm_lock_acquire(&lock);
    if (is_gc_pool(remote))
        walk->on = walk->visit(pm_pool_at(w, unit), walk->arg);
    pm_lock_release(&lock);
}

bool pm_gc_pool_walk(bool (*visit)(const struct pm_pool *pool, void *arg), void *arg)
{
    struct walk walk = {visit, arg, true};
    pm_arena_walk(visit_run, &walk);
    return walk.on;
}
