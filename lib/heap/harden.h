/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks: what user heaps do with theirs once pm_harden_set was called. Nothing is known
 * of such a block by an unencoded pointer or size in memory that the program writes to.
 *
 * In a pool of blocks of B bytes, of which n were asked for:
 *
 *     p                  p + n           p + B - 8
 *     | data             | canary        | last word      live
 *     | link | 0 ...                     | 0              free, or waiting
 *
 * The last word is n with a code over it, the address and the heap's key: who writes to it, or
 * moves it to another block, is found out. It also tells a live block from a free one; the canary
 * is of that block alone, and has no zero byte. A freed block is cleared and waits, first in, first
 * out, for quarantine_bytes of later ones; then it goes on its pool's list. Links are encoded by
 * the key and their own place, each bit by all; what one leads to must be the start of a block that
 * may be there, and what is handed out must be as zero as it was left. A pool is carved as a whole,
 * in random order.
 *
 * A large block lies between pages that trap, as near to the second as its alignment allows:
 *
 *     | trap | ... p      data | canary | trap, to the end of the span |
 *
 * Offset and bytes of it are in the span's descriptor. One that was freed gives its memory back and
 * traps as a whole while it waits. Alignments of a unit or more have no page before, and where a
 * page is more than a quarter of a unit there are none at all.
 *
 * All is done under the heap's lock, what is not said to be otherwise. Blocks that are no user
 * heap's stay as they are.
 */
#ifndef PM_HEAP_HARDEN_H
#define PM_HEAP_HARDEN_H

#include "heap/user.h"

enum pm_harden_fault {
    PM_HARDEN_BEHIND,  /* something wrote behind the block */
    PM_HARDEN_BEFORE,  /* or before it */
    PM_HARDEN_FREED,   /* it is free already */
    PM_HARDEN_WRITTEN, /* something wrote to it while it was free */
    PM_HARDEN_LINK,    /* the same, to its link */
};

struct pm_harden_report {
    enum pm_harden_fault fault;
    const char *function;
    const void *block;
    size_t bytes; /* that were asked for; SIZE_MAX: not known */
    size_t at;    /* WRITTEN: which byte of the block first */
};

struct pm_harden {
    bool links, order, canaries, guards, zero; /* each part can be left out */
    size_t quarantine_bytes;                   /* that wait in each heap */
    uint64_t secret;
    /* Says what is wrong and ends the process. Without a lock. */
    void (*fatal)(const struct pm_harden_report *report);
};

/* From now on all user heaps are hardened. Once, before the first; *harden stays. */
void pm_harden_set(const struct pm_harden *harden);
extern const struct pm_harden *pm_harden_now PM_HIDDEN; /* NULL: nothing is hardened */

PM_INLINE bool pm_hardened(void)
{
    return pm_unlikely(pm_harden_now != NULL);
}

/* Large blocks wait while they are no more than so many times quarantine_bytes: all that they take
 * is address space. */
#define PM_HARDEN_LARGE_FACTOR 16

/* ---- any thread, without the lock ---- */

/* A live hardened block, checked; what is none, and no other block, is a named error as for a free
 * of it. False: it is not hardened. */
struct pm_harden_block {
    struct pm_user_heap *heap;
    size_t bytes; /* that were asked for */
};
bool pm_harden_find(void *ptr, const char *function, struct pm_harden_block *found);
/* Changes what was asked for, where the block has room and a new one would not be smaller, or, if
 * `any`, whenever it has room. False: it stays as it is. The block is a live hardened one. */
bool pm_harden_resize(void *ptr, size_t bytes, bool any, const char *function);
/* As pm_span_fatal_void, and knows where hardened large blocks start. */
_Noreturn void pm_harden_fatal_void(struct pm_window *w, const void *ptr, const char *function);
/* For walks: the live hardened block that starts there, or that the span with that start has;
 * false: there is none now. */
bool pm_harden_live_at(struct pm_place_of at, void **block, size_t *bytes);

/* ---- for user.c and user_extra.c, under the lock ---- */

#define PM_HARDEN_BACK sizeof(uint64_t)

/* Bytes of a block of a pool for n: the last word is not where the link is. */
static inline size_t pm_harden_room(size_t n)
{
    return n + PM_HARDEN_BACK > 2 * PM_HARDEN_BACK ? n + PM_HARDEN_BACK : 2 * PM_HARDEN_BACK;
}

void pm_harden_start(struct pm_user_heap *heap); /* a new one: its key */
/* A block of a pool that has room, ready for n bytes. */
void *pm_harden_take(struct pm_user_heap *heap, struct pm_pool *pool, size_t n,
                     const char *function);
/* A live block is checked, cleared, and waits. */
void pm_harden_retire(struct pm_user_heap *heap, struct pm_pool *pool, void *ptr,
                      const char *function);
/* The block that has waited longest, if more than so many bytes wait, and its pool; NULL: it stays.
 */
void *pm_harden_due(struct pm_user_heap *heap, size_t keep_bytes, struct pm_pool **pool);
/* On the list of its pool. */
void pm_harden_push(struct pm_user_heap *heap, struct pm_pool *pool, void *block);
/* Which blocks of the pool are live. */
void pm_harden_look(const struct pm_pool *pool, struct pm_pool_blocks *blocks);
/* What was asked for. */
size_t pm_harden_bytes(const struct pm_user_heap *heap, const void *block, size_t block_bytes);
/* Prints the first violation and returns false. */
bool pm_harden_check_pool(const struct pm_user_heap *heap, const struct pm_pool *pool);
/* The same of any user heap's pool. */
static inline bool pm_harden_is_sound(const struct pm_user_heap *heap, const struct pm_pool *pool)
{
    return pm_hardened() ? pm_harden_check_pool(heap, pool) : pm_pool_check(pool);
}

/* Large blocks. What alloc has to ask of pm_span_alloc for n bytes. */
size_t pm_harden_span_bytes(size_t n, size_t align);
/* The block in the new span that starts there; *zero: in and out, it reads as zero. */
void *pm_harden_lay_large(struct pm_user_heap *heap, char *start, size_t n, size_t align,
                          bool *zero);
/* A block that was checked, of a span that is on no list, waits. */
void pm_harden_retire_large(struct pm_user_heap *heap, struct pm_window *w, size_t unit);
/* Those that waited longest go back, until no more than so many bytes wait. True: some did. */
bool pm_harden_let_large_go(struct pm_user_heap *heap, size_t keep_bytes);
/* The whole span can be touched again. False: the system refuses. */
bool pm_harden_open_large(struct pm_window *w, size_t unit);
/* The live block of the span; false: it waits. */
bool pm_harden_large_at(struct pm_window *w, size_t unit, void **block, size_t *bytes);
/* ptr is the live block of the span, and nothing was written beside it; else a named error. */
void pm_harden_check_large(const struct pm_user_heap *heap, struct pm_window *w, size_t unit,
                           const void *ptr, const char *function);
/* As pm_harden_resize, to less. */
bool pm_harden_resize_large(const struct pm_user_heap *heap, struct pm_window *w, size_t unit,
                            size_t bytes);

/* ---- for the two files of it ---- */

/* The bytes [from, from + bytes) as a canary of the heap and that address; whether it is whole. */
void pm_harden_write_canary(const struct pm_user_heap *heap, char *from, size_t bytes);
bool pm_harden_canary_is_whole(const struct pm_user_heap *heap, const char *from, size_t bytes);
/* Lets go of the heap's lock before. */
_Noreturn void pm_harden_fail(const struct pm_user_heap *heap, enum pm_harden_fault fault,
                              const char *function, const void *block, size_t bytes, size_t at);

#endif
