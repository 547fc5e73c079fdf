/* SPDX-License-Identifier: MIT */
/* Is it UTF-8? Any thread. */
#include "object/utf8.h"

#include <string.h>

#define HIGH_BITS 0x8080808080808080u /* 0 in a word: ASCII */

/* The bytes of one code point that is not ASCII; 0: it is not well-formed. Surrogates, what could
 * be shorter, and what is beyond U+10FFFF show in the first two bytes. */
static size_t check_one(const unsigned char *at, size_t left)
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

bool pm_utf8_check(const char *text, size_t bytes, size_t *points)
{
    const unsigned char *at = (const unsigned char *)text;
    uint64_t word;
    *points = 0;
    while (bytes > 0) {
        size_t width = 1, count = 1;
        if (bytes >= sizeof word && (memcpy(&word, at, sizeof word), word & HIGH_BITS) == 0)
            width = count = sizeof word;
        else if (*at >= 0x80 && (width = check_one(at, bytes)) == 0)
            return false;
        at += width;
        bytes -= width;
        *points += count;
    }
    return true;
}
