/* SPDX-License-Identifier: MIT */
/*
 * What lists, dictionaries and tuples share: access by several threads, and nesting. Attached
 * threads.
 *
 * Changes are made under the object's lock. Items are found without it where that is safe, which
 * docs/decisions/024-reads-without-the-lock.md argues:
 *
 *   container   used by             its items                      its old arrays
 *   private     its owner only      are as they are                are freed at once
 *   shared      any thread          are probed before they can     are freed when nobody can look
 * at be found, so that who finds    them any more (poolmalloc/qsbr.h) one can try to take it
 *
 * A container is private at first. Any other thread than the owner takes the lock and makes it
 * shared, for good, before it does anything else with it.
 */
#ifndef PM_OBJECT_CONTAINER_H
#define PM_OBJECT_CONTAINER_H

#include "object/lock.h"
#include "object/value.h"
#include "poolmalloc/containers.h"

/* ---- several threads ---- */

static inline bool pm_container_is_shared(const struct pm_object *object)
{
    /* Acquire: what is found from now on, an array and its items, was not freed or dropped while
     * the container was private; pairs with pm_container_share. */
    return (pm_load_acquire((_Atomic uint8_t *)&object->flags) & PM_OBJECT_SHARED) != 0;
}

/* The calling thread may look for items without the lock, and take what it finds by pm_try_incref:
 * until its next quiescent point, what it finds stays what it is. */
static inline bool pm_container_may_look(const struct pm_object *object)
{
    /* Relaxed: the owner's own word; others see some value that is not theirs. */
    return pm_load_relaxed(pm_owned_of(object)) - pm_object_self.mine < PM_OBJECT_LOCAL_FULL ||
           pm_container_is_shared(object);
}

void pm_container_share(struct pm_object *object);
/* Others may try to take the item. */
void pm_container_probe(struct pm_object *item);

/* Everything but the looks above is between these two. */
static inline void pm_container_lock(struct pm_object *object)
{
    pm_object_require_thread("pm_object_lock", object);
    pm_object_lock(object);
    if (__builtin_expect(!pm_container_may_look(object), 0))
        pm_container_share(object);
}

static inline void pm_container_unlock(struct pm_object *object)
{
    pm_object_unlock(object);
}

/* An item for the container, which is locked: a reference, and others may try to take it. */
static inline struct pm_object *pm_container_take(bool shared, struct pm_object *item)
{
    if (shared)
        pm_container_probe(item);
    pm_incref(item);
    return item;
}

/* Of an array that nobody finds any more; the lock is not held. `shared`: what the container was
 * when the array was taken from it. Keeps errno. */
void pm_container_retire(void *array, size_t bytes, bool shared);

/* ---- a list's or tuple's items, for a while ---- */

struct pm_items {
    struct pm_object **items;
    size_t count;
    bool copied; /* the array, and a reference to each, are ours; else the tuple's */
};

/* False with errno EINVAL: it is neither list nor tuple; or ENOMEM. */
bool pm_items_take(struct pm_items *held, struct pm_object *sequence);
/* Of a list, which is locked. */
bool pm_items_of_list(struct pm_items *held, struct pm_object *list);
/* The first `count` items are dropped: who has moved them elsewhere sets it to 0. */
void pm_items_drop(struct pm_items *held);

/* ---- positions ---- */

/* An index from the end counts back. False with errno ERANGE: there is no such item. */
bool pm_index_in(ptrdiff_t *index, size_t count);

/* As a slice of Python's: *start moves into reach. How many items there are; step is not 0. */
size_t pm_slice_count(ptrdiff_t *start, ptrdiff_t stop, ptrdiff_t step, size_t count);

/* ---- values of values ---- */

/* Around what goes down into the items. False with errno ELOOP: it is nested too deep. */
bool pm_nesting_enter(void);
void pm_nesting_leave(void);
/* By a thread that ends, perhaps down there: it is at the top. */
void pm_nesting_forget(void);
/* How often that was false in this thread: who calls what may go down compares. */
unsigned pm_nesting_failures(void);

enum pm_answer { PM_ANSWER_NO, PM_ANSWER_YES, PM_ANSWER_FAILED };
/* pm_equal. FAILED with errno ELOOP. */
enum pm_answer pm_container_equal(struct pm_object *one, struct pm_object *other);

/* Both functions know nothing but the objects' own memory, which does not change. */
static inline bool pm_both_plain(const struct pm_object *one, const struct pm_object *other)
{
    return (pm_object_type(one)->flags & pm_object_type(other)->flags & PM_TYPE_PLAIN) != 0;
}

#endif
