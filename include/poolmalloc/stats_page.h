/* SPDX-License-Identifier: MIT */
/*
 * The statistics page: what a process with the option stats_page=on shows to others, which read it
 * without stopping the process and without its doing anything for it.
 *
 * Where: one of /proc/PID/fd is a link to "/memfd:" PM_STATS_PAGE_NAME " (deleted)". Open it to
 * read, map sizeof(struct pm_stats_page) bytes shared, and call pm_stats_page_read. (If the program
 * closed the descriptor, /proc/PID/map_files has the mapping under the same name, for who may look
 * there.) A page whose process_id is another's is that of the parent, in a child of fork that has
 * none of its own yet: it gets one with its first update. exec closes it. Of several pages of a
 * process, that with the most updates is the one in use.
 *
 * How old: updated_ns says it. The process updates the page on slow paths of malloc and free, each
 * 16th of which looks at the clock, and no more often than each rest_ns: stats_page_ms, at first
 * the age of the page if that is less, or 50 times as long as an update took lately, whichever is
 * longer. So what happened since then is missing, and of what happened before, what each thread's
 * pools had since its last slow path (at most one pool of each size class). A process that does not
 * allocate does not update; then little changed.
 *
 * Layout: words of 64 bits in the machine's order. Within a version fields keep their place and
 * meaning, and room that is zero may get one; a reader refuses versions that it does not know.
 */
#ifndef POOLMALLOC_STATS_PAGE_H
#define POOLMALLOC_STATS_PAGE_H

#include "poolmalloc/poolmalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PM_STATS_PAGE_NAME "poolmalloc-stats"
#define PM_STATS_PAGE_MAGIC UINT64_C(0x0a73746174736d70) /* "pmstats\n" */
#define PM_STATS_PAGE_VERSION 1
#define PM_STATS_PAGE_CLASSES 128
#define PM_STATS_PAGE_THREADS 120
#define PM_STATS_PAGE_FIELDS 64
#define PM_STATS_PAGE_LOCKS 16

/* A block size that has pools, those of kind gc among them. */
struct pm_stats_page_class {
    uint64_t block_bytes, pools, pool_bytes;
    uint64_t live_blocks, batched_blocks, available_blocks;
};

/* A thread that has a heap; names are in /proc/PID/task/TID/comm. */
struct pm_stats_page_thread {
    uint64_t thread_id; /* 0: not known */
    uint64_t pool_bytes, live_bytes, kept_bytes, stash_bytes, batched_blocks;
    uint64_t mallocs, frees, remote_frees; /* counted on its slow paths */
};

/* A kind of lock. */
struct pm_stats_page_lock {
    char name[16]; /* with a final 0 */
    uint64_t acquisitions, contended;
};

struct pm_stats_page {
    uint64_t magic, version, bytes; /* PM_STATS_PAGE_...; of the whole page */
    uint64_t sequence;              /* odd: being written */
    uint64_t process_id;            /* in the process's own namespace */
    uint64_t updates;               /* so far; 0: none yet, and nothing below means anything */
    uint64_t updated_ns;            /* CLOCK_MONOTONIC_COARSE of the last one */
    uint64_t rest_ns;               /* until the next one may come */
    uint64_t fields;                /* of `stats` that the process knows */
    uint64_t classes, threads;      /* rows in use */
    uint64_t threads_left_out;      /* for which there are no rows */
    uint64_t locks;                 /* rows in use */
    union {
        struct pm_stats stats;
        uint64_t words[PM_STATS_PAGE_FIELDS];
    } stats;
    struct pm_stats_page_class class_rows[PM_STATS_PAGE_CLASSES];
    struct pm_stats_page_thread thread_rows[PM_STATS_PAGE_THREADS];
    struct pm_stats_page_lock lock_rows[PM_STATS_PAGE_LOCKS];
};

/*
 * A copy of one moment. `page` is a mapping of another process's page, or of the own. False: it is
 * none, or of another version, or it was being written at each try: a writer that waits for its
 * processor leaves it so for a while, one that was stopped for longer. Try again later. Any thread,
 * no lock; it ends after so many tries.
 */
static inline bool pm_stats_page_read(const struct pm_stats_page *page, struct pm_stats_page *copy)
{
    const uint64_t *from = (const uint64_t *)(const void *)page;
    uint64_t *to = (uint64_t *)(void *)copy;
    if (__atomic_load_n(&page->magic, __ATOMIC_ACQUIRE) != PM_STATS_PAGE_MAGIC ||
        __atomic_load_n(&page->version, __ATOMIC_RELAXED) != PM_STATS_PAGE_VERSION)
        return false;
    for (int tries = 0; tries < 10000; tries++) {
        /* Acquire, each: in the order of the program. They pair with the writer's releases: who
         * reads a word of an update sees that its sequence number is another. */
        uint64_t before = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);
        for (size_t i = 0; before % 2 == 0 && i < sizeof *page / sizeof *from; i++)
            to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
        if (before % 2 == 0 && __atomic_load_n(&page->sequence, __ATOMIC_RELAXED) == before)
            return true;
    }
    return false;
}

#ifdef __cplusplus
}
#endif

#endif
