/* SPDX-License-Identifier: MIT */
/*
 * Strings: UTF-8 that was checked once, and never changes. Its bytes have the order of the code
 * points. Attached threads.
 */
#include "object/repr.h"
#include "object/utf8.h"
#include "object/value.h"

#include "poolmalloc/domains.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the type ---- */

uint64_t pm_str_hash(struct pm_str *string)
{
    /* Relaxed: all who compute it store the same. */
    uint64_t hash = pm_load_relaxed(&string->hash);
    if (hash == 0) {
        hash = pm_hash_bytes(string->text, string->var.count);
        pm_store_relaxed(&string->hash, hash);
    }
    return hash;
}

static uint64_t hash(struct pm_object *object)
{
    return pm_str_hash((struct pm_str *)object);
}

static bool equal(struct pm_object *object, struct pm_object *other)
{
    struct pm_str *a = (struct pm_str *)object, *b = (struct pm_str *)other;
    if (pm_object_type(other) != &pm_str_type || a->var.count != b->var.count)
        return false;
    /* Of equal ones that live, the table has one. */
    if (pm_str_has_interned(a) && pm_str_has_interned(b))
        return a == b;
    uint64_t of_a = pm_load_relaxed(&a->hash), of_b = pm_load_relaxed(&b->hash);
    if (of_a != 0 && of_b != 0 && of_a != of_b)
        return false;
    return memcmp(a->text, b->text, a->var.count) == 0;
}

static void leave_table(struct pm_object *object)
{
    struct pm_str *string = (struct pm_str *)object;
    if (pm_str_has_interned(string))
        pm_intern_remove(string);
}

struct pm_type pm_str_type = {
    .name = "str",
    .size = offsetof(struct pm_str, text) + 1,
    .item_size = 1,
    .flags = PM_TYPE_PLAIN,
    .free = leave_table,
    .hash = hash,
    .equal = equal,
    .compare = pm_text_compare,
    .repr = pm_str_repr,
};

/* ---- making ---- */

struct pm_str *pm_str_of_good(const char *text, size_t bytes, size_t points)
{
    struct pm_str *string = (struct pm_str *)pm_text_new(&pm_str_type, text, bytes);
    if (string != NULL)
        string->points = points;
    return string;
}

struct pm_object *pm_str_new(const char *text, size_t bytes)
{
    size_t points;
    if (!pm_utf8_check(text, bytes, &points)) {
        errno = EILSEQ;
        return NULL;
    }
    return (struct pm_object *)pm_str_of_good(text, bytes, points);
}

struct pm_object *pm_str_format(const char *format, ...)
{
    char few[256], *text = few;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    struct pm_object *string = NULL;
    int bytes = vsnprintf(few, sizeof few, format, args);
    if (bytes >= (int)sizeof few) {
        text = pm_raw_malloc((size_t)bytes + 1);
        if (text != NULL)
            bytes = vsnprintf(text, (size_t)bytes + 1, format, again);
    }
    if (bytes >= 0 && text != NULL)
        string = pm_str_new(text, (size_t)bytes);
    va_end(again);
    va_end(args);
    if (text != few)
        pm_raw_free(text);
    return string;
}

/* ---- getting ---- */

static const struct pm_str *get(const char *function, const struct pm_object *string)
{
    pm_object_require_type(function, string, &pm_str_type);
    return (const struct pm_str *)string;
}

const char *pm_str_text(const struct pm_object *string)
{
    return get("pm_str_text", string)->text;
}

size_t pm_str_bytes(const struct pm_object *string)
{
    return get("pm_str_bytes", string)->var.count;
}

size_t pm_str_points(const struct pm_object *string)
{
    return get("pm_str_points", string)->points;
}

bool pm_str_next(const struct pm_object *string, size_t *at, uint32_t *point)
{
    const struct pm_str *str = get("pm_str_next", string);
    if (*at >= str->var.count)
        return false;
    *point = pm_utf8_get(str->text + *at);
    *at += pm_utf8_width((unsigned char)str->text[*at]);
    return true;
}
