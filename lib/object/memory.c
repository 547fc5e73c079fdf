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

/* The least size of a type with items that has a field which has to be on 16 bytes. */
#define ALIGNED_MIN 48

/* With its items the object may be no multiple of 16, and blocks of what is none are on multiples
 * of 8. What is too much stays so. */
static inline size_t with_items(const struct pm_type *type, size_t bytes)
{
    if (type->item_size != 0 && type->size >= ALIGNED_MIN && bytes <= PTRDIFF_MAX)
        return pm_align_up(bytes, 16);
    return bytes;
}

/* A gc pool serves it, or has none of it now. */
static PM_NOINLINE struct pm_object *take_for_collector(const struct pm_type *type, size_t bytes)
{
    pm_gc_before_birth();
    bytes = with_items(type, bytes);
    size_t least = bytes < PM_GC_OBJECT_MIN ? PM_GC_OBJECT_MIN : bytes;
    struct pm_object *object = pm_gc_has_pools() ? pm_gc_calloc(least) : NULL;
    if (__builtin_expect(object != NULL, 1)) {
        pm_gc_born(object);
        return object;
    }
    object = pm_object_calloc(1, least); /* as a sample of gc pools expects it */
    if (object == NULL)
        return NULL;
    object->flags = PM_OBJECT_REGISTERED;
    if (pm_gc_born_elsewhere(object))
        return object;
    pm_object_free(object);
    errno = ENOMEM;
    return NULL;
}

struct pm_object *pm_object_memory_take(const struct pm_type *type, size_t bytes)
{
    if ((type->flags & PM_TYPE_GC) != 0)
        return take_for_collector(type, bytes);
    return pm_object_calloc(1, PM_GRANULE_SHIFT < 4 ? with_items(type, bytes) : bytes);
}

static PM_NOINLINE void give_probed(struct pm_object *object)
{
    pm_qsbr_defer(pm_object_free, object, pm_object_bytes(object));
}

void pm_object_memory_give(struct pm_object *object)
{
    /* Read plainly: nobody else has the object, and the counts have ordered what others did. */
    if ((object->flags & PM_OBJECT_PROBED) != 0)
        give_probed(object);
    else
        pm_object_free(object); /* of a gc pool, too */
}
