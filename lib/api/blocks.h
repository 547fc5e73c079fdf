/* SPDX-License-Identifier: MIT */
/*
 * Between what the program asks for and what the heap layer is asked for. They differ in
 * AddressSanitizer's build: there a block has some bytes more, which stay out of bounds.
 */
#ifndef PM_API_BLOCKS_H
#define PM_API_BLOCKS_H

#include "base/asan.h"
#include "heap/heap.h"

#include <errno.h>
#include <stdint.h>

static inline size_t padded(size_t size)
{
    return PM_ASAN && size <= PTRDIFF_MAX ? size + PM_ASAN_REDZONE_BYTES : size;
}

static inline size_t usable_of(const void *ptr, const char *function)
{
    return pm_heap_usable(ptr, function) - PM_ASAN_REDZONE_BYTES;
}

/* In AddressSanitizer's build: what was not asked for is out of bounds. */
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

static PM_COLD __attribute__((unused)) void *fail(int error)
{
    errno = error;
    return NULL;
}

#endif
