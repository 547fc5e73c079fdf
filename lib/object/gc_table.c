/* SPDX-License-Identifier: MIT */
/*
 * Memory of the collector beside the gc pools: address space for all that the window may ever have,
 * reserved once, so that a collection asks nobody for memory. What is never touched takes none.
 *
 *   words         a 32-bit word for each granule, while there is a collection; then it goes back
 *   generations   2 bits for each granule
 *   marks, next, blocks   11 bytes for each unit
 *
 * This file is the only one of the layer that calls the system for memory.
 */
#define _GNU_SOURCE /* madvise */
#include "object/gc_internal.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* Words of so many units may stay resident between collections: most collections are of young
 * objects, which lie in few, and would fault their pages in again and again. */
#define KEPT_UNITS 8

struct pm_gc_table pm_gc_table;

/* Units whose words were used since they went back last; by the stopper. */
static size_t kept, kept_first, kept_last;

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
    size_t granules = bytes >> GC_GRANULE_SHIFT, units = bytes >> GC_UNIT_SHIFT;
    char *end = from;
    table->words = (_Atomic uint32_t *)(void *)part(&end, granules * sizeof *table->words);
    table->generations = (_Atomic uint8_t *)part(&end, granules / 4);
    table->marks = (_Atomic uint8_t *)part(&end, units);
    table->next = (_Atomic uint32_t *)(void *)part(&end, units * sizeof *table->next);
    table->blocks = (struct pm_gc_blocks *)(void *)part(&end, units * sizeof *table->blocks);
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

void pm_gc_table_list(size_t unit)
{
    pm_schedule_point();
    atomic_fetch_or_explicit(&pm_gc_table.marks[unit], GC_HAS_YOUNG, memory_order_relaxed);
}

void pm_gc_table_note_blocks(const struct pm_gc_pool *pool, uint8_t mark, size_t *first,
                             size_t *last)
{
    size_t offset = (size_t)(pool->first - pm_gc_table.base), unit = pm_gc_unit_of(offset);
    _Atomic uint8_t *marks = &pm_gc_table.marks[unit];
    pm_object_assert(pool->blocks == 0 ||
                     pm_gc_unit_of(offset + (size_t)pool->blocks * pool->block_bytes - 1) == unit);
    pm_store_relaxed(marks, (uint8_t)(pm_load_relaxed(marks) | mark));
    pm_gc_table.blocks[unit] =
        (struct pm_gc_blocks){(uint16_t)(offset & (PM_UNIT_BYTES - 1)), (uint16_t)pool->block_bytes,
                              (uint16_t)pool->blocks};
    if (unit < *first)
        *first = unit;
    if (unit > *last)
        *last = unit;
}

static void give_back(void)
{
    int saved_errno = errno;
    size_t unit_bytes = GC_UNIT_GRANULES * sizeof *pm_gc_table.words;
    char *start = (char *)pm_gc_table.words + kept_first * unit_bytes;
    char *end = (char *)pm_gc_table.words + (kept_last + 1) * unit_bytes;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    /* Whole pages: what shares one with them is 0 or belongs to no collection. */
    start -= (uintptr_t)start % page;
    madvise(start, pm_align_up((size_t)(end - start), page), MADV_DONTNEED);
    errno = saved_errno;
    kept = 0;
}

/* Relaxed: objects that die meanwhile have their words made 0, too. */
static void clear_unit(size_t unit)
{
    _Atomic uint32_t *words = pm_gc_table.words + unit * GC_UNIT_GRANULES;
    for (size_t i = 0; i < GC_UNIT_GRANULES; i++)
        pm_store_relaxed(&words[i], 0);
}

/* Relaxed: others set marks of theirs meanwhile. */
static void clear_marks(size_t unit, uint8_t which)
{
    pm_schedule_point();
    atomic_fetch_and_explicit(&pm_gc_table.marks[unit], (uint8_t)~which, memory_order_relaxed);
}

void pm_gc_table_clear(size_t first, size_t last)
{
    size_t taken = 0;
    for (size_t unit = first; unit <= last; unit++)
        taken += (pm_load_relaxed(&pm_gc_table.marks[unit]) & GC_TAKEN) != 0;
    if (taken == 0)
        return;
    if (kept == 0 || first < kept_first)
        kept_first = first;
    if (kept == 0 || last > kept_last)
        kept_last = last;
    kept += taken;
    bool keep = kept <= KEPT_UNITS;
    for (size_t unit = first; unit <= last; unit++) {
        if ((pm_load_relaxed(&pm_gc_table.marks[unit]) & GC_TAKEN) == 0)
            continue;
        if (keep)
            clear_unit(unit);
        clear_marks(unit, GC_TAKEN | GC_HAS_TRASH);
    }
    if (!keep)
        give_back();
}
