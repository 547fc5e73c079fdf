/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a fuzzer's input, read as numbers, sizes and alignments. Behind the end all bytes
 * are 0, so that each input means something. One thread at a time.
 */
#ifndef STRESS_FUZZ_FEED_H
#define STRESS_FUZZ_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct feed {
    const uint8_t *at, *end;
};

static inline bool feed_empty(const struct feed *feed)
{
    return feed->at == feed->end;
}

static inline unsigned feed_byte(struct feed *feed)
{
    return feed_empty(feed) ? 0 : *feed->at++;
}

static inline unsigned feed_number(struct feed *feed)
{
    unsigned low = feed_byte(feed);
    return low | feed_byte(feed) << 8;
}

/* One byte or three: mostly a border of a size class or its neighbour, up to some MiB. */
size_t feed_size(struct feed *feed);

/* A power of two, mostly up to a page, at most 2 GiB. */
size_t feed_alignment(struct feed *feed);

/* No power of two. */
size_t feed_wrong_alignment(struct feed *feed);

/* More bytes than any object may have, or SIZE_MAX and its neighbours. */
size_t feed_too_much(struct feed *feed);

#endif
