/* SPDX-License-Identifier: MIT */
/* What the files of the pool layer share. */
#ifndef PM_POOL_INTERNAL_H
#define PM_POOL_INTERNAL_H

#include "base/asan.h"
#include "pool/pool.h"

/* What pm_remote_block_number multiplies with instead of dividing. */
uint32_t pm_remote_reciprocal(uint32_t granules);

#endif
