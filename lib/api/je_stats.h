/* SPDX-License-Identifier: MIT */
/*
 * The statistics in jemalloc's terms, and the snapshot that mallctl answers from until somebody
 * writes to "epoch". Any thread. For the files of the api layer only.
 */
#ifndef PM_API_JE_STATS_H
#define PM_API_JE_STATS_H

#include "api/figures.h"
#include "base/bits.h"
#include "base/config.h"

/* Sizes in bytes. Of one moment, allocated <= active <= resident and active <= mapped. */
struct pm_je_stats {
    uint64_t small, large; /* blocks in use: those of pools, and large ones */
    uint64_t allocated;    /* the sum */
    uint64_t active;       /* pools, whatever is free in them, and large blocks */
    uint64_t metadata;     /* heaps of threads */
    uint64_t resident;     /* at most: all that was given out or may be dirty */
    uint64_t mapped;       /* in use or kept for threads */
    uint64_t retained;     /* free, and given back to the system or never used */
    uint64_t thread_cache; /* kept by threads without using it */
    uint64_t active_pages, dirty_pages;
    uint64_t purges, purged_pages;
    uint64_t threads;
};

/* The same figures in these terms. */
void pm_je_stats_of(const struct pm_figures *figures, struct pm_je_stats *to) PM_HIDDEN;

/* Takes a new snapshot; the number that it has. Two threads that do so at the same time may mix
 * figures of two moments, as they may in jemalloc. */
uint64_t pm_je_refresh(void) PM_HIDDEN;
/* The number of the last snapshot. Takes the first. */
uint64_t pm_je_epoch(void) PM_HIDDEN;
/* The last snapshot; and of that the pools of a size class. */
void pm_je_stats_at_epoch(struct pm_je_stats *stats) PM_HIDDEN;
struct pm_class_stats pm_je_class_at_epoch(unsigned class) PM_HIDDEN;

#define PM_JE_VERSION "5.3.0 (poolmalloc)"

/* The size classes that malloc uses are jemalloc's bins, smallest first. */
#define PM_JE_SMALL_BINS (PM_SMALL_MAX >> PM_GRANULE_SHIFT)
#define PM_JE_BINS (PM_JE_SMALL_BINS + PM_PLAIN_CLASSES - PM_SMALL_CLASSES)
#define PM_JE_QUANTUM PM_GRANULE_BYTES

#endif
