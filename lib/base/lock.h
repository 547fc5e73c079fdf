/* SPDX-License-Identifier: MIT */
/*
 * Locks with ranks. A thread takes locks in ascending rank only; the check build asserts it. The
 * lock sleeps through two functions that the os layer registers, and yields until it has.
 *
 * state: 0 free, 1 held, 2 held and perhaps waited for.
 */
#ifndef PM_BASE_LOCK_H
#define PM_BASE_LOCK_H

#include "base/atomic.h"
#include "base/bits.h"
#include "base/config.h"

/* Lowest first: a holder of one may take any below it in this list. */
enum pm_rank {
    PM_RANK_INIT,     /* process start */
    PM_RANK_REGISTRY, /* shells of thread heaps */
    PM_RANK_COLD,     /* the cold heap */
    PM_RANK_FLOATING, /* floating sets */
    PM_RANK_GROW,     /* adding arenas and windows: held over system calls */
    PM_RANK_ARENA,    /* the arena list: no system call under it */
    PM_RANK_COUNT
};

struct pm_lock {
    _Atomic uint32_t state;
    uint32_t rank;
    _Atomic uint64_t acquisitions;         /* written by the holder */
    _Atomic uint64_t contended;            /* of which another thread held it at the first try */
} __attribute__((aligned(PM_LINE_BYTES))); /* waiters do not disturb what lies beside it */

#define PM_LOCK_INIT(rank_)                                                                        \
    {                                                                                              \
        .state = 0, .rank = (rank_)                                                                \
    }

/* wait: sleep while *word == value (or return early); wake: wake one sleeper. Called once, by the
 * os layer, before a second thread can wait. */
void pm_lock_set_waiter(void (*wait)(_Atomic uint32_t *word, uint32_t value),
                        void (*wake)(_Atomic uint32_t *word));

void pm_lock_acquire(struct pm_lock *lock);
void pm_lock_release(struct pm_lock *lock);

/* In the child of a fork: the forking thread holds the lock, no other thread exists. */
void pm_lock_reset_in_child(struct pm_lock *lock);

#endif
