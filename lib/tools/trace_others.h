/* SPDX-License-Identifier: MIT */
/*
 * Traces of what lies in no first window: blocks of other allocators, of the C library's in mode
 * `malloc`, and of windows that were added. A table of chains, in shards with a lock each. A walk
 * takes none.
 */
#ifndef PM_TOOLS_TRACE_OTHERS_H
#define PM_TOOLS_TRACE_OTHERS_H

#include "tools/trace_slots.h"

/* Once. False: out of memory. */
bool pm_trace_others_start(void);
/* Drops all that is not of the epoch. */
void pm_trace_others_purge(unsigned epoch);

/* Of the library's own domains the address alone is the key; else the domain, too. `*replaced`: the
 * bytes of the trace that was there. False: out of memory. */
bool pm_trace_others_put(const void *ptr, unsigned epoch, const struct pm_traced *traced,
                         uint64_t *replaced);
struct pm_traced pm_trace_others_drop(unsigned domain, const void *ptr, unsigned epoch);
struct pm_traced pm_trace_others_get(unsigned domain, const void *ptr, unsigned epoch);
void pm_trace_others_each(unsigned epoch, void (*visit)(const struct pm_traced *traced, void *arg),
                          void *arg);

#endif
