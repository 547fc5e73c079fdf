/* SPDX-License-Identifier: MIT */
/*
 * Looking at all pools while other threads go on. What is read of a pool that is another's: its
 * route, its word, its class and `live_base`, all of them atomic; class and counts are checked
 * before they are used, because they may be of the pool that was there before. A walk that looks
 * closely reads more: see glance.c.
 */
#include "pool/pool.h"

struct walk {
    void (*visit)(const struct pm_pool_view *view, void *arg);
    void *arg;
    bool closely;
};

/* Live blocks: of a pool with an owner, what that counted last, of which some are on the remote
 * list by now. */
static unsigned live_of(const struct pm_pool *pool, uint64_t word, unsigned capacity)
{
    unsigned count = pm_word_count(word), live = count;
    if (pm_word_state(word) == PM_OWNED) {
        live = pm_pool_live_base(pool);
        live -= count < live ? count : live;
    }
    return live < capacity ? live : capacity;
}

static void visit_run(struct pm_window *w, size_t unit, uint64_t route, void *arg)
{
    const struct walk *walk = arg;
    struct pm_remote *remote = pm_remote_at(w, unit);
    if (route == PM_ROUTE_SPAN)
        return;
    /* Acquire pairs with the release in cut_remote: the class is that of this pool or a later one.
     */
    uint64_t word = pm_load_acquire(&remote->word);
    unsigned class = pm_load_relaxed(&remote->class);
    if (pm_word_state(word) == PM_FREE || class >= PM_CLASSES) /* gone in between */
        return;
    unsigned capacity = pm_class_capacity(class);
    struct pm_pool_view view = {
        .at = {w, unit},
        .owner = route,
        .class = class,
        .capacity = capacity,
        .live = live_of(pm_pool_at(w, unit), word, capacity),
    };
    if (walk->closely && route > PM_ROUTE_FLOATING)
        pm_pool_glance(&view); /* in vain: then what its owner counted last */
    walk->visit(&view, walk->arg);
}

void pm_pool_walk(void (*visit)(const struct pm_pool_view *view, void *arg), void *arg)
{
    struct walk walk = {visit, arg, false};
    pm_arena_walk(visit_run, &walk);
}

void pm_pool_walk_closely(void (*visit)(const struct pm_pool_view *view, void *arg), void *arg)
{
    struct walk walk = {visit, arg, true};
    pm_arena_walk(visit_run, &walk);
}

static void add_pool(const struct pm_pool_view *view, void *arg)
{
    struct pm_class_stats *stats = (struct pm_class_stats *)arg + view->class;
    stats->pools++;
    stats->live_blocks += view->live;
}

void pm_pool_class_stats(struct pm_class_stats *stats)
{
    for (unsigned class = 0; class < PM_CLASSES; class ++)
        stats[class] = (struct pm_class_stats){0};
    pm_pool_walk(add_pool, stats);
}
