/* SPDX-License-Identifier: MIT */
/*
 * Memory of the collector beside the gc pools: address space for all that the window may ever have,
 * reserved once, so that a collection asks nobody for memory. What is never touched takes none.
 *
 *   words         32 bits for each block of the units that take part in a collection, from the
 *                 first word on; then they go back
 *   generations   2 bits for each 32 bytes
 *   units, marks   17 bytes for each unit
 *
 * This file is the only one of the layer that calls the system for memory.
 */
#define _GNU_SOURCE /* madvise */
#include "object/gc_internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

struct pm_gc_table pm_gc_table;

/* The next part of the reservation, in whole pages. */
static char *part(char **from, size_t bytes)
{
    char *start = *from;
    *from += pm_align_up(bytes, (size_t)sysconf(_SC_PAGESIZE));
    return start;
}

/* With `from` NULL: only how much there is. */
static size_t lay_out(char *from, size_t bytes, struct pm_gc_table *table)
{
    size_t blocks = bytes >> GC_BLOCK_SHIFT, units = bytes >> GC_UNIT_SHIFT;
    char *end = from;
    table->words = (_Atomic uint32_t *)(void *)part(&end, blocks * sizeof *table->words);
    table->generations = (_Atomic uint8_t *)part(&end, bytes >> GC_GENERATION_SHIFT >> 2);
    table->units = (struct pm_gc_unit *)(void *)part(&end, units * sizeof *table->units);
    table->marks = (_Atomic uint8_t *)part(&end, units);
    return (size_t)((uintptr_t)end - (uintptr_t)from);
}

void pm_gc_table_init(void)
{
    int saved_errno = errno;
    struct pm_gc_table table;
    size_t bytes;
    pm_gc_window(&table.base, &bytes);
    if (bytes != 0) {
        size_t all = lay_out(NULL, bytes, &table);
        char *from = mmap(NULL, all, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (from != MAP_FAILED) {
            lay_out(from, bytes, &table);
            table.bytes = bytes;
            pm_gc_table = table;
            /* A huge page of generations would be those of 128 MiB, most of them free perhaps. */
            madvise((void *)table.generations, (size_t)(from + all - (char *)table.generations),
                    MADV_NOHUGEPAGE);
        }
    }
    errno = saved_errno;
}

size_t pm_gc_table_note_pool(const struct pm_gc_pool *pool)
{
    size_t offset = (size_t)(pool->first - pm_gc_table.base), number = pm_gc_unit_of(offset);
    struct pm_gc_unit *unit = &pm_gc_table.units[number];
    unit->first = (uint8_t)(offset % PM_UNIT_BYTES >> GC_GRANULE_SHIFT);
    unit->step = (uint8_t)(pool->block_bytes >> GC_GRANULE_SHIFT);
    unit->reciprocal = ((1u << GC_RECIPROCAL_SHIFT) + unit->step - 1) / unit->step;
    pm_object_assert(pm_gc_unit_of(offset + (size_t)pool->blocks * pool->block_bytes - 1) ==
                     number);
    return number;
}

void pm_gc_table_clear(size_t words)
{
    int saved_errno = errno;
    /* Relaxed: objects that die have theirs made 0, too. */
    for (size_t i = 0; i < words && i < PM_GC_KEPT_WORDS; i++)
        pm_store_relaxed(&pm_gc_table.words[i], 0);
    size_t kept_bytes = PM_GC_KEPT_WORDS * sizeof *pm_gc_table.words;
    if (words > PM_GC_KEPT_WORDS &&
        madvise((char *)pm_gc_table.words + kept_bytes,
                pm_align_up(words * sizeof *pm_gc_table.words - kept_bytes,
                            (size_t)sysconf(_SC_PAGESIZE)),
                MADV_DONTNEED) != 0) /* locked memory stays what it is */
        for (size_t i = PM_GC_KEPT_WORDS; i < words; i++)
            pm_store_relaxed(&pm_gc_table.words[i], 0);
    errno = saved_errno;
}
