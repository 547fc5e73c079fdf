/* SPDX-License-Identifier: MIT */
/* Bytes that never change. Attached threads. */
#define _GNU_SOURCE /* memmem */
#include "object/value.h"

#include <errno.h>
#include <string.h>

static uint64_t hash(struct pm_object *object)
{
    struct pm_bytes *bytes = (struct pm_bytes *)object;
    /* Relaxed: all who compute it store the same. */
    uint64_t hash = pm_load_relaxed(&bytes->hash);
    if (hash == 0) {
        hash = pm_hash_bytes(bytes->data, bytes->var.count);
        pm_store_relaxed(&bytes->hash, hash);
    }
    return hash;
}

static bool equal(struct pm_object *object, struct pm_object *other)
{
    const struct pm_bytes *a = (struct pm_bytes *)object, *b = (struct pm_bytes *)other;
    return pm_object_type(other) == &pm_bytes_type && a->var.count == b->var.count &&
           memcmp(a->data, b->data, a->var.count) == 0;
}

static int compare(struct pm_object *object, struct pm_object *other, int *result)
{
    const struct pm_bytes *a = (struct pm_bytes *)object, *b = (struct pm_bytes *)other;
    if (pm_object_type(other) != &pm_bytes_type) {
        errno = ENOTSUP;
        return 0;
    }
    size_t a_bytes = a->var.count, b_bytes = b->var.count;
    *result = memcmp(a->data, b->data, a_bytes < b_bytes ? a_bytes : b_bytes);
    if (*result == 0)
        *result = (a_bytes > b_bytes) - (a_bytes < b_bytes);
    return 1;
}

struct pm_type pm_bytes_type = {
    .name = "bytes",
    .size = offsetof(struct pm_bytes, data) + 1,
    .item_size = 1,
    .hash = hash,
    .equal = equal,
    .compare = compare,
};

struct pm_object *pm_bytes_new(const void *data, size_t bytes)
{
    struct pm_bytes *object = (struct pm_bytes *)pm_object_new_var(&pm_bytes_type, bytes);
    if (object == NULL)
        return NULL;
    if (bytes > 0)
        memcpy(object->data, data, bytes);
    return &object->var.object;
}

static struct pm_bytes *get(const char *function, const struct pm_object *object)
{
    pm_object_require_type(function, object, &pm_bytes_type);
    return (struct pm_bytes *)(uintptr_t)object;
}

const void *pm_bytes_data(const struct pm_object *object)
{
    return get("pm_bytes_data", object)->data;
}

size_t pm_bytes_size(const struct pm_object *object)
{
    return get("pm_bytes_size", object)->var.count;
}

static struct pm_object *itself(struct pm_bytes *object)
{
    pm_incref(&object->var.object);
    return &object->var.object;
}

struct pm_object *pm_bytes_concat(struct pm_object *a, struct pm_object *b)
{
    struct pm_bytes *first = get("pm_bytes_concat", a), *second = get("pm_bytes_concat", b);
    size_t bytes;
    if (second->var.count == 0)
        return itself(first);
    if (first->var.count == 0)
        return itself(second);
    if (__builtin_add_overflow(first->var.count, second->var.count, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    struct pm_bytes *both = (struct pm_bytes *)pm_object_new_var(&pm_bytes_type, bytes);
    if (both == NULL)
        return NULL;
    memcpy(both->data, first->data, first->var.count);
    memcpy(both->data + first->var.count, second->data, second->var.count);
    return &both->var.object;
}

struct pm_object *pm_bytes_slice(struct pm_object *object, size_t first, size_t end)
{
    struct pm_bytes *bytes = get("pm_bytes_slice", object);
    if (end > bytes->var.count)
        end = bytes->var.count;
    if (first > end)
        first = end;
    if (first == 0 && end == bytes->var.count)
        return itself(bytes);
    return pm_bytes_new(bytes->data + first, end - first);
}

size_t pm_bytes_find(const struct pm_object *object, const struct pm_object *part, size_t from)
{
    const struct pm_bytes *bytes = get("pm_bytes_find", object);
    const struct pm_bytes *wanted = get("pm_bytes_find", part);
    if (from > bytes->var.count)
        return PM_STR_NOT_FOUND;
    const unsigned char *found =
        memmem(bytes->data + from, bytes->var.count - from, wanted->data, wanted->var.count);
    return found != NULL ? (size_t)(found - bytes->data) : PM_STR_NOT_FOUND;
}
