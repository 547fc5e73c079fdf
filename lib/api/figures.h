/* SPDX-License-Identifier: MIT */
/*
 * One look at all memory, from which mallinfo, malloc_info and malloc_stats say what they say.
 *
 *   arenas * arena_bytes (pm_stats)
 *     pool_bytes
 *       live_bytes        blocks in use
 *       available_bytes   blocks that are not
 *       header_bytes      before the first block of each pool
 *       tail_bytes        behind the last one
 *     kept_bytes, stash_bytes, span_held_bytes, free_bytes (pm_stats)
 *
 * What is indented sums up always: it is of one walk. The whole does when no other thread is at
 * work: the walk and pm_stats are two looks.
 */
#ifndef PM_API_FIGURES_H
#define PM_API_FIGURES_H

#include "pool/pool.h"
#include "poolmalloc/poolmalloc.h"

struct pm_figures {
    struct pm_stats stats;
    struct pm_class_stats classes[PM_CLASSES];
    uint64_t pools, live_blocks, available_blocks;
    uint64_t pool_bytes, live_bytes, available_bytes, header_bytes, tail_bytes;
};

/* The counters of struct pm_stats by name, for reports: process.c. */
struct pm_stats_row {
    const char *name;
    size_t offset;
};
extern const struct pm_stats_row pm_stats_rows[] PM_HIDDEN;
extern const unsigned pm_stats_row_count PM_HIDDEN;

static inline uint64_t pm_stats_value(const struct pm_stats *stats, const struct pm_stats_row *row)
{
    return *(const uint64_t *)(const void *)((const char *)stats + row->offset);
}

/* Any thread; no lock is held afterwards, and nothing allocated. False: no allocator call has been
 * made yet, all zero. */
bool pm_figures_take(struct pm_figures *figures);

#endif
