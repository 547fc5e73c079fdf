/* SPDX-License-Identifier: MIT */
/*
 * Visiting single blocks of the process, or of the calling thread. Each pool is looked at as a
 * whole, and then its live blocks are visited without a lock; so what visit frees or makes changes
 * nothing about the pool it is in, but for a block that it frees before its turn has come.
 */
#include "heap/guests.h"
#include "heap/harden.h"
#include "heap/internal.h"
#include "heap/sample.h"
#include "heap/user.h"
#include "heap/watch.h"

struct walk {
    bool (*visit)(const struct pm_live_block *, void *);
    void *arg;
    uint64_t mine; /* route of the calling thread's heap */
    bool mine_only;
    bool goes_on;
};

static void visit_blocks(struct walk *walk, const struct pm_pool_blocks *blocks,
                         struct pm_live_block *found)
{
    unsigned next = 0;
    found->bytes = blocks->block_bytes;
    while (walk->goes_on && (found->block = pm_pool_next_live(blocks, &next)) != NULL)
        walk->goes_on = walk->visit(found, walk->arg);
}

/* Each is asked how many bytes it has, if it still lives. */
static void visit_hardened(struct walk *walk, struct pm_place_of at,
                           const struct pm_pool_blocks *blocks, struct pm_live_block *found)
{
    unsigned next = 0;
    while (walk->goes_on && (found->block = pm_pool_next_live(blocks, &next)) != NULL) {
        if (pm_harden_live_at(at, &found->block, &found->bytes))
            walk->goes_on = walk->visit(found, walk->arg);
    }
}

static PM_NOINLINE void visit_pool(struct walk *walk, struct pm_place_of at)
{
    struct pm_pool_blocks blocks;
    if (!pm_pool_look(at, &blocks))
        return;
    /* A cold heap is many threads', and the heap of none. */
    const struct pm_heap *owner = (const struct pm_heap *)(uintptr_t)blocks.owner;
    bool owned = blocks.owner != PM_ROUTE_FLOATING && !pm_cold_is(owner);
    struct pm_live_block found = {.mine = blocks.owner == walk->mine,
                                  .thread = owned ? blocks.owner : 0};
    if (found.mine || !walk->mine_only)
        visit_blocks(walk, &blocks, &found);
}

/* Sampled and hardened blocks are in heaps that nobody asked for: as pm_user_of. */
static struct pm_user_heap *asked_for(struct pm_user_heap *heap)
{
    return heap != NULL && heap->unasked ? NULL : heap;
}

static PM_NOINLINE void visit_user_pool(struct walk *walk, struct pm_place_of at)
{
    struct pm_pool_blocks blocks;
    struct pm_user_heap *heap = pm_user_look(at, &blocks);
    struct pm_live_block found = {.user = asked_for(heap)};
    if (heap != NULL && pm_hardened())
        visit_hardened(walk, at, &blocks, &found);
    else if (heap != NULL)
        visit_blocks(walk, &blocks, &found);
}

static void visit_span(struct walk *walk, struct pm_place_of at)
{
    struct pm_live_block found = {.block = pm_window_unit(at.window, at.unit), .large = true};
    found.bytes = pm_span_bytes_now(at.window, at.unit);
    struct pm_user_heap *heap = pm_user_of_run(at.window, at.unit);
    found.user = asked_for(heap);
    if (heap != NULL && pm_hardened() && !pm_harden_live_at(at, &found.block, &found.bytes))
        return;
    if (found.bytes != 0 || (heap != NULL && pm_hardened()))
        walk->goes_on = walk->visit(&found, walk->arg);
}

static void visit_run(struct pm_window *w, size_t unit, uint64_t route, void *arg)
{
    struct walk *walk = arg;
    struct pm_place_of at = {w, unit};
    if (!walk->goes_on || (walk->mine_only && route != walk->mine))
        return;
    if (route == PM_ROUTE_SPAN)
        visit_span(walk, at);
    else if (route == PM_ROUTE_USER)
        visit_user_pool(walk, at);
    else
        visit_pool(walk, at);
}

static bool visit_guest(void *block, size_t bytes, void *arg)
{
    struct walk *walk = arg;
    const struct pm_live_block found = {.block = block, .bytes = bytes};
    return walk->goes_on = walk->visit(&found, walk->arg);
}

bool pm_heap_walk_blocks(bool mine_only, bool (*visit)(const struct pm_live_block *, void *),
                         void *arg)
{
    pm_watch_suspend();
    struct pm_heap *own = pm_heap_self;
    struct walk walk = {visit, arg, own->real ? pm_heap_route(own) : PM_ROUTE_VOID, mine_only,
                        true};
    if (own->real) { /* what the thread freed is free */
        pm_heap_enter(own);
        pm_heap_flush(own);
        pm_heap_leave(own);
    }
    pm_watch_resume();
    if (own->real || !mine_only)
        pm_arena_walk(visit_run, &walk);
    /* Acquire pairs with the release in pm_guests_set. */
    const struct pm_guests *guests = pm_load_acquire(&pm_guests_now);
    if (guests != NULL && walk.goes_on && !mine_only)
        guests->walk(visit_guest, &walk);
    return walk.goes_on;
}
