/* SPDX-License-Identifier: MIT */
/*
 * Hash, equality and order of objects of any types: what their types say, and what holds of those
 * that say nothing (poolmalloc/values.h). Attached threads.
 */
#include "object/value.h"

#include <errno.h>

uint64_t pm_hash_of_address(const void *address)
{
    uintptr_t at = (uintptr_t)address;
    /* The lower bits are always 0; as in CPython, they go to the top. */
    return (uint64_t)at >> 4 | (uint64_t)at << 60;
}

bool pm_hash(struct pm_object *object, uint64_t *hash)
{
    const struct pm_type *type = pm_object_type(object);
    if (type->hash != NULL) {
        *hash = type->hash(object);
        return *hash != PM_NO_HASH;
    }
    if (type->equal != NULL) {
        errno = ENOTSUP;
        return false;
    }
    *hash = pm_hash_of_address(object);
    return true;
}

bool pm_equal(struct pm_object *object, struct pm_object *other)
{
    if (object == other)
        return true;
    const struct pm_type *type = pm_object_type(object), *others = pm_object_type(other);
    if (type->equal != NULL)
        return type->equal(object, other);
    return others->equal != NULL && others->equal(other, object);
}

bool pm_compare(struct pm_object *object, struct pm_object *other, int *result)
{
    const struct pm_type *type = pm_object_type(object);
    if (type->compare != NULL)
        return type->compare(object, other, result) != 0;
    errno = ENOTSUP;
    return false;
}
