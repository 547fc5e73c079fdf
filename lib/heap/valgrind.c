/* SPDX-License-Identifier: MIT */
/* What valgrind's tools are told of blocks: see valgrind.h. */
#include "heap/valgrind.h"
#include "heap/heap.h"

#if PM_VALGRIND

#include <valgrind/helgrind.h>

struct label {
    uint64_t size, check;
};

_Static_assert(sizeof(struct label) == PM_ASAN_REDZONE_BYTES, "the red zone has the label");

/* Depends on where the block lies and how large it is, so that what another block has left at the
 * place is none. */
static uint64_t check_of(const void *block, size_t size, size_t usable)
{
    return ~((uintptr_t)block * 0x9e3779b97f4a7c15u) ^ size << 20 ^ usable;
}

static struct label *label_of(const void *block, size_t usable)
{
    return (struct label *)(void *)((char *)(uintptr_t)block + usable - sizeof(struct label));
}

/* Whether the block is handed out, and for how much. */
static bool read_label(const void *block, size_t usable, size_t *size)
{
    pm_valgrind_pause();
    const struct label *label = label_of(block, usable);
    *size = label->size;
    bool handed_out = label->check == check_of(block, *size, usable);
    pm_valgrind_resume();
    return handed_out;
}

static void write_label(const void *block, size_t usable, struct label new)
{
    pm_valgrind_pause();
    *label_of(block, usable) = new;
    pm_valgrind_resume();
}

void pm_valgrind_out(void *block, size_t size, bool zero)
{
    size_t old;
    if (block == NULL)
        return;
    size_t usable = pm_heap_usable(block, "malloc");
    if (read_label(block, usable, &old)) {
        size += size == 0; /* valgrind takes no such change */
        if (old != size)
            VALGRIND_RESIZEINPLACE_BLOCK(block, old, size, 0);
    } else {
        old = 0;
        VALGRIND_MALLOCLIKE_BLOCK(block, size, 0, zero);
    }
    /* Who had the memory before, or the part that realloc adds, did so long ago. */
    if (size > old)
        VALGRIND_HG_CLEAN_MEMORY((char *)block + old, size - old);
    pm_valgrind_no_access((char *)block + size, usable - size);
    write_label(block, usable, (struct label){size, check_of(block, size, usable)});
}

size_t pm_valgrind_size(const void *block, const char *function)
{
    size_t size, usable = pm_heap_usable(block, function);
    return read_label(block, usable, &size) ? size : usable - sizeof(struct label);
}

bool pm_valgrind_back(void *block, const char *function)
{
    size_t size, usable = pm_heap_usable(block, function);
    bool handed_out = read_label(block, usable, &size);
    if (handed_out)
        write_label(block, usable, (struct label){0});
    VALGRIND_FREELIKE_BLOCK(block, 0); /* reports one that is free already */
    return handed_out;
}

#endif
