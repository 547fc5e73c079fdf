/* SPDX-License-Identifier: MIT */
/*
 * The lock of an object: the byte `lock` of its header. Lists and dictionaries change under it, so
 * that a stopped world (of the collector) never sees one half-changed. Attached threads.
 *
 *   while a lock is held   no reference is dropped, no safepoint, nothing is deferred, no object is
 *                          made, no function of the program's is called, no second lock is taken:
 *                          what is to be dropped is put by, and dropped after pm_object_unlock.
 *                          Arrays may be allocated and references taken
 *   a waiting thread       counts as stopped (world.h), and others merge for it; it is not made
 *                          quiescent
 *
 *   byte                         meaning
 *   0                            free
 *   PM_LOCK_HELD                 held, nobody waits
 *   PM_LOCK_HELD|PM_LOCK_WAITED  held, and who lets go of it wakes those that wait
 *
 * No fairness: a lock that gets free goes to whoever comes first. Who holds one does little.
 */
#ifndef PM_OBJECT_LOCK_H
#define PM_OBJECT_LOCK_H

#include "object/internal.h"

#define PM_LOCK_HELD 1u
#define PM_LOCK_WAITED 2u

#if PM_CHECK
/* Locks that the thread holds: 0 or 1. */
extern __thread unsigned pm_object_locks_held PM_HIDDEN;
#define pm_object_lock_count(change) ((void)(pm_object_locks_held += (change)))
#define pm_object_assert_no_lock() pm_object_assert(pm_object_locks_held == 0)
#else
#define pm_object_lock_count(change) ((void)0)
#define pm_object_assert_no_lock() ((void)0)
#endif

/* By a thread that attaches: what locks wait by is there. */
void pm_object_lock_prepare(void);

void pm_object_lock_slow(struct pm_object *object);
void pm_object_unlock_slow(struct pm_object *object);

static inline _Atomic uint8_t *pm_lock_of(struct pm_object *object)
{
    return (_Atomic uint8_t *)&object->lock;
}

static inline bool pm_object_trylock(struct pm_object *object)
{
    uint8_t seen = 0;
    /* Acquire: what was changed under it; pairs with pm_object_unlock. */
    if (!pm_cas_acquire(pm_lock_of(object), &seen, (uint8_t)PM_LOCK_HELD))
        return false;
    pm_object_lock_count(1);
    return true;
}

static inline void pm_object_lock(struct pm_object *object)
{
    pm_object_assert_no_lock();
    if (__builtin_expect(!pm_object_trylock(object), 0))
        pm_object_lock_slow(object);
}

static inline void pm_object_unlock(struct pm_object *object)
{
    pm_object_lock_count(-1u);
    /* Release: what was changed under it; pairs with pm_object_trylock and those that wait. */
    if (__builtin_expect(pm_exchange_release(pm_lock_of(object), 0) != PM_LOCK_HELD, 0))
        pm_object_unlock_slow(object);
}

#endif
