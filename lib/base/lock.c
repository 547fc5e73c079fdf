/* SPDX-License-Identifier: MIT */
/* See lock.h. */
#include "base/lock.h"

#include "base/report.h"

#include <sched.h>

enum {
    SPINS_BEFORE_SLEEP = 100,
    SLEEPS_OF_PATIENT_FORK = 100, /* each as long as the waiter sleeps at most */
    SLEEPS_OF_IMPATIENT_FORK = 8,
};

__thread unsigned pm_hook_depth;

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

/* The last of each rank. Release in pm_lock_register pairs with the acquire in pm_lock_of_rank: who
 * finds a lock sees its rank and what follows it. Locks stay registered. */
static struct pm_lock *_Atomic registered[PM_RANK_COUNT];

void pm_lock_set_waiter(void (*wait)(_Atomic uint32_t *, uint32_t),
                        void (*wake)(_Atomic uint32_t *))
{
    pm_store_relaxed(&waiter_wake, wake); /* before a thread can sleep that needs it */
    pm_store_relaxed(&waiter_wait, wait);
}

void pm_lock_register(struct pm_lock *lock)
{
    struct pm_lock *last = pm_load_relaxed(&registered[lock->rank]);
    if (last == lock) /* a start that failed is tried again */
        return;
    lock->next = last;
    pm_store_release(&registered[lock->rank], lock);
}

struct pm_lock *pm_lock_of_rank(unsigned rank)
{
    return pm_load_acquire(&registered[rank]);
}

/* The thread pointer: nonzero, and its low bits are zero. */
static uint64_t self(void)
{
#if defined(__x86_64__)
    uint64_t pointer;
    __asm__("movq %%fs:0, %0" : "=r"(pointer));
    return pointer;
#else
    return (uintptr_t)__builtin_thread_pointer();
#endif
}

/* What the futex compares: the low half of the state. */
static _Atomic uint32_t *futex_word(struct pm_lock *lock)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half comes first");
    return (_Atomic uint32_t *)(void *)&lock->state;
}

static bool is_mine(struct pm_lock *lock)
{
    /* Relaxed: only this thread writes its own address there. */
    return (pm_load_relaxed(&lock->state) & ~(PM_LOCK_WAITED | PM_LOCK_FORKS)) == self();
}

bool pm_lock_is_held_from(unsigned rank)
{
    for (; rank < PM_RANK_COUNT; rank++) {
        for (struct pm_lock *lock = pm_lock_of_rank(rank); lock != NULL; lock = lock->next) {
            if (is_mine(lock))
                return true;
        }
    }
    return false;
}

/* A signal handler interrupted this thread while it held this lock, or one that holders of this
 * one wait for, or a hook runs in it: to wait could be for ever. */
static void check_not_reentered(struct pm_lock *lock)
{
    bool reentered = is_mine(lock) || pm_lock_is_held_from(lock->rank);
    if (reentered && pm_hook_depth != 0)
        pm_fatal_in_hook();
    if (reentered)
        pm_fatal_reentered();
}

#if PM_CHECK
static __thread uint32_t held_ranks; /* one bit a rank */

/* Nothing of this rank or a later one is held. */
static void rank_check(struct pm_lock *lock)
{
    if (held_ranks >> lock->rank != 0)
        check_not_reentered(lock);
    pm_assert(held_ranks >> lock->rank == 0);
}

static void rank_push(const struct pm_lock *lock)
{
    held_ranks |= 1u << lock->rank;
}

static void rank_pop(const struct pm_lock *lock)
{
    pm_assert(held_ranks >> lock->rank & 1);
    held_ranks &= ~(1u << lock->rank);
}
#else
static void rank_check(struct pm_lock *lock)
{
    (void)lock;
}

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
static bool take(struct pm_lock *lock, uint64_t value)
{
    uint64_t free_state = 0;
    return pm_load_relaxed(&lock->state) == 0 && pm_cas_acquire(&lock->state, &free_state, value);
}

static void sleep_while_held(struct pm_lock *lock)
{
    uint64_t state = pm_load_relaxed(&lock->state);
    if (state == 0)
        return;
    /* Acquire is more than is needed: the mark orders nothing. */
    uint64_t waited = state | PM_LOCK_WAITED;
    if (waited != state && !pm_cas_acquire(&lock->state, &state, waited))
        return;
    pm_load_relaxed (&waiter_wait)(futex_word(lock), (uint32_t)waited);
}

static PM_COLD void acquire_slow(struct pm_lock *lock)
{
    check_not_reentered(lock);
    for (int i = 0; i < SPINS_BEFORE_SLEEP; i++) {
        if (take(lock, self()))
            return;
        pm_cpu_relax();
    }
    while (!take(lock, self() | PM_LOCK_WAITED)) /* others may sleep: they are to be woken */
        sleep_while_held(lock);
}

void pm_lock_acquire(struct pm_lock *lock)
{
    uint64_t free_state = 0;
    pm_schedule_point();
    rank_check(lock);
    bool contended = !pm_cas_acquire(&lock->state, &free_state, self());
    if (pm_unlikely(contended))
        acquire_slow(lock);
    rank_push(lock);
    pm_count_owner(&lock->acquisitions, 1);
    pm_count_owner(&lock->contended, contended);
}

void pm_lock_release(struct pm_lock *lock)
{
    rank_pop(lock);
    if (pm_exchange_release(&lock->state, 0) & PM_LOCK_WAITED)
        pm_load_relaxed (&waiter_wake)(futex_word(lock));
    pm_schedule_point();
}

enum pm_lock_fork pm_lock_state(struct pm_lock *lock)
{
    uint64_t state = pm_load_relaxed(&lock->state); /* relaxed, as in is_mine() */
    if (state == 0)
        return PM_LOCK_FREE;
    if (!is_mine(lock))
        return PM_LOCK_ANOTHERS;
    return state & PM_LOCK_FORKS ? PM_LOCK_FOR_FORK : PM_LOCK_INTERRUPTED;
}

void pm_lock_take_for_fork(struct pm_lock *lock, bool patient)
{
    int sleeps = patient ? SLEEPS_OF_PATIENT_FORK : SLEEPS_OF_IMPATIENT_FORK;
    while (!take(lock, self() | PM_LOCK_FORKS | PM_LOCK_WAITED) && sleeps-- > 0)
        sleep_while_held(lock);
}

/* What a fork takes was never counted as held. */
void pm_lock_release_after_fork(struct pm_lock *lock)
{
    if (pm_exchange_release(&lock->state, 0) & PM_LOCK_WAITED)
        pm_load_relaxed (&waiter_wake)(futex_word(lock));
}

void pm_lock_reset_in_child(struct pm_lock *lock)
{
#if PM_CHECK
    if (pm_lock_state(lock) == PM_LOCK_INTERRUPTED)
        rank_pop(lock);
#endif
    pm_store_release(&lock->state, 0);
}
