/* SPDX-License-Identifier: MIT */
/*
 * Where threads wait for the lock of an object (lock.h): in one of a few buckets, by the object's
 * address. Attached threads.
 *
 * A thread marks the lock as waited for under the bucket's lock, and sleeps by letting go of that;
 * whoever frees a marked lock takes the bucket's, then wakes all that sleep there. So no wake-up
 * comes between mark and sleep. The mark stays or comes back as long as somebody waits: who takes
 * the lock here keeps it if others are in the bucket, and who finds it taken again marks it again.
 */
#include "object/lock.h"
#include "object/world.h"

/* All are taken at a fork, with the shards of other tables: ThreadSanitizer follows 63 locks of a
 * thread. */
#define BUCKETS_SHIFT 3
#define BUCKETS (1u << BUCKETS_SHIFT)
#define SPINS 60

struct bucket {
    pthread_mutex_t lock;
    pthread_cond_t freed; /* some lock of the bucket's objects */
    unsigned waiting;     /* threads; under the lock */
} __attribute__((aligned(PM_LINE_BYTES)));

static struct bucket buckets[BUCKETS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if PM_CHECK
__thread unsigned pm_object_locks_held;
#endif

static void fork_prepare(void)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        pthread_mutex_lock(&buckets[i].lock);
}

static void fork_parent(void)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        pthread_mutex_unlock(&buckets[i].lock);
}

/* Nobody waits in the child. Locks that other threads had stay taken. */
static void fork_child(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        buckets[i].waiting = 0;
        pthread_cond_init(&buckets[i].freed, NULL);
        pthread_mutex_unlock(&buckets[i].lock);
    }
}

static void start(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        pthread_mutex_init(&buckets[i].lock, NULL);
        pthread_cond_init(&buckets[i].freed, NULL);
    }
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

void pm_object_lock_prepare(void)
{
    pthread_once(&once, start);
}

static struct bucket *bucket_of(const struct pm_object *object)
{
    uint64_t hash = (uint64_t)(uintptr_t)object * 0x9e3779b97f4a7c15u;
    return &buckets[hash >> (64 - BUCKETS_SHIFT)];
}

/* True: the caller has the lock. False: it is marked as waited for. */
static bool take_or_mark(_Atomic uint8_t *lock, bool others)
{
    uint8_t seen = pm_load_relaxed(lock);
    for (;;) {
        uint8_t next =
            (uint8_t)(seen != 0 || others ? PM_LOCK_HELD | PM_LOCK_WAITED : PM_LOCK_HELD);
        if (seen == next)
            return false;
        /* Acquire: pairs with pm_object_unlock. */
        if (pm_cas_acquire(lock, &seen, next))
            return seen == 0;
    }
}

static void park(struct pm_object *object)
{
    struct bucket *bucket = bucket_of(object);
    pthread_mutex_lock(&bucket->lock);
    bucket->waiting++;
    while (!take_or_mark(pm_lock_of(object), bucket->waiting > 1))
        pthread_cond_wait(&bucket->freed, &bucket->lock);
    bucket->waiting--;
    pthread_mutex_unlock(&bucket->lock);
}

void pm_object_lock_slow(struct pm_object *object)
{
    for (unsigned turn = 0; turn < SPINS; turn++) {
        pm_cpu_relax();
        /* Relaxed: a hint. */
        if (pm_load_relaxed(pm_lock_of(object)) == 0 && pm_object_trylock(object))
            return;
    }
    pm_world_wait_begin();
    park(object);
    pm_object_lock_count(1);
    pm_world_wait_end(); /* with the lock: what it guards is whole */
}

void pm_object_unlock_slow(struct pm_object *object)
{
    struct bucket *bucket = bucket_of(object);
    pthread_mutex_lock(&bucket->lock);
    if (bucket->waiting > 0)
        pthread_cond_broadcast(&bucket->freed);
    pthread_mutex_unlock(&bucket->lock);
}
