/* SPDX-License-Identifier: MIT */
/* See trace_count.h. Any thread. */
#include "tools/trace_count.h"

enum { BYTES_BITS = PM_HELD_EPOCH_SHIFT };
#define BYTES_MASK (((uint64_t)1 << BYTES_BITS) - 1)

/* Apart from what is only read. */
static struct {
    _Atomic uint64_t total, peak;
} shared __attribute__((aligned(PM_LINE_BYTES)));
_Atomic uint64_t pm_trace_resets __attribute__((aligned(PM_LINE_BYTES)));
static struct pm_trace_held *_Atomic all; /* the newest */

static uint64_t word_of(unsigned epoch, uint64_t bytes)
{
    return (uint64_t)epoch << BYTES_BITS | bytes;
}

static unsigned epoch_of(uint64_t word)
{
    return (unsigned)(word >> BYTES_BITS);
}

/* ---- the total ---- */

static void raise_peak(uint64_t total)
{
    uint64_t peak = pm_load_relaxed(&shared.peak);
    while (epoch_of(peak) == epoch_of(total) && peak < total) {
        if (pm_cas_acquire(&shared.peak, &peak, total))
            return;
    }
}

static PM_NOINLINE void reserve(unsigned epoch, uint64_t bytes)
{
    uint64_t total = pm_load_relaxed(&shared.total);
    do {
        if (epoch_of(total) != epoch)
            return;
    } while (!pm_cas_acquire(&shared.total, &total, total + bytes));
    raise_peak(total + bytes);
}

static PM_NOINLINE void give_back(unsigned epoch, uint64_t bytes)
{
    uint64_t total = pm_load_relaxed(&shared.total);
    do {
        if (epoch_of(total) != epoch)
            return;
    } while (!pm_cas_acquire(&shared.total, &total, total - bytes));
}

/* ---- a thread ---- */

/* What the thread holds of this epoch since the last reset. What is older goes back first. */
static uint64_t held_of(struct pm_trace_held *held, unsigned epoch, uint64_t *stamp)
{
    uint64_t word = pm_load_relaxed(&held->word);
    *stamp = pm_trace_held_stamp(epoch);
    if (pm_likely((word & ~PM_HELD_MASK) == *stamp))
        return word & PM_HELD_MASK;
    pm_store_relaxed(&held->word, *stamp);
    if (epoch_of(word) == epoch && (word & PM_HELD_MASK) != 0)
        give_back(epoch, word & PM_HELD_MASK);
    return 0;
}

PM_NOINLINE void pm_trace_count_made_slow(struct pm_trace_held *held, unsigned epoch,
                                          uint64_t bytes)
{
    if (pm_unlikely(held == NULL)) {
        reserve(epoch, bytes);
        return;
    }
    uint64_t stamp, have = held_of(held, epoch, &stamp);
    if (pm_unlikely(bytes > have)) {
        reserve(epoch, bytes - have);
        bytes = have;
    }
    pm_store_relaxed(&held->word, stamp | (have - bytes));
}

/* What is too much to be held goes back, and half of the rest, so that the next does not. */
PM_NOINLINE void pm_trace_count_freed_slow(struct pm_trace_held *held, unsigned epoch,
                                           uint64_t bytes)
{
    if (pm_unlikely(held == NULL)) {
        give_back(epoch, bytes);
        return;
    }
    uint64_t stamp, have = held_of(held, epoch, &stamp) + bytes;
    if (pm_unlikely(have > PM_TRACE_SLACK_BYTES)) {
        uint64_t keep = bytes < PM_TRACE_SLACK_BYTES / 2 ? PM_TRACE_SLACK_BYTES / 2 : 0;
        give_back(epoch, have - keep);
        have = keep;
    }
    pm_store_relaxed(&held->word, stamp | have);
}

/* ---- all ---- */

void pm_trace_count_epoch(unsigned epoch)
{
    pm_store_relaxed(&shared.total, word_of(epoch, 0));
    pm_store_relaxed(&shared.peak, word_of(epoch, 0));
}

void pm_trace_count_join(struct pm_trace_held *held)
{
    held->next = pm_load_relaxed(&all);
    /* Acquire-release: who follows the list finds it complete. */
    while (!pm_cas_acq_rel(&all, &held->next, held))
        continue;
}

static uint64_t current(uint64_t total)
{
    uint64_t sum = 0, bytes = total & BYTES_MASK;
    /* Acquire pairs with the release in pm_trace_count_join. */
    for (struct pm_trace_held *held = pm_load_acquire(&all); held != NULL; held = held->next) {
        uint64_t word = pm_load_relaxed(&held->word);
        sum += epoch_of(word) == epoch_of(total) ? word & PM_HELD_MASK : 0;
    }
    return sum < bytes ? bytes - sum : 0; /* threads change theirs and the total one by one */
}

void pm_trace_count_get(size_t *to_current, size_t *to_peak)
{
    uint64_t total = pm_load_relaxed(&shared.total), now = current(total);
    uint64_t peak = pm_load_relaxed(&shared.peak) & BYTES_MASK;
    *to_current = now;
    *to_peak = peak > now ? peak : now;
}

/* The number first: from then on whoever holds something gives it back before it makes a block. */
void pm_trace_count_reset_peak(void)
{
    pm_count_shared(&pm_trace_resets, 1);
    uint64_t total = pm_load_relaxed(&shared.total);
    pm_store_relaxed(&shared.peak, word_of(epoch_of(total), current(total)));
}
