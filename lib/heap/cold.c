/* SPDX-License-Identifier: MIT */
/*
 * The cold heaps: each is a heap like others, but no thread's own, and used under its lock. A
 * thread has one, which serves its first slow calls, the first few blocks of each class, and what
 * it needs while it ends. There is one at first; where many threads have heaps and as many cores to
 * run on, there is one for each few cores, so that its lock is no queue (docs/scaling.md). Any
 * thread.
 */
#include "heap/fast.h"
#include "heap/internal.h"
#include "heap/sample.h"
#include "os/os.h"

struct pm_heap pm_cold_heap = PM_HEAP_SENTINEL;
struct pm_heap pm_cold_spare = PM_HEAP_SENTINEL; /* for the child of a fork */

struct pm_cold pm_cold_first = {.lock = PM_LOCK_INIT(PM_RANK_COLD), .heap = &pm_cold_heap};
struct pm_cold pm_colds_behind[PM_COLD_HEAPS_MAX - 1]; /* complete once they are counted */
/* Written under the registry lock; release in pm_cold_grow pairs with acquire in choose and
 * pm_cold_at. */
static _Atomic unsigned count = 1;
static unsigned heaps_made; /* under the registry lock, too */
unsigned pm_cold_most;

/* Whose turn it is; relaxed, since any other number would do. */
static _Atomic uint64_t turn;

static __thread struct pm_cold *cold_of_thread;
static __thread unsigned entered; /* of those that it has, or is about to */

static struct pm_cold *numbered(unsigned i)
{
    return i == 0 ? &pm_cold_first : &pm_colds_behind[i - 1];
}

/* By turns: threads that start together shall not meet. */
static struct pm_cold *choose(void)
{
    unsigned n = pm_load_acquire(&count);
    return numbered(n == 1 ? 0 : (unsigned)(pm_add_relaxed(&turn, 1) % n));
}

struct pm_cold *pm_cold_mine(void)
{
    struct pm_cold *cold = cold_of_thread;
    if (pm_unlikely(cold == NULL))
        cold_of_thread = cold = choose();
    return cold;
}

/* Of any, not of its own alone: two at a time are not to be held. Locks of the others are not
 * looked at, which would move a line of each to here. */
bool pm_cold_is_held(void)
{
    /* A signal handler, or one of a fork, that came while this thread had it. */
    enum pm_lock_fork state = pm_lock_state(&pm_cold_mine()->lock);
    return entered != 0 || state == PM_LOCK_INTERRUPTED || state == PM_LOCK_FOR_FORK;
}

/* It counts before the thread has the lock, and until it has it no more: a handler may come in
 * between. */
static void enter(struct pm_cold *cold)
{
    entered++;
    atomic_signal_fence(memory_order_seq_cst);
    pm_lock_acquire(&cold->lock);
}

void pm_cold_leave(struct pm_cold *cold)
{
    pm_lock_release(&cold->lock);
    atomic_signal_fence(memory_order_seq_cst);
    entered--;
}

struct pm_cold *pm_cold_enter(unsigned i)
{
    struct pm_cold *cold = pm_cold_at(i);
    if (cold != NULL)
        enter(cold);
    return cold;
}

/* Not while the thread has the one that it would leave: it would take a second one besides. */
void pm_cold_choose_again(void)
{
    if (!pm_cold_is_held())
        cold_of_thread = choose();
}

/* At the start, so that a program that forbids itself system calls later does not meet this one. */
void pm_cold_init(void)
{
    pm_lock_register(&pm_cold_first.lock);
    if (pm_cold_most == 0)
        pm_cold_most = 1 + (pm_os_processors() - 1) / PM_CORES_A_COLD_HEAP;
}

static unsigned most(void)
{
    return pm_cold_most < PM_COLD_HEAPS_MAX ? pm_cold_most : PM_COLD_HEAPS_MAX;
}

void pm_cold_grow(void)
{
    unsigned n = pm_load_relaxed(&count);
    if (++heaps_made < n * PM_HEAPS_A_COLD_HEAP || n >= most())
        return;
    struct pm_heap *heap = pm_heap_new_shell();
    if (heap == NULL)
        return; /* no memory: the others serve */
    struct pm_cold *cold = numbered(n);
    heap->real = false;
    cold->heap = heap;
    cold->lock.rank = PM_RANK_COLD;
    pm_lock_register(&cold->lock);
    pm_store_release(&count, n + 1);
}

/* Those that lists of all heaps do not have. */
struct pm_heap *pm_cold_static(unsigned i)
{
    return i == 0 ? &pm_cold_heap : &pm_cold_spare;
}

struct pm_cold *pm_cold_at(unsigned i)
{
    return i < pm_load_acquire(&count) ? numbered(i) : NULL;
}

bool pm_cold_is(const struct pm_heap *heap)
{
    struct pm_cold *cold;
    for (unsigned i = 0; (cold = pm_cold_at(i)) != NULL; i++) {
        if (cold->heap == heap)
            return true;
    }
    return false;
}

void *pm_cold_alloc(unsigned class, bool *zero)
{
    if (!pm_heap_process_init())
        return NULL;
    *zero = false;
    void *block = pm_unlikely(pm_sampling_on()) ? pm_sample_cold(class) : NULL;
    if (block != NULL)
        return block;
    struct pm_cold *cold = pm_cold_mine();
    enter(cold);
    struct pm_pool *pool = cold->heap->current[class];
    block = pool->free;
    if (block != NULL)
        pm_heap_pop(pool, block);
    else
        block = pm_heap_refill(cold->heap, class, zero);
    pm_cold_leave(cold);
    return block;
}

void pm_cold_dissolve(void)
{
    struct pm_cold *cold;
    for (unsigned i = 0; (cold = pm_cold_enter(i)) != NULL; i++) {
        pm_heap_dissolve(cold->heap);
        pm_cold_leave(cold);
    }
}

/* The first time the spare one, whatever else was going on; then a shell. */
void pm_cold_replace_in_child(struct pm_lock *lock)
{
    struct pm_cold *cold = pm_container_of(lock, struct pm_cold, lock);
    struct pm_heap *heap = cold->heap == &pm_cold_heap ? &pm_cold_spare : pm_heap_new_shell();
    if (heap == NULL)
        return; /* no memory: the child keeps what the thread that is gone left */
    heap->real = false;
    cold->heap = heap;
}
