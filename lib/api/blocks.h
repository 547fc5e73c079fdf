/* SPDX-License-Identifier: MIT */
/*
 * Between what programs ask for and what the heap layer gives: the room that AddressSanitizer's
 * build adds to each block, and what check builds and watches ask of sized frees. For all files of
 * the api layer that make blocks. Any thread.
 */
#ifndef PM_API_BLOCKS_H
#define PM_API_BLOCKS_H

#include "base/asan.h"
#include "base/report.h"
#include "heap/fast.h"
#include "heap/valgrind.h"
#include "heap/watch.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* In builds for AddressSanitizer or valgrind a block has some bytes more, which stay out of bounds.
 */
static inline size_t padded(size_t size)
{
    return PM_WATCHED && size <= PTRDIFF_MAX ? size + PM_ASAN_REDZONE_BYTES : size;
}

/* To valgrind a block holds no more than it was asked for. */
static inline size_t usable_of(const void *ptr, const char *function)
{
#if PM_VALGRIND
    return pm_valgrind_size(ptr, function);
#endif
    return pm_heap_usable(ptr, function) - PM_ASAN_REDZONE_BYTES;
}

/* For AddressSanitizer and valgrind: what was not asked for is out of bounds. */
static inline void *told(void *block, size_t size)
{
#if PM_VALGRIND
    pm_valgrind_out(block, size, false);
#elif PM_ASAN
    if (block != NULL)
        pm_asan_block_out(block, size, pm_heap_usable(block, "malloc"));
#else
    (void)size;
#endif
    return block;
}

/* Of a block that reads as zero. */
static inline void *told_zero(void *block, size_t size)
{
#if PM_VALGRIND
    pm_valgrind_out(block, size, true);
    return block;
#else
    return told(block, size);
#endif
}

#define CLEAR_INLINE_MAX 256 /* above it the C library's memset is faster */

/* Whole granules: blocks consist of them. From both ends, so that small blocks take no loop; the
 * empty asm keeps the compiler from making a call of memset of it. */
PM_INLINE void clear_block(void *block, size_t last_byte)
{
#if !PM_WATCHED
    typedef long granule __attribute__((vector_size(1 << PM_GRANULE_SHIFT), may_alias));
    if (pm_likely(last_byte < CLEAR_INLINE_MAX)) {
        granule *first = block, *last = first + last_byte / PM_GRANULE_BYTES;
        *first = *last = (granule){0};
        if (last_byte < 2 * PM_GRANULE_BYTES)
            return;
        first[1] = last[-1] = (granule){0};
        if (last_byte < 4 * PM_GRANULE_BYTES)
            return;
        for (first += 2; first < last - 1; first++) {
            *first = (granule){0};
            __asm__("" : "+r"(first));
        }
        return;
    }
#endif
    memset(block, 0, last_byte + 1);
}

static PM_COLD __attribute__((unused)) void *fail(int error)
{
    errno = error;
    return NULL;
}

/* The check build compares; in the others the size that the caller knows spares nothing. */
static inline void check_size(const void *ptr, size_t alignment, size_t size, const char *function)
{
#if PM_CHECK
    if (ptr == NULL)
        return;
    size_t usable = usable_of(ptr, function);
    if (size > usable)
        pm_fatal_wrong_size(function, ptr, size, usable);
    if (!pm_is_pow2(alignment) || (uintptr_t)ptr % alignment != 0)
        pm_fatal_wrong_size(function, ptr, alignment, usable);
#else
    (void)ptr, (void)alignment, (void)size, (void)function;
#endif
}

/* A free that tells the size and the alignment, 1 if none. */
static inline void free_told(void *ptr, size_t alignment, size_t size, enum pm_maker maker,
                             const char *function)
{
    const struct pm_watch *watch = pm_watch_asked();
    if (pm_unlikely(watch != NULL && ptr != NULL)) {
        struct pm_return how = {.function = function,
                                .maker = maker,
                                .sized = true,
                                .bytes = padded(size),
                                .align = alignment};
        pm_watch_give_back(watch, ptr, &how);
        return;
    }
    check_size(ptr, alignment, size, function);
    pm_thread_free(ptr, function);
}

#endif
