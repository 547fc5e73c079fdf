/* SPDX-License-Identifier: MIT */
/*
 * Stopping all threads that use objects, so that one of them, the stopper, sees every count and
 * every reference at rest (world.c). A thread is stopped while its slot is not RUNNING: it is
 * paused, detached, waits for something, or is held at a safepoint until the world starts again.
 * Nobody comes to RUNNING while the world stops.
 */
#ifndef PM_OBJECT_WORLD_H
#define PM_OBJECT_WORLD_H

#include "object/internal.h"

/* How long a stopper waits for a thread before it says so, or gives up; for tests. */
extern unsigned pm_world_patience_ms PM_HIDDEN;
extern unsigned pm_world_give_up_ms PM_HIDDEN;

/*
 * By an attached thread, which is not paused and holds no lock that others need to get to a
 * safepoint. True: all others are stopped, and the caller is not cancelled before it has started
 * them again. A safepoint, if another thread stops the world first.
 * Not `insist`: false, and nothing is stopped, when some thread has not come for
 * pm_world_give_up_ms. Else it waits, and names the thread once. `function` is for the report.
 */
bool pm_world_stop(const char *function, bool insist);
/* By a thread that ends: it has not stopped the world, or this is the end. */
void pm_world_thread_ends(void);
/* By the stopper. How many nanoseconds the world was asked to stop, or stopped. */
uint64_t pm_world_start(void);

/*
 * Around whatever the library waits for. Between the two the calling thread uses no object, others
 * merge what it owns, and the world may stop; the end waits until it has started again. Of a thread
 * that is not attached, or is paused, they do nothing. Not nested.
 */
void pm_world_wait_begin(void);
void pm_world_wait_end(void);

/* Somebody stops the world, or has stopped it. To be looked at under the lock of a slot by who
 * takes it to RUNNING. */
bool pm_world_stops(void);
/* Until nobody does. The caller is not RUNNING, and holds no lock. */
void pm_world_await(void);
/* The calling thread has left RUNNING. No lock is held. */
void pm_world_left(void);
/* At a safepoint: the thread stops, if that is asked for. */
void pm_world_stop_here(void);

/* Around a fork: no world is stopped between. */
void pm_world_hold(void);
void pm_world_let_go(void);

/* After the fork handlers of slots and of reclamation are registered. */
void pm_world_init(void);

#endif
