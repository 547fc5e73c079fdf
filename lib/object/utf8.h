/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 (RFC 3629). Strings are checked when they are made; all but pm_utf8_check takes for granted
 * that the text is good, and that places in it are those of code points.
 */
#ifndef PM_OBJECT_UTF8_H
#define PM_OBJECT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many bytes the code point has that starts with this one. */
static inline size_t pm_utf8_width(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static inline bool pm_utf8_is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* True, and how many code points there are; false: it is no UTF-8. */
bool pm_utf8_check(const char *text, size_t bytes, size_t *points);

static inline size_t pm_utf8_count(const char *text, size_t bytes)
{
    size_t points = 0;
    for (size_t i = 0; i < bytes; i++)
        points += !pm_utf8_is_tail((unsigned char)text[i]);
    return points;
}

/* The byte at which so many code points have gone by, or the end. */
static inline size_t pm_utf8_place(const char *text, size_t bytes, size_t points)
{
    size_t at = 0;
    for (; points > 0 && at < bytes; points--)
        at += pm_utf8_width((unsigned char)text[at]);
    return at;
}

static inline uint32_t pm_utf8_get(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t width = pm_utf8_width(*at);
    /* The first byte's own bits are those below its leading ones and their 0. */
    uint32_t point = width == 1 ? *at : *at & (0x7fu >> width);
    for (size_t i = 1; i < width; i++)
        point = point << 6 | (at[i] & 0x3f);
    return point;
}

#endif
