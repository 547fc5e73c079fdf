/* SPDX-License-Identifier: MIT */
/* What the files of the heap layer share. */
#ifndef PM_HEAP_INTERNAL_H
#define PM_HEAP_INTERNAL_H

#include "base/lock.h"
#include "heap/heap.h"

#define PM_HEAP_SENTINEL                                                                           \
    {                                                                                              \
        .direct = {[0 ... PM_DIRECT_SLOTS - 1] = &pm_pool_none}, .current = {                      \
            [0 ... PM_CLASSES - 1] = &pm_pool_none                                                 \
        }                                                                                          \
    }

extern struct pm_lock pm_init_lock PM_HIDDEN;
extern struct pm_lock pm_registry_lock PM_HIDDEN;

struct pm_registry {
    struct pm_heap *_Atomic heaps; /* all ever made, by `next`; written under the registry lock */
    _Atomic uint64_t shell_bytes;  /* the same; read by anybody */
};
extern struct pm_registry pm_registry PM_HIDDEN;

/* Who watches; see watch.h. */
struct pm_watch;
extern const struct pm_watch *_Atomic pm_watch_now PM_HIDDEN;
/* In place of the thread's heap. */
struct pm_heap *pm_watch_join(struct pm_heap *heap);

static inline uint64_t pm_heap_route(const struct pm_heap *heap)
{
    return (uintptr_t)heap;
}

/* Around what changes a heap's lists: a signal handler that interrupts it finds `making`, so that
 * the cold heap serves it, and leaves the heap alone. Of a sentinel nothing happens. */
PM_INLINE void pm_heap_enter(struct pm_heap *heap)
{
    if (heap->real)
        pm_heap_self = &pm_heap_making;
    atomic_signal_fence(memory_order_seq_cst);
}

/* Here a thread joins those that are watched, if somebody began to watch. */
PM_INLINE void pm_heap_leave(struct pm_heap *heap)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (heap->real) /* relaxed: nothing is read through it */
        pm_heap_self =
            pm_likely(pm_load_relaxed(&pm_watch_now) == NULL) ? heap : pm_watch_join(heap);
}

/* Memory for heaps, zero, never given back. NULL: out of memory. */
char *pm_heap_fresh_pages(size_t bytes);
/* In the child of a fork: the other threads' heaps are nobody's. */
void pm_heap_forget_threads_in_child(void);
/* In the child of a fork, when the arena layer has counted its large blocks anew: those kept, too.
 */
void pm_heap_recount_spans_in_child(void);
/* A new heap, which no thread has. NULL: out of memory. Under the registry lock. */
struct pm_heap *pm_heap_new_shell(void);

/* ---- cold heaps (cold.c): any thread ---- */

struct pm_cold {
    struct pm_lock lock;
    struct pm_heap *heap; /* in the child of a fork it may be another than before */
};

/* By name for the debugger (share/gdb) and counts (stress/scaling); others ask pm_cold_at. */
extern struct pm_heap pm_cold_heap PM_HIDDEN, pm_cold_spare PM_HIDDEN;
extern struct pm_cold pm_cold_first PM_HIDDEN, pm_colds_behind[PM_COLD_HEAPS_MAX - 1] PM_HIDDEN;

void pm_cold_init(void);
/* A block of the class, of the thread's cold heap; NULL: out of memory. *zero: as below. */
void *pm_cold_alloc(unsigned class, bool *zero);
/* The thread's cold heap; always the same, but for pm_cold_choose_again. */
struct pm_cold *pm_cold_mine(void);
void pm_cold_choose_again(void);
/* The thread has some cold heap already, as this is a signal handler or one of a fork. */
bool pm_cold_is_held(void);
/* A thread has a heap that was not there before. Under the registry lock. */
void pm_cold_grow(void);
/* How many there may be; 0: it is to be found out. Tests set it, before the second thread. */
extern unsigned pm_cold_most PM_HIDDEN;
/* Those in use, 0 and on; NULL: there is none any more. */
struct pm_cold *pm_cold_at(unsigned i);
/* The same, with its lock. */
struct pm_cold *pm_cold_enter(unsigned i);
void pm_cold_leave(struct pm_cold *cold);
/* The two that are not on the list of all heaps, used or not: 0 and 1. */
struct pm_heap *pm_cold_static(unsigned i);
bool pm_cold_is(const struct pm_heap *heap);
/* All of them let go of all pools and units. */
void pm_cold_dissolve(void);
/* In the child of a fork, when another thread that is gone now held that lock: a new one. */
void pm_cold_replace_in_child(struct pm_lock *lock);

/* ---- what heaps keep without using it: any thread ---- */

/* Units on their way to the arena list, which is visited once for many of them. */
struct pm_returns {
    struct pm_run runs[PM_RETURNS_MAX];
    unsigned count;
};
/* A retired pool goes back, by the end at the latest. */
void pm_heap_return(struct pm_returns *returns, const struct pm_pool *pool);
void pm_heap_return_end(struct pm_returns *returns);

/* Gives back what the heap keeps. True: there was something. */
bool pm_heap_give_kept(struct pm_heap *heap);
/* Gives back what all heaps keep, or, `idle`, those that had no slow path since the last time, and
 * large blocks that were not used for some time. */
bool pm_heap_give_kept_of_all(bool idle);
/* For pm_arena_set_reclaim. */
bool pm_heap_reclaim(bool all);
uint64_t pm_heap_stash_bytes(const struct pm_heap *heap);
/* Large blocks that the heap keeps (kept_spans.c): gives back all, or those that were not used for
 * as long as free memory is left alone. True: there was one. */
bool pm_heap_give_spans(struct pm_heap *heap);
bool pm_heap_give_spans_of_all(void);
bool pm_heap_give_unused_spans(struct pm_heap *heap, uint64_t now_ns);
/* What they may use, and what they hold. */
void pm_heap_count_spans(const struct pm_heap *heap, uint64_t *units, uint64_t *held_units);

/* ---- by the owner of the heap (of the cold heap: under its lock) ---- */

/* A block of the class when the current pool has none to pop. *zero: it reads as zero. */
void *pm_heap_refill(struct pm_heap *heap, unsigned class, bool *zero);
/* What each slow call does for the heap first, whoever serves it: looks at the clock, pushes the
 * batches, polls a parked pool. */
void pm_heap_tend(struct pm_heap *heap);
/* A block of the pool, off its list or carved; NULL: the pool is full. *zero: it reads as zero. */
void *pm_heap_take_block(struct pm_pool *pool, bool *zero);
/* Counts what happened in the pool since the last time; `local` blocks are on its list. */
void pm_heap_account(struct pm_heap *heap, struct pm_pool *pool, unsigned local);
/* Takes a retired pool: keeps it, or gives it back. */
void pm_heap_keep(struct pm_heap *heap, struct pm_pool *pool);
/* A kept pool of the class, owned again, or NULL. */
struct pm_pool *pm_heap_take_kept(struct pm_heap *heap, unsigned class);
/* A large block with room behind it in place of a pool's. NULL: there are enough, or no memory. */
void *pm_heap_early_span(struct pm_heap *heap, size_t n);
/* Prints the first violation and returns false. Takes the arena lock. */
bool pm_heap_check_spans(const struct pm_heap *heap);
/* No slot is for large blocks any more. */
void pm_heap_end_leases(struct pm_heap *heap);
size_t pm_heap_leased_units(const struct pm_heap *heap);
/* Units that were not cut yet. False: out of memory. */
bool pm_heap_take_units(struct pm_heap *heap, unsigned units, struct pm_run *run);
/* Looks at the clock, and gives back what is due. */
void pm_heap_tick_now(void);
/* Does it each so many times. */
PM_INLINE void pm_heap_tick(struct pm_heap *heap)
{
    if (pm_unlikely(++heap->slow_calls % PM_TICK_EVERY == 0))
        pm_heap_tick_now();
}
void pm_heap_park(struct pm_heap *heap, struct pm_pool *pool);
void pm_heap_unpark(struct pm_heap *heap, struct pm_pool *pool);
void pm_heap_set_current(struct pm_heap *heap, unsigned class, struct pm_pool *pool);
void pm_heap_flush(struct pm_heap *heap);
/* Lets go of all pools and units. */
void pm_heap_dissolve(struct pm_heap *heap);

#endif
