/* SPDX-License-Identifier: MIT */
/*
 * What strings and bytes have in common (value.h): both are bytes that never change, at the end of
 * the object, with a 0 behind them. Attached threads.
 */
#define _GNU_SOURCE /* memmem */
#include "object/value.h"

#include <errno.h>
#include <string.h>

static size_t bytes_of(const struct pm_object *object)
{
    return ((const struct pm_var_object *)object)->count;
}

static char *text_of(const struct pm_object *object)
{
    return pm_text_in(object, pm_object_type(object));
}

static struct pm_object *itself(struct pm_object *object)
{
    pm_incref(object);
    return object;
}

struct pm_object *pm_text_concat(struct pm_object *a, struct pm_object *b)
{
    struct pm_type *type = pm_object_type(a);
    size_t of_a = bytes_of(a), of_b = bytes_of(b), bytes;
    if (of_b == 0)
        return itself(a);
    if (of_a == 0)
        return itself(b);
    if (__builtin_add_overflow(of_a, of_b, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    struct pm_object *both = (struct pm_object *)pm_object_new_var(type, bytes);
    if (both == NULL)
        return NULL;
    char *text = pm_text_in(both, type);
    memcpy(text, pm_text_in(a, type), of_a);
    memcpy(text + of_a, pm_text_in(b, type), of_b);
    return both;
}

struct pm_object *pm_text_slice(struct pm_object *object, size_t first, size_t end)
{
    if (end > bytes_of(object))
        end = bytes_of(object);
    if (first > end)
        first = end;
    if (first == 0 && end == bytes_of(object))
        return itself(object);
    return pm_text_new(pm_object_type(object), text_of(object) + first, end - first);
}

size_t pm_text_find(const struct pm_object *object, const struct pm_object *part, size_t from)
{
    const char *text = text_of(object);
    if (from > bytes_of(object))
        return PM_STR_NOT_FOUND;
    const char *found = memmem(text + from, bytes_of(object) - from, text_of(part), bytes_of(part));
    return found != NULL ? (size_t)(found - text) : PM_STR_NOT_FOUND;
}

int pm_text_compare(struct pm_object *object, struct pm_object *other, int *result)
{
    if (pm_object_type(other) != pm_object_type(object)) {
        errno = ENOTSUP;
        return 0;
    }
    size_t a = bytes_of(object), b = bytes_of(other);
    *result = memcmp(text_of(object), text_of(other), a < b ? a : b);
    if (*result == 0)
        *result = (a > b) - (a < b);
    return 1;
}
