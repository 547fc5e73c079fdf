/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc: a drop-in malloc for multithreaded programs.
 *
 * The shared library defines the C library's malloc family, so linking or preloading it is enough;
 * this header gives the same functions under pm_ names, which stay available in builds that leave
 * the C library's names alone, and those that the C library does not have.
 *
 * Common to all functions that allocate:
 *   - any thread may call them, at any time from before main to after the thread's destructors,
 *     also in the child of a fork; not from a signal handler that interrupted one of them
 *     (docs/life.md: what happens then);
 *   - the caller owns the block until it gives it to pm_free or pm_realloc, from any thread;
 *   - a size of 0 gives a block of its own, which is freed like any other;
 *   - failure is NULL with errno ENOMEM; sizes above PTRDIFF_MAX always fail;
 *   - blocks are aligned to 16 bytes (8 in the classic configuration).
 * A pointer that is not a live block is a bug in the program: docs/misuse.md says when it is
 * caught. What is caught ends the program by abort(), after one line on stderr.
 */
#ifndef POOLMALLOC_POOLMALLOC_H
#define POOLMALLOC_POOLMALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PM_API __attribute__((visibility("default")))
#else
#define PM_API
#endif

/* At least `size` bytes, contents unknown. */
PM_API void *pm_malloc(size_t size);

/* The block goes back; NULL does nothing. errno is preserved. Any thread, whoever allocated. */
PM_API void pm_free(void *ptr);

/* An array of `count` elements of `size` bytes, all zero. ENOMEM also when the product overflows.
 */
PM_API void *pm_calloc(size_t count, size_t size);

/*
 * The block with its size changed and its contents kept up to the smaller of both sizes. It stays
 * in place when the new size fits the block and is at least half of it (of a large block, one that
 * is in no pool, over three quarters), or when a large block can grow or shrink where it is, or
 * when it shrinks and there is no memory for a smaller one. On failure the old block is untouched.
 * pm_realloc(NULL, n) is pm_malloc(n). As in glibc, pm_realloc(ptr, 0) frees and returns NULL.
 */
PM_API void *pm_realloc(void *ptr, size_t size);

/* pm_realloc of count * size bytes; ENOMEM when the product overflows. */
PM_API void *pm_reallocarray(void *ptr, size_t count, size_t size);

/*
 * Aligned blocks. `alignment` is any power of two; else NULL with errno EINVAL. Unlike older
 * standards, `size` need not be a multiple of it. Freed by pm_free.
 */
PM_API void *pm_aligned_alloc(size_t alignment, size_t size);
PM_API void *pm_memalign(size_t alignment, size_t size);

/*
 * POSIX: the alignment is a power of two and a multiple of sizeof(void *). Returns 0, EINVAL or
 * ENOMEM; errno and, on failure, *ptr are left alone.
 */
PM_API int pm_posix_memalign(void **ptr, size_t alignment, size_t size);

/* Aligned to a page; pm_pvalloc also rounds the size up to whole pages. */
PM_API void *pm_valloc(size_t size);
PM_API void *pm_pvalloc(size_t size);

/* How many bytes the block holds, all of which may be used; at least what was asked for. 0 for
 * NULL. */
PM_API size_t pm_malloc_usable_size(void *ptr);

/* C23: pm_free by a caller that knows the size (and alignment) it asked for. */
PM_API void pm_free_sized(void *ptr, size_t size);
PM_API void pm_free_aligned_sized(void *ptr, size_t alignment, size_t size);

/* How many bytes a block for `size` would hold (pm_malloc_usable_size); 0: it would be refused,
 * however much memory there is. */
PM_API size_t pm_good_size(size_t size);

/*
 * Whether the address, any at all, lies in memory of this allocator that is in use: in a large
 * block, or in a pool, between whose blocks in use are free ones (one that was freed may still be
 * "owned"). False of stack, static and other mapped memory, and of what is wholly free. While other
 * threads make or free what lies there, the answer is that of some moment during the call. Takes a
 * lock where it must look for the start of a large block.
 */
PM_API bool pm_owns(const void *ptr);

/*
 * Changes the size of a block where it is. True: it holds `size` bytes or more (a large block also
 * gives back what it no longer needs). False: it cannot, and is as it was; or `ptr` is NULL, or
 * `size` above PTRDIFF_MAX. errno is left alone.
 */
PM_API bool pm_expand(void *ptr, size_t size);

/*
 * `count` blocks of `size` bytes each, contents unknown, into blocks[0], blocks[1]... The result is
 * how many: fewer than `count`, with errno ENOMEM, when memory is out. They are blocks like any
 * others, each to be freed by itself or in a batch.
 */
PM_API size_t pm_malloc_batch(size_t size, size_t count, void **blocks);

/* pm_free of each; NULLs among them do nothing. Quickest when blocks of one pool follow each other,
 * as pm_malloc_batch leaves them. The array is only read. errno is preserved. */
PM_API void pm_free_batch(void *const *blocks, size_t count);

/*
 * Gives memory that is not in use back to the system: the calling thread's pools as far as they are
 * empty (the others become available to all threads), what any thread keeps without using it, and
 * every free unit of all arenas. Any thread.
 * Pools that another thread can allocate from stay with it (see pm_thread_idle). Returns 1 when
 * something went back, 0 when there was nothing. `keep` is accepted for glibc's sake and ignored.
 */
PM_API int pm_malloc_trim(size_t keep);

/* The same; true: something went back. */
PM_API bool pm_purge(void);

/*
 * For a thread that will not allocate for a while, before it waits for work: its pools become
 * available to the other threads, those that are empty go back to the arenas, from where the system
 * gets them by the usual rules (pm_purge gives them at once). The next allocation starts anew; the
 * thread may call this as often as it likes, at some hundred nanoseconds a pool. True: it had
 * something to let go of.
 */
PM_API bool pm_thread_idle(void);

/*
 * Options while the program runs: `name` and `value` as in POOLMALLOC_OPTIONS (docs/options.md
 * lists them). Any thread, but not from a signal handler. Bounds and delays hold from the next
 * block that is freed on; a lower limit_bytes takes nothing away. False, and nothing is changed,
 * with an errno:
 *   - ENOENT: there is no such option;
 *   - EPERM: it is one that is read at the start of the process only;
 *   - EINVAL: the value is none, or out of the option's range; or an argument is NULL.
 */
PM_API bool pm_option_set(const char *name, const char *value);

/* Writes the value in force, as pm_option_set takes it, with a final 0. Any thread. False, and what
 * is in the buffer means nothing, with errno ENOENT; ERANGE, the buffer is too small (256 bytes
 * hold any value); EINVAL, an argument is NULL. */
PM_API bool pm_option_get(const char *name, char *buffer, size_t room);

/* Counters since the start of the process, over all threads, alive and exited. Sizes in bytes. */
struct pm_stats {
    uint64_t mallocs; /* blocks handed out */
    uint64_t frees;   /* by the thread that owned the pool, of large blocks, and with user heaps */
    uint64_t remote_frees;   /* of pool blocks, into pools owned by another thread or by none */
    uint64_t remote_batches; /* steps in which some of these went together */
    uint64_t refills;        /* slow paths of malloc */
    uint64_t adopted_pools;  /* pools taken over by a thread that freed into them */
    uint64_t floating_pools; /* without an owner, and an eighth or more free: published; now */
    uint64_t heaps, heaps_in_use;   /* thread heaps ever made; of threads alive */
    uint64_t heap_bytes;            /* memory of the heaps themselves */
    uint64_t bytes_reserved;        /* address space of the windows */
    uint64_t arenas, arenas_in_use; /* added; not wholly free now */
    uint64_t arena_bytes;           /* size of one */
    /* These five are all that arenas hold: with no other thread at work their sum is
     * arenas * arena_bytes. */
    uint64_t pool_bytes;      /* cut into pools */
    uint64_t kept_bytes;      /* empty pools, and large blocks, that heaps keep */
    uint64_t stash_bytes;     /* units that heaps have and did not cut yet */
    uint64_t span_held_bytes; /* in large blocks, with the rest of the last arena of each */
    uint64_t free_bytes;
    uint64_t floating_bytes;    /* of pool_bytes: full pools, and others without an owner */
    uint64_t spans;             /* large blocks */
    uint64_t span_bytes;        /* in large blocks, without that rest */
    uint64_t dirty_bytes;       /* of free_bytes: perhaps resident */
    uint64_t decommitted_bytes; /* of free_bytes: not even committed (strict overcommit) */
    uint64_t purged_arenas;     /* given back to the system whole, so far */
    uint64_t purged_bytes;      /* the same, with parts of arenas */
    uint64_t purges;            /* steps in which that happened, a system call or two each */
    uint64_t lock_acquisitions, lock_contended;
    /* From here on: since struct pm_stats can grow; see pm_stats_get_sized. */
    uint64_t purging_bytes; /* in arenas, on their way to the system: the sixth of those five */
    /* These five are all that pools hold, by a walk: at rest their sum is pool_bytes. Blocks count
     * by their size class. */
    uint64_t live_bytes;      /* blocks that the program has */
    uint64_t batched_bytes;   /* freed, and held back in batches by the threads that freed them */
    uint64_t available_bytes; /* free, those that were never handed out included */
    uint64_t header_bytes;    /* before the first block of each pool */
    uint64_t tail_bytes;      /* behind the last one */
    uint64_t pools;
    uint64_t live_blocks, batched_blocks, available_blocks;
    uint64_t user_heaps;     /* made by pm_heap_new and not destroyed */
    uint64_t no_huge_arenas; /* in which the system was told to make no huge pages */
    uint64_t guarded_blocks; /* sampled guarded blocks (mode hardened), which lie in no arena */
    uint64_t guarded_bytes;  /* that were asked for */
};

/*
 * Fills *stats; false: no allocator call has been made yet, all zero. Any thread; nobody is
 * stopped, no lock is held afterwards. Three steps of exactness:
 *   - at rest, that is while no thread is inside the allocator, and the caller knows that what the
 *     others did is done (it joined them, or waits at a barrier with them): exact, to the byte and
 *     to the block, of all threads, alive and exited. Then mallocs less frees, remote_frees and
 *     batched_blocks is live_blocks + spans + guarded_blocks;
 *   - of a thread at work: as it counted on its last slow path, so that it lags behind by no more
 *     than one pool of each size class;
 *   - always: no field is below zero; mallocs is no less than frees, remote_frees and
 *     batched_blocks together; what is called a part of another field is no more than that.
 * It walks over all pools; docs/statistics.md says what that costs.
 */
PM_API bool pm_stats_get(struct pm_stats *stats);

/*
 * The same into the first `bytes` bytes: how programs and libraries of different versions
 * understand each other. What the library does not know is zero, what the program does not know is
 * left out. Programs call pm_stats_get, which leads here with the size that their header has; the
 * function of that name, found by dlsym, fills the fields up to lock_contended only.
 */
PM_API bool pm_stats_get_sized(struct pm_stats *stats, size_t bytes);
#define pm_stats_get(stats) pm_stats_get_sized((stats), sizeof(struct pm_stats))

/*
 * The same and more as a table, in the form of CPython's sys._debugmallocstats: for each size class
 * that has pools its number, block size, pools, blocks in use and blocks available; arenas; where
 * all bytes of all arenas are; then events, locks and threads. At rest the total is arenas * arena
 * size. `write` gets a line or a few at a time, in order; it may allocate, and NULL stands for
 * stderr, for which write(2) is the only system call, so that threads have no names there. As exact
 * as pm_stats_get; in the table of classes, what a thread holds back in a batch of frees counts as
 * in use.
 */
PM_API void pm_stats_print(void (*write)(void *arg, const char *text), void *arg);

/*
 * The same as one JSON object, whose keys docs/statistics.md describes: those that are there stay
 * what they are, and more may come. `write` gets it in pieces of less than 256 bytes, in order; it
 * may allocate, and NULL stands for stderr. Nothing is allocated, no lock is held meanwhile. Both
 * take some 20 KiB of the stack.
 */
PM_API void pm_stats_json(void (*write)(void *arg, const char *text), void *arg);

/* The same to a file descriptor, by write(2). False: it did not take all; errno is left alone. */
PM_API bool pm_stats_json_fd(int file);

/*
 * glibc's statistics calls, with the same layout and, as far as there is something of the kind, the
 * same meaning; docs/statistics.md compares them. At any moment
 *
 *     arena == uordblks + fordblks,   keepcost <= fordblks,   nothing is negative or wraps;
 *
 * and with no other thread at work, arena + hblkhd, with the free memory that is not resident
 * (free_bytes - dirty_bytes), is all arenas. Figures of other threads lag, as in pm_stats_print.
 */
struct pm_mallinfo2_figures {
    size_t arena;    /* bytes of pools, and of free memory that may be resident */
    size_t ordblks;  /* free blocks in pools */
    size_t smblks;   /* 0: there are no fast bins */
    size_t hblks;    /* large blocks */
    size_t hblkhd;   /* bytes that they hold; not in `arena` */
    size_t usmblks;  /* 0, as in glibc */
    size_t fsmblks;  /* 0 */
    size_t uordblks; /* bytes of blocks in use, large ones not counted */
    size_t fordblks; /* the rest of `arena` */
    size_t keepcost; /* of that, outside pools: for malloc_trim to give back */
};
PM_API struct pm_mallinfo2_figures pm_mallinfo2(void);

/* The old form: what is larger than INT_MAX is INT_MAX. */
struct pm_mallinfo_figures {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
PM_API struct pm_mallinfo_figures pm_mallinfo(void);

/*
 * Writes the same as XML to an open stream: glibc's format, version 1, in which each size class is
 * a <size>, with pools and blocks in use besides. 0; EINVAL unless `options` is 0 (errno is left
 * alone, as by glibc). No lock of ours is held while the stream allocates.
 */
PM_API int pm_malloc_info(int options, FILE *stream);

/* pm_stats_print to stderr. */
PM_API void pm_malloc_stats(void);

/*
 * Parameters by glibc's numbers (M_TRIM_THRESHOLD and so on, <malloc.h>). 1: honoured, or accepted
 * as glibc accepts it and without effect here; 0: unknown, or out of the range that glibc has.
 * M_TRIM_THRESHOLD sets the option keep_bytes; below zero memory goes back only by pm_purge and
 * malloc_trim, and the option purge_delay_ms is off from then on. Any time, any thread.
 */
PM_API int pm_mallopt(int parameter, int value);

/* Checks the allocator's own structures as far as the calling thread may look at them. Prints the
 * first violation to stderr and returns false. Slow; for tests. */
PM_API bool pm_check(void);

#ifdef __cplusplus
}
#endif

#endif
