/* SPDX-License-Identifier: MIT */
/*
 * An allocator that is wrong and fast: everybody who asks for 64 bytes gets the same block. Nothing
 * else is wrong with it. comparison/aliasing_test.py checks that it gets no time for this.
 */
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { ALIASED = 64, ROUND = 16, AREA_BYTES = 1 << 26 };

static _Alignas(ALIASED) char aliased[ALIASED];
static _Alignas(ROUND) char area[AREA_BYTES];
static atomic_size_t used;

/* The block's size is in the ROUND bytes before it; none is used again. */
static void *take(size_t size)
{
    size_t bytes = ROUND + ((size + ROUND - 1) & ~(size_t)(ROUND - 1));
    size_t at = atomic_fetch_add(&used, bytes);
    if (at + bytes > AREA_BYTES)
        return NULL;
    memcpy(area + at, &size, sizeof(size));
    return area + at + ROUND;
}

static size_t size_of(const void *block)
{
    size_t size = ALIASED;
    if (block != aliased)
        memcpy(&size, (const char *)block - ROUND, sizeof(size));
    return size;
}

EXPORT void *malloc(size_t size)
{
    return size == ALIASED ? aliased : take(size);
}

EXPORT void free(void *block)
{
    (void)block;
}

EXPORT void *calloc(size_t count, size_t size)
{
    return take(count * size);
}

EXPORT void *realloc(void *block, size_t size)
{
    void *moved = take(size);
    size_t kept = block == NULL ? 0 : size_of(block);
    if (moved != NULL && kept > 0)
        memcpy(moved, block, kept < size ? kept : size);
    return moved;
}

EXPORT size_t malloc_usable_size(void *block)
{
    return block == NULL ? 0 : size_of(block);
}
