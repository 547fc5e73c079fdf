/* SPDX-License-Identifier: MIT */
/*
 * Values: what objects are worth, whatever their types. docs/values.md tells of it.
 *
 * Every function here but those that say otherwise is for attached threads that are not paused
 * (poolmalloc/object.h), and takes objects to which the caller has a reference.
 */
#ifndef POOLMALLOC_VALUES_H
#define POOLMALLOC_VALUES_H

#include "poolmalloc/object.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- any objects ---- */

/*
 * The object's hash, by the `hash` of its type; without one, by its address. False with errno
 * ENOTSUP: it has none, since its type has `equal` and no `hash`, or a part of it has none.
 */
PM_API bool pm_hash(struct pm_object *object, uint64_t *hash);

/*
 * Whether they are the same object or, as the type of the first says (that of the other, if it says
 * nothing), equal. An object is always equal to itself, a NaN too, as in CPython's containers.
 */
PM_API bool pm_equal(struct pm_object *object, struct pm_object *other);

/*
 * *result is below 0, 0 or above 0, as `object` comes before, with or after `other` by what the
 * type of the first says. False with errno ENOTSUP: there is no order of these types; EDOM: of
 * these values (a NaN has none).
 */
PM_API bool pm_compare(struct pm_object *object, struct pm_object *other, int *result);

#ifdef __cplusplus
}
#endif

#endif
