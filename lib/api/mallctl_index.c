/* SPDX-License-Identifier: MIT */
/* Sets of indexes, without a lock: fork leaves nothing half done. See mallctl.h. Any thread. */
#include "api/mallctl.h"

#include "base/atomic.h"

/* Relaxed would do for all of these: an index is a name, nothing is published by it. */

static void note_taken(struct pm_ctl_indexes *set, uint64_t index)
{
    uint64_t end = pm_load_relaxed(&set->end);
    while (end <= index && !pm_cas_acquire(&set->end, &end, index + 1))
        continue;
}

bool pm_ctl_index_take(struct pm_ctl_indexes *set, uint64_t *index)
{
    for (unsigned i = 0; i < PM_CTL_INDEX_WORDS; i++) {
        uint64_t word = pm_load_relaxed(&set->taken[i]);
        while (word != UINT64_MAX) {
            unsigned bit = (unsigned)__builtin_ctzll(~word);
            *index = i * 64 + bit;
            if (*index >= PM_CTL_INDEXES)
                return false;
            if (pm_cas_acquire(&set->taken[i], &word, word | (uint64_t)1 << bit)) {
                note_taken(set, *index);
                return true;
            }
        }
    }
    return false;
}

bool pm_ctl_index_give(struct pm_ctl_indexes *set, uint64_t index)
{
    if (index >= PM_CTL_INDEXES)
        return false;
    size_t i = index / 64;
    uint64_t bit = (uint64_t)1 << index % 64, word = pm_load_relaxed(&set->taken[i]);
    while (word & bit) {
        if (pm_cas_acquire(&set->taken[i], &word, word & ~bit))
            return true;
    }
    return false;
}

bool pm_ctl_index_is_taken(struct pm_ctl_indexes *set, uint64_t index)
{
    return index < PM_CTL_INDEXES && pm_load_relaxed(&set->taken[index / 64]) >> index % 64 & 1;
}

unsigned pm_ctl_index_end(struct pm_ctl_indexes *set)
{
    return (unsigned)pm_load_relaxed(&set->end);
}
