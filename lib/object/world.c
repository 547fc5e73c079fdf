/* SPDX-License-Identifier: MIT */
/*
 * Stopping the world. The stopper says so (`stops`), asks every thread whose slot is RUNNING by its
 * `due`, and waits until none is. Who leaves RUNNING does so under the lock of its slot, then tells
 * the stopper; who comes to it looks at `stops` under that lock, and waits if it is set. The
 * stopper has looked at each slot under its lock after it set `stops`: so either it saw the thread
 * RUNNING and is told when it leaves, or the thread sees that the world stops.
 *
 * The lock of this file comes before that of reclamation, the registry's and those of slots.
 */
#include "object/world.h"

#include <errno.h>
#include <time.h>

unsigned pm_world_patience_ms = 1000;
unsigned pm_world_give_up_ms = 100;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t left; /* a thread has left RUNNING */
static pthread_cond_t started = PTHREAD_COND_INITIALIZER;
static _Atomic bool stops;
/* Under the lock: */
static struct pm_slot *stopper; /* NULL: nobody */
static uint64_t asked_ns;
static int cancel_state; /* what the stopper's was */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

/* Under the lock. Who waits for the stopper is another one. */
static void require_another(void)
{
    if (stopper != NULL && stopper == pm_object_thread.slot)
        pm_object_fatal_in_traverse("waits for them (it takes no lock, makes no object, drops no "
                                    "reference, comes to no safepoint and does not fork)");
}

/* ---- those who are to stop ---- */

bool pm_world_stops(void)
{
    /* Acquire: false: what the last stopper has written, by then; pairs with start_under_lock. */
    return pm_load_acquire(&stops);
}

void pm_world_await(void)
{
    pm_world_hold();
    pm_world_let_go();
}

void pm_world_left(void)
{
    /* The slot's lock, which the stopper has held since it set it, shows it. */
    if (!pm_world_stops())
        return;
    pthread_mutex_lock(&lock);
    pthread_cond_signal(&left); /* nobody but the stopper waits for it */
    pthread_mutex_unlock(&lock);
}

void pm_world_wait_begin(void)
{
    if (pm_object_self.mine >> 16 != 0)
        pm_slot_let_others(pm_object_thread.slot);
}

void pm_world_wait_end(void)
{
    if (pm_object_self.mine >> 16 != 0)
        pm_slot_let_nobody(pm_object_thread.slot);
}

void pm_world_stop_here(void)
{
    if (!pm_world_stops())
        return;
    pm_world_wait_begin();
    pm_world_wait_end();
}

/* ---- the stopper ---- */

static void start_under_lock(void)
{
    stopper = NULL;
    /* Release: all that the stopper has written; pairs with pm_world_stops. */
    pm_store_release(&stops, false);
    pthread_cond_broadcast(&started);
}

/* Under the lock, which the wait lets go. False: it gave up. */
static bool wait_for_all(const char *function, bool insist)
{
    unsigned patience_ms = insist ? pm_world_patience_ms : pm_world_give_up_ms;
    struct timespec until = to_timespec(asked_ns + (uint64_t)patience_ms * 1000000);
    bool told = false;
    long thread;
    while ((thread = pm_slots_ask_to_stop(stopper)) != 0) {
        if (pthread_cond_timedwait(&left, &lock, &until) != ETIMEDOUT || told)
            continue;
        if ((thread = pm_slots_ask_to_stop(stopper)) == 0)
            break;
        pm_object_warn("%s: thread %ld has reached no safepoint for %u ms%s", function, thread,
                       patience_ms, insist ? "" : "; the collection is put off");
        if (!insist)
            return false;
        told = true;
        until.tv_sec += 3600 * 24 * 365; /* one line is enough */
    }
    return true;
}

bool pm_world_stop(const char *function, bool insist)
{
    int state;
    if (pm_object_self.mine == PM_MINE_NOBODY)
        pm_object_fatal_state(function, "the thread is not attached, or paused; a finalizer or "
                                        "callback that pauses has to resume");
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    pthread_mutex_lock(&lock);
    while (stopper != NULL) {
        pthread_mutex_unlock(&lock);
        pm_world_wait_begin();
        pm_world_await();
        pm_world_wait_end();
        pthread_mutex_lock(&lock);
    }
    stopper = pm_object_thread.slot;
    cancel_state = state;
    asked_ns = now_ns();
    /* Release: nothing; the locks of the slots show it to their threads. */
    pm_store_release(&stops, true);
    bool stopped = wait_for_all(function, insist);
    if (!stopped)
        start_under_lock();
    pthread_mutex_unlock(&lock);
    if (!stopped)
        pthread_setcancelstate(state, NULL);
    return stopped;
}

uint64_t pm_world_start(void)
{
    pthread_mutex_lock(&lock);
    uint64_t ns = now_ns() - asked_ns;
    int state = cancel_state;
    start_under_lock();
    pthread_mutex_unlock(&lock);
    pthread_setcancelstate(state, NULL);
    return ns;
}

void pm_world_thread_ends(void)
{
    pthread_mutex_lock(&lock);
    bool stopped = stopper != NULL && stopper == pm_object_thread.slot;
    pthread_mutex_unlock(&lock);
    if (stopped)
        pm_object_fatal_in_traverse("ends the thread (it has to return)");
}

/* The wait is no point of cancellation: the thread would end with the lock. */
void pm_world_hold(void)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    pthread_mutex_lock(&lock);
    require_another();
    while (stopper != NULL)
        pthread_cond_wait(&started, &lock);
    pthread_setcancelstate(state, NULL);
}

void pm_world_let_go(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- fork ---- */

/* No child begins with a world that another thread has stopped. Who forks counts as stopped until
 * nobody stops it; then its slot can become RUNNING at once. */
static void fork_prepare(void)
{
    pm_world_wait_begin();
    pm_world_hold();
    pm_world_wait_end();
}

static void init_left(void)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&left, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void fork_child(void)
{
    init_left(); /* nobody waits any more */
    pthread_cond_init(&started, NULL);
    pm_world_let_go();
}

static void start(void)
{
    init_left();
    pthread_atfork(fork_prepare, pm_world_let_go, fork_child);
}

void pm_world_init(void)
{
    pthread_once(&once, start);
}
