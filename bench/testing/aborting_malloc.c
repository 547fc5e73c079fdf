/* SPDX-License-Identifier: MIT */
/*
 * An allocator that works for a while and then aborts with a message, or, with HANGING=1, never
 * returns. comparison/driver_test.py checks that such allocators are reported as failed rows.
 * It hands out fresh memory only; free does nothing.
 */
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { CALLS_MAX = 20000, HEADER = 16, ROUND = 16 };
static const size_t reserve_bytes = (size_t)1 << 30;

static _Atomic(uintptr_t) next;
static atomic_int calls;

static uintptr_t take(size_t size)
{
    if (atomic_load(&next) == 0) {
        void *memory = mmap(NULL, reserve_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        uintptr_t none = 0;
        atomic_compare_exchange_strong(&next, &none, (uintptr_t)memory);
    }
    return atomic_fetch_add(&next, (size + HEADER + ROUND - 1) & ~(size_t)(ROUND - 1));
}

EXPORT void *malloc(size_t size)
{
    if (atomic_fetch_add(&calls, 1) > CALLS_MAX) {
        static const char words[] = "aborting_malloc: that was one too many\n";
        ssize_t written = write(STDERR_FILENO, words, sizeof(words) - 1);
        (void)written;
#if HANGING
        for (;;)
            pause();
#endif
        abort();
    }
    uintptr_t block = take(size) + HEADER;
    ((size_t *)block)[-1] = size;
    return (void *)block;
}

EXPORT void *calloc(size_t count, size_t size)
{
    return malloc(count * size); /* fresh memory is zero */
}

EXPORT void free(void *block)
{
    (void)block;
}

EXPORT size_t malloc_usable_size(void *block)
{
    return block == NULL ? 0 : ((size_t *)block)[-1];
}

EXPORT void *realloc(void *block, size_t size)
{
    void *moved = malloc(size);
    if (block != NULL) {
        size_t old = ((size_t *)block)[-1];
        memcpy(moved, block, old < size ? old : size);
    }
    return moved;
}
