/* SPDX-License-Identifier: MIT */
/* The table of weak references: see the header. Under the shards' locks, attached threads. */
#include "object/weak_table.h"
#include "object/weak.h"

#include "poolmalloc/domains.h"

#define SHARDS_LOG2 4
#define SHARDS (1u << SHARDS_LOG2)
#define BUCKETS_MIN 16

static struct pm_weak_shard shards[SHARDS];

/* ---- fork: the child has the table as it was between two changes ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fork_prepare(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_mutex_lock(&shards[i].lock);
}

static void fork_done(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_mutex_unlock(&shards[i].lock);
}

static void start(void)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&shards[i].lock, NULL);
        shards[i].buckets = shards[i].one_bucket;
        shards[i].bucket_count = 1;
    }
    pthread_atfork(fork_prepare, fork_done, fork_done);
}

void pm_weak_prepare(void)
{
    pthread_once(&once, start);
}

static uint64_t hash_of(const struct pm_object *object)
{
    return (uint64_t)(uintptr_t)object * 0x9e3779b97f4a7c15u;
}

struct pm_weak_shard *pm_weak_shard_of(const struct pm_object *object)
{
    return &shards[hash_of(object) >> (64 - SHARDS_LOG2)];
}

/* ---- looking up ---- */

static struct pm_weakref **bucket_of(struct pm_weak_shard *shard, const struct pm_object *object)
{
    return &shard->buckets[hash_of(object) >> 16 & (shard->bucket_count - 1)];
}

static struct pm_object *referent_of(struct pm_weakref *weakref)
{
    /* Relaxed: written under the lock. */
    return pm_load_relaxed(&weakref->referent);
}

/* Where the first one of the object hangs, or NULL does. */
static struct pm_weakref **find(struct pm_weak_shard *shard, const struct pm_object *object)
{
    struct pm_weakref **link = bucket_of(shard, object);
    while (*link != NULL && referent_of(*link) != object)
        link = &(*link)->next_first;
    return link;
}

struct pm_weakref *pm_weak_first(struct pm_weak_shard *shard, const struct pm_object *object)
{
    return *find(shard, object);
}

/* ---- invariants ---- */

static bool list_check(struct pm_weak_shard *shard, struct pm_weakref *first)
{
    struct pm_object *object = referent_of(first);
    struct pm_weakref *previous = NULL;
    for (struct pm_weakref *each = first; each != NULL; previous = each, each = each->next) {
        if (referent_of(each) == object && each->previous == previous)
            continue;
        pm_object_warn("weak table check: %p, in the list of %p, leads to %p, and back to %p",
                       (void *)each, (void *)object, (void *)referent_of(each),
                       (void *)each->previous);
        return false;
    }
    if (object != NULL && pm_weak_shard_of(object) == shard &&
        pm_weak_first(shard, object) == first)
        return true;
    pm_object_warn("weak table check: the list of %p cannot be found", (void *)object);
    return false;
}

static bool shard_check(struct pm_weak_shard *shard)
{
    size_t objects = 0;
    for (size_t i = 0; i < shard->bucket_count; i++)
        for (struct pm_weakref *first = shard->buckets[i]; first != NULL;
             first = first->next_first, objects++)
            if (!list_check(shard, first))
                return false;
    if (objects == shard->objects)
        return true;
    pm_object_warn("weak table check: %zu objects in a shard of %zu", objects, shard->objects);
    return false;
}

bool pm_weak_check(struct pm_weak_figures *figures)
{
    bool right = true;
    *figures = (struct pm_weak_figures){0, 0};
    for (unsigned i = 0; i < SHARDS && right; i++) {
        pthread_mutex_lock(&shards[i].lock);
        right = shard_check(&shards[i]);
        figures->objects += shards[i].objects;
        figures->buckets += shards[i].bucket_count;
        pthread_mutex_unlock(&shards[i].lock);
    }
    return right;
}

/* ---- putting in, taking out ---- */

void pm_weak_insert(struct pm_weak_shard *shard, struct pm_weakref *weakref,
                    struct pm_object *object)
{
    struct pm_weakref **link = find(shard, object), *first = *link;
    shard->objects += first == NULL;
    if (first != NULL && pm_weak_is_shared(first) && !pm_weak_is_shared(weakref)) {
        weakref->previous = first;
        weakref->next = first->next;
        first->next = weakref;
    } else {
        weakref->next = first;
        weakref->next_first = first != NULL ? first->next_first : NULL;
        *link = weakref;
    }
    if (weakref->next != NULL)
        weakref->next->previous = weakref;
    pm_store_relaxed(&weakref->referent, object);
    pm_object_assert(list_check(shard, *link));
}

void pm_weak_take_out(struct pm_weak_shard *shard, struct pm_weakref *weakref)
{
    struct pm_weakref *next = weakref->next;
    pm_object_assert(list_check(shard, *find(shard, referent_of(weakref))));
    if (weakref->previous != NULL) {
        weakref->previous->next = next;
    } else {
        struct pm_weakref **link = find(shard, referent_of(weakref));
        pm_object_assert(*link == weakref);
        *link = next != NULL ? next : weakref->next_first;
        if (next != NULL)
            next->next_first = weakref->next_first;
        else
            shard->objects--;
    }
    if (next != NULL)
        next->previous = weakref->previous;
    weakref->next = weakref->previous = NULL;
}

struct pm_weakref *pm_weak_take_out_all(struct pm_weak_shard *shard, struct pm_object *object)
{
    struct pm_weakref **link = find(shard, object), *first = *link;
    if (first != NULL) {
        pm_object_assert(list_check(shard, first));
        *link = first->next_first;
        shard->objects--;
    }
    return first;
}

/* ---- the number of buckets ---- */

static size_t buckets_wanted(const struct pm_weak_shard *shard)
{
    if (shard->objects > shard->bucket_count)
        return shard->bucket_count < BUCKETS_MIN ? BUCKETS_MIN : shard->bucket_count * 2;
    if (shard->bucket_count > BUCKETS_MIN && shard->objects < shard->bucket_count / 8)
        return shard->bucket_count / 2;
    return shard->bucket_count;
}

static void use_buckets(struct pm_weak_shard *shard, struct pm_weakref **buckets, size_t count)
{
    struct pm_weakref **old = shard->buckets;
    size_t old_count = shard->bucket_count;
    shard->buckets = buckets;
    shard->bucket_count = count;
    for (size_t i = 0; i < old_count; i++)
        for (struct pm_weakref *first = old[i], *next; first != NULL; first = next) {
            struct pm_weakref **bucket = bucket_of(shard, referent_of(first));
            next = first->next_first;
            first->next_first = *bucket;
            *bucket = first;
        }
}

void pm_weak_resize(struct pm_weak_shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    size_t wanted = buckets_wanted(shard), now = shard->bucket_count;
    pthread_mutex_unlock(&shard->lock);
    if (wanted == now)
        return;
    struct pm_weakref **buckets = pm_raw_calloc(wanted, sizeof *buckets), **unused = buckets;
    if (buckets == NULL)
        return;
    pthread_mutex_lock(&shard->lock);
    /* Unless somebody else was quicker, or it should be otherwise by now. */
    if (shard->bucket_count == now && buckets_wanted(shard) == wanted) {
        unused = shard->buckets;
        use_buckets(shard, buckets, wanted);
    }
    pthread_mutex_unlock(&shard->lock);
    if (unused != shard->one_bucket)
        pm_raw_free(unused);
}
