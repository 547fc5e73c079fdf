/* SPDX-License-Identifier: MIT */
/* Snapshots, for the rest of the library: see poolmalloc/snapshot.h. */
#ifndef PM_TOOLS_SNAPSHOT_H
#define PM_TOOLS_SNAPSHOT_H

#include "poolmalloc/snapshot.h"

/*
 * Writes what is traced now to a file, in the form of pm_snapshot_write, straight from the traces:
 * it allocates nothing and needs some KiB of the stack. Async-signal-safe, as far as pm_trace_each
 * is. A stack may have several lines, and there is no line `stacks`. False: errno says why; else it
 * is preserved.
 */
bool pm_snapshot_write_now(int file);

#endif
