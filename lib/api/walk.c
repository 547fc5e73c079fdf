/* SPDX-License-Identifier: MIT */
/* Walking blocks under its public name: see poolmalloc/walk.h. Any thread. */
#include "poolmalloc/walk.h"
#include "base/asan.h"
#include "heap/heap.h"

struct walk {
    bool (*visit)(const struct pm_walk_block *block, void *arg);
    void *arg;
};

static bool visit_found(const struct pm_live_block *found, void *arg)
{
    const struct walk *walk = arg;
    const struct pm_walk_block block = {
        .block = found->block,
        .bytes = found->bytes - PM_ASAN_REDZONE_BYTES,
        .large = found->large,
        .mine = found->mine,
        .thread = found->thread,
        .heap = found->user,
    };
    return walk->visit(&block, walk->arg);
}

bool pm_walk_blocks(enum pm_walk_which which,
                    bool (*visit)(const struct pm_walk_block *block, void *arg), void *arg)
{
    struct walk walk = {visit, arg};
    return pm_heap_walk_blocks(which == PM_WALK_THREAD, visit_found, &walk);
}
