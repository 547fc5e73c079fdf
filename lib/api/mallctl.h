/* SPDX-License-Identifier: MIT */
/*
 * The names of mallctl: one row each, sorted, so that names with the same beginning stand together.
 * mallctl.c finds rows and checks lengths, mallctl_table.c knows the values. Rows are constant.
 */
#ifndef PM_API_MALLCTL_H
#define PM_API_MALLCTL_H

#include "base/bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PM_CTL_DEPTH_MAX 6 /* parts of the longest name; asserted by a test */

/* What is read and written at oldp and newp: void has no value, text is a const char *. */
enum pm_ctl_kind {
    PM_CTL_VOID,
    PM_CTL_BOOL,
    PM_CTL_UNSIGNED,
    PM_CTL_SIZE,
    PM_CTL_SSIZE,
    PM_CTL_UINT64,
    PM_CTL_TEXT,
};

/* The indexes of a name in one number: that of an arena, and above it, where the name has two, that
 * of a bin. */
#define PM_CTL_SECOND_SHIFT 32
static inline size_t pm_ctl_first(size_t index)
{
    return index & (((size_t)1 << PM_CTL_SECOND_SHIFT) - 1);
}
static inline size_t pm_ctl_second(size_t index)
{
    return index >> PM_CTL_SECOND_SHIFT;
}

struct pm_ctl {
    const char *name; /* a part "<i>" stands for any index, and "<j>" for a second one */
    enum pm_ctl_kind kind;
    bool set_first; /* what is read is what came of the write */
    /* NULL: it cannot be read. `index` is that of the name, or both, else 0. */
    uint64_t (*get)(const struct pm_ctl *ctl, size_t index);
    /* NULL: it cannot be written; of void: what it does. Returns 0 or an errno code. */
    int (*set)(const struct pm_ctl *ctl, size_t index, uint64_t value);
    /* Reading makes a new index; instead of the two. Returns 0 or an errno code. */
    int (*make)(uint64_t *index);
    uint64_t value; /* of a constant; which of the statistics */
    const char *text;
};

extern const struct pm_ctl pm_ctl_rows[] PM_HIDDEN;
extern const size_t pm_ctl_count PM_HIDDEN;

/* Whether there is such an arena or bin. */
bool pm_ctl_has_index(const struct pm_ctl *ctl, size_t index) PM_HIDDEN;

/* Indexes of arenas and of thread caches that programs make: names for what all threads share. A
 * set has those below PM_CTL_INDEXES, as many as the flags of mallocx can say. Any thread. */
#define PM_CTL_INDEXES 4094
#define PM_CTL_INDEX_WORDS ((PM_CTL_INDEXES + 63) / 64)
struct pm_ctl_indexes {
    _Atomic uint64_t taken[PM_CTL_INDEX_WORDS]; /* a bit each */
    _Atomic uint64_t end;                       /* above all that ever were taken */
};

/* The lowest free index becomes taken. False: all are. */
bool pm_ctl_index_take(struct pm_ctl_indexes *set, uint64_t *index) PM_HIDDEN;
/* False: it was not taken. */
bool pm_ctl_index_give(struct pm_ctl_indexes *set, uint64_t index) PM_HIDDEN;
bool pm_ctl_index_is_taken(struct pm_ctl_indexes *set, uint64_t index) PM_HIDDEN;
/* One more than the highest that was ever taken. */
unsigned pm_ctl_index_end(struct pm_ctl_indexes *set) PM_HIDDEN;

#endif
