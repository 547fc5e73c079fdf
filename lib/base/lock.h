/* SPDX-License-Identifier: MIT */
/*
 * Locks with ranks. A thread takes locks in ascending rank only; the check build asserts it. The
 * lock sleeps through two functions that the os layer registers, and yields until it has.
 *
 * A lock knows its holder, in every build: a signal handler may interrupt a thread that holds one.
 * If it then calls the allocator it would wait for itself; that is a named error. If it forks, the
 * fork handlers tell by it which locks are the thread's own (heap/fork.c).
 */
#ifndef PM_BASE_LOCK_H
#define PM_BASE_LOCK_H

#include "base/atomic.h"
#include "base/bits.h"
#include "base/config.h"

/* Lowest first: a holder of one may take any below it in this list. */
enum pm_rank {
    PM_RANK_SERVICE,  /* starting and stopping of tracing */
    PM_RANK_OPTIONS,  /* run-time options; nothing is taken under it */
    PM_RANK_INIT,     /* process start */
    PM_RANK_REGISTRY, /* shells of thread heaps */
    PM_RANK_COLD,     /* the cold heap */
    PM_RANK_USER,     /* user heaps, a lock each */
    PM_RANK_FLOATING, /* floating sets */
    PM_RANK_GROW,     /* adding arenas and windows: held over system calls */
    PM_RANK_DECOMMIT, /* memory of arenas that is read stays committed: held over system calls */
    PM_RANK_ARENA,    /* the arena list: no system call under it */
    PM_RANK_TRACE,    /* traces of what is in no window: nothing is taken under it */
    PM_RANK_GC,       /* a gc pool is looked at by a walk: nothing is taken under it */
    PM_RANK_COUNT
};

struct pm_lock {
    _Atomic uint64_t state; /* 0: free; else the holder, an address, and two marks */
    uint32_t rank;
    _Atomic uint64_t acquisitions; /* written by the holder */
    _Atomic uint64_t contended;    /* of which another thread held it at the first try */
    struct pm_lock *next;          /* registered before it, of the same rank; constant since then */
} __attribute__((aligned(PM_LINE_BYTES))); /* waiters do not disturb what lies beside it */

#define PM_LOCK_WAITED ((uint64_t)1) /* somebody may sleep */
#define PM_LOCK_FORKS ((uint64_t)2)  /* taken for a fork */

#define PM_LOCK_INIT(rank_)                                                                        \
    {                                                                                              \
        .state = 0, .rank = (rank_)                                                                \
    }

/* wait: sleep while *word == value (or return early); wake: wake one sleeper. Called once, by the
 * os layer, before a second thread can wait. */
void pm_lock_set_waiter(void (*wait)(_Atomic uint32_t *word, uint32_t value),
                        void (*wake)(_Atomic uint32_t *word));

/* Makes the lock known to fork and to error reports, once, and for ever. One thread at a time. */
void pm_lock_register(struct pm_lock *lock);
/* The one of that rank that was registered last, or NULL; the others follow by `next`. */
struct pm_lock *pm_lock_of_rank(unsigned rank);

/* Whether the calling thread holds one of that rank or of a later one: then it is in a signal
 * handler that interrupted it there, or in one of a fork. */
bool pm_lock_is_held_from(unsigned rank);

/* By a thread that has it already (in a signal handler, then): a named error. */
void pm_lock_acquire(struct pm_lock *lock);
void pm_lock_release(struct pm_lock *lock);

/* How many functions of the program (poolmalloc/hooks.h) the thread is in, called by us: what they
 * ask of the allocator could wait for itself. */
extern __thread unsigned pm_hook_depth PM_HIDDEN __attribute__((tls_model("initial-exec")));

/* ---- around fork: see heap/fork.c ---- */

enum pm_lock_fork {
    PM_LOCK_FREE,        /* nobody holds it */
    PM_LOCK_INTERRUPTED, /* the calling thread, since before the fork */
    PM_LOCK_FOR_FORK,    /* the calling thread, for the fork */
    PM_LOCK_ANOTHERS,
};

enum pm_lock_fork pm_lock_state(struct pm_lock *lock);
/* Takes it for the fork, but gives up after some time. `patient`: in the order of ranks, so that
 * its holder goes on sooner or later; but see heap/fork.c. */
void pm_lock_take_for_fork(struct pm_lock *lock, bool patient);
/* Of one that was taken for the fork. */
void pm_lock_release_after_fork(struct pm_lock *lock);
/* In the child, where no other thread exists: the lock is free. */
void pm_lock_reset_in_child(struct pm_lock *lock);

#endif
