/* SPDX-License-Identifier: MIT */
/*
 * Quiescent-state based reclamation: memory that threads read without a lock is freed when none of
 * them can still look at it (Hart, McKenney, Brown, Walpole 2007; FreeBSD's smr(9)). Each attached
 * thread says now and then that it holds no pointer that it found without a lock; what was unlinked
 * before the last of them has said so, is freed.
 *
 *   a reader finds a pointer, uses it, and forgets it before its next quiescent point. An object it
 *            keeps by pm_try_incref
 *   a writer unlinks, so that nobody can find it any more, then calls pm_qsbr_defer
 *
 * Threads that are attached for objects (poolmalloc/object.h) are attached here as well: a
 * safepoint with something due is a quiescent point, and a paused thread counts as detached, unless
 * it has called pm_qsbr_attach itself, before or meanwhile. The memory of objects that are probed
 * is freed through here.
 *
 * Bounds. Of one thread, PM_QSBR_ITEMS_MAX items and PM_QSBR_BYTES_MAX bytes wait at most, in
 * PM_QSBR_POOLS_MAX pools, and one item more. Who would go beyond it waits, quiescent itself, until
 * the other threads have been quiescent; one that is not for a second is named by a line on stderr.
 * So a thread that never is stops those who free, rather than that memory grows.
 */
#ifndef POOLMALLOC_QSBR_H
#define POOLMALLOC_QSBR_H

#include "poolmalloc/poolmalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PM_QSBR_ITEMS_MAX 1024
#define PM_QSBR_BYTES_MAX (1 << 20)
#define PM_QSBR_POOLS_MAX 512

/* Attaches the calling thread. True; false with errno ENOMEM. Again: it has to detach as often. A
 * thread that ends detaches itself. Called by a function that was given to pm_qsbr_defer it is a
 * named error, and so is there pm_object_thread_attach of a thread that is not attached for objects
 * yet: that is for before it polls. */
PM_API bool pm_qsbr_attach(void);

/* The opposite; the thread holds no pointers any more. What it has deferred and what cannot be
 * freed yet is handed over to the others. Called more often than pm_qsbr_attach by a thread that is
 * attached for objects it is a named error; so it is when called by a function that was given to
 * pm_qsbr_defer. */
PM_API void pm_qsbr_detach(void);

/* A quiescent point of the calling thread, which is attached. A load and a store. */
PM_API void pm_qsbr_quiescent(void);

/*
 * free(ptr) is called, once, when all threads that are attached now have been quiescent or
 * detached; by this thread in one of its later calls, or by another one after it has detached.
 * `bytes` is what counts for the bound. A quiescent point of the caller, which is attached: it
 * holds no pointers any more, whether it has to wait or not. `free` may call this; to attach or
 * detach in it is a named error.
 */
PM_API void pm_qsbr_defer(void (*free)(void *ptr), void *ptr, size_t bytes);

/* Frees what can be freed, of the calling thread, which is attached, and of those gone. Not a
 * quiescent point. How many bytes of the thread's still wait. */
PM_API size_t pm_qsbr_poll(void);

struct pm_qsbr_stats {
    uint64_t sequence; /* steps of 2; how often somebody has closed a batch */
    uint64_t threads;  /* attached */
    uint64_t items;    /* that wait, of all threads and those gone */
    uint64_t bytes;
    uint64_t waits; /* how often somebody had to wait for others */
    /* Pools that items lie in, at most: of two that were deferred one after the other it is seen
     * whether they lie in one unit of 32 KiB. As long as an item waits, the pool around it serves
     * no other size class and does not go back to the system. */
    uint64_t pools;
    uint64_t items_max, bytes_max, pools_max; /* the bounds of each thread, and of those gone */
};

/* Any thread. Figures of threads at work are as of some moment. */
PM_API void pm_qsbr_get_stats(struct pm_qsbr_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
