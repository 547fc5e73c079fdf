/* SPDX-License-Identifier: MIT */
/*
 * Whom new arenas come from, when the program changes it: windows that another made are closed.
 * What lies in them serves on.
 */
#include "arena/piece.h"
#include "os/pages.h"

static void open_or_close(struct pm_window *w, void *now)
{
    w->closed = pm_piece_wanted() || w->pages != now || pm_window_is_piece(w);
}

static void open_or_close_all(void)
{
    pm_window_each(open_or_close, (void *)(uintptr_t)pm_pages_now());
}

bool pm_arena_set_page_hooks(const struct pm_page_hooks *hooks)
{
    pm_lock_acquire(&pm_grow_lock);
    bool done = pm_pages_set(hooks);
    pm_lock_acquire(&pm_arena_lock);
    open_or_close_all();
    pm_lock_release(&pm_arena_lock);
    pm_lock_release(&pm_grow_lock);
    return done;
}

void pm_arena_set_allocator(const struct pm_arena_allocator *by)
{
    pm_lock_acquire(&pm_grow_lock);
    pm_lock_acquire(&pm_arena_lock);
    pm_piece_set_source(by);
    open_or_close_all();
    pm_lock_release(&pm_arena_lock);
    pm_lock_release(&pm_grow_lock);
}
