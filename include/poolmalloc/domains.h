/* SPDX-License-Identifier: MIT */
/*
 * Domains: three sets of entry points, each led by a table of functions that the program may
 * replace, as in CPython (PEP 445, "Add new APIs to customize Python memory allocators", and the
 * chapter "Memory Management" of the C API manual). docs/domains.md tells what for, and where this
 * differs from CPython.
 *
 *   domain   is meant for                   serves by default
 *   raw      what needs no runtime          all sizes, as pm_malloc
 *   mem      buffers                        1 to 512 bytes from pools, others by the raw domain
 *   object   objects                        the same
 *
 * A block goes back through the domain that it came from: pm_object_free for pm_object_malloc. With
 * the default tables in all domains blocks are those of pm_malloc, and nobody notices a mistake.
 *
 * Common to all entry points:
 *   - any thread may call them, at any time, as pm_malloc;
 *   - a size of 0 gives a block of its own, never NULL but for want of memory;
 *   - a size, or a product of count and size, above PTRDIFF_MAX is refused with NULL and errno
 *     ENOMEM before any table is asked;
 *   - otherwise result and errno are those of the table's function: NULL for want of memory;
 *   - blocks of the default tables are aligned to 16 bytes (8 in the classic configuration).
 */
#ifndef POOLMALLOC_DOMAINS_H
#define POOLMALLOC_DOMAINS_H

#include "poolmalloc/poolmalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

enum pm_domain { PM_DOMAIN_RAW, PM_DOMAIN_MEM, PM_DOMAIN_OBJECT };

/*
 * What serves a domain; PyMemAllocatorEx of CPython. The functions get `context` first. They are
 * called by any thread, at the same time, and must
 *   - give a block of its own for a size of 0 (or a count or size of 0), not NULL;
 *   - take NULL: free(NULL) does nothing, realloc(NULL, size) is malloc(size);
 *   - in realloc with size 0, resize to a minimal block and not free;
 *   - on failure give NULL, and leave the block of a realloc as it was.
 * Sizes that they see are at most PTRDIFF_MAX, and so are products.
 */
struct pm_allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *ptr, size_t size);
    void (*free)(void *context, void *ptr);
};

/*
 * Copies the domain's table to *table; a hook keeps it and calls its functions in turn. True; false
 * with errno EINVAL, and all of *table NULL: there is no such domain. Any thread.
 */
PM_API bool pm_get_allocator(enum pm_domain domain, struct pm_allocator *table);

/*
 * Puts a copy of *table in charge of the domain. True: calls that begin from now on use it, in this
 * thread and in those that hear of it; a call never meets a function of one table with the context
 * of another. Calls that other threads have begun may still be in the old table when this returns:
 * its functions and its context have to stay for good.
 *
 * Blocks of the old table are freed by the new one: unless that knows them, by calling the old one
 * in turn or because both lead to the same memory, set it before the first allocation, as CPython's
 * manual says too.
 *
 * False: nothing was changed; errno EINVAL (no such domain, or a function is NULL) or ENOMEM (no
 * memory for the copy). The copy is pm_malloc's, not a domain's; each is kept, but once, so that
 * swapping the same tables takes no more memory. Any thread, while others allocate; but two that
 * each wrap what they got by pm_get_allocator may lose one of the two: that is theirs to prevent.
 */
PM_API bool pm_set_allocator(enum pm_domain domain, const struct pm_allocator *table);

/* At least `size` bytes, contents unknown. PyMem_RawMalloc, PyMem_Malloc, PyObject_Malloc. */
PM_API void *pm_raw_malloc(size_t size);
PM_API void *pm_mem_malloc(size_t size);
PM_API void *pm_object_malloc(size_t size);

/* An array of `count` elements of `size` bytes, all zero. */
PM_API void *pm_raw_calloc(size_t count, size_t size);
PM_API void *pm_mem_calloc(size_t count, size_t size);
PM_API void *pm_object_calloc(size_t count, size_t size);

/*
 * The block with its size changed, its contents kept up to the smaller of both sizes; NULL: the old
 * block is as it was. ptr NULL: as malloc. Unlike glibc's realloc and pm_realloc, a size of 0 does
 * not free: the block shrinks to a minimal one, which the caller owns.
 */
PM_API void *pm_raw_realloc(void *ptr, size_t size);
PM_API void *pm_mem_realloc(void *ptr, size_t size);
PM_API void *pm_object_realloc(void *ptr, size_t size);

/* The block goes back; NULL does nothing. The default tables preserve errno. */
PM_API void pm_raw_free(void *ptr);
PM_API void pm_mem_free(void *ptr);
PM_API void pm_object_free(void *ptr);

#ifdef __cplusplus
}
#endif

#endif
