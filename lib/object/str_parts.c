/* SPDX-License-Identifier: MIT */
/*
 * Strings made of strings, and parts of them. Places are code points: of ASCII they are bytes, else
 * they are counted from the start. Attached threads.
 */
#define _GNU_SOURCE /* memmem */
#include "object/utf8.h"
#include "object/value.h"

#include <errno.h>
#include <string.h>

static struct pm_str *get(const char *function, const struct pm_object *string)
{
    pm_object_require_type(function, string, &pm_str_type);
    return (struct pm_str *)(uintptr_t)string;
}

static struct pm_object *itself(struct pm_str *string)
{
    pm_incref(&string->var.object);
    return &string->var.object;
}

struct pm_object *pm_str_concat(struct pm_object *a, struct pm_object *b)
{
    struct pm_str *first = get("pm_str_concat", a), *second = get("pm_str_concat", b);
    size_t bytes;
    if (second->var.count == 0)
        return itself(first);
    if (first->var.count == 0)
        return itself(second);
    if (__builtin_add_overflow(first->var.count, second->var.count, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    struct pm_str *both = (struct pm_str *)pm_object_new_var(&pm_str_type, bytes);
    if (both == NULL)
        return NULL;
    memcpy(both->text, first->text, first->var.count);
    memcpy(both->text + first->var.count, second->text, second->var.count);
    both->points = first->points + second->points;
    return &both->var.object;
}

/* The byte at which the code point is, which the string has, or its end. */
static size_t place_of(const struct pm_str *string, size_t point)
{
    if (pm_str_is_ascii(string) || point == string->points)
        return point == string->points ? string->var.count : point;
    return pm_utf8_place(string->text, string->var.count, point);
}

struct pm_object *pm_str_slice(struct pm_object *string, size_t first, size_t end)
{
    struct pm_str *str = get("pm_str_slice", string);
    if (end > str->points)
        end = str->points;
    if (first > end)
        first = end;
    if (first == 0 && end == str->points)
        return itself(str);
    size_t from = place_of(str, first);
    size_t bytes = end == str->points
                       ? str->var.count - from
                       : pm_utf8_place(str->text + from, str->var.count - from, end - first);
    return (struct pm_object *)pm_str_of_good(str->text + from, bytes, end - first);
}

size_t pm_str_find(const struct pm_object *string, const struct pm_object *part, size_t from)
{
    const struct pm_str *str = get("pm_str_find", string), *wanted = get("pm_str_find", part);
    if (from > str->points)
        return PM_STR_NOT_FOUND;
    const char *start = str->text + place_of(str, from);
    /* Well-formed text is found at no other place than at the start of a code point. */
    const char *found = memmem(start, str->var.count - (size_t)(start - str->text), wanted->text,
                               wanted->var.count);
    if (found == NULL)
        return PM_STR_NOT_FOUND;
    if (pm_str_is_ascii(str))
        return (size_t)(found - str->text);
    return from + pm_utf8_count(start, (size_t)(found - start));
}
