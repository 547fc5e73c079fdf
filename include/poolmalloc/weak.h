/* SPDX-License-Identifier: MIT */
/*
 * Weak references: objects that lead to another one without keeping it alive. docs/object-layer.md
 * tells how they go together with death and with the collector. They replicate CPython's
 * weakref.ref (Objects/weakrefobject.c, 3.13): what is shared, the order of callbacks, and when
 * they are called.
 *
 * A weak reference is an object, of a type of its own, with a reference count, and its holder
 * drops it as any other. An object that has had one may be found by pm_try_incref from then on
 * (pm_object_set_probed): its memory is freed by way of pm_qsbr_defer, and pm_is_unique says false.
 *
 * A weak reference is worth what it leads to (poolmalloc/values.h): it has its object's hash, also
 * after the object's death if it was asked before, else none (ENOTSUP); two are equal if both lead
 * to objects that are, and otherwise only if they are the same.
 *
 * All functions are for attached threads that are not paused, and may be called by several at a
 * time.
 */
#ifndef POOLMALLOC_WEAK_H
#define POOLMALLOC_WEAK_H

#include "poolmalloc/object.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Called once, after the death of the object to which the weak reference led, which
 * pm_weakref_get then no longer finds; by the thread that dropped the object's last reference, or
 * one that did so on behalf of another, or collected it. Not called if the weak reference has died
 * first, or is collected together with the object. It may use all functions of the library but
 * those that detach or pause the thread.
 */
typedef void (*pm_weakref_callback)(struct pm_object *weakref, struct pm_object *arg);

/*
 * A weak reference to the object, of which the caller has a reference. Its own one is the
 * caller's. NULL with errno ENOMEM: out of memory.
 *
 * `callback` may be NULL. Those without are all the same object, as long as one of them lives.
 * `arg`, NULL or an object, is passed to the callback; the weak reference holds a reference to it,
 * until the callback has been called or the weak reference dies. So a table that is told of its
 * dead values passes a weak reference to itself. Without a callback there is no arg.
 */
PM_API struct pm_object *pm_weakref_new(struct pm_object *object, pm_weakref_callback callback,
                                        struct pm_object *arg);

/*
 * The object, with a reference that is the caller's; NULL: it is dead, or dies. No lock is taken.
 * While the object's finalizer runs, its thread gets the object, which thereby comes back to life,
 * and other threads get NULL; if it has come back, they get it again.
 */
PM_API struct pm_object *pm_weakref_get(struct pm_object *weakref);

/* Whether the object is a weak reference. Any thread that has a reference to it. */
PM_API bool pm_is_weakref(const struct pm_object *object);

/* Weak references that there are to the object, of which the caller has a reference. Others may
 * make and drop some meanwhile. */
PM_API size_t pm_weakref_count(const struct pm_object *object);

/*
 * Puts weak references to the object into weakrefs[0 .. room - 1], each with a reference that is
 * the caller's: the one without callback first, then those that were made last. How many were put
 * there.
 */
PM_API size_t pm_weakref_list(const struct pm_object *object, struct pm_object **weakrefs,
                              size_t room);

#define PM_OBJECT_WEAK 8u /* in `flags`: has, or had, weak references */

#ifdef __cplusplus
}
#endif

#endif
