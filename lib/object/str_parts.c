/* SPDX-License-Identifier: MIT */
/*
 * Strings made of strings, and parts of them: what text.c does with bytes, at places that are code
 * points. Of ASCII they are bytes, else they are counted from the start. Attached threads.
 */
#include "object/container.h"
#include "object/utf8.h"

static struct pm_str *get(const char *function, const struct pm_object *string)
{
    pm_object_require_type(function, string, &pm_str_type);
    return (struct pm_str *)(uintptr_t)string;
}

struct pm_object *pm_str_concat(struct pm_object *a, struct pm_object *b)
{
    size_t points = get("pm_str_concat", a)->points + get("pm_str_concat", b)->points;
    struct pm_object *both = pm_text_concat(a, b);
    if (both != NULL && both != a && both != b)
        ((struct pm_str *)both)->points = points;
    return both;
}

/* The byte at which the code point is, which the string has, or its end. */
static size_t place_of(const struct pm_str *string, size_t point)
{
    if (pm_str_is_ascii(string) || point == string->points)
        return point == string->points ? string->var.count : point;
    return pm_utf8_place(string->text, string->var.count, point);
}

bool pm_str_get(const struct pm_object *string, ptrdiff_t index, uint32_t *point)
{
    const struct pm_str *str = get("pm_str_get", string);
    if (!pm_index_in(&index, str->points))
        return false;
    *point = pm_utf8_get(str->text + place_of(str, (size_t)index));
    return true;
}

struct pm_object *pm_str_slice(struct pm_object *string, size_t first, size_t end)
{
    struct pm_str *str = get("pm_str_slice", string);
    if (end > str->points)
        end = str->points;
    if (first > end)
        first = end;
    size_t from = place_of(str, first);
    size_t bytes = end == str->points
                       ? str->var.count - from
                       : pm_utf8_place(str->text + from, str->var.count - from, end - first);
    struct pm_object *slice = pm_text_slice(string, from, from + bytes);
    if (slice != NULL && slice != string)
        ((struct pm_str *)slice)->points = end - first;
    return slice;
}

size_t pm_str_find(const struct pm_object *string, const struct pm_object *part, size_t from)
{
    const struct pm_str *str = get("pm_str_find", string);
    get("pm_str_find", part);
    if (from > str->points)
        return PM_STR_NOT_FOUND;
    size_t start = place_of(str, from);
    /* Well-formed text is found at no other place than at the start of a code point. */
    size_t found = pm_text_find(string, part, start);
    if (found == PM_STR_NOT_FOUND || pm_str_is_ascii(str))
        return found;
    return from + pm_utf8_count(str->text + start, found - start);
}
