/* SPDX-License-Identifier: MIT */
/*
 * Tracing, for the rest of the tools layer: see poolmalloc/trace.h for what it is.
 *
 *   trace.c          starting and stopping; the public functions
 *   trace_record.c   the watch that sees every call, and hands it down to the one below
 *   trace_domains.c  the same before the domains' tables
 *   trace_take.c     which stack it is
 *   trace_stacks.c   every stack once
 *   trace_slots.c    the traces, by address; trace_others.c those of other memory
 *   trace_count.c    how much is traced, and the peak
 *   trace_room.c     memory of the tracing's own
 *   trace_out.c      snapshots at exit and on a signal
 *
 * An epoch is the time from a start or a clear to the next stop or clear. Every trace and every
 * figure is of one, and means nothing in another: so nobody waits for calls that others are in, and
 * what those write late is as if it were not there.
 */
#ifndef PM_TOOLS_TRACE_H
#define PM_TOOLS_TRACE_H

#include "api/domains.h"
#include "heap/watch.h"
#include "poolmalloc/trace.h"
#include "tools/trace_slots.h"

/* Written under the service's lock, but that tracing which runs out of memory ends its epoch. */
struct pm_tracing {
    _Atomic uint32_t trace_epoch; /* 0: nothing is traced */
    _Atomic uint32_t trace_frames;
} __attribute__((aligned(PM_LINE_BYTES)));
extern struct pm_tracing pm_tracing PM_HIDDEN;

/* The epoch; with it, all that its start made can be used. */
PM_INLINE unsigned pm_trace_epoch(void)
{
    return pm_load_acquire(&pm_tracing.trace_epoch);
}

/* By modes.c, at the start of the process: who watches there, which is `below` or, if the options
 * say so, the tracing before it; and the same for the domains. NULL: nobody, the default tables. */
const struct pm_watch *pm_trace_at_start(const struct pm_watch *below);
const struct pm_domain_set *pm_trace_domains_at_start(const struct pm_domain_set *below);
/* Whether the options want tracing from the start on, for which an unwinder is to be loaded. */
bool pm_trace_wanted(void);

/* By a constructor: the signal of the option trace_signal. */
void pm_trace_out_start(void);

/* Visits what is traced now; the same stack may come several times, to be added up. Exact at rest.
 * Takes no lock: also in a signal handler. visit must not allocate from the pools. False: nothing
 * is traced. */
bool pm_trace_each(void (*visit)(unsigned domain, const uintptr_t *frames, unsigned count,
                                 uint64_t blocks, uint64_t bytes, void *arg),
                   void *arg);

/* ---- trace_record.c: for the files of the tracing ---- */

extern const struct pm_watch pm_trace_watch PM_HIDDEN;
/* Whom the watch hands down to; NULL: the pools. Once, at the start of the process. */
void pm_trace_set_below(const struct pm_watch *below);
const struct pm_watch *pm_trace_below(void);

/* The calling thread is inside the tracing, or in an allocator that was traced already: what it
 * allocates there, also in a signal handler, is none of the program's. */
extern __thread bool pm_trace_busy PM_HIDDEN __attribute__((tls_model("initial-exec")));

/* Traces a block / drops its trace / gets it. The thread is not watched meanwhile. */
bool pm_trace_record(unsigned domain, const void *ptr, size_t bytes);
void pm_trace_forget(unsigned domain, const void *ptr);
struct pm_traced pm_trace_look(unsigned domain, const void *ptr, unsigned epoch);

/* realloc: the trace goes before the memory, and comes back where that failed. */
struct pm_trace_lifted {
    struct pm_traced traced;
    unsigned epoch;
};
struct pm_trace_lifted pm_trace_lift(unsigned domain, const void *ptr);
void pm_trace_lay(const struct pm_trace_lifted *lifted, unsigned domain, const void *ptr,
                  size_t bytes);
void pm_trace_lay_back(const struct pm_trace_lifted *lifted, const void *ptr);

/* ---- trace_domains.c ---- */

/* Puts the tables in front of those that are there / takes them away again, where they are in
 * front. Under the service's lock; they allocate. */
bool pm_trace_domains_start(void);
void pm_trace_domains_stop(void);

#endif
