/* SPDX-License-Identifier: MIT */
/* Moving spans by the page tables. Any thread. */
#include "arena/piece.h"
#include "arena/span.h"
#include "base/asan.h"
#include "os/os.h"

#include <string.h>

static struct pm_span *span_at_block(const void *block)
{
    struct pm_window *w = pm_window_find(block);
    return pm_span_at(w, pm_window_index(w, block));
}

bool pm_arena_is_systems(const struct pm_window *w)
{
    return w->pages == NULL && !pm_window_is_piece(w);
}

/* Not where the program's hooks made the memory: it may be no private memory of the system's. */
static size_t move_pages(void *to, void *from, size_t bytes, bool *lost)
{
    *lost = false;
    return pm_arena_is_systems(pm_window_find(to)) ? pm_os_move_pages(to, from, bytes, lost) : 0;
}

/* All its pages were moved away; what is left of it reads as zero. */
static void span_now_clean(struct pm_span *span)
{
    span->was_clean = 1;
    span->peak_units = 0;
}

static void *move(struct pm_window *w, struct pm_span *span, void *ptr, size_t bytes,
                  const char *function)
{
    bool zero = false, lost;
    size_t have = span->units << PM_UNIT_SHIFT, less = bytes < have ? bytes : have;
    size_t kept = pm_align_up(less, PM_ARENA_BYTES);
    char *block = pm_span_alloc(bytes, 1, &zero);
    if (block == NULL)
        return NULL;
    pm_asan_unpoison(ptr, have);
    pm_asan_unpoison(block, pm_align_up(bytes, PM_UNIT_BYTES));
    size_t moved = move_pages(block, ptr, kept, &lost);
    if (pm_unlikely(lost)) { /* the new block is never to be used: that is all that is lost */
        memcpy(ptr, block, moved < less ? moved : less);
        return NULL;
    }
    if (moved < less)
        memcpy(block + moved, (char *)ptr + moved, less - moved);
    span_at_block(block)->was_clean = 0; /* pages came with what they held */
    if (moved == kept && kept == (size_t)span->arenas << PM_ARENA_SHIFT)
        span_now_clean(span);
    pm_span_free(w, ptr, function);
    return block;
}

void *pm_span_move(struct pm_window *w, void *ptr, size_t bytes, const char *function)
{
    struct pm_span *span = pm_span_at(w, pm_span_unit(w, ptr, function));
    if (span->arenas == 0 || bytes < PM_MOVE_MIN_BYTES || !pm_arena_is_systems(w))
        return NULL;
    size_t units = pm_align_up(bytes, PM_UNIT_BYTES) >> PM_UNIT_SHIFT;
    units = units < span->units ? units : span->units;
    pm_peak_move(0, units);
    void *block = move(w, span, ptr, bytes, function);
    pm_peak_move(units, 0);
    return block;
}
