/* SPDX-License-Identifier: MIT */
/*
 * User heaps: sets of pools and large blocks that can be destroyed at once. Any thread may allocate
 * from one; its lock makes that safe. Thread heaps never own, adopt or keep a pool of a user heap:
 * its route says PM_ROUTE_USER, and each block comes back under the heap's lock.
 */
#ifndef PM_HEAP_USER_H
#define PM_HEAP_USER_H

#include "base/lock.h"
#include "pool/pool.h"

struct pm_user_heap {
    struct pm_lock lock;
    /* Under the lock. */
    struct pm_link pools[PM_CLASSES]; /* those that have a free block come first */
    struct pm_link spans;
    size_t bytes;                    /* of its pools and large blocks */
    size_t limit_bytes;              /* SIZE_MAX: none */
    _Atomic uint64_t mallocs, frees; /* read by anybody; what a destroyed heap lost was freed */
    /* Of hardened heaps: see harden.h. */
    uint64_t key, random;
    char *waiting, *waiting_last; /* freed blocks of pools, by their links */
    size_t waiting_bytes;
    struct pm_link waiting_large; /* spans */
    size_t waiting_large_bytes;
    bool unasked; /* a service made it: for others its blocks are in no heap */
    bool in_use;  /* not destroyed */
    bool lost;    /* in the child of a fork: a thread that is gone was changing it */
    /* Under the registry lock. */
    struct pm_user_heap *next_free;
};

/* NULL with errno ENOMEM: out of memory. */
struct pm_user_heap *pm_user_new(size_t limit_bytes);
/* The same, of a heap that the program knows nothing of: it is not counted, and no walk and no
 * pm_user_of tells of it. */
struct pm_user_heap *pm_user_new_unasked(void);
/* In the child of a fork: it serves no more. */
bool pm_user_is_lost(struct pm_user_heap *heap);
/* By the tools layer, or NULL: who wants to know of a heap's end before its blocks are gone. Set
 * once, to the same each time. */
extern void (*_Atomic pm_user_ending)(struct pm_user_heap *heap) PM_HIDDEN;
/* All blocks are gone. A free of one that is under way finds that out, and does nothing. */
void pm_user_destroy(struct pm_user_heap *heap);

/* NULL with errno ENOMEM: out of memory, or beyond the limit. `align` is a power of two; `zero`:
 * the block shall read as zero. `function` is the name that an error report shows. */
void *pm_user_alloc(struct pm_user_heap *heap, size_t n, size_t align, bool zero,
                    const char *function);
/* The heap of a live block, or NULL: it is in none. */
struct pm_user_heap *pm_user_of(const void *ptr, const char *function);

/* Calls visit for each live block, with the bytes that it holds, until that returns false; the
 * result is visit's last. Under the heap's lock: visit must neither allocate from it nor free. */
bool pm_user_walk(struct pm_user_heap *heap, bool (*visit)(void *block, size_t bytes, void *arg),
                  void *arg, const char *function);
size_t pm_user_bytes(struct pm_user_heap *heap, const char *function);
void pm_user_set_limit(struct pm_user_heap *heap, size_t limit_bytes, const char *function);

/* ---- for the rest of the layer ---- */

/* Takes the lock of a heap that a caller named; a heap that is none is a named error. */
void pm_user_enter(struct pm_user_heap *heap, const char *function);
/* Under the lock: a pool that is off the lists is retired, and the heap's no more. */
void pm_user_let_go(struct pm_pool *pool);
/* Under the lock: an empty pool goes back to its arena. */
void pm_user_give_pool(struct pm_user_heap *heap, struct pm_pool *pool);

/* Whose the run with that head unit is, which has a pool or a large block; NULL: no user heap's. */
static inline struct pm_user_heap *pm_user_of_run(const struct pm_window *w, size_t unit)
{
    /* Acquire pairs with the releases in user.c: the heap's lock can be used. */
    return pm_load_acquire(&pm_remote_at(w, unit)->user);
}

/* The same with its lock, a lost one too; NULL: also if it was destroyed since the caller saw the
 * block. */
struct pm_user_heap *pm_user_lock_owner(const struct pm_window *w, size_t unit);

/* Under the lock: blocks that were freed and wait go where they belong, until no more than so many
 * bytes wait. Of heaps that are not hardened none does. */
void pm_user_let_waiting_go(struct pm_user_heap *heap, size_t keep_bytes);

/* The blocks of a pool with that head unit, at one moment; NULL: it is no user heap's now. */
struct pm_user_heap *pm_user_look(struct pm_place_of at, struct pm_pool_blocks *blocks);

/* Of a pool with that head unit, and of a large block. */
void pm_user_free(struct pm_window *w, size_t unit, void *ptr, const char *function);
void pm_user_free_span(struct pm_window *w, size_t unit, void *ptr, const char *function);
bool pm_user_resize_span(struct pm_window *w, size_t unit, void *ptr, size_t n,
                         const char *function);

struct pm_user_stats {
    uint64_t heaps;          /* that were made and not destroyed */
    uint64_t mallocs, frees; /* of heaps that are gone, too */
    uint64_t lock_acquisitions, lock_contended;
    uint64_t shell_bytes;
};
void pm_user_stats(struct pm_user_stats *stats);
/* Every heap's pools without a live block go back to the arenas. True: there was one. */
bool pm_user_trim(void);
/* All user heaps; prints the first violation and returns false. */
bool pm_user_check(void);

/* In the child of a fork, when another thread that is gone now held that heap's lock. */
void pm_user_give_up_in_child(struct pm_lock *lock);

#endif
