/* SPDX-License-Identifier: MIT */
/*
 * Where freed blocks wait before they go back, so that a write to one is found: it is dead all over
 * when it leaves. Two rings, one for small blocks and one for larger ones, each a row of slots; the
 * block that comes takes the next slot, and the one that was there leaves. Blocks above
 * PM_QUARANTINE_MAX do not wait. Lock-free: a fork, or a thread that stops, holds nobody up. Any
 * thread.
 */
#ifndef PM_TOOLS_QUARANTINE_H
#define PM_TOOLS_QUARANTINE_H

#include "tools/debug.h"

#define PM_QUARANTINE_SMALL ((size_t)4 << 10)
#define PM_QUARANTINE_MAX PM_DEBUG_MARK_MAX /* the whole of a block that waits is dead */
#define PM_QUARANTINE_SMALL_SLOTS 4096
#define PM_QUARANTINE_SLOTS 16

/* A dead block; another may go back for it, after a check. */
void pm_quarantine_put(const struct pm_debug_block *block);
/* Checks all that wait, and keeps them from going back: at the end of the process. */
void pm_quarantine_check(void);

#endif
