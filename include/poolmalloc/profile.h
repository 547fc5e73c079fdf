/* SPDX-License-Identifier: MIT */
/*
 * The profiler: which stacks allocate how much, and hold how much, cheap enough to stay on in
 * production. Of all bytes that are allocated one in so many is chosen, each with the same chance;
 * the block that has it is a sample, which is remembered with the stack that allocated it until it
 * is freed. So a profile has two columns: live, what was sampled and is not freed, and all, what
 * was sampled since the start, or since pm_profile_reset_all.
 *
 * The same by options, without a change of the program: profile, profile_at_exit, profile_signal,
 * profile_every, profile_page, leak_report (docs/profiling.md). Files are text, for google-pprof,
 * go tool pprof, jeprof, and `poolmalloc report` and `poolmalloc convert`.
 *
 * All functions: any thread, any number at a time. What they write is right, figure by figure, at
 * the moment it is written; what other threads do meanwhile may be in it or not.
 */
#ifndef POOLMALLOC_PROFILE_H
#define POOLMALLOC_PROFILE_H

#include "poolmalloc/poolmalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Samples one byte in `mean_bytes` from now on; 0: one in 512 KiB, the rate of gperftools' and
 * jemalloc's documents; 1: every block. If it samples already, the rate changes; what was sampled
 * before stays, with its rate. The calling thread's next allocations are sampled; another thread
 * begins when its current pool of a size has nothing at hand, so at most some hundreds of blocks of
 * each size later (pm_thread_idle, in that thread, makes it at once). False with errno ENOMEM: no
 * memory for the table, nothing has changed.
 *
 * It loads an unwinder (libunwind, or libgcc's) if it can, and so may wait for the loader's lock:
 * not in a signal handler, nor in a function that the program gave the allocator.
 */
PM_API bool pm_profile_start(size_t mean_bytes);

/* No further blocks are sampled. Those that were are seen off when they are freed, and the profile
 * stays as it is otherwise; pm_profile_start goes on with it. */
PM_API void pm_profile_stop(void);

PM_API bool pm_profile_is_on(void);

/* One byte in so many is sampled; 0: none, it is stopped. */
PM_API size_t pm_profile_rate(void);

/* Samples that were not remembered since there was no memory for them, or no row
 * (profile_stacks). */
PM_API uint64_t pm_profile_dropped(void);

/* The column "all" starts anew. */
PM_API void pm_profile_reset_all(void);

/* The forms of files. Both have the figures as sampled, with the rate; readers scale. */
enum pm_profile_form {
    PM_PROFILE_GPERFTOOLS, /* "heap profile: ... @ heap_v2/RATE", gperftools' */
    PM_PROFILE_JEMALLOC    /* "heap_v2/RATE" and lines "t*:", jemalloc's */
};

/*
 * Writes the profile: rows, and the mappings by which addresses are found in files. To a file that
 * is written anew ("stderr" and "stdout" are known), or to a descriptor. False, and a line on
 * stderr: it could not be opened, or not all was written; what was is there then. Before the first
 * start a profile is empty. Any thread, also in a signal handler: nothing is allocated, no lock
 * taken; some 6 KiB of the stack. errno stays.
 */
PM_API bool pm_profile_dump(const char *path, enum pm_profile_form form);
PM_API bool pm_profile_dump_fd(int fd, enum pm_profile_form form);

/*
 * A text of the sampled blocks that are live: by stack, the largest first, what that stands for in
 * all, and what was sampled; with modules, and function names as far as they are exported. At the
 * end of a program that should have freed all: its leaks. `write` gets a line or some at a time, in
 * the calling thread, under no lock; it may allocate. Not in a signal handler: names are asked of
 * the loader.
 */
PM_API void pm_profile_leaks(void (*write)(void *arg, const char *text), void *arg);

#ifdef __cplusplus
}
#endif

#endif
