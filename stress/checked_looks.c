/* SPDX-License-Identifier: MIT */
/* Calls that look at blocks or at the allocator, or do nothing (checked.h). */
#include "check.h"
#include "checked.h"
#include "names.h"

#include <errno.h>

static void errno_kept(const char *call)
{
    CHECK(errno == errno_before, "%s set errno to %d", call, errno);
}

void checked_nothing(size_t size)
{
    errno = errno_before;
    CHECK(api_usable_size(NULL) == 0, "the usable size of NULL is not 0");
    api_free(NULL);
    api_free_sized(NULL, size);
    api_free_aligned_sized(NULL, 64, size);
    errno_kept("free of NULL");
}

size_t checked_usable(const struct block *block)
{
    errno = errno_before;
    size_t usable = api_usable_size(block->address);
    errno_kept("malloc_usable_size");
    CHECK(usable >= block->size_bytes, "usable size %zu of a block of %zu", usable,
          block->size_bytes);
    return usable;
}

void checked_trim(size_t pad)
{
    errno = errno_before;
    int something = api_trim(pad);
    errno_kept("malloc_trim");
    CHECK(something == 0 || something == 1, "malloc_trim returned %d", something);
}

#if !STRESS_STANDARD_NAMES

static void bytes_add_up(const struct pm_stats *stats)
{
    uint64_t held = stats->pool_bytes + stats->kept_bytes + stats->stash_bytes +
                    stats->span_held_bytes + stats->free_bytes;
    CHECK(held == stats->arenas * stats->arena_bytes,
          "%llu arenas, but pools %llu + kept %llu + stash %llu + spans %llu + free %llu",
          (unsigned long long)stats->arenas, (unsigned long long)stats->pool_bytes,
          (unsigned long long)stats->kept_bytes, (unsigned long long)stats->stash_bytes,
          (unsigned long long)stats->span_held_bytes, (unsigned long long)stats->free_bytes);
    CHECK(stats->span_bytes <= stats->span_held_bytes, "spans use more than they hold");
    CHECK(stats->dirty_bytes <= stats->free_bytes, "more is dirty than is free");
}

static void calls_add_up(const struct pm_stats *stats)
{
    CHECK(stats->frees + stats->remote_frees <= stats->mallocs,
          "%llu frees and %llu remote ones of %llu blocks", (unsigned long long)stats->frees,
          (unsigned long long)stats->remote_frees, (unsigned long long)stats->mallocs);
}

void checked_statistics(enum others others)
{
    struct pm_stats stats;
    errno = errno_before;
    CHECK(pm_stats_get(&stats) || stats.arenas == 0, "arenas before the first call");
    errno_kept("pm_stats_get");
    CHECK(stats.arenas_in_use <= stats.arenas && stats.heaps_in_use <= stats.heaps,
          "%llu of %llu arenas and %llu of %llu heaps are in use",
          (unsigned long long)stats.arenas_in_use, (unsigned long long)stats.arenas,
          (unsigned long long)stats.heaps_in_use, (unsigned long long)stats.heaps);
    if (others != others_at_work)
        bytes_add_up(&stats);
    if (others == no_others)
        calls_add_up(&stats);
}

void checked_structures(void)
{
    errno = errno_before;
    CHECK(pm_check(), "the allocator's own structures are broken");
    errno_kept("pm_check");
}

void checked_purge(void)
{
    errno = errno_before;
    pm_purge();
    errno_kept("pm_purge");
}

void checked_idle(void)
{
    errno = errno_before;
    pm_thread_idle();
    errno_kept("pm_thread_idle");
}

#else

void checked_statistics(enum others others)
{
    (void)others;
}

void checked_structures(void) {}

void checked_purge(void) {}

void checked_idle(void) {}

#endif
