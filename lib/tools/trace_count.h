/* SPDX-License-Identifier: MIT */
/*
 * How many bytes are traced, and the most that ever were, without a word that every call writes.
 *
 * Threads take bytes off one total: a thread *reserves* what it makes and has nothing at hand for.
 * What it frees it *holds*, up to PM_TRACE_SLACK_BYTES, for what it makes next. So
 *
 *     current = total - what threads hold                peak = the most that the total ever was
 *
 * The total only rises when a thread that holds nothing more makes a block. With one thread it is
 * then what is current, and the peak is exact. With several it is above that by what the others
 * hold.
 *
 * Each word carries its epoch, so that what a thread does late is not counted to the next, and what
 * is held the number of the last reset of the peak: what was held before goes back to the total,
 * lest a thread makes blocks of it and the peak does not rise.
 *
 *   total, peak   | epoch 16 | bytes 48 |
 *   held          | epoch 16 | resets 32 | bytes 16 |
 */
#ifndef PM_TOOLS_TRACE_COUNT_H
#define PM_TOOLS_TRACE_COUNT_H

#include "base/atomic.h"
#include "base/bits.h"
#include "poolmalloc/trace.h"

/* Of a thread; written by it, read by anybody. Relaxed, all of it: nothing is ordered by what is
 * counted. */
struct pm_trace_held {
    _Atomic uint64_t word;
    struct pm_trace_held *next; /* made before; constant */
} __attribute__((aligned(PM_LINE_BYTES)));

#define PM_HELD_BITS 16
_Static_assert(PM_TRACE_SLACK_BYTES < 1 << PM_HELD_BITS, "what is held fits");

/* One thread at a time starts and stops. Both figures are 0; what is counted to other epochs is
 * counted no more. */
void pm_trace_count_epoch(unsigned epoch);
/* Makes a thread's word known, for good. */
void pm_trace_count_join(struct pm_trace_held *held);
void pm_trace_count_get(size_t *current, size_t *peak);
void pm_trace_count_reset_peak(void);

/* ---- by the thread whose word that is; NULL: it has none ---- */

/* Number of the last reset. */
extern _Atomic uint64_t pm_trace_resets PM_HIDDEN;

#define PM_HELD_MASK (((uint64_t)1 << PM_HELD_BITS) - 1)
#define PM_HELD_EPOCH_SHIFT 48

/* What a word that is up to date has above its bytes. */
PM_INLINE uint64_t pm_trace_held_stamp(unsigned epoch)
{
    uint64_t reset = pm_load_relaxed(&pm_trace_resets) << 32 >> (32 - PM_HELD_BITS);
    return (uint64_t)epoch << PM_HELD_EPOCH_SHIFT | reset;
}

void pm_trace_count_made_slow(struct pm_trace_held *held, unsigned epoch, uint64_t bytes);
void pm_trace_count_freed_slow(struct pm_trace_held *held, unsigned epoch, uint64_t bytes);

PM_INLINE void pm_trace_count_made(struct pm_trace_held *held, unsigned epoch, uint64_t bytes)
{
    if (pm_likely(held != NULL)) {
        uint64_t have = pm_load_relaxed(&held->word) - pm_trace_held_stamp(epoch);
        if (pm_likely(have <= PM_HELD_MASK && bytes <= have)) {
            pm_store_relaxed(&held->word, pm_load_relaxed(&held->word) - bytes);
            return;
        }
    }
    pm_trace_count_made_slow(held, epoch, bytes);
}

PM_INLINE void pm_trace_count_freed(struct pm_trace_held *held, unsigned epoch, uint64_t bytes)
{
    if (pm_likely(held != NULL)) {
        uint64_t have = pm_load_relaxed(&held->word) - pm_trace_held_stamp(epoch);
        if (pm_likely(have <= PM_HELD_MASK && bytes <= PM_TRACE_SLACK_BYTES - have)) {
            pm_store_relaxed(&held->word, pm_load_relaxed(&held->word) + bytes);
            return;
        }
    }
    pm_trace_count_freed_slow(held, epoch, bytes);
}

#endif
