/* SPDX-License-Identifier: MIT */
/*
 * AddressSanitizer's manual poisoning. Whatever lies in an arena and was not asked for is poisoned:
 * free units, what of a pool was never handed out, free blocks with their links, and behind each
 * block at least PM_ASAN_REDZONE_BYTES, so that an overflow never lands in a neighbour that is
 * live. The allocator's own way to the links is not watched. Nothing in other builds.
 */
#ifndef PM_BASE_ASAN_H
#define PM_BASE_ASAN_H

#include "base/bits.h"
#include "base/config.h"

#include "base/valgrind.h"

#if PM_ASAN
#include <sanitizer/asan_interface.h>
#endif

/* The api layer asks for so many bytes more than the program did. */
#if PM_ASAN
#define PM_ASAN_REDZONE_BYTES PM_GRANULE_BYTES
#elif PM_VALGRIND
#define PM_ASAN_REDZONE_BYTES 16 /* see heap/valgrind.h */
#else
#define PM_ASAN_REDZONE_BYTES 0
#endif

/* A function that touches poisoned memory: free blocks. Such a one cannot be inlined into others.
 */
#if PM_ASAN
#define PM_INLINE_UNWATCHED static __attribute__((no_sanitize_address, noinline, unused))
#else
#define PM_INLINE_UNWATCHED PM_INLINE
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
    pm_valgrind_no_access(start, bytes);
#endif
}

/* A block that holds `block_bytes` was handed out for `bytes`. To valgrind: pm_valgrind_out. */
PM_INLINE void pm_asan_block_out(const void *block, size_t bytes, size_t block_bytes)
{
    pm_asan_unpoison(block, bytes);
    pm_asan_poison((const char *)block + bytes, block_bytes - bytes);
}

/* A block came back. To valgrind: pm_valgrind_back. */
PM_INLINE void pm_asan_block_back(void *block, size_t block_bytes)
{
#if !PM_VALGRIND
    pm_asan_poison(block, block_bytes);
#else
    (void)block, (void)block_bytes;
#endif
}

#endif
