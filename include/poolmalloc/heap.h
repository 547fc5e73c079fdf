/* SPDX-License-Identifier: MIT */
/*
 * User heaps: memory that is given back at once. A heap is a set of blocks of any sizes, of which
 * single ones can be freed as usual, and all by pm_heap_destroy, without visiting them: for a
 * request, a document, a plug-in. It can have a limit. The memory comes from the same arenas as
 * all other, and goes back there.
 *
 * All functions: any thread, also at the same time as others on the same heap (a lock of the heap
 * serialises them, which the process's own malloc does not need: a heap that many threads use at
 * the same time is slower). Not from a signal handler that interrupted one of them. A handle that
 * is no live heap is a bug of the program; where it is seen, a line on stderr names it and the
 * program ends by abort().
 *
 * Blocks of a heap are blocks like any other: pm_free, pm_realloc, pm_malloc_usable_size, and free
 * and realloc where poolmalloc serves these, take them, from any thread.
 */
#ifndef POOLMALLOC_HEAP_H
#define POOLMALLOC_HEAP_H

#include "poolmalloc/poolmalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pm_user_heap pm_user_heap;

/*
 * A new, empty heap. `limit_bytes`: the most memory that it may take from the arenas, in bytes, as
 * pm_heap_bytes counts; 0: no limit. NULL with errno ENOMEM: out of memory. The caller owns it
 * until pm_heap_destroy. It costs some KiB, which a later heap uses again.
 */
PM_API pm_user_heap *pm_heap_new(size_t limit_bytes);

/*
 * Gives back the heap and every block in it; NULL does nothing. The blocks must not be used any
 * more, nor be freed: frees by other threads have to be over. One that has found its heap already
 * and waits for the lock is either done before or has no effect; one that comes later frees what is
 * gone, and is a named error, or, where the memory is in use again, one that nobody sees. Takes
 * time by the pools and large blocks of the heap, not by its blocks.
 */
PM_API void pm_heap_destroy(pm_user_heap *heap);

/* As pm_malloc, pm_calloc and pm_aligned_alloc, from this heap. NULL with errno ENOMEM also when
 * the heap would get beyond its limit: nothing is lost then, and what is freed can be allocated
 * again. */
PM_API void *pm_heap_malloc(pm_user_heap *heap, size_t size);
PM_API void *pm_heap_calloc(pm_user_heap *heap, size_t count, size_t size);
PM_API void *pm_heap_aligned_alloc(pm_user_heap *heap, size_t alignment, size_t size);

/* As pm_realloc; with NULL for `ptr`, as pm_heap_malloc. A block stays in the heap that it is of,
 * whatever `heap` says; so it does in pm_realloc. */
PM_API void *pm_heap_realloc(pm_user_heap *heap, void *ptr, size_t size);

/* The heap of a live block; NULL: it is in none, or `ptr` is NULL. */
PM_API pm_user_heap *pm_heap_of(const void *ptr);

/* Memory that the heap has taken from the arenas: its pools (whole units, used or not) and large
 * blocks. One empty pool of each size class stays for the next block, until pm_purge (or
 * malloc_trim) takes it. */
PM_API size_t pm_heap_bytes(pm_user_heap *heap);

/* Changes the limit (0: none). A heap that is beyond it already keeps what it has, and gets no
 * more. */
PM_API void pm_heap_set_limit(pm_user_heap *heap, size_t limit_bytes);

/*
 * Calls visit(block, bytes, arg) for each live block of the heap, with the bytes that it holds,
 * until visit returns false or there is none left; the order means nothing. True: all were visited.
 * Under the heap's lock: other threads wait, and visit must not allocate from this heap, nor free a
 * block of it.
 */
PM_API bool pm_heap_walk(pm_user_heap *heap, bool (*visit)(void *block, size_t bytes, void *arg),
                         void *arg);

#ifdef __cplusplus
}
#endif

#endif
