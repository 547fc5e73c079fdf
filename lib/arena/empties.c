/* SPDX-License-Identifier: MIT */
/* Runs of wholly free arenas, for large blocks. Under the arena lock. */
#include "arena/piece.h"

struct search {
    unsigned arenas, align;
    enum pm_arena_place last; /* the dearest place that will do: they are in that order */
    struct pm_arena *found;
};

_Static_assert(PM_DIRTY_EMPTY < PM_CLEAN_EMPTY && PM_CLEAN_EMPTY < PM_DECOMMITTED,
               "what is resident costs no page faults, what is committed no call");

static bool fits(const struct pm_window *w, uint32_t i, enum pm_arena_place last)
{
    return (w->empties[i / 64] >> i % 64 & 1) != 0 && w->arenas[i].place <= last;
}

/* The first arena from i on whose bit is set, or the end. */
static uint32_t next_empty(const struct pm_window *w, uint32_t i)
{
    while (i < w->next_arena) {
        uint64_t bits = w->empties[i / 64] >> i % 64;
        if (bits != 0)
            return i + (uint32_t)__builtin_ctzll(bits);
        i = (i / 64 + 1) * 64;
    }
    return w->next_arena;
}

static void search_window(struct pm_window *w, void *arg)
{
    struct search *s = arg;
    uint32_t run = 0;
    uintptr_t first_number = pm_window_base(w) >> PM_ARENA_SHIFT;
    if (s->found != NULL)
        return;
    for (uint32_t i = next_empty(w, w->first_arena); i < w->next_arena;) {
        bool starts_aligned = ((first_number + i) & (s->align - 1)) == 0;
        if (!fits(w, i, s->last)) {
            run = 0;
            i = next_empty(w, i + 1);
            continue;
        }
        run = run > 0 || starts_aligned ? run + 1 : 0;
        if (run == s->arenas) {
            s->found = &w->arenas[i + 1 - run];
            return;
        }
        i++;
    }
}

struct pm_arena *pm_arena_find_empties(unsigned arenas, unsigned align)
{
    const struct pm_arena_totals *t = &pm_arena_totals;
    size_t there[] = {t->dirty_empties, t->clean_empties, t->decommitted};
    struct search s = {.arenas = arenas, .align = align};
    size_t sum = 0;
    unsigned kinds = pm_piece_wanted() ? 2 : 3; /* else what is committed comes from the program */
    for (unsigned i = 0; i < kinds && s.found == NULL; i++) {
        sum += there[i];
        s.last = PM_DIRTY_EMPTY + i;
        if (there[i] != 0 && sum >= arenas)
            pm_window_each(search_window, &s);
    }
    return s.found;
}
