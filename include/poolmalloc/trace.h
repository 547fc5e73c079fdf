/* SPDX-License-Identifier: MIT */
/*
 * Tracing: for each live block its size and the stack that it was made by; tracemalloc's model
 * (PEP 454; _tracemalloc of CPython) for native stacks. It is started by a call, or from the first
 * block of the process on by the option `trace` (POOLMALLOC_OPTIONS=trace=8). docs/tracing.md tells
 * how to use it, what it costs, and its limits; <poolmalloc/snapshot.h> what to do with the traces.
 *
 * What is not started costs nothing. Blocks that were made before are not traced, and may be freed
 * and resized as ever. What tracing holds is memory of its own, in no arena and no statistic but
 * pm_trace_own_bytes. Where it can have no more it stops itself and says so in one line on stderr;
 * the allocation that it happened in succeeds.
 *
 * All functions: any thread, at any time, while others allocate. Not in a signal handler, but for
 * those that say so.
 */
#ifndef POOLMALLOC_TRACE_H
#define POOLMALLOC_TRACE_H

#include "poolmalloc/domains.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The most frames of a stack that are kept. */
#define PM_TRACE_FRAMES_MAX 128

/*
 * Who made a block. The first three are enum pm_domain's; numbers from PM_TRACE_DOMAINS on are the
 * program's own, for pm_trace_track.
 */
enum pm_trace_domain {
    PM_TRACE_RAW = PM_DOMAIN_RAW,
    PM_TRACE_MEM = PM_DOMAIN_MEM,
    PM_TRACE_OBJECT = PM_DOMAIN_OBJECT,
    PM_TRACE_MALLOC,    /* the malloc family, under all its names */
    PM_TRACE_NEW,       /* operator new */
    PM_TRACE_NEW_ARRAY, /* operator new[] */
    PM_TRACE_HEAP,      /* a user heap */
    PM_TRACE_DOMAINS
};

/*
 * Starts, with the innermost `frames` return addresses of each stack kept (tracemalloc.start).
 * True; also where it was started before, and nothing changes then, not even the number of frames.
 * It allocates, and loads an unwinder, which takes the loader's lock. The calling thread is traced
 * from its next call on, others that allocate already join at their next slow path: within some
 * thousand calls (docs/tracing.md).
 *
 * False: nothing is traced; errno EINVAL (frames is 0 or above PM_TRACE_FRAMES_MAX), ENOMEM, or
 * ENOTSUP (in a build for valgrind).
 */
PM_API bool pm_trace_start(unsigned frames);

/* Stops, and drops all traces; the memory for them goes back to the system, but for what the
 * stacks take, which the next start uses again (tracemalloc.stop). Calls that other threads have
 * begun may be done a moment later. Not started: does nothing. */
PM_API void pm_trace_stop(void);

/* Also in signal handlers. */
PM_API bool pm_trace_is_on(void);

/* Drops all traces, and goes on; both figures of pm_trace_memory are 0 (clear_traces). */
PM_API void pm_trace_clear(void);

/* How many frames are kept of each stack; 0: not started (get_traceback_limit). Also in signal
 * handlers. */
PM_API unsigned pm_trace_limit(void);

/*
 * The bytes of all live blocks that are traced, as they were asked for, and the most that they were
 * since the start, the last clear or the last reset (get_traced_memory). Either pointer may be
 * NULL. Both 0: not started.
 *
 * *current is exact at rest; while others work, it is off by what they are doing just now. *peak is
 * exact as long as one thread allocates and frees. With several it is never less than the true
 * peak, and above it by at most what the other threads have freed and hold for their next blocks:
 * PM_TRACE_SLACK_BYTES for each thread, nothing of one that only allocated so far. Also in signal
 * handlers.
 */
#define PM_TRACE_SLACK_BYTES 16384
PM_API void pm_trace_memory(size_t *current, size_t *peak);

/* The peak is what is current now (reset_peak). */
PM_API void pm_trace_reset_peak(void);

/* Bytes that tracing itself holds, in steps of some hundred KiB, of which the system may have less
 * resident (get_tracemalloc_memory). Also in signal handlers. */
PM_API size_t pm_trace_own_bytes(void);

/*
 * The stack that the live block was made by: at most `most` return addresses, innermost first, go
 * to `frames`, and its size to *bytes, which may be NULL (get_object_traceback). How many there
 * are; 0: it is not traced, and *bytes is left alone, or no frame was found. With a domain below
 * PM_TRACE_DOMAINS any block of those is found.
 */
PM_API unsigned pm_trace_of(unsigned domain, const void *ptr, uintptr_t *frames, unsigned most,
                            size_t *bytes);

/*
 * For reports of errors: writes the stack that the block at ptr was made by to stderr, under a
 * headline, or that of the block that was there last, if it has been freed. Nothing is written if
 * that was not traced, or lies outside the first window. Any thread, also in signal handlers;
 * nothing is allocated and no lock taken.
 */
PM_API void pm_trace_report(const void *ptr);

/*
 * For other allocators: a block of theirs is traced, with the stack of this call
 * (PyTraceMalloc_Track). `domain` and `ptr` together name it; the domain is a number from
 * PM_TRACE_DOMAINS on. A trace that was there is replaced: that is how to tell that it changed its
 * size. ptr is a key and is not looked at. False: it is not traced; not started, or out of memory.
 */
PM_API bool pm_trace_track(unsigned domain, const void *ptr, size_t bytes);

/* The block is gone; call it before the memory goes back (PyTraceMalloc_Untrack). One that is not
 * traced is left at that. False: not started. */
PM_API bool pm_trace_untrack(unsigned domain, const void *ptr);

#ifdef __cplusplus
}
#endif

#endif
