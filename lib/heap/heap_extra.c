/* SPDX-License-Identifier: MIT */
/* Statistics and checks of the heap layer. */
#include "base/report.h"
#include "heap/guests.h"
#include "heap/internal.h"
#include "heap/user.h"
#include "heap/watch.h"

static void add_heap(struct pm_heap_stats *stats, const struct pm_heap *heap)
{
    stats->mallocs += pm_load_relaxed(&heap->mallocs);
    stats->frees += pm_load_relaxed(&heap->frees);
    stats->remote_frees += pm_load_relaxed(&heap->remote_frees);
    stats->remote_batches += pm_load_relaxed(&heap->remote_batches);
    stats->refills += pm_load_relaxed(&heap->refills);
    stats->adopted += pm_load_relaxed(&heap->adopted);
}

static void add_kept(struct pm_heap_stats *stats, const struct pm_heap *heap)
{
    stats->kept_bytes += pm_load_relaxed(&heap->kept_bytes);
    stats->stash_bytes += pm_heap_stash_bytes(heap);
    uint64_t units, held_units;
    pm_heap_count_spans(heap, &units, &held_units);
    stats->kept_span_bytes += units << PM_UNIT_SHIFT;
    stats->kept_span_held_bytes += held_units << PM_UNIT_SHIFT;
}

/* What happened since its pools' last slow path; by the owner. */
static void account_own(struct pm_heap *heap)
{
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
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

static void add_user_heaps(struct pm_heap_stats *stats)
{
    struct pm_user_stats user;
    pm_user_stats(&user);
    stats->user_heaps = user.heaps;
    stats->mallocs += user.mallocs;
    stats->frees += user.frees;
    stats->shell_bytes += user.shell_bytes;
    stats->lock_acquisitions += user.lock_acquisitions;
    stats->lock_contended += user.lock_contended;
}

static void add_guests(struct pm_heap_stats *stats)
{
    struct pm_guests_count count;
    /* Acquire pairs with the release in pm_guests_set. */
    const struct pm_guests *guests = pm_load_acquire(&pm_guests_now);
    if (guests == NULL)
        return;
    guests->count(&count);
    stats->guest_blocks = count.blocks;
    stats->guest_bytes = count.bytes;
    stats->mallocs += count.frees + count.blocks;
    stats->frees += count.frees;
}

static void account_thread(void)
{
    pm_watch_suspend();
    struct pm_heap *own = pm_heap_self;
    if (own->real) {
        pm_heap_enter(own);
        account_own(own);
        pm_heap_leave(own);
    }
    pm_watch_resume();
}

static void add_lock(struct pm_heap_stats *stats, const struct pm_lock *lock)
{
    stats->lock_acquisitions += pm_load_relaxed(&lock->acquisitions);
    stats->lock_contended += pm_load_relaxed(&lock->contended);
}

/* Acquire pairs with the release in pm_heap_new_shell: all heaps behind the first are complete. */
static const struct pm_heap *all_heaps(void)
{
    return pm_load_acquire(&pm_registry.heaps);
}

void pm_heap_stats_brief(struct pm_heap_stats *stats)
{
    *stats = (struct pm_heap_stats){0};
    for (const struct pm_heap *heap = all_heaps(); heap != NULL; heap = heap->next) {
        add_heap(stats, heap);
        add_kept(stats, heap);
        stats->heaps++;
        stats->heaps_in_use += pm_load_relaxed(&heap->in_use);
    }
    stats->shell_bytes = pm_load_relaxed(&pm_registry.shell_bytes);
    add_heap(stats, &pm_heap_none);
    add_heap(stats, &pm_heap_making);
    add_heap(stats, &pm_heap_dead);
    add_heap(stats, &pm_heap_watched);
    for (unsigned i = 0; i < 2; i++) {
        add_heap(stats, pm_cold_static(i));
        add_kept(stats, pm_cold_static(i));
    }
    add_lock(stats, &pm_registry_lock);
    struct pm_cold *cold;
    for (unsigned i = 0; (cold = pm_cold_at(i)) != NULL; i++)
        add_lock(stats, &cold->lock);
    add_user_heaps(stats);
    add_guests(stats);
}

void pm_heap_stats(struct pm_heap_stats *stats)
{
    account_thread();
    struct pm_cold *cold;
    for (unsigned i = 0; (cold = pm_cold_enter(i)) != NULL; i++) {
        account_own(cold->heap);
        pm_cold_leave(cold);
    }
    pm_heap_stats_brief(stats);
}

/* Blocks in the batch that its thread may be adding to: at worst an older number. */
PM_GLANCE unsigned batched(const struct pm_batch *batch, unsigned *class)
{
    unsigned count = pm_load_acquire((_Atomic uint32_t *)&batch->count);
    struct pm_remote *remote = pm_load_acquire((struct pm_remote * _Atomic *)&batch->remote);
    *class = remote != NULL ? pm_load_relaxed(&remote->class) : PM_CLASSES;
    if (*class >= PM_CLASSES)
        return 0;
    return count < PM_BATCH_BLOCKS ? count : PM_BATCH_BLOCKS;
}

static void view_heap(const struct pm_heap *heap, struct pm_heap_view *view)
{
    uint64_t units, held_units;
    pm_heap_count_spans(heap, &units, &held_units);
    *view = (struct pm_heap_view){
        .owner = pm_heap_route(heap),
        .thread_id = heap->real ? pm_load_relaxed(&heap->thread_id) : 0,
        .is_threads = heap->real,
        .kept_bytes = pm_load_relaxed(&heap->kept_bytes) + (held_units << PM_UNIT_SHIFT),
        .stash_bytes = pm_heap_stash_bytes(heap),
        .mallocs = pm_load_relaxed(&heap->mallocs),
        .frees = pm_load_relaxed(&heap->frees),
        .remote_frees = pm_load_relaxed(&heap->remote_frees),
    };
    for (unsigned i = 0; i < PM_BATCH_SLOTS; i++) {
        unsigned class, blocks = batched(&heap->batch[i], &class);
        view->batched[i].class = (uint8_t) class;
        view->batched[i].blocks = (uint8_t)blocks;
    }
}

void pm_heap_each(void (*visit)(const struct pm_heap_view *view, void *arg), void *arg)
{
    struct pm_heap_view view;
    for (const struct pm_heap *heap = all_heaps(); heap != NULL; heap = heap->next) {
        if (!pm_load_relaxed(&heap->in_use))
            continue;
        view_heap(heap, &view);
        visit(&view, arg);
    }
    for (unsigned i = 0; i < 2; i++) {
        view_heap(pm_cold_static(i), &view);
        visit(&view, arg);
    }
    struct pm_cold *cold;
    for (unsigned i = 0; (cold = pm_cold_at(i)) != NULL; i++) {
        if (cold->heap == pm_cold_static(0) || cold->heap == pm_cold_static(1))
            continue;
        view_heap(cold->heap, &view);
        visit(&view, arg);
    }
}

static bool check_parked(const struct pm_heap *heap, unsigned class)
{
    const struct pm_link *parked = &heap->parked[class];
    unsigned units = 0;
    for (const struct pm_link *at = parked->next; at != NULL && at != parked; at = at->next) {
        const struct pm_pool *pool = pm_container_of(at, struct pm_pool, link);
        if (pool->place != PM_PLACE_PARKED)
            pm_warn("heap check: a pool on the list of parked ones is not (pool %p, place %u)",
                    (void *)pool->base, (unsigned)pool->place);
        if (pool->place != PM_PLACE_PARKED || !pm_pool_check(pool))
            return false;
        units += pool->units;
    }
    if (units != heap->parked_units[class])
        pm_warn("heap check: %u units of class %u are parked, not %u", units, class,
                (unsigned)heap->parked_units[class]);
    return units == heap->parked_units[class];
}

bool pm_heap_check(void)
{
    const struct pm_heap *heap = pm_watch_heap_of_thread();
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        if (heap->current[class] != &pm_pool_none && !pm_pool_check(heap->current[class]))
            return false;
        if (!check_parked(heap, class))
            return false;
    }
    return pm_heap_check_spans(heap);
}

/* In the head unit of its span, or further on. */
static enum pm_heap_where in_span(struct pm_window *w, size_t unit, bool head, char **start,
                                  size_t *bytes)
{
    *start = head ? pm_window_unit(w, unit) : pm_span_covering(w, unit);
    if (*start == NULL)
        return PM_HEAP_NO_BLOCK;
    *bytes = pm_span_usable(w, *start, "");
    return PM_HEAP_BLOCK;
}

enum pm_heap_where pm_heap_block_at(const void *ptr, char **start, size_t *bytes)
{
    size_t unit;
    struct pm_window *w = pm_window_locate(ptr, &unit);
    if (w == NULL)
        return PM_HEAP_FOREIGN;
    uint64_t route = pm_load_relaxed(pm_window_route(w, unit)); /* of a live block it stays */
    uint64_t owner = route & ~PM_ROUTE_DISTANCE_MASK;
    if (owner == PM_ROUTE_VOID || owner == PM_ROUTE_SPAN)
        return in_span(w, unit, owner == PM_ROUTE_SPAN, start, bytes);
    unit -= pm_route_distance(route);
    const struct pm_remote *remote = pm_remote_at(w, unit);
    char *first = (char *)pm_window_unit(w, unit) + remote->first;
    size_t number = ((uintptr_t)ptr - (uintptr_t)first) / remote->block_bytes;
    if (number >= remote->capacity) /* before the first one, too */
        return PM_HEAP_NO_BLOCK;
    *start = first + number * remote->block_bytes;
    *bytes = remote->block_bytes;
    return PM_HEAP_BLOCK;
}
