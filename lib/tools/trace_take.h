/* SPDX-License-Identifier: MIT */
/*
 * Taking the stack of a call, at the cost of looking whether it is one that the thread has had
 * before. A thread remembers the last stacks with the places where their return addresses stood. A
 * call whose own frame is where one of those was, and that finds all of the addresses in their
 * places, has that stack: some independent loads and compares, whether the program has frame
 * pointers or not. docs/decisions/015-traces-beside-the-window.md has the argument, and the
 * figures.
 *
 * Others go the long way: by frame pointers, if the unwinder once agreed with that very chain, else
 * by the unwinder (option trace_unwind).
 */
#ifndef PM_TOOLS_TRACE_TAKE_H
#define PM_TOOLS_TRACE_TAKE_H

#include "heap/heap.h"
#include "tools/trace_count.h"

#define PM_TRACE_SETS 32
#define PM_TRACE_WAYS 4

struct pm_trace_way;

/* Of a thread; it stays with the thread's heap. */
struct pm_trace_thread {
    struct pm_trace_held held;
    /* The thread's own from here on. */
    struct pm_trace_way *ways; /* NULL: no memory for them */
    uint32_t way_bytes, links; /* how large each is, and for how many addresses */
    uint32_t frames;           /* for which they were made */
    uint32_t turn;             /* which of a set is replaced next */
};

struct pm_trace_thread *pm_trace_make_thread(struct pm_heap *heap);

/* The calling thread's, which is made if need be; NULL: it has no heap of its own now. Where
 * others serve it than the pools, its calls of the tracing are all that make one. */
PM_INLINE struct pm_trace_thread *pm_trace_thread(void)
{
    struct pm_heap *heap = pm_heap_self;
    if (pm_unlikely(!heap->real) && (heap = pm_heap_get()) == NULL)
        return NULL;
    struct pm_trace_thread *thread = heap->traced;
    return pm_likely(thread != NULL) ? thread : pm_trace_make_thread(heap);
}

/* The number of the stack that this was called by, at most so many frames; 0: out of memory.
 * `thread` may be NULL. */
uint32_t pm_trace_take_stack(struct pm_trace_thread *thread, unsigned frames);

/* How many of the calls had a stack that was not remembered, of all threads: those take long. */
uint64_t pm_trace_taken_anew(void);

#endif
