/* SPDX-License-Identifier: MIT */
/* What the built-in types share. */
#ifndef PM_OBJECT_VALUE_H
#define PM_OBJECT_VALUE_H

#include "object/internal.h"
#include "poolmalloc/values.h"

/* Of an object that is equal to itself only. */
uint64_t pm_hash_of_address(const void *address);

#endif
