/* SPDX-License-Identifier: MIT */
/* In the shared library alone: by this weak symbol lib/tools/stack.c knows that all of the module's
 * code is the library's. */
#include "base/bits.h"

extern const char pm_in_shared_library PM_HIDDEN;
const char pm_in_shared_library = 1;
