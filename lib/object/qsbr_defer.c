/* SPDX-License-Identifier: MIT */
/*
 * What is deferred until no thread looks at it any more (poolmalloc/qsbr.h): items in batches,
 * whose goals qsbr.c gives, their bounds, and the batches of threads that are gone. A thread's
 * batches are its own; those of threads gone are under the lock. Attached threads.
 *
 * Three bounds hold for what waits of one thread: items, bytes, and pools. Memory that waits keeps
 * its pool from becoming anything else; so small objects that lie far apart hold more than their
 * bytes. Of two items in a row it is seen whether they lie in one unit of memory: so many changes,
 * so many pools at most.
 */
#include "object/qsbr_internal.h"

#include "poolmalloc/domains.h"

size_t pm_qsbr_items_max = PM_QSBR_ITEMS_MAX;
size_t pm_qsbr_bytes_max = PM_QSBR_BYTES_MAX;
size_t pm_qsbr_pools_max = PM_QSBR_POOLS_MAX;

static struct pm_qsbr_batches orphans; /* under the lock */
static _Atomic uint64_t orphans_items; /* the same as in it, for who looks without the lock */

/* ---- batches ---- */

static void add_load(struct pm_qsbr_load *sum, const struct pm_qsbr_load *load)
{
    sum->items += load->items;
    sum->bytes += load->bytes;
    sum->pools += load->pools;
}

static bool is_over(const struct pm_qsbr_load *load)
{
    return load->items > pm_qsbr_items_max || load->bytes > pm_qsbr_bytes_max ||
           load->pools > pm_qsbr_pools_max;
}

static bool is_same(const struct pm_qsbr_load *one, const struct pm_qsbr_load *other)
{
    return one->items == other->items && one->bytes == other->bytes && one->pools == other->pools;
}

static bool batches_check(const struct pm_qsbr_batches *batches)
{
    struct pm_qsbr_load sum = {0};
    const struct pm_qsbr_batch *batch = batches->first, *last = NULL;
    for (; batch != NULL; last = batch, batch = batch->next) {
        add_load(&sum, &batch->load);
        if (batch->load.items == 0 || batch->load.items > PM_QSBR_BATCH ||
            batch->load.pools > batch->load.items ||
            (last != NULL && (int64_t)(batch->goal - last->goal) <= 0)) {
            pm_object_warn("qsbr check: a batch of %zu items in %zu pools, whose goal is %llu",
                           batch->load.items, batch->load.pools, (unsigned long long)batch->goal);
            return false;
        }
    }
    if (is_same(&sum, &batches->load) && (last == NULL || batches->last == &last->next))
        return true;
    pm_object_warn("qsbr check: %zu items wait, of which %zu are known", sum.items,
                   batches->load.items);
    return false;
}

bool pm_qsbr_check(void)
{
    return batches_check(&pm_qsbr_self.closed);
}

static void append(struct pm_qsbr_batches *batches, struct pm_qsbr_batch *batch)
{
    batch->next = NULL;
    *(batches->first == NULL ? &batches->first : batches->last) = batch;
    batches->last = &batch->next;
    add_load(&batches->load, &batch->load);
}

static struct pm_qsbr_batch *take_first(struct pm_qsbr_batches *batches)
{
    struct pm_qsbr_batch *batch = batches->first;
    batches->first = batch->next;
    batches->load.items -= batch->load.items;
    batches->load.bytes -= batch->load.bytes;
    batches->load.pools -= batch->load.pools;
    return batch;
}

/* Of the calling thread, open and closed. */
static struct pm_qsbr_load load_of_thread(void)
{
    struct pm_qsbr_load load = pm_qsbr_self.closed.load;
    if (pm_qsbr_self.open != NULL)
        add_load(&load, &pm_qsbr_self.open->load);
    return load;
}

static void publish_figures(void)
{
    struct pm_qsbr_load load = load_of_thread();
    /* Relaxed: figures, with one writer. */
    pm_store_relaxed(&pm_qsbr_self.reader->items, load.items);
    pm_store_relaxed(&pm_qsbr_self.reader->bytes, load.bytes);
    pm_store_relaxed(&pm_qsbr_self.reader->pools, load.pools);
}

static void close_batch(void)
{
    struct pm_qsbr_batch *batch = pm_qsbr_self.open;
    if (batch == NULL)
        return;
    pm_qsbr_self.open = NULL;
    batch->goal = pm_qsbr_advance();
    append(&pm_qsbr_self.closed, batch);
    pm_object_assert(pm_qsbr_check());
    pm_qsbr_ask_all();
}

static void free_batch(struct pm_qsbr_batch *batch)
{
    for (size_t i = 0; i < batch->load.items; i++)
        batch->items[i].free(batch->items[i].ptr);
    pm_raw_free(batch);
}

/* One of those that threads left which are gone; NULL: there is none whose time has come. */
static struct pm_qsbr_batch *take_orphan(void)
{
    struct pm_qsbr_batch *batch = NULL;
    if (pm_load_relaxed(&orphans_items) == 0) /* a hint */
        return NULL;
    pthread_mutex_lock(&pm_qsbr_lock);
    if (orphans.first != NULL && pm_qsbr_is_reached(orphans.first->goal))
        batch = take_first(&orphans);
    pm_store_relaxed(&orphans_items, orphans.load.items);
    pthread_mutex_unlock(&pm_qsbr_lock);
    return batch;
}

/* Not nested: what `free` defers is freed by the outer call. */
static void free_reached(void)
{
    struct pm_qsbr_batches *closed = &pm_qsbr_self.closed;
    struct pm_qsbr_batch *batch;
    if (pm_qsbr_self.freeing)
        return;
    pm_qsbr_self.freeing = true;
    while (closed->first != NULL && pm_qsbr_is_reached(closed->first->goal))
        free_batch(take_first(closed));
    while ((batch = take_orphan()) != NULL)
        free_batch(batch);
    pm_qsbr_self.freeing = false;
    pm_object_assert(pm_qsbr_check());
    publish_figures();
}

/* ---- the functions ---- */

size_t pm_qsbr_poll(void)
{
    pm_qsbr_require_attached("pm_qsbr_poll");
    close_batch();
    free_reached();
    return load_of_thread().bytes;
}

/* The open batch. NULL: out of memory. */
static struct pm_qsbr_batch *open_batch(void)
{
    struct pm_qsbr_batch *batch = pm_qsbr_self.open;
    if (batch != NULL)
        return batch;
    batch = pm_raw_malloc(sizeof *batch);
    if (batch != NULL)
        batch->load = (struct pm_qsbr_load){0};
    return pm_qsbr_self.open = batch;
}

static void add_item(struct pm_qsbr_batch *batch, void (*free)(void *ptr), void *ptr, size_t bytes)
{
    uintptr_t unit = (uintptr_t)ptr >> PM_UNIT_SHIFT;
    batch->load.pools += batch->load.items == 0 || unit != batch->unit;
    batch->unit = unit;
    batch->items[batch->load.items].free = free;
    batch->items[batch->load.items++].ptr = ptr;
    batch->load.bytes += bytes;
}

/* All that is closed: the thread starts anew, and waits as rarely as it can. */
static void wait_for_all(void)
{
    struct pm_qsbr_batches *closed = &pm_qsbr_self.closed;
    struct pm_qsbr_batch *last =
        (struct pm_qsbr_batch *)((char *)closed->last - offsetof(struct pm_qsbr_batch, next));
    pm_qsbr_wait_for(last->goal, closed->load.bytes);
    free_reached();
}

void pm_qsbr_defer(void (*free)(void *ptr), void *ptr, size_t bytes)
{
    pm_qsbr_require_attached("pm_qsbr_defer");
    pm_qsbr_quiescent();
    struct pm_qsbr_batch *batch = open_batch();
    if (batch == NULL) { /* then at once */
        pm_qsbr_wait_for(pm_qsbr_advance(), bytes);
        free(ptr);
        return;
    }
    add_item(batch, free, ptr, bytes);
    publish_figures();
    struct pm_qsbr_load load = load_of_thread();
    bool over = is_over(&load);
    if (!over && batch->load.items < PM_QSBR_BATCH)
        return;
    close_batch();
    free_reached();
    if (over && pm_qsbr_self.closed.first != NULL)
        wait_for_all();
}

/* ---- the end of a thread ---- */

void pm_qsbr_end_items(void)
{
    do {
        close_batch();
        free_reached();
    } while (pm_qsbr_self.open != NULL); /* freeing has deferred more */
}

void pm_qsbr_hand_over(void)
{
    pthread_mutex_lock(&pm_qsbr_lock);
    while (pm_qsbr_self.closed.first != NULL)
        append(&orphans, take_first(&pm_qsbr_self.closed));
    uint64_t bytes = orphans.load.bytes, goal = 0;
    if (is_over(&orphans.load))
        goal = orphans.first->goal;
    pm_store_relaxed(&orphans_items, orphans.load.items);
    pthread_mutex_unlock(&pm_qsbr_lock);
    if (goal != 0)
        pm_qsbr_wait_for(goal, bytes);
}

void pm_qsbr_add_orphans(struct pm_qsbr_stats *stats)
{
    stats->items += orphans.load.items;
    stats->bytes += orphans.load.bytes;
    stats->pools += orphans.load.pools;
}
