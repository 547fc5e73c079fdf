/* SPDX-License-Identifier: MIT */
/*
 * Static probes (USDT) for bpftrace, perf and gdb; docs/probes.md lists them. A probe is one nop in
 * the code and a note in a section that is never loaded; its arguments are what the place has at
 * hand, each passed as an unsigned 64-bit number. In slow paths only. Without PM_PROBES nothing.
 * Probes have no semaphores: a debugger need not write to the process to switch one on.
 */
#ifndef PM_BASE_PROBE_H
#define PM_BASE_PROBE_H

#include "base/config.h"

#if PM_PROBES
#include <sys/sdt.h>
#endif

#define PM_PROBE_NUMBER(n) ((uint64_t)(uintptr_t)(n))

#if PM_PROBES
#define PM_PROBE3(name, a, b, c)                                                                   \
    STAP_PROBE3(poolmalloc, name, PM_PROBE_NUMBER(a), PM_PROBE_NUMBER(b), PM_PROBE_NUMBER(c))
#define PM_PROBE4(name, a, b, c, d)                                                                \
    STAP_PROBE4(poolmalloc, name, PM_PROBE_NUMBER(a), PM_PROBE_NUMBER(b), PM_PROBE_NUMBER(c),      \
                PM_PROBE_NUMBER(d))
#else /* arguments have no effects: the compiler drops what only they need */
#define PM_PROBE3(name, a, b, c)                                                                   \
    ((void)PM_PROBE_NUMBER(a), (void)PM_PROBE_NUMBER(b), (void)PM_PROBE_NUMBER(c))
#define PM_PROBE4(name, a, b, c, d) (PM_PROBE3(name, a, b, c), (void)PM_PROBE_NUMBER(d))
#endif

/* What `map` and `purge` are told of memory, as their third argument. */
enum pm_probe_map { PM_PROBE_RESERVED, PM_PROBE_COMMITTED };
enum pm_probe_purge { PM_PROBE_PURGED, PM_PROBE_DECOMMITTED };

#endif
