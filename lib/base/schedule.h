/* SPDX-License-Identifier: MIT */
/*
 * The schedule fuzzer of the test build PM_SCHEDULE=1. Threads are preempted where the system
 * likes, which is hardly ever between two given instructions; here each access to a shared field
 * (base/atomic.h) is a point at which the thread may lose the processor, for a moment or for long.
 * So the interleavings that the remote word must survive are tried thousands of times a second.
 *
 * At a point a thread does nothing, or what its random generator says:
 *
 *   spin    waits for some hundred pauses: the other thread's instructions shift against ours
 *   yield   lets another thread run
 *   sleep   some microseconds: a preempted thread
 *   burst   a change of priority, in the manner of probabilistic concurrency testing (Burckhardt,
 *           Kothari, Musuvathi, Nagarakatte 2010): the thread itself is held back just here, until
 *           the others have passed some number of points; or it is all threads below a random
 *           priority that are, wherever they are, while the others run on
 *
 * Who is held back goes on when the others no longer move, as they may be waiting for it.
 *
 * POOLMALLOC_SCHEDULE=seed=7,spin=1/128,yield=1/64,sleep=1/4096,burst=1/16384 in the environment
 * sets the run's seed and how often each happens ("0": never). The decisions of a thread follow
 * from the seed and its number (in the order of their first points); what comes of them depends on
 * the system's scheduler too. docs/schedule-fuzzing.md tells how to use it.
 *
 * Any thread, any state: no allocation, no lock, errno kept, async-signal-safe; before the library
 * is initialised and in children of fork.
 */
#ifndef PM_BASE_SCHEDULE_H
#define PM_BASE_SCHEDULE_H

#include "base/config.h"

#include <stdbool.h>
#include <stdint.h>

#if PM_SCHEDULE

void pm_schedule_point(void);

/* Reads the environment. `nap` sleeps for so many nanoseconds, or a little; until it is registered
 * a thread yields instead. Called once, by the os layer, before a second thread allocates. */
void pm_schedule_start(void (*nap)(uint64_t ns));

/* Parses settings as in the environment. False: something was not understood, and is named. */
bool pm_schedule_parse(const char *text);

/* What this thread did at its points so far; `digest` stands for what, when and how long. */
struct pm_schedule_counts {
    uint64_t points, spins, yields, sleeps, bursts, digest;
};
struct pm_schedule_counts pm_schedule_counts(void);
/* The thread starts over as number `number` of the seed in force. */
void pm_schedule_restart(uint64_t number);

#else

static inline void pm_schedule_point(void) {}

#endif

#endif
