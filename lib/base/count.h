/* SPDX-License-Identifier: MIT */
/*
 * Counting of events that the statistics of the release leave out, as counting them would cost more
 * than many of them do themselves: the build PM_COUNT=1 serves the benchmarks, which report them
 * for each million operations. Any thread; in all other builds an event costs nothing.
 */
#ifndef PM_BASE_COUNT_H
#define PM_BASE_COUNT_H

#include "base/config.h"

#include <stdatomic.h>
#include <stdint.h>

enum pm_event {
    PM_EVENT_SLOW_PATH,     /* a call of malloc or free that left its fast path */
    PM_EVENT_ATOMIC_UPDATE, /* compare-and-swap or exchange, those of locks included */
    PM_EVENTS
};

#if PM_COUNT
extern _Atomic uint64_t pm_events[PM_EVENTS] __attribute__((visibility("hidden")));

static inline void pm_count_event(enum pm_event event)
{
    /* Relaxed: nothing is ordered by it. */
    atomic_fetch_add_explicit(&pm_events[event], 1, memory_order_relaxed);
}
#else
static inline void pm_count_event(enum pm_event event)
{
    (void)event;
}
#endif

#endif
