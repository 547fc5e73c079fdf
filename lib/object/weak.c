/* SPDX-License-Identifier: MIT */
/*
 * Weak references (poolmalloc/weak.h, object/weak.h): their type, how they are made and followed,
 * and what becomes of them when the object dies. weak_table.c knows which there are to an object.
 *
 * Who wants the object takes no lock: it reads the address, which is there until the object is
 * dead, and tries to get a reference (pm_try_incref), as the object's memory outlives its look.
 * A weak reference is found in the table under the lock only, and taken out of it under the lock
 * before its memory goes. So it needs the state of a probed object, and no deferred freeing.
 *
 * Nothing is called, allocated, freed or dropped under a lock, nor waited for. Attached threads.
 */
#include "object/weak.h"
#include "object/container.h"
#include "object/weak_table.h"

#include <errno.h>

/* ---- the type ---- */

static int weakref_traverse(struct pm_object *object, pm_visit visit, void *arg)
{
    struct pm_object *held = ((struct pm_weakref *)object)->arg;
    return held != NULL ? visit(held, arg) : 0;
}

void pm_weak_let_go(struct pm_weakref *weakref)
{
    /* Acquire: who has cleared it is done with it; pairs with pm_weak_clear_trash. */
    struct pm_object *referent = pm_load_acquire(&weakref->referent);
    if (referent == NULL)
        return;
    struct pm_weak_shard *shard = pm_weak_shard_of(referent);
    pthread_mutex_lock(&shard->lock);
    if (pm_load_relaxed(&weakref->referent) != NULL) {
        pm_weak_take_out(shard, weakref);
        pm_store_relaxed(&weakref->referent, NULL);
    }
    pthread_mutex_unlock(&shard->lock);
}

static void weakref_clear(struct pm_object *object)
{
    struct pm_weakref *weakref = (struct pm_weakref *)object;
    struct pm_object *held = weakref->arg;
    pm_weak_let_go(weakref);
    weakref->callback = NULL;
    weakref->arg = NULL;
    if (held != NULL)
        pm_decref(held);
}

/* ---- its worth: the object's ---- */

/* Keeps errno. */
static void drop(struct pm_object *object)
{
    int saved_errno = errno;
    if (object != NULL)
        pm_decref(object);
    errno = saved_errno;
}

/* Both may be contained in what they lead to. */
static uint64_t hash_of_referent(struct pm_object *object)
{
    uint64_t hash = PM_NO_HASH;
    if (!pm_nesting_enter())
        return PM_NO_HASH;
    if (!pm_hash(object, &hash))
        hash = PM_NO_HASH;
    pm_nesting_leave();
    return hash;
}

/* Remembered, so that a table finds the weak reference after the object's death, too. */
static uint64_t weakref_hash(struct pm_object *object)
{
    struct pm_weakref *weakref = (struct pm_weakref *)object;
    /* Relaxed: all who compute it store the same. */
    uint64_t hash = pm_load_relaxed(&weakref->hash);
    if (hash != PM_NO_HASH)
        return hash;
    struct pm_object *referent = pm_weakref_get(object);
    if (referent == NULL) {
        errno = ENOTSUP;
        return PM_NO_HASH;
    }
    hash = hash_of_referent(referent);
    if (hash != PM_NO_HASH) /* over what another thread may have stored */
        pm_store_relaxed(&weakref->hash, hash);
    drop(referent);
    return hash;
}

static bool weakref_equal(struct pm_object *object, struct pm_object *other)
{
    if (!pm_is_weakref(other) || !pm_nesting_enter())
        return false;
    struct pm_object *one = pm_weakref_get(object), *two = pm_weakref_get(other);
    bool equal = one != NULL && two != NULL && pm_equal(one, two);
    pm_nesting_leave();
    drop(one);
    drop(two);
    return equal;
}

static struct pm_object *weakref_repr(struct pm_object *object)
{
    struct pm_object *referent = pm_weakref_get(object), *string;
    if (referent == NULL)
        return pm_str_format("<weakref at %p; dead>", (void *)object);
    string = pm_str_format("<weakref at %p; to '%s' at %p>", (void *)object,
                           pm_object_type(referent)->name, (void *)referent);
    drop(referent);
    return string;
}

static struct pm_type weakref_type = {
    .name = "weakref",
    .size = sizeof(struct pm_weakref),
    .flags = PM_TYPE_GC,
    .traverse = weakref_traverse,
    .clear = weakref_clear,
    .hash = weakref_hash,
    .equal = weakref_equal,
    .repr = weakref_repr,
};

bool pm_is_weakref(const struct pm_object *object)
{
    return pm_object_type(object) == &weakref_type;
}

/* ---- making and finding ---- */

/* The one without a callback, with a reference; NULL: there is none, or it dies. Under the lock. */
static struct pm_weakref *take_shared(struct pm_weak_shard *shard, const struct pm_object *object)
{
    struct pm_weakref *first = pm_weak_first(shard, object);
    if (first == NULL || !pm_weak_is_shared(first) || !pm_try_incref(&first->object))
        return NULL;
    return first;
}

static struct pm_weakref *find_shared(struct pm_weak_shard *shard, const struct pm_object *object)
{
    pthread_mutex_lock(&shard->lock);
    struct pm_weakref *found = take_shared(shard, object);
    pthread_mutex_unlock(&shard->lock);
    return found;
}

/* NULL with errno. */
static struct pm_weakref *make(pm_weakref_callback callback, struct pm_object *arg)
{
    struct pm_weakref *weakref = (struct pm_weakref *)pm_object_new(&weakref_type);
    if (weakref == NULL)
        return NULL;
    /* Relaxed: nobody else has it. The state alone, without the flag: see above. */
    pm_store_relaxed(pm_shared_of(&weakref->object), PM_STATE_PROBED);
    pm_store_relaxed(&weakref->hash, PM_NO_HASH);
    weakref->callback = callback;
    if (callback != NULL && arg != NULL) {
        pm_incref(arg);
        weakref->arg = arg;
    }
    return weakref;
}

/* From now on others may find it, and its death comes by here. */
static void mark(struct pm_object *object)
{
    if (pm_load_relaxed(pm_owned_of(object)) != PM_OBJECT_IMMORTAL)
        pm_object_set_probed(object);
    pm_object_set_flag(object, PM_OBJECT_WEAK);
}

static bool has_weakrefs(const struct pm_object *object)
{
    return (pm_flags_of(object) & PM_OBJECT_WEAK) != 0;
}

struct pm_object *pm_weakref_new(struct pm_object *object, pm_weakref_callback callback,
                                 struct pm_object *arg)
{
    struct pm_weak_shard *shard = pm_weak_shard_of(object);
    struct pm_weakref *found = NULL;
    pm_object_require_thread("pm_weakref_new", object);
    if (pm_load_relaxed(pm_shared_of(object)) == PM_SHARED_DEAD)
        pm_object_fatal_dead("pm_weakref_new", object);
    if (callback == NULL && has_weakrefs(object) && (found = find_shared(shard, object)) != NULL)
        return &found->object;
    struct pm_weakref *weakref = make(callback, arg);
    if (weakref == NULL)
        return NULL;
    mark(object);
    pthread_mutex_lock(&shard->lock);
    if (callback == NULL)
        found = take_shared(shard, object); /* somebody was quicker */
    if (found == NULL)
        pm_weak_insert(shard, weakref, object);
    pthread_mutex_unlock(&shard->lock);
    pm_weak_resize(shard);
    if (found == NULL)
        return &weakref->object;
    pm_decref(&weakref->object);
    return &found->object;
}

struct pm_object *pm_weakref_get(struct pm_object *weakref)
{
    pm_object_require_thread("pm_weakref_get", weakref);
    if (!pm_is_weakref(weakref))
        pm_object_fatal_wrong_type("pm_weakref_get", weakref, &weakref_type);
    /* Relaxed: who has the weak reference got it in an orderly way, and the object is older. That
     * it was cleared before the object's memory goes, is ordered by this thread's quiescent points.
     */
    struct pm_object *object = pm_load_relaxed(&((struct pm_weakref *)weakref)->referent);
    return object != NULL && pm_try_incref(object) ? object : NULL;
}

size_t pm_weakref_count(const struct pm_object *object)
{
    size_t count = 0;
    if (!has_weakrefs(object))
        return 0;
    struct pm_weak_shard *shard = pm_weak_shard_of(object);
    pthread_mutex_lock(&shard->lock);
    for (struct pm_weakref *each = pm_weak_first(shard, object); each != NULL; each = each->next)
        count++;
    pthread_mutex_unlock(&shard->lock);
    return count;
}

size_t pm_weakref_list(const struct pm_object *object, struct pm_object **weakrefs, size_t room)
{
    size_t count = 0;
    pm_object_require_thread("pm_weakref_list", object);
    if (!has_weakrefs(object))
        return 0;
    struct pm_weak_shard *shard = pm_weak_shard_of(object);
    pthread_mutex_lock(&shard->lock);
    struct pm_weakref *each = pm_weak_first(shard, object);
    for (; each != NULL && count < room; each = each->next)
        if (pm_try_incref(&each->object)) /* else it dies */
            weakrefs[count++] = &each->object;
    pthread_mutex_unlock(&shard->lock);
    return count;
}

/* ---- the end of the object ---- */

static void append(struct pm_weak_callbacks *callbacks, struct pm_weakref *weakref)
{
    weakref->next = NULL;
    *(callbacks->first == NULL ? &callbacks->first : &callbacks->last->next) = weakref;
    callbacks->last = weakref;
}

void pm_weak_clear_trash(struct pm_object *object, struct pm_weak_callbacks *callbacks,
                         bool (*is_trash)(struct pm_object *weakref, void *arg), void *arg)
{
    struct pm_weak_shard *shard = pm_weak_shard_of(object);
    pthread_mutex_lock(&shard->lock);
    for (struct pm_weakref *each = pm_weak_take_out_all(shard, object), *next; each != NULL;
         each = next) {
        next = each->next;
        each->next = each->previous = NULL;
        if (callbacks != NULL && each->callback != NULL &&
            (is_trash == NULL || !is_trash(&each->object, arg)) && pm_try_incref(&each->object))
            append(callbacks, each);
        /* Release: the last access of one that was not kept, which may die at once; pairs with
         * weakref_clear. */
        pm_store_release(&each->referent, NULL);
    }
    pthread_mutex_unlock(&shard->lock);
}

void pm_weak_run_callbacks(struct pm_weak_callbacks *callbacks)
{
    while (callbacks->first != NULL) {
        struct pm_weakref *weakref = callbacks->first;
        struct pm_object *held = weakref->arg;
        pm_weakref_callback callback = weakref->callback;
        weakref->callback = NULL;
        if (callback != NULL) /* else it was called, and did not return */
            callback(&weakref->object, held);
        callbacks->first = weakref->next;
        weakref->next = NULL;
        weakref->arg = NULL;
        if (held != NULL)
            pm_decref(held);
        pm_decref(&weakref->object);
    }
}

void pm_weak_dying(struct pm_object *object)
{
    struct pm_weak_callbacks callbacks = {NULL, NULL};
    pm_weak_clear_trash(object, &callbacks, NULL, NULL);
    pm_weak_run_callbacks(&callbacks);
}
