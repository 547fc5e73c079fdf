/* SPDX-License-Identifier: MIT */
/* What the files about stacks share. */
#ifndef PM_TOOLS_STACK_INTERNAL_H
#define PM_TOOLS_STACK_INTERNAL_H

#include "base/bits.h"
#include "tools/stack.h"

#define PM_LEAST_ADDRESS ((uintptr_t)4096) /* nobody runs code below it */

/* In this shared library; of static ones nothing is known. */
bool pm_stack_is_own(uintptr_t address) PM_HIDDEN;

#endif
