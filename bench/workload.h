/* SPDX-License-Identifier: MIT */
/*
 * What the workloads share: rows and how they are entered, random numbers and sizes, blocks that
 * are written and checked as a program would, and teams of threads.
 *
 * A workload is one .c file with a table of rows:
 *
 *     static const struct bench_row rows[] = {
 *         {.name = "family/variant", .what = "...", .ops = 1000000, .run = run, .context = &spec},
 *     };
 *     BENCH_ROWS(BENCH_WORKLOAD, rows)
 *
 * It calls plain malloc and free by way of bench_alloc() and its like, which the preloaded
 * allocator serves. A row does a fixed number of operations, the same for every allocator, in a
 * process of its own.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "gbench.h"

/* What the blocks below come from. pm_detail is compiled from the same sources with BENCH_DETAIL:
 * there, the calls are counted and some are timed. */
#ifndef BENCH_DETAIL
#define BENCH_DETAIL 0
#endif
#if BENCH_DETAIL
#include "detail/calls.h"
#else
#define detail_malloc(size) malloc(size)
#define detail_calloc(size) calloc(1, size)
#define detail_posix_memalign(block, alignment, size) posix_memalign(block, alignment, size)
#define detail_realloc(block, old_size, size) realloc(block, size)
#define detail_free(block, size) free(block)
#endif

enum bench_kind {
    BENCH_MICRO,   /* one function or habit of a program, alone */
    BENCH_WORKLOAD /* what a program does, with its sizes, lifetimes and threads */
};

/* What a row is asked to do. */
struct bench_run {
    int64_t ops;         /* operations in all, over the threads */
    size_t threads;      /* of a row with thread counts; else what the row says, at least 1 */
    const void *context; /* the row's own */
};

enum { BENCH_THREADS_MAX = 256 };

struct bench_row {
    const char *name; /* family/variant; the family is what is averaged over */
    const char *what; /* one line for the reader of the table */
    int64_t ops;      /* operations (see unit) of a full run: 0.05 to 0.2 seconds */
    int64_t step;     /* a run does a multiple of this; 0 counts as 1 */
    enum gbench_clock clock;
    /* The loop: does how->ops operations in all, as iterations of the state; returns a sum over
     * what it read from the blocks. */
    uint64_t (*run)(struct gbench_state *state, const struct bench_run *how);
    const void *context;
    size_t threads; /* that work at once; 0 counts as 1 */
    /* Instead: such a row for each of these counts, ended by 0, called name/COUNT. --threads puts
     * other counts in their place. The operations are a multiple of the count, too. */
    const size_t *thread_counts;
    const char *unit; /* what one operation is; NULL: "operation", a malloc and a free */
    bool cpu_time;    /* the time that the row sets itself (GBENCH_MANUAL) is CPU time */
};

struct bench_rows {
    enum bench_kind kind;
    const struct bench_row *row;
    size_t count;
    struct bench_rows *next;
};

void bench_enter(struct bench_rows *rows);

#define BENCH_ROWS(kind, table)                                                                    \
    __attribute__((constructor)) static void enter_rows(void)                                      \
    {                                                                                              \
        static struct bench_rows rows_ = {kind, table, sizeof(table) / sizeof((table)[0]), NULL};  \
        bench_enter(&rows_);                                                                       \
    }

#define BENCH_THREAD_COUNTS(...) ((const size_t[]){__VA_ARGS__, 0})

/* The tables in the order of the file names' linkage; for the main program. */
struct bench_rows *bench_all_rows(void);
int64_t bench_scaled_ops(const struct bench_row *row, size_t threads, double scale);

/* One line on stderr, then abort(): an allocator that fails a workload must not get a time. */
__attribute__((noreturn, cold, format(printf, 1, 2))) void bench_die(const char *format, ...);

/* The largest resident set this process ever had. Not getrusage(): its ru_maxrss survives exec, so
 * that a child of a large program would report the parent's. */
uint64_t bench_peak_rss_kib(void);

/* Of the process so far; those that went to a disk included. */
uint64_t bench_page_faults(void);

/* Random numbers: splitmix64 (Steele, Lea, Flood, OOPSLA 2014). The same seed gives the same
 * workload for every allocator. */
struct bench_random {
    uint64_t state;
};

static inline uint64_t bench_random(struct bench_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in 0..limit-1, for limit <= 2^32. */
static inline uint32_t bench_random_below(struct bench_random *random, uint64_t limit)
{
    return (uint32_t)(((bench_random(random) & UINT32_MAX) * limit) >> 32);
}

/* Sizes drawn beforehand, so that the loop pays one load for a size of any distribution. */
enum { BENCH_SIZES = 8192 };
struct bench_sizes {
    uint32_t size[BENCH_SIZES];
};

void bench_sizes_fixed(struct bench_sizes *sizes, uint32_t size);
void bench_sizes_uniform(struct bench_sizes *sizes, uint32_t low, uint32_t high);
/* Each power of two is as likely as any other. */
void bench_sizes_log_uniform(struct bench_sizes *sizes, uint32_t low, uint32_t high);
/* Bounded Pareto of the 80/20 rule (alpha 1.16): many small, few large. */
void bench_sizes_pareto(struct bench_sizes *sizes, uint32_t low, uint32_t high);

static inline uint32_t bench_size(const struct bench_sizes *sizes, uint64_t random)
{
    return sizes->size[random % BENCH_SIZES];
}

/* A block holds its size in its first four bytes and a mark in its last: whoever frees it, in
 * whichever thread, reads both as a program would read its object, and finds out when two live
 * blocks overlap. */
enum { BENCH_BLOCK_MIN = 8 };

static inline unsigned char bench_mark(uint32_t size)
{
    return (unsigned char)(size * 7 + 1);
}

static inline void *bench_marked(void *allocated, const char *function, uint32_t size)
{
    unsigned char *block = allocated;
    if (__builtin_expect(block == NULL, 0))
        bench_die("%s of %u bytes returned NULL", function, size);
    *(uint32_t *)(void *)block = size;
    block[size - 1] = bench_mark(size);
    return block;
}

static inline void *bench_alloc(uint32_t size)
{
    return bench_marked(detail_malloc(size), "malloc", size);
}

/* Zero at both ends, or the run fails. */
static inline void *bench_alloc_zeroed(uint32_t size)
{
    unsigned char *block = detail_calloc(size);
    if (__builtin_expect(block != NULL && (block[0] != 0 || block[size - 1] != 0), 0))
        bench_die("calloc of %u bytes returned memory that is not zeroed", size);
    return bench_marked(block, "calloc", size);
}

static inline void *bench_alloc_aligned(size_t alignment, uint32_t size)
{
    void *block = NULL;
    if (__builtin_expect(detail_posix_memalign(&block, alignment, size) != 0, 0))
        block = NULL;
    if (__builtin_expect((uintptr_t)block % alignment != 0, 0))
        bench_die("posix_memalign returned %p, not aligned to %zu", block, alignment);
    return bench_marked(block, "posix_memalign", size);
}

/* The size of the block, whose marks must be whole. */
static inline uint32_t bench_block_size(const void *block)
{
    uint32_t size = *(const uint32_t *)block;
    if (__builtin_expect(((const unsigned char *)block)[size - 1] != bench_mark(size), 0))
        bench_die("block %p of %u bytes was overwritten while it was live", block, size);
    return size;
}

/* Takes the mark away, so that a block that was handed out twice is found out at its second free,
 * though both asked for the same size. */
static inline uint32_t bench_free(void *block)
{
    uint32_t size = bench_block_size(block);
    ((unsigned char *)block)[size - 1] = (unsigned char)~bench_mark(size);
    detail_free(block, size);
    return size;
}

/* The old contents are checked at their start, and at their end if the block did not shrink. */
static inline void *bench_resize(void *block, uint32_t size)
{
    uint32_t old = bench_block_size(block);
    unsigned char *moved = detail_realloc(block, old, size);
    if (__builtin_expect(moved == NULL, 0))
        bench_die("realloc to %u bytes returned NULL", size);
    if (__builtin_expect(*(uint32_t *)(void *)moved != old, 0) ||
        (size >= old && __builtin_expect(moved[old - 1] != bench_mark(old), 0)))
        bench_die("realloc of %u to %u bytes lost the contents", old, size);
    return bench_marked(moved, "realloc", size);
}

/* The workload's own tables come straight from the system, so that the allocator is asked only
 * for what the workload measures. Zeroed; never NULL. */
void *bench_table(size_t count, size_t size);
void bench_table_drop(void *table, size_t count, size_t size);

/* A team runs `work(context, index)` in `threads` threads at once, each on a core of its own where
 * there are as many (workloads/cores.h says why). All of them start together and
 * the time is that from the first start to the last end: thread creation and end and what `prepare`
 * and `finish` do (either may be NULL) is outside. Nobody goes on to `finish` while one works. */
struct bench_team {
    size_t threads;
    void (*prepare)(void *context, size_t index);
    void (*work)(void *context, size_t index);
    void (*finish)(void *context, size_t index);
    void *context;
};

double bench_team_run(const struct bench_team *team);

/* Threads that must start: a failure is fatal. */
pthread_t bench_thread_start(void *(*run)(void *), void *argument);
void bench_thread_join(pthread_t thread);

#endif
