/* SPDX-License-Identifier: MIT */
/*
 * The profile page: what a process that is profiled (profile.h) with the option profile_page=on
 * shows to others, which read it without stopping the process and without its doing anything for
 * it: who holds how much memory, live, and who allocated how much.
 *
 * Where: one of /proc/PID/fd is a link to "/memfd:" PM_PROFILE_PAGE_NAME " (deleted)". Open it to
 * read, map `bytes` bytes of it shared (the file is so long), and look at each row below `rows`.
 * (If the program closed the descriptor, /proc/PID/map_files has the mapping under the same name,
 * for who may look there.) A page whose process_id is another's is that of the parent, in a child
 * that was made past the fork handlers and has none of its own. exec closes it.
 *
 * A row is a stack, and the sampled blocks of about one size that were allocated from it: those
 * that are live, and all so far. So a stack can have several rows; figures that belong together are
 * added up after scaling. Rows come, and stay. They have what was sampled; for what it stands for,
 * multiply by pm_profile_row_scale.
 *
 * How old: not at all. Each figure is right by itself at any moment; those of a row, and of all
 * rows, do not stem from the same one: what a thread just samples or frees may be in one and not
 * yet in another.
 *
 * Layout: words of 64 bits in the machine's order. Within a version fields keep their place and
 * meaning, and room that is zero may get one; a reader refuses versions that it does not know, and
 * goes from row to row by header_bytes and row_bytes.
 */
#ifndef POOLMALLOC_PROFILE_PAGE_H
#define POOLMALLOC_PROFILE_PAGE_H

#include "poolmalloc/poolmalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PM_PROFILE_PAGE_NAME "poolmalloc-profile"
#define PM_PROFILE_PAGE_MAGIC UINT64_C(0x0a666f7270706d70) /* "pmpprof\n" */
#define PM_PROFILE_PAGE_VERSION 1
#define PM_PROFILE_FRAMES 32

struct pm_profile_row {
    uint64_t published;  /* 0: not, and nothing below means anything */
    uint64_t mean_bytes; /* one byte in so many was sampled; 1: each block */
    uint64_t live_blocks, live_bytes, all_blocks, all_bytes; /* as sampled, in usable bytes */
    uint64_t step;  /* the same for blocks of about one size: four to a doubling */
    uint64_t depth; /* frames in use; 0: the stack could not be taken */
    uint64_t frames[PM_PROFILE_FRAMES]; /* return addresses, innermost first */
};

struct pm_profile_page {
    uint64_t magic, version;          /* PM_PROFILE_PAGE_... */
    uint64_t bytes;                   /* of the whole page */
    uint64_t process_id;              /* in the process's own namespace */
    uint64_t header_bytes, row_bytes; /* where the first row is, and how far the next */
    uint64_t rows_room;               /* how many there can be */
    uint64_t rows;                    /* how many to look at */
    uint64_t mean_bytes;              /* of samples from now on; 0: the profiler is stopped */
    uint64_t dropped_samples;         /* for which there was no room, so far */
    uint64_t spare[6];
};

/*
 * Whether the mapping of `mapped_bytes` bytes is a page that this header knows, and whole. Any
 * thread, no lock; so the next ones.
 */
static inline bool pm_profile_page_is_valid(const struct pm_profile_page *page, size_t mapped_bytes)
{
    /* Acquire pairs with the release of whoever made the page: what does not change is there. */
    return mapped_bytes >= sizeof *page &&
           __atomic_load_n(&page->magic, __ATOMIC_ACQUIRE) == PM_PROFILE_PAGE_MAGIC &&
           page->version == PM_PROFILE_PAGE_VERSION && page->bytes <= mapped_bytes &&
           page->row_bytes >= sizeof(struct pm_profile_row) && page->header_bytes <= page->bytes &&
           page->rows_room <= (page->bytes - page->header_bytes) / page->row_bytes;
}

/* How many rows to look at now. */
static inline uint64_t pm_profile_page_rows(const struct pm_profile_page *page)
{
    uint64_t rows = __atomic_load_n(&page->rows, __ATOMIC_RELAXED);
    return rows < page->rows_room ? rows : page->rows_room;
}

/* A copy of row `index` (below pm_profile_page_rows). False: there is nothing in it (yet). */
static inline bool pm_profile_page_read(const struct pm_profile_page *page, uint64_t index,
                                        struct pm_profile_row *copy)
{
    const char *start = (const char *)(const void *)page + page->header_bytes;
    const struct pm_profile_row *row =
        (const struct pm_profile_row *)(const void *)(start + index * page->row_bytes);
    /* Acquire pairs with the release that publishes the row: mean, depth and frames are complete,
     * and do not change any more. */
    copy->published = __atomic_load_n(&row->published, __ATOMIC_ACQUIRE);
    if (copy->published == 0)
        return false;
    copy->mean_bytes = row->mean_bytes;
    copy->live_blocks = __atomic_load_n(&row->live_blocks, __ATOMIC_RELAXED);
    copy->live_bytes = __atomic_load_n(&row->live_bytes, __ATOMIC_RELAXED);
    copy->all_blocks = __atomic_load_n(&row->all_blocks, __ATOMIC_RELAXED);
    copy->all_bytes = __atomic_load_n(&row->all_bytes, __ATOMIC_RELAXED);
    copy->step = row->step;
    copy->depth = row->depth < PM_PROFILE_FRAMES ? row->depth : PM_PROFILE_FRAMES;
    for (uint64_t i = 0; i < copy->depth; i++)
        copy->frames[i] = row->frames[i];
    return true;
}

/*
 * For how many blocks of its size one that was sampled stands: 1 / (1 - exp(-size / mean_bytes)),
 * as gperftools and jemalloc have it. A block is sampled if one of its bytes is. mean_bytes below
 * 2: each is, and stands for itself. (Without <math.h>, whose library a program need not have.)
 */
static inline double pm_profile_scale(double size_bytes, uint64_t mean_bytes)
{
    double x = mean_bytes < 2 ? 40 : size_bytes / (double)mean_bytes, chance = 0, term = 1;
    int halved = 0;
    if (x >= 40 || !(x > 0)) /* e to the -40 is nothing beside 1 */
        return 1;
    for (; x > 0.5; x /= 2)
        halved++;
    for (int k = 1; k < 16; k++) { /* 1 - exp(-x), by its series */
        term *= -x / k;
        chance -= term;
    }
    for (; halved > 0; halved--) /* 1 - (1 - p)^2 */
        chance *= 2 - chance;
    return 1 / chance;
}

/* The same for what is in a row; its blocks are of about one size. */
static inline double pm_profile_row_scale(const struct pm_profile_row *row)
{
    double blocks = (double)row->all_blocks, bytes = (double)row->all_bytes;
    if (row->live_blocks > row->all_blocks) { /* "all" was reset since */
        blocks = (double)row->live_blocks;
        bytes = (double)row->live_bytes;
    }
    return blocks > 0 ? pm_profile_scale(bytes / blocks, row->mean_bytes) : 1;
}

#ifdef __cplusplus
}
#endif

#endif
