/* SPDX-License-Identifier: MIT */
/*
 * Watching: a service of the tools layer that wants to see every call puts a table of functions in
 * front of the heaps. What is off costs nothing: the fast paths do not ask. A thread that is
 * watched has the sentinel `pm_heap_watched` in place of its heap; its pools are all empty and no
 * route names it, so each malloc and free of the thread leaves the fast path by what fails there
 * anyway. The slow paths ask only where the calling thread has no heap to be seen
 * (pm_watch_asked): one predictable branch. docs/decisions/012-watching-by-a-sentinel.md.
 *
 *   pm_heap_self        suspended   the thread
 *   pm_heap_watched     0           is watched; its heap, or its sentinel, is put by
 *   its heap            1 or more   runs a function of the watch, or of ours that needs its heap
 *   another sentinel    0           has made no call yet, or its heap has ended: the next call is
 *                                   the watch's, and leaves it with pm_heap_watched
 *
 * What a signal handler allocates that interrupts a function of the watch is not watched.
 */
#ifndef PM_HEAP_WATCH_H
#define PM_HEAP_WATCH_H

#include "heap/heap.h"

struct pm_user_heap;

/* By which family of functions a block is made, and has to be given back. */
enum pm_maker {
    PM_MAKER_MALLOC, /* the C library's family, with the names of other allocators */
    PM_MAKER_NEW,
    PM_MAKER_NEW_ARRAY,
    PM_MAKER_HEAP, /* a user heap; given back as what malloc made */
    PM_MAKER_RAW,  /* the domains */
    PM_MAKER_MEM,
    PM_MAKER_OBJECT,
    PM_MAKERS
};

struct pm_request {
    size_t bytes, align; /* a power of two; 1: as malloc aligns */
    bool zero;
    enum pm_maker maker;
    struct pm_user_heap *heap; /* NULL: none */
    const char *function;      /* for reports */
};

struct pm_return {
    const char *function;
    enum pm_maker maker;
    bool sized;          /* the caller told: */
    size_t bytes, align; /* 1: it said nothing of an alignment */
};

/* The functions run in the calling thread, which is not watched meanwhile: what they call of the
 * allocator does its plain work. They may be called before constructors ran. */
struct pm_watch {
    /* NULL: out of memory. */
    void *(*make)(const struct pm_request *request);
    /* ptr is not NULL. */
    void (*give_back)(void *ptr, const struct pm_return *how);
    /* realloc: ptr is not NULL, bytes not 0. NULL: out of memory, the block stays. */
    void *(*resize)(void *ptr, size_t bytes, const char *function);
    /* Bytes that the program may use of a live block. */
    size_t (*usable)(const void *ptr, const char *function);
    /* What the program knows as the live block that the heap layer knows; *bytes: in and out. */
    void *(*shown)(void *block, size_t *bytes);
};

/*
 * Shorter ways of one watch for most calls, a malloc of so many bytes and a free: nothing is put
 * away for them. They are called while the thread is watched, and may do all that a fast path does
 * with the heap pm_watch_put_by; for the rest they call pm_watch_malloc and pm_watch_free. errno
 * has to stay. Defined by the tools layer, constant; who has the heap layer alone does without.
 */
struct pm_watch_short {
    const struct pm_watch *of;
    void *(*malloc)(size_t bytes);
    void (*free)(void *ptr, const char *function);
};
extern const struct pm_watch_short pm_watch_short PM_HIDDEN __attribute__((weak));

/* Who watches; NULL: nobody. */
extern const struct pm_watch *_Atomic pm_watch_now PM_HIDDEN;
/* Of the thread: its heap while it is watched, and how often it was suspended. */
#define PM_WATCH_THREAD PM_HIDDEN __attribute__((tls_model("initial-exec")))
extern __thread struct pm_heap *pm_watch_put_by PM_WATCH_THREAD;
extern __thread unsigned pm_watch_suspended PM_WATCH_THREAD;

/* The calling thread is watched by the watch that has shorter ways. */
PM_INLINE bool pm_watch_is_short(void)
{
    /* Acquire: see pm_watch_of_thread. */
    return &pm_watch_short != NULL && pm_heap_self == &pm_heap_watched &&
           pm_load_acquire(&pm_watch_now) == pm_watch_short.of && pm_watch_suspended == 0;
}

/* By the tools layer: who watches from the start of the process on, or NULL. Called once, when the
 * options are known, under the lock of start-up; before constructors, so it must not allocate. */
const struct pm_watch *pm_watch_at_start(void);

/* Who watches from now on, or NULL: nobody. The calling thread is watched from its next call on;
 * other threads that have a heap join at their next slow path, and leave at their next call. So the
 * watch must bear that blocks which it did not make come back to it, and some that it made do not.
 * Tables are constant and stay: calls that have begun may still use the old one. */
void pm_watch_set(const struct pm_watch *watch);

/* Of a thread whose heap is a sentinel. */
const struct pm_watch *pm_watch_of_thread(void);

/* Who watches the calling thread now; NULL: nobody. */
PM_INLINE const struct pm_watch *pm_watch_asked(void)
{
    return pm_likely(pm_heap_self->real) ? NULL : pm_watch_of_thread();
}

/* Until as many pm_watch_resume the calling thread has its heap, and is not watched. */
void pm_watch_suspend(void);
void pm_watch_resume(void);
/* The calling thread's heap or sentinel, put by or not. */
struct pm_heap *pm_watch_heap_of_thread(void);

/* Calls of the watch's functions; what the caller asked, which PTRDIFF_MAX need not hold. NULL with
 * errno ENOMEM: out of memory. The others leave errno alone. */
void *pm_watch_make(const struct pm_watch *watch, const struct pm_request *request);
void *pm_watch_malloc(const struct pm_watch *watch, size_t bytes, size_t align, bool zero);
void *pm_watch_resize(const struct pm_watch *watch, void *ptr, size_t bytes, const char *function);
size_t pm_watch_usable(const struct pm_watch *watch, const void *ptr, const char *function);
void pm_watch_give_back(const struct pm_watch *watch, void *ptr, const struct pm_return *how);
/* By a function whose name says by which family. */
void pm_watch_free(const struct pm_watch *watch, void *ptr, const char *function);

#endif
