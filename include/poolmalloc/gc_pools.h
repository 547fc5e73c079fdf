/* SPDX-License-Identifier: MIT */
/*
 * Pools of kind gc: for a collector of cycles, which finds its objects by walking the pools they
 * lie in instead of keeping a list of them. The pools have size classes of their own, so that
 * nothing but what is allocated here lies in them; everything else about them is as of any pool
 * (docs/decisions/021-gc-pools-are-classes.md). libpoolobject is the user that they are made for;
 * docs/object-layer.md tells how.
 *
 * What a collector needs to tell of a block whether it is an object: bytes 8..15. Of a free block
 * they are what they were when it was freed, and 0 if it was never handed out; only the first 8
 * bytes are the allocator's. So they have to say in an object that it is one, and have to be
 * cleared, or say otherwise, before the block is freed.
 */
#ifndef POOLMALLOC_GC_POOLS_H
#define POOLMALLOC_GC_POOLS_H

#include "poolmalloc/poolmalloc.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Larger blocks are in no pool of kind gc. */
#define PM_GC_BYTES_MAX 512

/*
 * A block of a gc pool, all zero; the caller owns it. It is aligned to 16 bytes if `bytes` is a
 * multiple of 16, as the size of every type is that needs it, else to 8. Any thread; not from
 * signal handlers. NULL with errno ENOTSUP: there is none now, and pm_object_calloc has to serve
 * instead, which tells whether memory is out. Reasons: bytes is 0 or above PM_GC_BYTES_MAX; the
 * object domain's table is not the library's own (hooks); a mode is on that looks at each block
 * (debug, hardened, malloc, tracing), or the profiler has chosen this one; new memory lies outside
 * the window (pm_gc_window), or there is none; a build for valgrind. Which of these holds may
 * change at any time.
 */
PM_API void *pm_gc_calloc(size_t bytes);

/* Frees a block that pm_gc_calloc returned, whichever thread made it. (pm_object_free does so, too,
 * and no hook sees it then.) Bytes 8..15 stay readable as
 * the caller left them as long as the pool is one (pm_gc_pools_walk). NULL: nothing happens. errno
 * is unchanged. What is no such block is a named error, as with pm_free. */
PM_API void pm_gc_free(void *block);

/* A pool of kind gc, as a walk shows it. Block i begins at first + i * block_bytes. */
struct pm_gc_pool {
    char *first;
    uint32_t block_bytes; /* a multiple of 8, from 16 to PM_GC_BYTES_MAX */
    uint32_t blocks;      /* that may have been handed out; free ones are among them */
};

/*
 * Calls visit(pool, arg) for each gc pool until visit returns false; true: all were visited. The
 * order means nothing, and `pool` is good during the call only. By one thread at a time, or each
 * waits for the other.
 *
 * The caller sees to it that no thread is in pm_gc_calloc meanwhile (a stopped world). Others may
 * use the allocator otherwise, and free: what is freed late by those who hold it back is nothing
 * that the caller could miss. A pool without a live block may become other memory at any time but
 * while visit has it: who would do that waits. So visit is short, and calls nothing of this
 * library; and of a pool in which it found no live object nothing may be looked at afterwards.
 */
PM_API bool pm_gc_pools_walk(bool (*visit)(const struct pm_gc_pool *pool, void *arg), void *arg);

/*
 * Where gc pools lie, those yet to come, too: *base is a multiple of the size of an arena, *bytes
 * of address space, of which most is not in use. Constant once it was asked; both 0: the process
 * has no such window, and pm_gc_calloc never succeeds. Any thread.
 */
PM_API void pm_gc_window(char **base, size_t *bytes);

/*
 * 8 bytes of a free block, or of one that may be free: bytes 8..15, which AddressSanitizer would
 * not let be read otherwise. Atomic, relaxed; who frees while others walk writes them so, too.
 */
#if defined(__GNUC__)
__attribute__((no_sanitize("address")))
#endif
static inline uint64_t
pm_gc_peek(const void *block)
{
    return __atomic_load_n((const uint64_t *)block + 1, __ATOMIC_RELAXED);
}

#ifdef __cplusplus
}
#endif

#endif
