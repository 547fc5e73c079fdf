/* SPDX-License-Identifier: MIT */
/*
 * What death and the collector need of weak references (poolmalloc/weak.h).
 *
 * Order. Of an object whose count comes to 0: its finalizer; then, if it has not come back, its
 * weak references are cleared, all of them before the first callback; the callbacks, in the order
 * of the list; then the type's clear and free. That is the order of CPython's subtype_dealloc
 * (Objects/typeobject.c, 3.13: tp_finalize, PyObject_ClearWeakRefs, slots and dict), where a weak
 * reference works within the finalizer, and one that is made there is cleared like the others.
 * Of what is collected as part of cycles: all weak references to all of it are cleared, then the
 * callbacks of those that are not collected themselves are called, then the finalizers
 * (Python/gc.c, 3.13: handle_weakrefs, finalize_garbage), so that no callback can bring trash back.
 */
#ifndef PM_OBJECT_WEAK_H
#define PM_OBJECT_WEAK_H

#include "object/internal.h"
#include "poolmalloc/weak.h"

struct pm_weakref;

/* By a thread that attaches: the table is there. */
void pm_weak_prepare(void);

/* Weak references that were cleared and whose callbacks are to be called, in that order; with a
 * reference to each. All zero: none. */
struct pm_weak_callbacks {
    struct pm_weakref *first, *last;
};

/* The weak reference leads nowhere from now on, and its callback is not called. The collector does
 * that to those that are trash, so that nobody finds them, or runs their callbacks, while they are
 * taken apart (Python/gc.c, 3.13: handle_weakrefs does the same). */
void pm_weak_let_go(struct pm_weakref *weakref);

/* By death, for an object that is dead and flagged PM_OBJECT_WEAK: clears its weak references and
 * calls their callbacks. If one of them ends its thread, those after it are lost. */
void pm_weak_dying(struct pm_object *object);

/*
 * By the collector, for an object that is trash and flagged PM_OBJECT_WEAK, after it has found all
 * trash and before it calls or drops anything: clears the weak references to the object. Those that
 * have a callback, and of which is_trash(weakref, arg) says false, are appended to `callbacks`;
 * NULL: no callback is to be called (what is found after the finalizers). Nothing is called,
 * dropped, allocated or freed, so the world may be stopped. A weak reference without a callback
 * dies by nothing of this.
 */
void pm_weak_clear_trash(struct pm_object *object, struct pm_weak_callbacks *callbacks,
                         bool (*is_trash)(struct pm_object *weakref, void *arg), void *arg);

/* Calls them, and drops the references. With the world running, and no lock held. A callback may
 * end its thread: who calls this again, with the same list, goes on with the next one. */
void pm_weak_run_callbacks(struct pm_weak_callbacks *callbacks);

#endif
