/* SPDX-License-Identifier: MIT */
/*
 * The collector of cycles: objects of types flagged PM_TYPE_GC that refer to each other, and that
 * nothing else refers to, are found and cleared. The interface is that of CPython's module gc, and
 * so is what it does, where nothing else is said; docs/collector.md tells how.
 *
 * A collection stops all threads that are attached, at their safepoints (poolmalloc/object.h), or
 * where they are if they are paused or wait in this library. One that comes to no safepoint is
 * named by a line on stderr after a second. Collections start in pm_object_new of a type flagged
 * PM_TYPE_GC, before it allocates, and in pm_gc_collect. Finalizers, callbacks of weak references
 * and what types have for the death of an object are called in the thread that collects, with the
 * others running.
 *
 * A finalizer or callback may end its thread; the collection is over then, and the next one finds
 * what this one had found.
 *
 * Every function is for attached threads that are not paused, unless it says "any thread", and not
 * for traverse functions nor signal handlers.
 */
#ifndef POOLMALLOC_GC_H
#define POOLMALLOC_GC_H

#include "poolmalloc/object.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PM_GC_GENERATIONS 3

/* ---- when ---- */

/* Whether collections start by themselves; at first they do. Any thread. (gc.enable, gc.disable,
 * gc.isenabled) */
PM_API void pm_gc_enable(void);
PM_API void pm_gc_disable(void);
PM_API bool pm_gc_is_enabled(void);

/*
 * PM_GC_GENERATIONAL, the default: as CPython's ordinary build up to 3.13. Objects made less those
 * that died are counted; more than threshold 0 make a collection of generation 0; more than
 * threshold 1 of those one of generation 1, and so on. What survives gets into the next generation.
 * Generation 2 is spared until a quarter of what it had after its last collection has come to it.
 * PM_GC_WHOLE: as the free-threaded build. Each collection is of all objects, and starts when
 * threshold 0 is exceeded, and a quarter of what survived the last one.
 *
 * Setting the mode sets its thresholds: 700, 10, 10, or 2000, 10, 0. Any thread.
 */
enum pm_gc_mode { PM_GC_GENERATIONAL, PM_GC_WHOLE };
PM_API void pm_gc_set_mode(enum pm_gc_mode mode);
PM_API enum pm_gc_mode pm_gc_get_mode(void);

/* A threshold 0 of 0: no collection starts by itself. PM_GC_WHOLE looks at the first one only, and
 * leaves the quarter out if the second one is 0. Any thread. Threads at work hear of new ones when
 * they have made as many objects as the old ones let them. (gc.set_threshold, gc.get_threshold) */
PM_API void pm_gc_set_thresholds(const unsigned thresholds[PM_GC_GENERATIONS]);
PM_API void pm_gc_get_thresholds(unsigned thresholds[PM_GC_GENERATIONS]);

/* What is compared with the thresholds: objects, and collections of generations 0 and 1. With
 * several threads, what others have made since they looked last is not in it. (gc.get_count) */
PM_API void pm_gc_get_counts(size_t counts[PM_GC_GENERATIONS]);

/* ---- collections ---- */

struct pm_gc_result {
    size_t collected;     /* objects that were found to be trash, and died */
    size_t uncollectable; /* or did not: nothing in their cycle has a `clear` that breaks it */
};

/*
 * Collects a generation, 0 to 2, and those that are younger; PM_GC_WHOLE: everything. A safepoint.
 * `result` may be NULL. False, and nothing happens: errno EBUSY, there is a collection already, of
 * another thread, or of this one, in whose finalizers it is; EINVAL, no such generation.
 * (gc.collect, whose result is the sum)
 */
PM_API bool pm_gc_collect(unsigned generation, struct pm_gc_result *result);

/* ---- objects ---- */

/*
 * An object of a type flagged PM_TYPE_GC is tracked from its birth on. One that is not takes no
 * part in collections: it cannot be trash, nor can what it refers to. By who has a reference, for
 * an object whose type is flagged. (PyObject_GC_Track, PyObject_GC_UnTrack)
 *
 * Tuples that survive a collection, and dictionaries that survive one of generation 2, are left out
 * from then on if nothing in them can be part of a cycle: values, and tuples that are left out. A
 * dictionary is tracked again when something else gets into it, also one that was untracked by the
 * program.
 */
PM_API void pm_gc_track(struct pm_object *object);
PM_API void pm_gc_untrack(struct pm_object *object);
/* Of any object. (gc.is_tracked) */
PM_API bool pm_gc_is_tracked(const struct pm_object *object);
/* Its finalizer was called, or is being called. Of any object. (gc.is_finalized) */
PM_API bool pm_gc_is_finalized(const struct pm_object *object);

/*
 * These three stop the world, and give what they find: how many objects there are, of which the
 * first `room`, in no order, are written to `found`, with a reference each, which the caller then
 * has to drop. So `room` 0 counts. What a collection has found to be trash is left out.
 *
 * pm_gc_get_objects: tracked objects, of a generation, or of all for -1 (gc.get_objects).
 * pm_gc_get_referrers: tracked objects whose traverse visits one of the targets, each once
 * (gc.get_referrers). pm_gc_get_referents: what the traverse of the objects visits, as often as it
 * does; objects of other types visit nothing (gc.get_referents).
 */
PM_API size_t pm_gc_get_objects(int generation, struct pm_object **found, size_t room);
PM_API size_t pm_gc_get_referrers(struct pm_object *const *targets, size_t count,
                                  struct pm_object **found, size_t room);
PM_API size_t pm_gc_get_referents(struct pm_object *const *objects, size_t count,
                                  struct pm_object **found, size_t room);

/* All tracked objects take part in no collection any more, until pm_gc_unfreeze, which makes them
 * the oldest: for before a fork, so that collections of the child leave their neighbourhood alone.
 * (gc.freeze, gc.unfreeze, gc.get_freeze_count) */
PM_API void pm_gc_freeze(void);
PM_API void pm_gc_unfreeze(void);
PM_API size_t pm_gc_get_freeze_count(void);

/* ---- looking on ---- */

#define PM_GC_DEBUG_STATS 1u         /* a line on stderr for each collection */
#define PM_GC_DEBUG_COLLECTABLE 2u   /* and for each object that is trash */
#define PM_GC_DEBUG_UNCOLLECTABLE 4u /* and for each that did not die of it */
#define PM_GC_DEBUG_SAVEALL 32u      /* trash is finalized and not cleared; it is garbage */
#define PM_GC_DEBUG_LEAK (PM_GC_DEBUG_COLLECTABLE | PM_GC_DEBUG_UNCOLLECTABLE | PM_GC_DEBUG_SAVEALL)

/* Any thread. (gc.set_debug, gc.get_debug; the values are CPython's) */
PM_API void pm_gc_set_debug(unsigned flags);
PM_API unsigned pm_gc_get_debug(void);

/*
 * Garbage: objects that were found to be trash and are uncollectable, or saved by
 * PM_GC_DEBUG_SAVEALL. The collector has a reference to each. The first gives how many there are,
 * and writes up to `room` of them with a reference each, as above; the second drops the
 * collector's references. Without memory for the list, what is to be saved is cleared after all.
 * (gc.garbage)
 */
PM_API size_t pm_gc_get_garbage(struct pm_object **found, size_t room);
PM_API void pm_gc_clear_garbage(void);

/* Called before and after each collection, by the thread that collects, with the world running.
 * (gc.callbacks) */
struct pm_gc_info {
    bool stop; /* after it; else before, and what follows is 0 */
    unsigned generation;
    struct pm_gc_result result;
};
typedef void (*pm_gc_callback)(const struct pm_gc_info *info, void *arg);

#define PM_GC_CALLBACKS_MAX 16

/* False with errno ENOSPC: there are PM_GC_CALLBACKS_MAX already. Any thread. */
PM_API bool pm_gc_add_callback(pm_gc_callback callback, void *arg);
/* False: there is none with that arg. Any thread; it may be called for the last time meanwhile. */
PM_API bool pm_gc_remove_callback(pm_gc_callback callback, void *arg);

#define PM_GC_PAUSES 24

struct pm_gc_stats {
    /* Of each generation (gc.get_stats); in mode PM_GC_WHOLE all are of the last one. */
    struct {
        uint64_t collections, collected, uncollectable;
    } generations[PM_GC_GENERATIONS];
    uint64_t put_off; /* collections that did not start, as a thread came to no safepoint */
    /* How often the world was stopped, for whatever here: for less than 2^i microseconds, and not
     * less than half of it; the last one also for longer. */
    uint64_t pauses[PM_GC_PAUSES];
    uint64_t pause_ns, pause_ns_max; /* all together, and the longest */
    uint64_t registered;             /* objects that lie in no gc pool */
    uint64_t long_lived;             /* objects that survived the last collection of all */
};

/* Any thread. */
PM_API void pm_gc_get_stats(struct pm_gc_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
