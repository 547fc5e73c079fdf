/* SPDX-License-Identifier: MIT */
/* The log-linear histogram; see histogram.h. */
#include "detail/histogram.h"

#include <math.h>

/* Bucket s * PARTS + p, for p of PARTS..2*PARTS-1, holds the 2^s numbers that start with the bits
 * of p. For s = 0 p starts at 0: the numbers below 2 * PARTS themselves. */
static uint64_t index_of(uint64_t ticks)
{
    if (ticks >> DETAIL_TICK_BITS != 0)
        ticks = (UINT64_C(1) << DETAIL_TICK_BITS) - 1;
    if (ticks < DETAIL_PARTS)
        return ticks;
    unsigned shift = 63 - (unsigned)__builtin_clzll(ticks) - DETAIL_PART_BITS;
    return shift * DETAIL_PARTS + (ticks >> shift);
}

static double middle_of(uint64_t index)
{
    if (index < 2 * DETAIL_PARTS)
        return (double)index;
    unsigned shift = (unsigned)(index / DETAIL_PARTS) - 1;
    uint64_t low = (index - shift * DETAIL_PARTS) << shift;
    return (double)low + (double)((UINT64_C(1) << shift) - 1) / 2;
}

void detail_histogram_record(struct detail_histogram *histogram, uint64_t ticks)
{
    histogram->samples++;
    histogram->bucket[index_of(ticks)]++;
    if (ticks > histogram->max)
        histogram->max = ticks;
}

void detail_histogram_add(struct detail_histogram *sum, const struct detail_histogram *part)
{
    sum->samples += part->samples;
    if (part->max > sum->max)
        sum->max = part->max;
    for (unsigned i = 0; i < DETAIL_BUCKETS; i++)
        sum->bucket[i] += part->bucket[i];
}

double detail_histogram_quantile(const struct detail_histogram *histogram, double quantile)
{
    /* The margin keeps the rank whole where the product is a hair above a whole number. */
    double rank = fmax(1, ceil(quantile * (double)histogram->samples - 1e-6));
    uint64_t seen = 0;
    if (rank >= (double)histogram->samples)
        return (double)histogram->max;
    for (unsigned i = 0; i < DETAIL_BUCKETS; i++) {
        seen += histogram->bucket[i];
        if ((double)seen >= rank)
            return fmin(middle_of(i), (double)histogram->max);
    }
    return (double)histogram->max;
}
