/* SPDX-License-Identifier: MIT */
/*
 * Pools: units cut into equal blocks of one size class; their descriptors, states and lists.
 *
 * The state of a pool is in its remote word, the one word that several threads write:
 *
 *   63           34 33      18 17       2 1     0
 *   |   unused     |  count   |  head    | state |
 *
 *   state      owner   local list      remote list (head)      count
 *   FREE       -       -               -                       0; not a pool
 *   OWNED      a heap  free blocks     freed by other threads  blocks on the remote list
 *   FLOATING   none    -               all free blocks         live blocks
 *   PUBLISHED  none    -               all free blocks         live blocks; in its floating set
 *
 *   from       to         by                               when
 *   FREE       OWNED      pm_pool_cut, pm_pool_revive      a heap gets units, or what it kept
 *   OWNED      FLOATING   owner, pm_pool_float             full; or the owner leaves; route first
 *   OWNED      PUBLISHED  owner, pm_pool_float             it leaves, and an eighth is free
 *   OWNED      FREE       owner, pm_pool_retire            no live block
 *   FLOATING   OWNED      pm_remote_push                   an eighth is free, the pusher allocates
 *   FLOATING   PUBLISHED  pm_remote_push                   an eighth is free, the pusher does not
 *   FLOATING   FREE       pm_remote_push                   that was the last live block
 *   PUBLISHED  OWNED      pm_floating_take                 a heap looks for a pool of the class
 *   PUBLISHED  FREE       pm_remote_push                   that was the last live block
 *
 * Transitions from and to PUBLISHED happen under the lock of the floating sets, all others by one
 * compare-and-swap. A floating pool counts its live blocks, not its free ones: so a transition
 * never depends on how many blocks were carved, which only an owner knows, and blocks never carved
 * need not be on a list. A block that is being freed pins its pool: nobody can re-cut it.
 *
 * Who may run with whom: any number of pushers with one owner. Push is lock-free (but for the one
 * that publishes), take and float are wait-free for an owner without pushers.
 */
#ifndef PM_POOL_POOL_H
#define PM_POOL_POOL_H

#include "arena/arena.h"
#include "base/asan.h"
#include "base/atomic.h"
#include "base/list.h"
#include "base/report.h"
#include "pool/size_class.h"

/* While a pool is its heap's current one, `count` starts here (or lower: see heap/sample.h) and
 * goes down with each local free. At zero it starts anew, which also makes a thread that needs no
 * other slow path look at the clock now and then. So the fast free needs one test for all pools. */
#define PM_COUNT_CURRENT 32768u

enum pm_place { PM_PLACE_NONE, PM_PLACE_CURRENT, PM_PLACE_PARKED, PM_PLACE_KEPT };

/* The descriptor: one line, written by the owner alone (or by nobody). */
struct pm_pool {
    void *free;           /* the local list, last freed first */
    uint32_t count;       /* parked: live blocks; current: see above */
    uint32_t block_bytes; /* from here on: not used by the fast paths */
    uint16_t carved;      /* blocks ever handed out; those beyond were never touched */
    uint16_t capacity;
    uint8_t class;
    uint8_t units;
    _Atomic uint16_t live_base; /* live blocks when the local list was last counted */
    struct pm_link link;        /* parked or kept: the heap's list; PUBLISHED: the floating set */
    char *base;                 /* of the head unit */
    uint8_t place;              /* enum pm_place */
    uint8_t zero;               /* what is not carved reads as zero */
    uint8_t shift;              /* this and the next divide by block_bytes: see pm_divides */
    uint32_t inverse;
    uint16_t first;   /* where the first block starts, in bytes from the base */
    uint16_t start;   /* current: what `count` was when it was looked at last */
    uint16_t waiting; /* of a hardened heap: freed blocks that wait in no list of the pool */
    uint8_t worn;     /* all of it may be resident: it held something before */
    uint8_t padding[PM_LINE_BYTES - 63];
};

/* The remote line. All but the word and `user` is constant while a block of the pool is live. */
struct pm_remote {
    _Atomic uint64_t word;
    uint32_t block_bytes;
    uint32_t inverse; /* this and the next divide by block_bytes: see pm_divides */
    uint8_t shift;
    _Atomic uint8_t class; /* atomic for walks, which have no live block */
    uint16_t capacity;
    uint16_t adopt_live; /* no more live blocks than this: an eighth is free */
    uint16_t first;      /* where the first block starts, in bytes from the base */
    /* The user heap that the pool, or the large block with this head unit, belongs to; else NULL.
     * Written under that heap's lock; see heap/user.c. */
    void *_Atomic user;
    uint8_t padding[PM_LINE_BYTES - 32];
};

_Static_assert(sizeof(struct pm_pool) == PM_LINE_BYTES, "one line a pool");
_Static_assert(offsetof(struct pm_pool, live_base) == PM_LINE_NOT_OF_SPANS, "walks read it");
_Static_assert(sizeof(struct pm_remote) == PM_LINE_BYTES, "a line of its own");

enum pm_state { PM_FREE, PM_OWNED, PM_FLOATING, PM_PUBLISHED };

/* A pool as one finds it from a pointer. */
struct pm_place_of {
    struct pm_window *window;
    size_t unit; /* head unit */
};

/* How far behind its pool's base ptr lies, whose unit is `distance` units behind the head unit. */
PM_INLINE uint32_t pm_pool_offset(const void *ptr, uint64_t distance)
{
    return (uint32_t)((uintptr_t)ptr & (PM_UNIT_BYTES - 1)) + (uint32_t)(distance << PM_UNIT_SHIFT);
}

/* Free blocks hold the link of their list in their first word. */
PM_INLINE_UNWATCHED void *pm_block_next(const void *block)
{
    pm_valgrind_pause();
    void *next = *(void *const *)block;
    pm_valgrind_resume();
    return next;
}

PM_INLINE_UNWATCHED void pm_block_set_next(void *block, void *next)
{
    pm_valgrind_pause();
    *(void **)block = next;
    pm_valgrind_resume();
}

PM_INLINE struct pm_pool *pm_pool_at(const struct pm_window *w, size_t unit)
{
    return pm_window_line(w, unit);
}

/* That of the pool which a unit is in, by the unit's line and the low bits of its route. */
PM_INLINE struct pm_pool *pm_pool_around(void *line, uint64_t steps)
{
    return (struct pm_pool *)(void *)((char *)line + steps * (PM_LINE_BYTES / PM_ROUTE_STEP));
}

PM_INLINE struct pm_remote *pm_remote_at(const struct pm_window *w, size_t unit)
{
    return pm_window_remote_line(w, unit);
}

/*
 * Whether a block starts so many bytes behind the first one. With block_bytes = odd << shift, and
 * `inverse` that of odd modulo 2^32, offset * inverse rotated right by shift is the quotient when
 * block_bytes divides offset, and greater than any quotient when it does not (Granlund, Montgomery
 * 1994, section 9).
 */
PM_INLINE bool pm_divides(uint32_t inverse, unsigned shift, unsigned capacity, uint32_t offset)
{
    uint32_t product = offset * inverse;
    return (product >> shift | product << (-shift & 31)) < capacity;
}

/* `pool_offset`: bytes from the pool's base. */
PM_INLINE bool pm_remote_is_block(const struct pm_remote *remote, uint32_t pool_offset)
{
    return pm_divides(remote->inverse, remote->shift, remote->capacity,
                      pool_offset - remote->first);
}

/* The same for the owner, who need not touch the remote line. */
PM_INLINE bool pm_pool_is_block(const struct pm_pool *pool, uint32_t pool_offset)
{
    return pm_divides(pool->inverse, pool->shift, pool->capacity, pool_offset - pool->first);
}

/* By the owner. Relaxed: walks read some past value, nothing is ordered by it. */
PM_INLINE unsigned pm_pool_live_base(const struct pm_pool *pool)
{
    return pm_load_relaxed(&pool->live_base);
}

PM_INLINE void pm_pool_set_live_base(struct pm_pool *pool, unsigned live)
{
    pm_store_relaxed(&pool->live_base, (uint16_t)live);
}

struct pm_remote *pm_pool_remote(const struct pm_pool *pool);

/* ---- by the owner alone ---- */

/* Makes a pool of the run, owned by `owner` (a route's high bits), with nothing carved. */
struct pm_pool *pm_pool_cut(const struct pm_run *run, unsigned class, uint64_t owner);
/* A retired pool, still carved as it was, is owned again. */
void pm_pool_revive(struct pm_pool *pool, uint64_t owner);
/* Carves some blocks into the empty local list. False: all are carved. */
bool pm_pool_carve(struct pm_pool *pool);
/* Carves one block, past any list; NULL: all are carved. */
void *pm_pool_carve_one(struct pm_pool *pool);
/* Moves what others freed to the local list; how many blocks that were. */
unsigned pm_pool_take_remote(struct pm_pool *pool);
/* The local list, of `local` blocks, keeps the first `keep` (fewer) of them; the others wait on the
 * remote list until that is taken, as if another thread had freed them. */
void pm_pool_withhold(struct pm_pool *pool, unsigned keep, unsigned local);
/* How many blocks the local list has. */
unsigned pm_pool_count_local(const struct pm_pool *pool);
/* The owner lets go of the pool, whose local list has `local` blocks. False: nothing is live, the
 * caller has it still and retires it. */
bool pm_pool_float(struct pm_pool *pool, unsigned local, uint64_t owner);
/* Of a full pool. False: something came back in the meantime, the owner has it still. */
bool pm_pool_float_full(struct pm_pool *pool, uint64_t owner);
/* No block is live: from now on this is not a pool, only units. Of kind gc: a walk that looks at it
 * has looked away. */
void pm_pool_retire(struct pm_pool *pool);
/* The units of a retired pool, to be cut again or given back to the arena. */
struct pm_run pm_pool_run(const struct pm_pool *pool);

/* ---- by anybody ---- */

enum pm_push {
    PM_PUSHED,
    PM_PUSH_ADOPTED, /* the pool is the adopter's: local list and count are set, routes too */
    PM_PUSH_LAST,    /* no block is live, the pool is retired, and the caller's */
};

/* A chain of n freed blocks of one pool, head to tail, comes back. `adopter`: the route owner that
 * may become the pool's, or 0. Freed too often: a named error about `head`. */
enum pm_push pm_remote_push(struct pm_place_of at, void *head, void *tail, unsigned n,
                            uint64_t adopter, const char *function);

/* Anything but the start of a block is a named error. */
void pm_remote_check_block(const struct pm_remote *remote, const char *base, const void *ptr,
                           const char *function);

/* ---- floating sets ---- */

/* A pool of the class that an eighth or more of is free, now the owner's; NULL: none. */
struct pm_pool *pm_floating_take(unsigned class, uint64_t owner);
/* For pool.c and remote.c, under the lock of the sets. */
void pm_floating_lock_acquire(void);
void pm_floating_lock_release(void);
void pm_floating_insert(struct pm_pool *pool);
void pm_floating_remove(struct pm_pool *pool);

struct pm_floating_stats {
    uint64_t pools, lock_acquisitions, lock_contended;
};
void pm_floating_stats(struct pm_floating_stats *stats);
/* Once, at process start. */
void pm_floating_init(void);
/* In the child of a fork, when another thread that is gone now held the lock: makes the sets anew
 * from the pools' words. */
void pm_floating_rebuild_in_child(void);

/* ---- looking at all pools: any thread, see walk.c ---- */

/* A pool as somebody sees it who neither owns it nor has a block of it. */
struct pm_pool_view {
    struct pm_place_of at;
    uint64_t owner; /* the route's: a heap's, or PM_ROUTE_FLOATING */
    unsigned class;
    unsigned capacity; /* blocks */
    unsigned live;     /* of these, 0 .. capacity */
    /* Of a walk that looks closely, else 0: what the owner handed out and took back since it
     * counted last. (The first may be below zero, as in pm_heap_account.) */
    int64_t new_mallocs;
    uint64_t new_frees;
};

/* Calls back for each pool, without a lock. Pools that are made, change hands or go meanwhile may
 * be seen twice, as something between, or not at all; nothing else is ever seen. `live` is exact of
 * pools without an owner, and else what the owner counted last, less what came back from others. */
void pm_pool_walk(void (*visit)(const struct pm_pool_view *view, void *arg), void *arg);
/* The same, and `live` is exact of every pool whose owner does nothing with it meanwhile: see
 * glance.c. Takes the arena lock for each pool that a thread heap owns. */
void pm_pool_walk_closely(void (*visit)(const struct pm_pool_view *view, void *arg), void *arg);

/* For the walk, of a pool that a thread heap owns: completes the view. False, and it is left alone:
 * the owner was at work. */
bool pm_pool_glance(struct pm_pool_view *view);

struct pm_class_stats {
    uint64_t pools, live_blocks;
};
/* Fills stats[PM_CLASSES], by a walk, not closely. */
void pm_pool_class_stats(struct pm_class_stats *stats);

/* The blocks of a pool that were ever handed out, and which of them are free. */
struct pm_pool_blocks {
    char *first;
    size_t block_bytes;
    unsigned carved;
    uint64_t owner; /* as in the view */
    uint64_t is_free[PM_UNIT_BYTES / 8 / 64];
};

/* What the pool with that head unit has; false: there is none now. The lists of a pool that nobody
 * uses meanwhile are read exactly; of one that its owner uses, a block may be called live that is
 * free, or the other way round. No crash in any case. */
bool pm_pool_look(struct pm_place_of at, struct pm_pool_blocks *blocks);
/* The same for who owns the pool (or has it under a lock), without asking whose it is. */
void pm_pool_look_owner(const struct pm_pool *pool, struct pm_pool_blocks *blocks);
/* The same for who knows by other means than lists which blocks are free: none is, so far. */
void pm_pool_look_begin(const struct pm_pool *pool, struct pm_pool_blocks *blocks);
/* A live block, from number *next on, and *next is behind it; NULL: there is none left. */
void *pm_pool_next_live(const struct pm_pool_blocks *blocks, unsigned *next);

/* ---- pools of kind gc: see gc.c ---- */

/* Calls back for each, until visit returns false; true: for all. While no thread allocates in them.
 * The pool that visit has stays what it is; others without a live block may go at any time. */
bool pm_gc_pool_walk(bool (*visit)(const struct pm_pool *pool, void *arg), void *arg);
/* A pool that was one is about to become other memory: no walk looks at it any more. */
void pm_gc_wait_for_walk(void);
/* They may be made of that memory: a walk finds them there. */
bool pm_gc_may_lie_at(const char *base);
/* Once, at process start. */
void pm_gc_init(void);

/* Prints the first violation and returns false. For the owner, of a pool that it owns. */
bool pm_pool_check(const struct pm_pool *pool);

/* ---- the remote word ---- */

#define PM_WORD_HEAD_SHIFT 2
#define PM_WORD_COUNT_SHIFT 18
#define PM_WORD_FIELD 0xffffu
#define PM_PLACE_BYTES 8 /* blocks begin at multiples of it: those of gc pools, too */

PM_INLINE uint64_t pm_word_make(enum pm_state state, const char *base, const void *head,
                                unsigned count)
{
    uint64_t place = head ? (uint64_t)((const char *)head - base) / PM_PLACE_BYTES + 1 : 0;
    return state | place << PM_WORD_HEAD_SHIFT | (uint64_t)count << PM_WORD_COUNT_SHIFT;
}

PM_INLINE enum pm_state pm_word_state(uint64_t word)
{
    return word & 3;
}

PM_INLINE void *pm_word_head(uint64_t word, char *base)
{
    uint64_t place = word >> PM_WORD_HEAD_SHIFT & PM_WORD_FIELD;
    return place ? base + (place - 1) * PM_PLACE_BYTES : NULL;
}

PM_INLINE unsigned pm_word_count(uint64_t word)
{
    return word >> PM_WORD_COUNT_SHIFT & PM_WORD_FIELD;
}

/* ---- the short way of one remote free ---- */

/* Pushes one block when that changes no state and nobody interferes. False: nothing was done, and
 * pm_remote_push does it. Same orders, same reasons. */
PM_INLINE bool pm_remote_push_simple(struct pm_remote *remote, char *base, void *block)
{
    uint64_t word = pm_load_acquire(&remote->word);
    unsigned count = pm_word_count(word);
    uint64_t next = word & ~((uint64_t)PM_WORD_FIELD << PM_WORD_HEAD_SHIFT);
    if (pm_word_state(word) == PM_OWNED) {
        if (pm_unlikely(count >= remote->capacity))
            return false;
        next += (uint64_t)1 << PM_WORD_COUNT_SHIFT;
    } else {
        unsigned stays = pm_word_state(word) == PM_FLOATING ? remote->adopt_live + 1u : 1u;
        if (pm_unlikely(count <= stays))
            return false;
        next -= (uint64_t)1 << PM_WORD_COUNT_SHIFT;
    }
    next |= ((uint64_t)((char *)block - base) / PM_PLACE_BYTES + 1) << PM_WORD_HEAD_SHIFT;
    pm_block_set_next(block, pm_word_head(word, base));
    return pm_cas_acq_rel(&remote->word, &word, next);
}

#endif
