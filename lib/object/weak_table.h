/* SPDX-License-Identifier: MIT */
/*
 * Which weak references lead to an object: a table by the object's address, in shards with a lock
 * each, as the header has no room for a list. It is made of the weak references themselves, so that
 * nothing here can fail when an object dies:
 *
 *   bucket -> first of A -next_first-> first of B -> NULL     objects whose addresses meet there
 *               | next                   | next
 *             second of A               NULL                  weak references to the same object
 *
 * weak.c calls it. All functions but those that say otherwise want the shard's lock; what is done
 * under it is looked at by whoever stops the world, too: no safepoint, no wait, nothing called.
 */
#ifndef PM_OBJECT_WEAK_TABLE_H
#define PM_OBJECT_WEAK_TABLE_H

#include "object/internal.h"
#include "poolmalloc/weak.h"

struct pm_weakref {
    struct pm_object object;
    /* Set once; NULL: cleared, and in no list of the table. Written under the shard's lock. */
    struct pm_object *_Atomic referent;
    pm_weakref_callback callback; /* NULL once it was called */
    struct pm_object *arg;
    _Atomic uint64_t hash; /* the object's; UINT64_MAX: not asked for yet */
    /* Under the lock of the shard: */
    struct pm_weakref *next; /* or of struct pm_weak_callbacks */
    struct pm_weakref *previous;
    struct pm_weakref *next_first; /* of the first one of an object */
};

struct pm_weak_shard {
    pthread_mutex_t lock; /* of all below */
    struct pm_weakref **buckets;
    size_t bucket_count;              /* a power of 2 */
    size_t objects;                   /* that have weak references here */
    struct pm_weakref *one_bucket[1]; /* the first ones */
} __attribute__((aligned(PM_LINE_BYTES)));

/* Whose lock guards the object's. Without the lock. */
struct pm_weak_shard *pm_weak_shard_of(const struct pm_object *object);

/* The first one of the object, or NULL. */
struct pm_weakref *pm_weak_first(struct pm_weak_shard *shard, const struct pm_object *object);

/* Without a callback; of an object there is one of them, but for some that die. */
static inline bool pm_weak_is_shared(const struct pm_weakref *weakref)
{
    return weakref->callback == NULL;
}

/* The shared one first, then what was made last: CPython's order. Sets the referent. */
void pm_weak_insert(struct pm_weak_shard *shard, struct pm_weakref *weakref,
                    struct pm_object *object);
void pm_weak_take_out(struct pm_weak_shard *shard, struct pm_weakref *weakref);
/* All of the object's, a list by `next`; or NULL. Their other fields are the caller's to set. */
struct pm_weakref *pm_weak_take_out_all(struct pm_weak_shard *shard, struct pm_object *object);

/* Without the lock: gives the shard as many buckets as it should have. Without memory the chains
 * get longer. */
void pm_weak_resize(struct pm_weak_shard *shard);

struct pm_weak_figures {
    size_t objects; /* that have weak references */
    size_t buckets;
};

/* Whether all lists hang together; the first violation is told by a line on stderr. Takes the
 * locks, one after the other. */
bool pm_weak_check(struct pm_weak_figures *figures);

#endif
