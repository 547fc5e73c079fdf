/* SPDX-License-Identifier: MIT */
/* The allocation functions of jemalloc's non-standard interface: see jemalloc.h. Any thread. */
#include "api/jemalloc.h"

#include "api/alias.h"
#include "api/blocks.h"
#include "heap/fast.h"
#include "poolmalloc/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <string.h>

/* The largest that the flags can say lies above all memory, and is refused like it. */
static size_t alignment_of(int flags)
{
    return (size_t)1 << (flags & PM_JE_LG_ALIGN_MASK);
}

static bool is_aligned(const void *ptr, size_t alignment)
{
    return (uintptr_t)ptr % alignment == 0;
}

/* The classes and steps of the heap layer, without a block. 0: too large. */
static size_t good_size(size_t size, size_t alignment)
{
    if (size > PTRDIFF_MAX || alignment > PM_WINDOW_MAX_BYTES)
        return 0;
    if (pm_unlikely(pm_watch_asked() != NULL)) /* see pm_good_size */
        return size;
    size_t room = padded(size ? size : 1);
    unsigned class = PM_CLASSES;
    if (alignment > PM_GRANULE_BYTES)
        class = pm_class_aligned(room, alignment);
    else if (room <= PM_BLOCK_MAX)
        class = pm_class_of(pm_align_up(room, PM_GRANULE_BYTES));
    size_t bytes = class < PM_CLASSES ? pm_class_bytes(class) : pm_span_good_bytes(room);
    return bytes ? bytes - PM_ASAN_REDZONE_BYTES : 0;
}

static void *aligned(size_t size, size_t alignment)
{
    void *block = pm_thread_aligned_at_hand(padded(size), alignment);
    if (pm_likely(block != NULL))
        return told(block, size);
    if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return told(pm_thread_malloc_aligned(padded(size), alignment), size);
}

/* What the block holds from byte `from` on becomes zero. The next growth starts where the block
 * ends, not where the request did. */
static void clear_from(void *block, size_t from)
{
    size_t usable = usable_of(block, "mallocx");
    if (from >= usable)
        return;
    pm_asan_unpoison(block, usable);
    memset((char *)block + from, 0, usable - from);
}

/* Large blocks lie on whole units, and what the system gave for them is zero: calloc knows. */
static void *zeroed(size_t size, size_t alignment)
{
    const struct pm_watch *watch = pm_watch_asked();
    if (pm_unlikely(watch != NULL))
        return told(pm_watch_malloc(watch, padded(size), alignment, true), size);
    size_t all = good_size(size, alignment);
    if (all != 0 && (alignment <= PM_GRANULE_BYTES ||
                     (padded(all) > PM_BLOCK_MAX && alignment <= PM_UNIT_BYTES)))
        return told(pm_calloc(1, all), size);
    void *block = aligned(size, alignment);
    if (block != NULL)
        clear_from(block, 0);
    return told(block, size);
}

void *pm_je_mallocx(size_t size, int flags)
{
    size_t alignment = alignment_of(flags);
    return flags & PM_JE_ZERO ? zeroed(size, alignment) : aligned(size, alignment);
}

/* A block of a user heap stays in its heap. */
static void *aligned_beside(const void *ptr, size_t size, size_t alignment)
{
    pm_user_heap *heap = pm_heap_of(ptr);
    return heap ? pm_heap_aligned_alloc(heap, alignment, size) : aligned(size, alignment);
}

static void *move_aligned(void *ptr, size_t size, size_t alignment, size_t have)
{
    void *block = aligned_beside(ptr, size, alignment);
    if (block == NULL) /* as realloc: what shrinks can stay */
        return size <= have && is_aligned(ptr, alignment) ? ptr : NULL;
    pm_asan_unpoison(ptr, have);
    memcpy(block, ptr, have < size ? have : size);
    pm_thread_free(ptr, "rallocx");
    return block;
}

void *pm_je_rallocx(void *ptr, size_t size, int flags)
{
    size_t alignment = alignment_of(flags);
    if (ptr == NULL)
        return pm_je_mallocx(size, flags);
    size += size == 0;
    size_t have = usable_of(ptr, "rallocx");
    void *block = ptr;
    if (alignment <= PM_GRANULE_BYTES)
        block = pm_realloc(ptr, size);
    else if (size > PTRDIFF_MAX || !is_aligned(ptr, alignment) ||
             !pm_heap_resize(ptr, padded(size), "rallocx"))
        block = move_aligned(ptr, size, alignment, have);
    if (block != NULL && flags & PM_JE_ZERO)
        clear_from(block, have);
    return told(block, size);
}

size_t pm_je_xallocx(void *ptr, size_t size, size_t extra, int flags)
{
    size_t have = usable_of(ptr, "xallocx");
    size += size == 0;
    if (size > PTRDIFF_MAX || !is_aligned(ptr, alignment_of(flags)))
        return have;
    if (extra > PTRDIFF_MAX - size)
        extra = PTRDIFF_MAX - size;
    if (!pm_heap_resize(ptr, padded(size + extra), "xallocx") && size > have)
        pm_heap_resize(ptr, padded(size), "xallocx");
    if (flags & PM_JE_ZERO)
        clear_from(ptr, have);
    return pm_je_sallocx(ptr, flags);
}

size_t pm_je_sallocx(const void *ptr, int flags)
{
    (void)flags;
    if (ptr == NULL)
        return 0;
    size_t usable = usable_of(ptr, "sallocx");
    pm_asan_unpoison(ptr, usable); /* the caller may use all of it now */
    return usable;
}

void pm_je_dallocx(void *ptr, int flags)
{
    (void)flags;
    pm_thread_free(ptr, "dallocx");
}

void pm_je_sdallocx(void *ptr, size_t size, int flags)
{
    free_told(ptr, alignment_of(flags), size, PM_MAKER_MALLOC, "sdallocx");
}

size_t pm_je_nallocx(size_t size, int flags)
{
    return good_size(size, alignment_of(flags));
}

#if PM_OVERRIDE
void *mallocx(size_t size, int flags) SAME_AS(pm_je_mallocx);
void *rallocx(void *ptr, size_t size, int flags) SAME_AS(pm_je_rallocx);
size_t xallocx(void *ptr, size_t size, size_t extra, int flags) SAME_AS(pm_je_xallocx);
size_t sallocx(const void *ptr, int flags) SAME_AS(pm_je_sallocx);
void dallocx(void *ptr, int flags) SAME_AS(pm_je_dallocx);
void sdallocx(void *ptr, size_t size, int flags) SAME_AS(pm_je_sdallocx);
size_t nallocx(size_t size, int flags) SAME_AS(pm_je_nallocx);
#endif
