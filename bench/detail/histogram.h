/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram of times in ticks, in the manner of HdrHistogram: each power of two is cut
 * into DETAIL_PARTS buckets of equal width, and below DETAIL_PARTS every number has its own. What
 * is read back is a bucket's middle: within 1/64 of what was recorded. One writer at a time; read
 * when there is none.
 */
#ifndef BENCH_DETAIL_HISTOGRAM_H
#define BENCH_DETAIL_HISTOGRAM_H

#include <stdint.h>

enum {
    DETAIL_PART_BITS = 5,
    DETAIL_PARTS = 1 << DETAIL_PART_BITS,
    DETAIL_TICK_BITS = 40, /* longer times count as the longest: minutes */
    DETAIL_BUCKETS = (DETAIL_TICK_BITS - DETAIL_PART_BITS + 1) * DETAIL_PARTS
};

struct detail_histogram {
    uint64_t samples, max;
    uint64_t bucket[DETAIL_BUCKETS];
};

void detail_histogram_record(struct detail_histogram *histogram, uint64_t ticks);
void detail_histogram_add(struct detail_histogram *sum, const struct detail_histogram *part);

/* The least time that a share of `quantile` (0..1) of the samples does not exceed; 0 without any
 * samples. With 1 it is the maximum, exactly. */
double detail_histogram_quantile(const struct detail_histogram *histogram, double quantile);

#endif
