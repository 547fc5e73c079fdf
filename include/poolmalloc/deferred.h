/* SPDX-License-Identifier: MIT */
/*
 * Deferred references: a thread uses an object of which it does not count its references. They lie
 * in frames, arrays on the thread's own stack that the library knows, and are summed when all
 * threads are stopped. docs/deferred-references.md tells what for, and what it costs.
 *
 * An object is made deferred once, by pm_object_set_deferred. From then on it does not die when its
 * count says so, but by pm_deferred_reclaim, or a collection, if there is neither a counted
 * reference to it nor one in a frame. A frame takes any object: of one that is not deferred, it
 * holds a counted reference. As CPython's free-threaded build has it (3.14: _PyStackRef,
 * PyUnstable_Object_EnableDeferredRefcount, gc_visit_thread_stacks).
 *
 * All functions are for attached threads that are not paused; a frame is for the thread that
 * entered it.
 */
#ifndef POOLMALLOC_DEFERRED_H
#define POOLMALLOC_DEFERRED_H

#include "poolmalloc/object.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PM_OBJECT_DEFERRED 64u /* in `flags`: references in frames are not counted */

/*
 * The object's references in frames need not be counted from now on. By a thread that has a
 * reference; again does nothing. The library has one reference of its own to the object, which
 * pm_refcount shows, until it is found that nobody has another. True; false with errno ENOMEM, and
 * with EINVAL: the object is immortal.
 */
PM_API bool pm_object_set_deferred(struct pm_object *object);

/* References of one scope. All fields are the library's. */
struct pm_deferred_frame {
    struct pm_deferred_frame *outer;
    /* 0: none; else the object's address, its lowest bit set: not counted */
    uintptr_t *references;
    size_t count;
};

PM_API void pm_deferred_leave_slow(struct pm_deferred_frame *frame);

/*
 * Enters a scope whose references are references[0 .. count - 1], which are set to 0. Both arrays
 * are the caller's, on its stack, and stay where they are until pm_deferred_leave. Scopes are left
 * in the opposite order; a thread has left all of them when it detaches. They are not looked at
 * while the thread is paused.
 */
static inline void pm_deferred_enter(struct pm_deferred_frame *frame, uintptr_t *references,
                                     size_t count)
{
    for (size_t i = 0; i < count; i++)
        references[i] = 0;
    frame->references = references;
    frame->count = count;
    frame->outer = pm_object_self.frames;
    pm_object_self.frames = frame;
}

/* The i-th reference's object, or NULL. It lives as long as the reference is in the frame. */
static inline struct pm_object *pm_deferred_get(const struct pm_deferred_frame *frame, size_t i)
{
    return (struct pm_object *)(frame->references[i] & ~(uintptr_t)1);
}

/* The i-th reference leads nowhere. A counted one is dropped. */
static inline void pm_deferred_clear(struct pm_deferred_frame *frame, size_t i)
{
    uintptr_t old = frame->references[i];
    frame->references[i] = 0;
    if (old != 0 && (old & 1) == 0)
        pm_decref((struct pm_object *)old);
}

static inline bool pm_deferred_is_set(const struct pm_object *object)
{
    return (__atomic_load_n(&object->flags, __ATOMIC_RELAXED) & PM_OBJECT_DEFERRED) != 0;
}

/*
 * The i-th reference leads to the object, of which the caller has a reference, or the use of one: a
 * load and a store if the object is deferred, pm_incref if not. What the reference led to before is
 * as after pm_deferred_clear.
 */
static inline void pm_deferred_set(struct pm_deferred_frame *frame, size_t i,
                                   struct pm_object *object)
{
    uintptr_t old = frame->references[i];
    if (pm_deferred_is_set(object)) {
        frame->references[i] = (uintptr_t)object | 1;
    } else {
        pm_incref(object);
        frame->references[i] = (uintptr_t)object;
    }
    if (old != 0 && (old & 1) == 0)
        pm_decref((struct pm_object *)old);
}

/*
 * The same for who has found the object without having a reference, as pm_try_incref: false, and
 * the reference leads nowhere: the object is dead, or dies, or is neither deferred nor probed. A
 * deferred object that was found in a place with a counted reference to it can be had without being
 * probed: between the two, the thread comes to no safepoint, and drops no reference.
 */
static inline bool pm_deferred_try_set(struct pm_deferred_frame *frame, size_t i,
                                       struct pm_object *object)
{
    uintptr_t old = frame->references[i], reference = 0;
    if (pm_deferred_is_set(object))
        reference = (uintptr_t)object | 1;
    else if (pm_try_incref(object))
        reference = (uintptr_t)object;
    frame->references[i] = reference;
    if (old != 0 && (old & 1) == 0)
        pm_decref((struct pm_object *)old);
    return reference != 0;
}

/* Leaves the scope, the one entered last. Its counted references are dropped. */
static inline void pm_deferred_leave(struct pm_deferred_frame *frame)
{
    if (__builtin_expect(pm_object_self.frames != frame, 0))
        pm_deferred_leave_slow(frame);
    for (size_t i = 0; i < frame->count; i++)
        pm_deferred_clear(frame, i);
    pm_object_self.frames = frame->outer;
}

/*
 * Gives up the library's reference to each deferred object that has no other, neither counted nor
 * in a frame of any thread: so it dies, unless its finalizer brings it back; then it is deferred no
 * more. How many. What dies by that may leave others behind, for the next call; what refers to
 * itself in a circle is for a collection. Stops all threads that use objects at their next
 * safepoint, and names one that does not come for a second by a line on stderr; a safepoint of the
 * caller, whose finalizers may run.
 */
PM_API size_t pm_deferred_reclaim(void);

struct pm_deferred_stats {
    size_t objects;     /* deferred */
    uint64_t reclaims;  /* calls of pm_deferred_reclaim that were made */
    uint64_t reclaimed; /* objects that were given up, by a collection as well */
};

/* Any thread. */
PM_API void pm_deferred_get_stats(struct pm_deferred_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
