/* SPDX-License-Identifier: MIT */
/*
 * The table of interned strings: of those that live, one for each value. It has no references. It
 * is in shards, by hash, each an array of cells that is probed one cell after the other.
 *
 *   a look without the lock   finds a string and takes it by pm_try_incref, or knows nothing: not
 *                             there, dying, or in an array that was replaced
 *   a look under the lock     decides. A dead string of the value is replaced by the new one
 *   a string that dies        takes itself out, if it is still in
 *
 * A string that anybody found once stays memory until nobody looks (poolmalloc/qsbr.h), and so does
 * an array. A dead string never comes to life: whoever has a reference before the last one is
 * dropped keeps it alive, who comes later fails (counts.c).
 *
 *   cell     becomes                                        by, under the lock
 *   NULL     a string                                       put
 *   GONE     a string; NULL, where what follows is NULL     put; erase
 *   string   another of the same value, if it is dead; GONE; NULL   put; erase
 *
 * A shard's lock is held for short: nothing is allocated, deferred or dropped under it, nothing of
 * the program's called, and there is no safepoint. Attached threads.
 */
#include "object/qsbr_internal.h"
#include "object/value.h"

#include "poolmalloc/domains.h"

#include <errno.h>
#include <string.h>

#define SHARDS_SHIFT 4
#define SHARDS (1 << SHARDS_SHIFT)
#define CELLS_MIN 32

struct cells {
    size_t mask; /* their number - 1, a power of 2 */
    struct pm_str *_Atomic at[];
};

struct shard {
    pthread_mutex_t lock;
    struct cells *_Atomic cells; /* NULL: there was never a string */
    size_t live;                 /* cells with strings, under the lock */
    size_t used;                 /* cells that are not NULL, at most half of them; under the lock */
    uint64_t locks;              /* how often it was taken; under the lock */
} __attribute__((aligned(PM_LINE_BYTES)));

static struct shard shards[SHARDS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

#define GONE ((struct pm_str *)1) /* a string was here */

static struct shard *shard_of(uint64_t hash)
{
    return &shards[hash >> (64 - SHARDS_SHIFT)];
}

static void lock_shard(struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    shard->locks++;
}

static void unlock_shard(struct shard *shard)
{
    pthread_mutex_unlock(&shard->lock);
}

/* ---- start and fork ---- */

void pm_intern_lock_all(void)
{
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_lock(&shards[i].lock);
}

void pm_intern_unlock_all(void)
{
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_unlock(&shards[i].lock);
}

/* In the child, strings that were dying in other threads stay in their cells, dead, until they are
 * replaced or the array is. */
static void start(void)
{
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&shards[i].lock, NULL);
    pthread_atfork(pm_intern_lock_all, pm_intern_unlock_all, pm_intern_unlock_all);
}

void pm_intern_prepare(void)
{
    pthread_once(&once, start);
}

/* ---- arrays ---- */

static size_t bytes_of(size_t count)
{
    return sizeof(struct cells) + count * sizeof(struct pm_str *);
}

static struct cells *new_cells(size_t count)
{
    struct cells *cells = pm_raw_calloc(1, bytes_of(count));
    if (cells != NULL)
        cells->mask = count - 1;
    return cells;
}

/* So many that a third at most is used, and no new array is due before the number of strings has
 * changed by a part of itself. */
static size_t cells_for(size_t live)
{
    size_t count = CELLS_MIN;
    while (count < live * 3)
        count *= 2;
    return count;
}

/* Under the lock: there is no room for one more. */
static bool is_full(const struct shard *shard)
{
    const struct cells *cells = pm_load_relaxed(&shard->cells);
    return cells == NULL || (shard->used + 1) * 2 > cells->mask + 1;
}

/* Under the lock: how many cells the shard should have; 0: as many as it has. */
static size_t cells_due(const struct shard *shard)
{
    if (is_full(shard))
        return cells_for(shard->live + 1);
    size_t count = pm_load_relaxed(&shard->cells)->mask + 1;
    return count > CELLS_MIN && shard->live * 8 < count ? cells_for(shard->live) : 0;
}

/* ---- invariants ---- */

/* From where its hash leads, no free cell comes before the string. */
static bool is_found(const struct cells *cells, const struct pm_str *string, size_t at)
{
    size_t place = pm_load_relaxed(&string->hash) & cells->mask;
    while (place != at && pm_load_relaxed(&cells->at[place]) != NULL)
        place = (place + 1) & cells->mask;
    return place == at;
}

/* Under the lock. */
static bool shard_check(struct shard *shard)
{
    const struct cells *cells = pm_load_relaxed(&shard->cells);
    size_t live = 0, used = 0;
    for (size_t i = 0; cells != NULL && i <= cells->mask; i++) {
        const struct pm_str *string = pm_load_relaxed(&cells->at[i]);
        used += string != NULL;
        if (string == NULL || string == GONE)
            continue;
        live++;
        if (shard_of(pm_load_relaxed(&string->hash)) == shard && is_found(cells, string, i))
            continue;
        pm_object_warn("intern check: the string %p is where nobody looks for it",
                       (const void *)string);
        return false;
    }
    if (live == shard->live && used == shard->used &&
        (cells == NULL || used * 2 <= cells->mask + 1))
        return true;
    pm_object_warn("intern check: %zu strings and %zu cells in a shard of %zu and %zu", live, used,
                   shard->live, shard->used);
    return false;
}

bool pm_intern_check(void)
{
    bool right = true;
    for (size_t i = 0; i < SHARDS && right; i++) {
        pthread_mutex_lock(&shards[i].lock);
        right = shard_check(&shards[i]);
        pthread_mutex_unlock(&shards[i].lock);
    }
    return right;
}

/* ---- another array ---- */

static bool is_dead(const struct pm_str *string)
{
    /* Relaxed: it stays so, if it is. */
    return pm_load_relaxed(pm_shared_of(&string->var.object)) == PM_SHARED_DEAD;
}

/* Under the lock; nobody else has seen the new array yet. The dead, who would take themselves out,
 * do not come along. */
static void move_to(struct shard *shard, struct cells *fresh)
{
    struct cells *old = pm_load_relaxed(&shard->cells);
    pm_object_assert(shard_check(shard));
    shard->live = 0;
    for (size_t i = 0; old != NULL && i <= old->mask; i++) {
        struct pm_str *string = pm_load_relaxed(&old->at[i]);
        if (string == NULL || string == GONE || is_dead(string))
            continue;
        size_t place = pm_load_relaxed(&string->hash) & fresh->mask;
        while (pm_load_relaxed(&fresh->at[place]) != NULL)
            place = (place + 1) & fresh->mask;
        pm_store_relaxed(&fresh->at[place], string);
        shard->live++;
    }
    shard->used = shard->live;
    /* Release: what is in it; pairs with pm_intern_find. */
    pm_store_release(&shard->cells, fresh);
    pm_object_assert(shard_check(shard));
}

/* Gives the shard the array that is due. False: out of memory. A quiescent point. */
static bool refit(struct shard *shard)
{
    lock_shard(shard);
    size_t due = cells_due(shard);
    unlock_shard(shard);
    if (due == 0)
        return true;
    struct cells *fresh = new_cells(due), *old = NULL;
    if (fresh == NULL)
        return false;
    lock_shard(shard);
    bool still_due = cells_due(shard) == due;
    if (still_due) {
        old = pm_load_relaxed(&shard->cells);
        move_to(shard, fresh);
    }
    unlock_shard(shard);
    if (!still_due)
        pm_raw_free(fresh);
    else if (old != NULL)
        pm_qsbr_defer(pm_raw_free, old, bytes_of(old->mask + 1));
    return true;
}

/* ---- looking ---- */

static bool has_value(struct pm_str *string, uint64_t hash, const char *text, size_t bytes)
{
    return pm_load_relaxed(&string->hash) == hash && string->var.count == bytes &&
           memcmp(string->text, text, bytes) == 0;
}

struct pm_str *pm_intern_find(uint64_t hash, const char *text, size_t bytes)
{
    /* Acquire: the array; pairs with move_to. */
    struct cells *cells = pm_load_acquire(&shard_of(hash)->cells);
    if (cells == NULL)
        return NULL;
    /* At least half of them are NULL, whatever becomes of the others meanwhile. */
    for (size_t place = hash;; place++) {
        /* Acquire: the string; pairs with put. */
        struct pm_str *string = pm_load_acquire(&cells->at[place & cells->mask]);
        if (string == NULL)
            return NULL;
        if (string != GONE && has_value(string, hash, text, bytes))
            return pm_try_incref(&string->var.object) ? string : NULL;
    }
}

/* ---- changing, under the lock ---- */

/* The string goes there; whoever finds it takes it by pm_try_incref. */
static void publish(struct pm_str *_Atomic *cell, struct pm_str *string, bool for_ever)
{
    struct pm_object *object = &string->var.object;
    if (for_ever && !pm_object_set_immortal(object)) {
        pm_incref(object);
        string->kept = true;
    }
    pm_object_set_probed(object);
    pm_schedule_point();
    /* Relaxed: the store below publishes it. */
    atomic_fetch_or_explicit((_Atomic uint8_t *)&object->flags, PM_OBJECT_INTERNED,
                             memory_order_relaxed);
    /* Release: the string as a whole; pairs with pm_intern_find. */
    pm_store_release(cell, string);
}

static void keep(struct pm_str *string)
{
    if (string->kept || pm_refcount(&string->var.object) == UINT32_MAX)
        return;
    pm_incref(&string->var.object);
    string->kept = true;
}

/* The string of this value that is in the table then, with a reference if it is another. The array
 * has room for one more. */
static struct pm_str *put(struct shard *shard, struct pm_str *string, bool for_ever)
{
    struct cells *cells = pm_load_relaxed(&shard->cells);
    uint64_t hash = pm_load_relaxed(&string->hash);
    struct pm_str *_Atomic *gone = NULL, *_Atomic * cell;
    struct pm_str *found;
    for (size_t place = hash;; place++) {
        cell = &cells->at[place & cells->mask];
        found = pm_load_relaxed(cell);
        if (found == NULL || found == string)
            break;
        if (found == GONE)
            gone = gone != NULL ? gone : cell;
        else if (has_value(found, hash, string->text, string->var.count))
            break;
    }
    if (found != NULL) {
        bool lives = found == string || pm_try_incref(&found->var.object);
        if (!lives)
            publish(cell, string, for_ever);
        else if (for_ever)
            keep(found);
        return lives ? found : string;
    }
    shard->live++;
    shard->used += gone == NULL;
    publish(gone != NULL ? gone : cell, string, for_ever);
    return string;
}

/* Takes the string out, if it is in. Where nothing follows it leaves no mark, and neither do those
 * before it. */
static void erase(struct shard *shard, const struct pm_str *string)
{
    struct cells *cells = pm_load_relaxed(&shard->cells);
    size_t place = pm_load_relaxed(&string->hash) & cells->mask;
    const struct pm_str *found;
    while ((found = pm_load_relaxed(&cells->at[place])) != string) {
        if (found == NULL)
            return;
        place = (place + 1) & cells->mask;
    }
    shard->live--;
    /* Relaxed: who finds the mark has nothing of it. */
    pm_store_relaxed(&cells->at[place], GONE);
    if (pm_load_relaxed(&cells->at[(place + 1) & cells->mask]) != NULL)
        return;
    for (; pm_load_relaxed(&cells->at[place]) == GONE; place = (place - 1) & cells->mask) {
        pm_store_relaxed(&cells->at[place], NULL);
        shard->used--;
    }
}

void pm_intern_remove(struct pm_str *string)
{
    struct shard *shard = shard_of(pm_load_relaxed(&string->hash));
    lock_shard(shard);
    erase(shard, string);
    bool due = cells_due(shard) != 0;
    unlock_shard(shard);
    if (due)
        refit(shard); /* without memory for it the array stays */
}

/* ---- for the others ---- */

struct pm_str *pm_intern_put(struct pm_str *string, bool for_ever)
{
    struct shard *shard = shard_of(pm_str_hash(string));
    for (;;) {
        struct pm_str *interned = NULL;
        lock_shard(shard);
        if (!is_full(shard))
            interned = put(shard, string, for_ever);
        unlock_shard(shard);
        if (interned != NULL)
            return interned;
        if (!refit(shard)) {
            errno = ENOMEM;
            return NULL;
        }
    }
}

void pm_intern_get_stats(struct pm_intern_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &shards[i];
        pthread_mutex_lock(&shard->lock);
        const struct cells *cells = pm_load_relaxed(&shard->cells);
        stats->entries += shard->live;
        stats->table_bytes += cells != NULL ? bytes_of(cells->mask + 1) : 0;
        stats->locks += shard->locks;
        pthread_mutex_unlock(&shard->lock);
    }
}
