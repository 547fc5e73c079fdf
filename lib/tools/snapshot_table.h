/* SPDX-License-Identifier: MIT */
/* Rows of statistics of snapshots, in order: see snapshot_sort.c. */
#ifndef PM_TOOLS_SNAPSHOT_TABLE_H
#define PM_TOOLS_SNAPSHOT_TABLE_H

#include "poolmalloc/snapshot.h"

/* As pm_snapshot_compare sorts; with differences of 0, as pm_snapshot_statistics does. */
void pm_snapshot_sort_rows(struct pm_snapshot_row *rows, size_t count);

#endif
