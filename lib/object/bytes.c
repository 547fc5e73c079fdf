/* SPDX-License-Identifier: MIT */
/* Bytes that never change. Attached threads. */
#include "object/repr.h"

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

struct pm_type pm_bytes_type = {
    .name = "bytes",
    .size = offsetof(struct pm_bytes, data) + 1,
    .item_size = 1,
    .flags = PM_TYPE_PLAIN,
    .hash = hash,
    .equal = equal,
    .compare = pm_text_compare,
    .repr = pm_bytes_repr,
};

struct pm_object *pm_bytes_new(const void *data, size_t bytes)
{
    return pm_text_new(&pm_bytes_type, data, bytes);
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

struct pm_object *pm_bytes_concat(struct pm_object *a, struct pm_object *b)
{
    get("pm_bytes_concat", a);
    get("pm_bytes_concat", b);
    return pm_text_concat(a, b);
}

struct pm_object *pm_bytes_slice(struct pm_object *object, size_t first, size_t end)
{
    get("pm_bytes_slice", object);
    return pm_text_slice(object, first, end);
}

size_t pm_bytes_find(const struct pm_object *object, const struct pm_object *part, size_t from)
{
    get("pm_bytes_find", object);
    get("pm_bytes_find", part);
    return pm_text_find(object, part, from);
}
