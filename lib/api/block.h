/* SPDX-License-Identifier: MIT */
/*
 * What all entry points that hand out blocks do: AddressSanitizer's build gives each block some
 * bytes more, which stay out of bounds. Nothing in other builds. Any thread.
 */
#ifndef PM_API_BLOCK_H
#define PM_API_BLOCK_H

#include "base/asan.h"
#include "heap/heap.h"

#include <errno.h>
#include <stdint.h>

/* What is asked of the heap layer for a block of `size` bytes. */
static inline size_t padded(size_t size)
{
    return PM_ASAN && size <= PTRDIFF_MAX ? size + PM_ASAN_REDZONE_BYTES : size;
}

static inline size_t usable_of(const void *ptr, const char *function)
{
    return pm_heap_usable(ptr, function) - PM_ASAN_REDZONE_BYTES;
}

/* The block, or NULL; what was not asked for is out of bounds. */
static inline void *told(void *block, size_t size)
{
#if PM_ASAN
    if (block != NULL)
        pm_asan_block_out(block, size, pm_heap_usable(block, "malloc"));
#else
    (void)size;
#endif
    return block;
}

static PM_COLD void *fail(int error)
{
    errno = error;
    return NULL;
}

#endif
