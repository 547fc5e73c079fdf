/* SPDX-License-Identifier: MIT */
/* The hooks under their public names: see poolmalloc/hooks.h. Any thread. */
#include "poolmalloc/hooks.h"
#include "arena/arena.h"
#include "base/lock.h"
#include "os/pages.h"

#include <errno.h>

static bool refuse(int error)
{
    errno = error;
    return false;
}

void pm_get_page_hooks(struct pm_page_hooks *hooks)
{
    const struct pm_page_hooks *now = pm_pages_now();
    *hooks = now != NULL ? *now : pm_pages_system;
}

void pm_get_arena_allocator(struct pm_arena_allocator *allocator)
{
    pm_arena_get_allocator(allocator);
}

bool pm_set_arena_allocator(const struct pm_arena_allocator *allocator)
{
    if (allocator == NULL || allocator->alloc == NULL || allocator->free == NULL)
        return refuse(EINVAL);
    if (pm_hook_depth != 0)
        return refuse(EBUSY);
    pm_arena_set_allocator(allocator);
    return true;
}

bool pm_set_page_hooks(const struct pm_page_hooks *hooks)
{
    if (pm_hook_depth != 0)
        return refuse(EBUSY);
    return pm_arena_set_page_hooks(hooks) || refuse(ENOMEM);
}
