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

#define PM_CTL_DEPTH_MAX 5 /* parts of the longest name; asserted by a test */

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

struct pm_ctl {
    const char *name; /* a part "<i>" stands for any index */
    enum pm_ctl_kind kind;
    bool set_first; /* what is read is what came of the write */
    /* NULL: it cannot be read. `index` is that of the name, else 0. */
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
};

/* The lowest free index becomes taken. False: all are. */
bool pm_ctl_index_take(struct pm_ctl_indexes *set, uint64_t *index) PM_HIDDEN;
/* False: it was not taken. */
bool pm_ctl_index_give(struct pm_ctl_indexes *set, uint64_t index) PM_HIDDEN;
bool pm_ctl_index_is_taken(struct pm_ctl_indexes *set, uint64_t index) PM_HIDDEN;
/* How many are taken. */
unsigned pm_ctl_index_count(struct pm_ctl_indexes *set) PM_HIDDEN;

#endif
