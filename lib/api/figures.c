/* SPDX-License-Identifier: MIT */
/* See figures.h. */
#include "api/figures.h"

static void add_class(struct pm_figures *f, unsigned class)
{
    const struct pm_class_stats *stats = &f->classes[class];
    uint64_t blocks = stats->pools * pm_class_capacity(class), bytes = pm_class_bytes(class);
    uint64_t pool_bytes = stats->pools * pm_class_units(class) << PM_UNIT_SHIFT;
    uint64_t header_bytes = stats->pools * pm_class_first(class);
    f->pools += stats->pools;
    f->live_blocks += stats->live_blocks;
    f->available_blocks += blocks - stats->live_blocks;
    f->pool_bytes += pool_bytes;
    f->live_bytes += stats->live_blocks * bytes;
    f->available_bytes += (blocks - stats->live_blocks) * bytes;
    f->header_bytes += header_bytes;
    f->tail_bytes += pool_bytes - header_bytes - blocks * bytes;
}

/* The statistics come first: with them the calling thread's pools, and the cold heap's, are counted
 * anew, which the walk then finds. */
bool pm_figures_take(struct pm_figures *figures)
{
    *figures = (struct pm_figures){0};
    bool started = pm_stats_get(&figures->stats);
    pm_pool_class_stats(figures->classes);
    for (unsigned class = 0; class < PM_CLASSES; class ++)
        add_class(figures, class);
    return started;
}
