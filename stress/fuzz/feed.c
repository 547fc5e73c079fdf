/* SPDX-License-Identifier: MIT */
/* See feed.h. */
#include "feed.h"

enum {
    eights = 65, /* 0 .. 512 in steps of 8 bytes */
    parts = 128, /* eighths of a doubling, from 512 bytes on */
    tiny = 32,   /* 0 .. 31 bytes */
    kib = 1024,
    usual = 224, /* of an alignment's byte */
};

/* The border and, as the lowest bits of a second byte say, one of its neighbours. */
static size_t beside(struct feed *feed, size_t border)
{
    unsigned where = feed_byte(feed);
    if (where >= 192)
        return border - (border ? where % 8 : 0);
    return border + where % 3 - (border > 0);
}

size_t feed_size(struct feed *feed)
{
    unsigned code = feed_byte(feed);
    if (code < eights)
        return beside(feed, (size_t)code * 8);
    code -= eights;
    if (code < parts)
        return beside(feed, (size_t)(8 + code % 8) << (code / 8 + 6));
    code -= parts;
    return code < tiny ? code : feed_number(feed) * (code % 2 ? 1u : 16u);
}

size_t feed_alignment(struct feed *feed)
{
    unsigned code = feed_byte(feed);
    return (size_t)1 << (code < usual ? code % 13 : code - usual);
}

size_t feed_wrong_alignment(struct feed *feed)
{
    unsigned code = feed_byte(feed);
    size_t power = (size_t)1 << (2 + code % 61);
    return power + (code & 64 ? power / 2 : code & 128 ? (size_t)-1 : 1);
}

size_t feed_too_much(struct feed *feed)
{
    unsigned code = feed_byte(feed);
    size_t away = code & 1 ? feed_number(feed) : (size_t)(code >> 3) * 4 * kib;
    size_t half = (size_t)PTRDIFF_MAX;
    switch (code >> 1 & 3) {
    case 0:
        return SIZE_MAX - away;
    case 1:
        return half - away; /* allowed, but no system has it */
    case 2:
        return half + 1 + away;
    default:
        return SIZE_MAX - (SIZE_MAX >> 1 >> code % 8) + away;
    }
}
