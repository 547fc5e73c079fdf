/* SPDX-License-Identifier: MIT */
/*
 * AddressSanitizer's manual poisoning: it is told of blocks, so that use after free and overflow
 * into a neighbour are seen. The first word of a free block stays accessible: it is the link.
 * Nothing in other builds.
 */
#ifndef PM_BASE_ASAN_H
#define PM_BASE_ASAN_H

#include "base/bits.h"
#include "base/config.h"

#if PM_ASAN
#include <sanitizer/asan_interface.h>
#endif

PM_INLINE void pm_asan_unpoison(const void *start, size_t bytes)
{
#if PM_ASAN
    __asan_unpoison_memory_region(start, bytes);
#else
    (void)start;
    (void)bytes;
#endif
}

PM_INLINE void pm_asan_poison(const void *start, size_t bytes)
{
#if PM_ASAN
    __asan_poison_memory_region(start, bytes);
#else
    (void)start;
    (void)bytes;
#endif
}

/* A block that holds `block_bytes` was handed out for `bytes`. */
PM_INLINE void pm_asan_block_out(const void *block, size_t bytes, size_t block_bytes)
{
    pm_asan_unpoison(block, bytes);
    pm_asan_poison((const char *)block + bytes, block_bytes - bytes);
}

/* A block came back: all but its link is out of bounds. */
PM_INLINE void pm_asan_block_back(void *block, size_t block_bytes)
{
    pm_asan_poison(block, block_bytes);
    pm_asan_unpoison(block, sizeof(void *));
}

#endif
