/* SPDX-License-Identifier: MIT */
/*
 * Resident memory and live bytes over the run of a row, sampled from a child process: a thread
 * would make the program multithreaded, for which some allocators (glibc's) take slower paths. The
 * child reads the parent's /proc/self/statm and the counts of calls.h, in memory they share, and
 * ends with the parent at the latest. Called by the main thread, while it is the only one.
 *
 * What is resident contains all of the process but bench_table()'s tables: stacks too, which are
 * the same for every allocator. Before Linux 6.16 the kernel's number may lag behind by up to 32
 * pages a core.
 */
#ifndef BENCH_DETAIL_MEMORY_H
#define BENCH_DETAIL_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum { DETAIL_POINTS_MAX = 400 };

struct detail_point {
    double ms; /* since the first */
    int64_t resident_kib;
    uint64_t live_bytes;
};

/* Points at equal distances. When there is no room for more, every other one is dropped, and the
 * distance doubled. The first is from before the row, the last from after it. */
struct detail_memory {
    size_t count;
    struct detail_point point[DETAIL_POINTS_MAX];
    struct detail_point peak; /* of all that were taken, the first with most live bytes */
};

/* After detail_calls_start(). Returns when the first point was taken. */
void detail_memory_start(void);
/* Takes the last point. What it returns stays. */
const struct detail_memory *detail_memory_stop(void);

/* Resident at the peak, less what was before the row, over the live bytes; negative where these
 * stay below DETAIL_LIVE_MIN: then it says nothing about the allocator. */
enum { DETAIL_LIVE_MIN = 1 << 20 };
double detail_fragmentation(const struct detail_memory *memory);

/* Apart, for the test. */
void detail_memory_add(struct detail_memory *memory, double *distance_ms,
                       const struct detail_point *point);

#endif
