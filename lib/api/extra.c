/* SPDX-License-Identifier: MIT */
/* What the C library's family lacks and callers of other allocators know: sizes, ownership, change
 * in place, batches. Any thread. */
#include "api/blocks.h"
#include "heap/guests.h"
#include "poolmalloc/poolmalloc.h"

size_t pm_good_size(size_t size)
{
    size_t bytes = pm_heap_good_size(padded(size));
    if (bytes == 0)
        return 0;
    /* Who watches may let nothing beyond be used. */
    return pm_unlikely(pm_watch_asked() != NULL) ? size : bytes - PM_ASAN_REDZONE_BYTES;
}

bool pm_owns(const void *ptr)
{
    const struct pm_guests *guests = pm_guests_at(ptr);
    return guests != NULL ? guests->in_block(pm_untagged(ptr)) : pm_arena_owns(pm_untagged(ptr));
}

bool pm_expand(void *ptr, size_t size)
{
    if (ptr == NULL || size > PTRDIFF_MAX || !pm_heap_expand(ptr, padded(size), "pm_expand"))
        return false;
    told(ptr, size);
    return true;
}

size_t pm_malloc_batch(size_t size, size_t count, void **blocks)
{
    size_t made = pm_thread_malloc_batch(padded(size), count, blocks);
#if PM_WATCHED
    for (size_t i = 0; i < made; i++)
        told(blocks[i], size);
#endif
    return made;
}

void pm_free_batch(void *const *blocks, size_t count)
{
    pm_thread_free_batch(blocks, count, "pm_free_batch");
}
