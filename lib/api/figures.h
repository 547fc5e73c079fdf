/* SPDX-License-Identifier: MIT */
/*
 * One look at all memory, from which all statistics are made. Any thread; nothing is allocated, no
 * lock is held afterwards, nobody is stopped.
 *
 *   arenas * arena_bytes (pm_stats)
 *     pool_bytes
 *       live_bytes        blocks in use, with those that are freed and held back in batches
 *       available_bytes   blocks that are not
 *       header_bytes      before the first block of each pool
 *       tail_bytes        behind the last one
 *     kept_bytes, stash_bytes, span_held_bytes, free_bytes, purging_bytes (pm_stats)
 *
 * What is indented sums up always: it is of one walk. The whole does at rest: the walk and the
 * counters are several looks.
 */
#ifndef PM_API_FIGURES_H
#define PM_API_FIGURES_H

#include "heap/heap.h"
#include "pool/pool.h"
#include "poolmalloc/poolmalloc.h"

struct pm_figures {
    struct pm_stats stats; /* its live_bytes is without batches */
    struct pm_class_stats classes[PM_CLASSES];
    uint32_t batched_blocks[PM_CLASSES]; /* of these: freed and held back, no more than live */
    uint64_t pools, live_blocks, available_blocks;
    uint64_t pool_bytes, live_bytes, available_bytes, header_bytes, tail_bytes;
    bool arenas_unknown; /* of a brief look: all but the heaps' counters is 0 */
};

/* The counters of struct pm_stats by name, in the order of the lines at exit. */
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

/* The heaps of threads, the newest shell first, as many as there is room for. */
#define PM_FIGURES_THREADS 120
struct pm_thread_figures {
    struct pm_heap_view heap;
    uint64_t pool_bytes; /* of pools that it can allocate from */
    uint64_t live_bytes; /* blocks in use there */
};
struct pm_threads_figures {
    unsigned count;
    uint64_t left_out; /* threads for which there was no room */
    struct pm_thread_figures rows[PM_FIGURES_THREADS];
    uint8_t slots[256]; /* by the heap's address: row + 1, or 0 */
};

enum pm_look {
    PM_LOOK_CLOSELY, /* exact at rest; by a thread that is not inside the allocator */
    PM_LOOK_BRIEFLY, /* as each thread counted on its last slow path. Takes the arena lock unless
                        the thread has it: also in a signal handler, or inside the allocator */
};

/* `threads` may be NULL. False: no allocator call has been made yet, all zero. */
bool pm_figures_look(enum pm_look look, struct pm_figures *figures,
                     struct pm_threads_figures *threads);

/* Closely, and without threads. */
bool pm_figures_take(struct pm_figures *figures);

/* Prints the first violation of what always holds, and at rest of the sum, and returns false. */
bool pm_figures_add_up(const struct pm_figures *figures, bool at_rest);

#endif
