/* SPDX-License-Identifier: MIT */
/*
 * What the profiler knows: rows, one for each stack and about one size of blocks, and the sampled
 * blocks that are live, each with its row. Memory of its own, from the os layer, which grows and is
 * never given back. No function takes a lock or allocates: any thread may call any, also in a
 * signal handler that interrupted another; a fork copies a sound table, but for what a thread that
 * is gone was about to do, whose block nobody has.
 *
 *   rows    frames, mean and step are written, then the row is published; it stays
 *   slots   which rows there are, by the hash of the frames: open addressing, from 0 to a row once
 *   lines   blocks by the hash of their address: a bucket is a line, and those that follow it
 *
 * A block's place in a line is its taker's, and then the freer's: a block is freed once, by a
 * thread that had it from the taker.
 */
#ifndef PM_TOOLS_PROFILE_TABLE_H
#define PM_TOOLS_PROFILE_TABLE_H

#include "base/atomic.h"
#include "base/bits.h"
#include "poolmalloc/profile_page.h"

#define PM_PROFILE_NO_ROW UINT32_MAX

/* Makes the table for so many rows, if there is none yet. False: out of memory. Any thread. */
bool pm_profile_table_init(size_t rows);
bool pm_profile_table_is_there(void);

/* The row of a stack and a size; PM_PROFILE_NO_ROW: no room. */
uint32_t pm_profile_row_for(const uintptr_t *frames, unsigned depth, size_t bytes, uint64_t mean);
/* How many rows there are to look at, and one of them; NULL: nothing is in it. */
uint32_t pm_profile_rows(void);
const struct pm_profile_row *pm_profile_row_at(uint32_t number);
/* The first of the rows with this one's stack: the same for all of them. */
uint32_t pm_profile_row_of_stack(uint32_t number);
/* A copy of a row of the table. */
void pm_profile_row_read(const struct pm_profile_row *row, struct pm_profile_row *copy);
/* The column of all allocations starts anew; what is sampled meanwhile may be on either side. */
void pm_profile_rows_reset_all(void);

/* A block is live, and its row counts it. False: no room, nothing happened. */
bool pm_profile_live_add(const void *block, uint32_t row, size_t bytes);
/* It is not live any more. False: it was not known. */
bool pm_profile_live_remove(const void *block);
/* Off its address, and counted still; NULL: it is not known. Then: under another address, of which
 * nothing is known; or not live any more. */
struct pm_profile_live;
struct pm_profile_live *pm_profile_live_lift(const void *block);
void pm_profile_live_lay(struct pm_profile_live *live, const void *block);
void pm_profile_live_drop(struct pm_profile_live *live);

/* A row of a page is a copy of the table's, which changes follow: profile_page.c. */
struct pm_profile_change {
    uint64_t live_blocks, live_bytes, all_blocks, all_bytes; /* added, modulo 2^64 */
};
void pm_profile_row_change(struct pm_profile_row *row, const struct pm_profile_change *change);

/* While nobody else works: prints the first violation and returns false. */
bool pm_profile_table_check(void);

#endif
