/* SPDX-License-Identifier: MIT */
/*
 * The calls of pm_detail: what the wrappers of workload.h call instead of malloc and its like when
 * they are compiled with BENCH_DETAIL. Every call's bytes are counted; of the calls, some at random
 * are timed. Any thread calls them; what they count is in a slot of the thread's own, in memory
 * from mmap that the sampler of memory.h shares.
 *
 * A timed call during which the thread was preempted is dropped: the time went to another program.
 * Only that: when a thread gives up the processor inside malloc, because it waits for a lock of the
 * allocator or of the kernel's memory management, this wait is what the caller gets, and it stays.
 * The longer a call takes, the likelier it is preempted: where many samples of a row of large
 * blocks were dropped, its tail is longer than what is left says.
 */
#ifndef BENCH_DETAIL_CALLS_H
#define BENCH_DETAIL_CALLS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "detail/clock.h"
#include "detail/histogram.h"

enum detail_kind {
    DETAIL_MALLOC, /* malloc, calloc, posix_memalign, realloc */
    DETAIL_FREE,
    DETAIL_KINDS
};

enum { DETAIL_THREADS_MAX = 1024, DETAIL_LINE = 64 };

/* A slot: of one thread at a time, and of its successors when it has ended. */
struct detail_thread {
    /* Bytes asked for less bytes freed, of the slot's threads: negative where they free what others
     * allocated. Relaxed, by one writer: the sampler needs the sum, not an order. */
    alignas(DETAIL_LINE) _Atomic(int64_t) live_bytes;
    uint64_t calls_left; /* until the next one that is timed */
    uint64_t random;
    uint64_t checked_ticks; /* when preemptions was read */
    int64_t preemptions;
    uint64_t dropped[DETAIL_KINDS];
    struct detail_thread *next_free;
    struct detail_histogram ticks[DETAIL_KINDS];
};

/* What the calls of all threads took. */
struct detail_latency {
    uint64_t dropped; /* timed, but not in the histogram */
    struct detail_histogram ticks;
};

/* Before the first call. Of `spacing` calls one is timed, on average; 0: none. The memory of the
 * slots of `threads` threads is touched, so that it does not appear as the allocator's later. */
void detail_calls_start(uint64_t spacing, size_t threads);

/* When no other thread makes calls. */
void detail_calls_latency(enum detail_kind kind, struct detail_latency *latency);

/* At any time, in this process or a child of it: bytes of blocks; bytes of bench_table(). */
uint64_t detail_live_bytes(void);
uint64_t detail_table_bytes(void);
void detail_count_table(int64_t bytes);

/* For the calls below. */
extern _Thread_local struct detail_thread *detail_self;
struct detail_thread *detail_enter_thread(void);
void detail_before_timed(struct detail_thread *self);
void detail_after_timed(struct detail_thread *self, enum detail_kind kind, uint64_t start,
                        uint64_t end);

/* A sample as detail_after_timed() judges it; preemptions() is how often this thread was so far.
 * Apart, for the test. */
void detail_judge(struct detail_thread *self, enum detail_kind kind, uint64_t ticks, uint64_t end,
                  int64_t (*preemptions)(void));

static inline struct detail_thread *detail_here(void)
{
    struct detail_thread *self = detail_self;
    return __builtin_expect(self != NULL, 1) ? self : detail_enter_thread();
}

/* No branch between the call and the readings: its misprediction would be timed, too. */
#define DETAIL_TIMED(self, kind, call)                                                             \
    do {                                                                                           \
        if (__builtin_expect(--(self)->calls_left == 0, 0)) {                                      \
            detail_before_timed(self);                                                             \
            uint64_t start_ = detail_ticks();                                                      \
            call;                                                                                  \
            uint64_t end_ = detail_ticks();                                                        \
            detail_after_timed(self, kind, start_, end_);                                          \
        } else {                                                                                   \
            call;                                                                                  \
        }                                                                                          \
    } while (0)

static inline void detail_count(struct detail_thread *self, int64_t bytes)
{
    int64_t live = atomic_load_explicit(&self->live_bytes, memory_order_relaxed);
    atomic_store_explicit(&self->live_bytes, live + bytes, memory_order_relaxed);
}

static inline void *detail_malloc(size_t size)
{
    struct detail_thread *self = detail_here();
    void *block;
    DETAIL_TIMED(self, DETAIL_MALLOC, block = malloc(size));
    detail_count(self, (int64_t)size);
    return block;
}

static inline void *detail_calloc(size_t size)
{
    struct detail_thread *self = detail_here();
    void *block;
    DETAIL_TIMED(self, DETAIL_MALLOC, block = calloc(1, size));
    detail_count(self, (int64_t)size);
    return block;
}

static inline int detail_posix_memalign(void **block, size_t alignment, size_t size)
{
    struct detail_thread *self = detail_here();
    int error;
    DETAIL_TIMED(self, DETAIL_MALLOC, error = posix_memalign(block, alignment, size));
    detail_count(self, (int64_t)size);
    return error;
}

static inline void *detail_realloc(void *block, size_t old_size, size_t size)
{
    struct detail_thread *self = detail_here();
    DETAIL_TIMED(self, DETAIL_MALLOC, block = realloc(block, size));
    detail_count(self, (int64_t)size - (int64_t)old_size);
    return block;
}

static inline void detail_free(void *block, size_t size)
{
    struct detail_thread *self = detail_here();
    DETAIL_TIMED(self, DETAIL_FREE, free(block));
    detail_count(self, -(int64_t)size);
}

#endif
