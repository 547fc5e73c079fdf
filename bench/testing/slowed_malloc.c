/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc with two instructions more in each call: a pair of malloc and free takes four more
 * than about forty. The comparison must tell it from the real one (`compare.sh --allocator
 * slowed=PATH`); if it does not, nobody should believe what it says about smaller differences.
 */
#include <poolmalloc/poolmalloc.h>

#include <malloc.h>
#include <stdlib.h>

#define SLOWED __attribute__((visibility("default")))

/* One instruction; the other is the jump to the real function. */
#define ONE_MORE() __asm__ volatile("nop")

SLOWED void *malloc(size_t size)
{
    ONE_MORE();
    return pm_malloc(size);
}

SLOWED void free(void *ptr)
{
    ONE_MORE();
    pm_free(ptr);
}

SLOWED void *calloc(size_t count, size_t size)
{
    ONE_MORE();
    return pm_calloc(count, size);
}

SLOWED void *realloc(void *ptr, size_t size)
{
    ONE_MORE();
    return pm_realloc(ptr, size);
}

SLOWED int posix_memalign(void **out, size_t alignment, size_t size)
{
    return pm_posix_memalign(out, alignment, size);
}

SLOWED void *aligned_alloc(size_t alignment, size_t size)
{
    return pm_aligned_alloc(alignment, size);
}

SLOWED void *memalign(size_t alignment, size_t size)
{
    return pm_memalign(alignment, size);
}

SLOWED void *valloc(size_t size)
{
    return pm_valloc(size);
}

SLOWED void *pvalloc(size_t size)
{
    return pm_pvalloc(size);
}

SLOWED void *reallocarray(void *ptr, size_t count, size_t size)
{
    return pm_reallocarray(ptr, count, size);
}

SLOWED size_t malloc_usable_size(void *ptr)
{
    return pm_malloc_usable_size(ptr);
}
