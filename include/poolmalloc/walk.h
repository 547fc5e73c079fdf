/* SPDX-License-Identifier: MIT */
/*
 * Walking the blocks in use: for leak checkers, and for who wants to know what memory is made of.
 * (Those of one user heap: pm_heap_walk in heap.h.)
 */
#ifndef POOLMALLOC_WALK_H
#define POOLMALLOC_WALK_H

#include "poolmalloc/heap.h"

#ifdef __cplusplus
extern "C" {
#endif

/* PM_WALK_THREAD: blocks in pools from which the calling thread allocates. A pool that is full
 * belongs to nobody, whoever filled it, and large blocks are in none: these are not among them.
 * PM_WALK_PROCESS: all blocks of the process, those of user heaps included. */
enum pm_walk_which { PM_WALK_THREAD, PM_WALK_PROCESS };

struct pm_walk_block {
    void *block;
    size_t bytes;    /* that it holds: pm_malloc_usable_size */
    bool large;      /* a large block, which is in no pool */
    bool mine;       /* in a pool from which the calling thread allocates */
    uint64_t thread; /* the same number for all pools from which one thread allocates; 0: no thread
                        does (full pools, those of ended threads, large blocks, user heaps) */
    pm_user_heap *heap; /* the user heap that it is of, or NULL */
};

/*
 * Calls visit(block, arg) for each block in use until visit returns false or there is none left;
 * the order means nothing, and `block` is good during the call only. True: all were visited.
 *
 * Any thread; nobody is stopped, and no lock is held while visit runs: it may allocate, free, and
 * walk. Not from a signal handler that interrupted the allocator. What is seen is exact of pools in
 * which nobody makes or frees a block meanwhile, and of large blocks and user heaps. A thread may
 * hold back a batch of frees of other threads' blocks; these are in use until its next slow path,
 * or its own walk, hands them on. Of a pool that its thread uses at that very moment, blocks made
 * or freed lately may be visited or not. One that visit frees before its turn has come may be
 * visited, too; never anything that is no block. So the contents of blocks of others must not be
 * looked at unless they are known to stay.
 * Takes time by the address space in use and by its blocks.
 */
PM_API bool pm_walk_blocks(enum pm_walk_which which,
                           bool (*visit)(const struct pm_walk_block *block, void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
