/* SPDX-License-Identifier: MIT */
/* The counters of the build PM_COUNT=1; see count.h. */
#include "base/count.h"

#if PM_COUNT
_Atomic uint64_t pm_events[PM_EVENTS];
#endif
