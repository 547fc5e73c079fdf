/* SPDX-License-Identifier: MIT */
/*
 * Where the memory of objects comes from: the object domain, so that its hooks see them. Any
 * thread.
 */
#include "object/internal.h"

#include "poolmalloc/domains.h"

struct pm_object *pm_object_memory_take(const struct pm_type *type, size_t bytes)
{
    (void)type;
    return pm_object_calloc(1, bytes);
}

void pm_object_memory_give(struct pm_object *object)
{
    pm_object_free(object);
}
