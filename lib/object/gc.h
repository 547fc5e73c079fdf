/* SPDX-License-Identifier: MIT */
/* What birth, death and threads tell the collector (gc_trigger.c). Attached threads. */
#ifndef PM_OBJECT_GC_H
#define PM_OBJECT_GC_H

#include "object/internal.h"

/* By a thread that attaches, before it makes objects: what the collector has is there. */
void pm_gc_prepare(void);
/* By a thread that detaches: what it has counted goes to the others. */
void pm_gc_thread_leaves(void);
/* By a thread that ends, perhaps within a collection of its own, which is over then. */
void pm_gc_thread_ends(void);
/* The calling thread collects: it is in a finalizer, or a callback. */
bool pm_gc_is_in_collection(void);

/* An object takes at least so many bytes of a gc pool, so that no two share bits of the collector's
 * (GC_GENERATION_SHIFT). One that refers to others needs them anyway. */
#define PM_GC_OBJECT_MIN ((size_t)32)

/* There are gc pools, and the collector has memory beside them. */
bool pm_gc_has_pools(void);

/* Before an object of a type flagged PM_TYPE_GC is allocated: a collection may be due, and the
 * thread stops here if another one collects. */
void pm_gc_before_birth(void);
/* It has its memory, from a gc pool. Until it has its header it looks dead, and the thread comes to
 * no safepoint. */
void pm_gc_born(struct pm_object *object);
/* The same, from elsewhere. False: there is no memory to register it. */
bool pm_gc_born_elsewhere(struct pm_object *object);
/* The object may be part of a cycle, or become one: who holds it has to be tracked. */
bool pm_gc_may_lead_back(const struct pm_object *object);
/* What the collector has left out by itself is tracked again. */
void pm_gc_take_in(struct pm_object *object);
/* It is dead, and its memory is about to be given back. */
void pm_gc_dead(struct pm_object *object);

#endif
