/* SPDX-License-Identifier: MIT */
/*
 * Blocks in use of a pool that another thread allocates from, without stopping that thread and
 * without a cost to it: its descriptor and its list of free blocks are read while it may change
 * them. Any thread.
 *
 *   freeze the arenas    what is read is memory, and no other run's, until they thaw
 *   descriptor           with the remote word
 *   the list             each link must lead to a carved block of the pool; no more than there are
 *   descriptor again     the same as before: nobody did anything in between
 *
 * A malloc moves the list's head, a free counts down, a slow path sets the counts anew; so an owner
 * that did something shows it. What looks the same and is not (a processor may show two stores in
 * another order) gives a number of blocks that is wrong, and within the pool, no more. An owner
 * that rests, and whose rest the caller knows of, is counted to the block. All reads are acquire
 * loads: they keep their order.
 */
#include "pool/pool.h"

enum { TRIES = 3 };

/* What the owner writes as it goes. */
struct glance {
    uint64_t word;
    void *free;
    uint32_t count;
    uint16_t carved, live_base, start;
    uint8_t place, class;
};

PM_GLANCE void take(struct glance *glance, struct pm_pool *pool, struct pm_remote *remote)
{
    glance->word = pm_load_acquire(&remote->word);
    glance->free = pm_load_acquire((void *_Atomic *)&pool->free);
    glance->count = pm_load_acquire((_Atomic uint32_t *)&pool->count);
    glance->carved = pm_load_acquire((_Atomic uint16_t *)&pool->carved);
    glance->live_base = pm_load_acquire(&pool->live_base);
    glance->start = pm_load_acquire((_Atomic uint16_t *)&pool->start);
    glance->place = pm_load_acquire((_Atomic uint8_t *)&pool->place);
    glance->class = pm_load_acquire((_Atomic uint8_t *)&pool->class);
}

static bool is_same(const struct glance *a, const struct glance *b)
{
    return a->word == b->word && a->free == b->free && a->count == b->count &&
           a->carved == b->carved && a->live_base == b->live_base && a->start == b->start &&
           a->place == b->place && a->class == b->class;
}

/* How many blocks the list has; more than are carved: it is none. */
PM_GLANCE unsigned count_list(const char *base, unsigned class, const struct glance *glance)
{
    const uint32_t first = pm_class_first(class), bytes = pm_class_bytes(class);
    unsigned n = 0;
    for (char *block = glance->free; block != NULL && n <= glance->carved;) {
        uintptr_t offset = (uintptr_t)block - (uintptr_t)base - first; /* below it: large */
        if (offset % bytes != 0 || offset / bytes >= glance->carved)
            return glance->carved + 1u;
        n++;
        block = pm_load_acquire((char *_Atomic *)(void *)block);
    }
    return n;
}

/* What the owner did since it counted last; see pm_heap_account. False: this was no moment to look.
 */
static bool evaluate(const struct glance *glance, unsigned local, struct pm_pool_view *view)
{
    unsigned remote = pm_word_count(glance->word), live = glance->carved - local;
    unsigned start = glance->live_base;
    if (glance->place == PM_PLACE_CURRENT)
        start = glance->start;
    else if (glance->place == PM_PLACE_PARKED)
        live = glance->count;
    else
        return false;
    if (local > glance->carved || glance->count > start || live > view->capacity || remote > live)
        return false;
    view->new_frees = start - glance->count;
    view->new_mallocs = (int64_t)live + (int64_t)view->new_frees - glance->live_base;
    view->live = live - remote;
    return true;
}

/* With the arenas frozen. The pool may be another by now, so its class counts, not the view's; a
 * class that is out of date by itself does not lead out of the arena. */
static bool look(struct pm_pool_view *view, struct pm_remote *remote)
{
    struct pm_window *w = view->at.window;
    struct glance before, after;
    struct pm_pool *pool = pm_pool_at(w, view->at.unit);
    if (pm_load_acquire(pm_window_route(w, view->at.unit)) != view->owner)
        return false;
    take(&before, pool, remote);
    if (pm_word_state(before.word) != PM_OWNED || before.class != view->class ||
        before.carved > view->capacity ||
        view->at.unit % PM_ARENA_UNITS + pm_class_units(view->class) > PM_ARENA_UNITS)
        return false;
    unsigned local = 0;
    if (before.place == PM_PLACE_CURRENT)
        local = count_list(pm_window_unit(w, view->at.unit), view->class, &before);
    take(&after, pool, remote);
    return is_same(&before, &after) && evaluate(&before, local, view);
}

bool pm_pool_glance(struct pm_pool_view *view)
{
    struct pm_remote *remote = pm_remote_at(view->at.window, view->at.unit);
    bool done = false;
    for (unsigned tries = 0; tries < TRIES && !done; tries++) {
        pm_arena_freeze();
        done = look(view, remote);
        pm_arena_thaw();
    }
    return done;
}
