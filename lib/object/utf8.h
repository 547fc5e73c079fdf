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
#include <string.h>

#define PM_UTF8_HIGH_BITS 0x8080808080808080u /* 0 in a word: ASCII */

/* How many bytes the code point has that starts with this one. */
static inline size_t pm_utf8_width(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static inline bool pm_utf8_is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The bytes of one code point that is not ASCII; 0: it is not well-formed. Surrogates, what could
 * be shorter, and what is beyond U+10FFFF show in the first two bytes. */
static inline size_t pm_utf8_check_one(const unsigned char *at, size_t left)
{
    unsigned char first = at[0], low = 0x80, high = 0xbf;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    size_t width = pm_utf8_width(first);
    if (width > left)
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < width; i++)
        if (!pm_utf8_is_tail(at[i]))
            return 0;
    return width;
}

/* True, and how many code points there are; false: it is no UTF-8. */
static inline bool pm_utf8_check(const char *text, size_t bytes, size_t *points)
{
    const unsigned char *at = (const unsigned char *)text;
    uint64_t word;
    *points = 0;
    while (bytes > 0) {
        size_t width = 1, count = 1;
        if (bytes >= sizeof word && (memcpy(&word, at, sizeof word), word & PM_UTF8_HIGH_BITS) == 0)
            width = count = sizeof word;
        else if (*at >= 0x80 && (width = pm_utf8_check_one(at, bytes)) == 0)
            return false;
        at += width;
        bytes -= width;
        *points += count;
    }
    return true;
}

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
