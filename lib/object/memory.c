/* SPDX-License-Identifier: MIT */
/*
 * Where the memory of objects comes from. Those that may be part of cycles lie in pools of kind gc,
 * where a collector finds them by walking the pools; but for large ones, and where somebody wants
 * to see each allocation. These, flagged as such, and all others are blocks of the object domain,
 * so that its hooks see them. The memory of a probed object goes back when nobody can look at it
 * any more. Attached threads.
 */
#include "object/gc.h"
#include "object/qsbr_internal.h"

#include "poolmalloc/domains.h"
#include "poolmalloc/gc_pools.h"

#include <errno.h>

/* errno stays unless memory is out. */
static PM_COLD struct pm_object *take_outside(size_t bytes, int saved_errno)
{
    struct pm_object *object = pm_object_calloc(1, bytes);
    if (object == NULL)
        return NULL;
    errno = saved_errno;
    object->flags = PM_OBJECT_REGISTERED;
    return object;
}

struct pm_object *pm_object_memory_take(const struct pm_type *type, size_t bytes)
{
    if ((type->flags & PM_TYPE_GC) == 0)
        return pm_object_calloc(1, bytes);
    int saved_errno = errno;
    struct pm_object *object = pm_gc_has_pools() ? pm_gc_calloc(bytes) : NULL;
    return __builtin_expect(object != NULL, 1) ? object : take_outside(bytes, saved_errno);
}

void pm_object_memory_give(struct pm_object *object)
{
    /* Relaxed: the counts have ordered it. */
    unsigned flags = pm_load_relaxed((_Atomic uint8_t *)&object->flags);
    bool in_gc_pool =
        (pm_object_type(object)->flags & PM_TYPE_GC) != 0 && (flags & PM_OBJECT_REGISTERED) == 0;
    void (*give)(void *block) = in_gc_pool ? pm_gc_free : pm_object_free;
    if ((flags & PM_OBJECT_PROBED) != 0)
        pm_qsbr_defer(give, object, pm_object_bytes(object));
    else
        give(object);
}
