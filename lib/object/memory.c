/* SPDX-License-Identifier: MIT */
/*
 * Where the memory of objects comes from: the object domain, so that its hooks see them. That of a
 * probed one goes back when nobody can look at it any more. Attached threads.
 */
#include "object/qsbr_internal.h"

#include "poolmalloc/domains.h"

struct pm_object *pm_object_memory_take(const struct pm_type *type, size_t bytes)
{
    (void)type;
    return pm_object_calloc(1, bytes);
}

void pm_object_memory_give(struct pm_object *object)
{
    /* Relaxed: the counts have ordered it. */
    if ((pm_load_relaxed((_Atomic uint8_t *)&object->flags) & PM_OBJECT_PROBED) != 0)
        pm_qsbr_defer(pm_object_free, object, pm_object_bytes(object));
    else
        pm_object_free(object);
}
