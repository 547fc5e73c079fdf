/* SPDX-License-Identifier: MIT */
/* See lock.h. */
#include "base/lock.h"

#include "base/report.h"

#include <sched.h>

enum { SPINS_BEFORE_SLEEP = 100 };

static void wait_by_yield(_Atomic uint32_t *word, uint32_t value)
{
    (void)word;
    (void)value;
    sched_yield();
}

static void wake_nobody(_Atomic uint32_t *word)
{
    (void)word;
}

/* Relaxed: whichever of the two a waiter meets, it looks at the lock again. */
static void (*_Atomic waiter_wait)(_Atomic uint32_t *, uint32_t) = wait_by_yield;
static void (*_Atomic waiter_wake)(_Atomic uint32_t *) = wake_nobody;

void pm_lock_set_waiter(void (*wait)(_Atomic uint32_t *, uint32_t),
                        void (*wake)(_Atomic uint32_t *))
{
    pm_store_relaxed(&waiter_wake, wake); /* before a thread can sleep that needs it */
    pm_store_relaxed(&waiter_wait, wait);
}

#if PM_CHECK
static __thread uint32_t held_ranks; /* one bit a rank */

static void rank_push(const struct pm_lock *lock)
{
    pm_assert(held_ranks >> lock->rank == 0); /* nothing of this rank or a later one is held */
    held_ranks |= 1u << lock->rank;
}

static void rank_pop(const struct pm_lock *lock)
{
    pm_assert(held_ranks >> lock->rank & 1);
    held_ranks &= ~(1u << lock->rank);
}
#else
static void rank_push(const struct pm_lock *lock)
{
    (void)lock;
}

static void rank_pop(const struct pm_lock *lock)
{
    (void)lock;
}
#endif

/* Acquire pairs with the release in pm_lock_release: what the last holder wrote is seen. */
static PM_COLD void acquire_slow(struct pm_lock *lock)
{
    for (int i = 0; i < SPINS_BEFORE_SLEEP; i++) {
        uint32_t free_state = 0;
        if (pm_load_relaxed(&lock->state) == 0 && pm_cas_acquire(&lock->state, &free_state, 1))
            return;
        pm_cpu_relax();
    }
    while (pm_exchange_acquire(&lock->state, 2) != 0)
        pm_load_relaxed (&waiter_wait)(&lock->state, 2);
}

void pm_lock_acquire(struct pm_lock *lock)
{
    uint32_t free_state = 0;
    pm_schedule_point();
    rank_push(lock);
    bool contended = !pm_cas_acquire(&lock->state, &free_state, 1);
    if (pm_unlikely(contended))
        acquire_slow(lock);
    pm_count_owner(&lock->acquisitions, 1);
    pm_count_owner(&lock->contended, contended);
}

void pm_lock_release(struct pm_lock *lock)
{
    rank_pop(lock);
    if (pm_exchange_release(&lock->state, 0) == 2)
        pm_load_relaxed (&waiter_wake)(&lock->state);
    pm_schedule_point();
}

void pm_lock_reset_in_child(struct pm_lock *lock)
{
    rank_pop(lock);
    pm_store_release(&lock->state, 0);
}
