/* SPDX-License-Identifier: MIT */
/* Runs of wholly free arenas, for large blocks. Under the arena lock. */
#include "arena/piece.h"

/* Once there are some that will do, no more arenas are looked at than these. */
enum { LOOKS_MAX = 512 };

struct search {
    unsigned arenas, align;
    enum pm_arena_place last; /* the dearest place that will do: they are in that order */
    unsigned looks;
    struct pm_arena *found;
    uint32_t found_run, found_dirty; /* how long the run is they lie in, how many are dirty */
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

static bool is_dirty(const struct pm_window *w, uint32_t i)
{
    return w->arenas[i].place == PM_DIRTY_EMPTY;
}

static bool is_aligned(const struct search *s, const struct pm_window *w, uint32_t i)
{
    return (((pm_window_base(w) >> PM_ARENA_SHIFT) + i) & (s->align - 1)) == 0;
}

static bool looked_enough(const struct search *s)
{
    return s->found != NULL && s->looks >= LOOKS_MAX;
}

/* Of the run [start, end) those most of which are dirty, if these are more than found before. As
 * many in a shorter run are better, too: they leave less that is good for nothing. */
static void look_at_run(struct search *s, const struct pm_window *w, uint32_t start, uint32_t end)
{
    uint32_t dirty = 0, run = end - start, first = start;
    for (uint32_t i = start; i < end && !looked_enough(s); i++, s->looks++) {
        dirty += is_dirty(w, i);
        if (i + 1 - first < s->arenas)
            continue;
        bool better = s->found == NULL || dirty > s->found_dirty ||
                      (dirty == s->found_dirty && run < s->found_run);
        if (better && is_aligned(s, w, first)) {
            s->found = &w->arenas[first];
            s->found_run = run;
            s->found_dirty = dirty;
        }
        dirty -= is_dirty(w, first++);
    }
}

/* The end of the run that starts at i. */
static uint32_t run_end(const struct search *s, const struct pm_window *w, uint32_t i)
{
    while (i < w->next_arena && fits(w, i, s->last))
        i++;
    return i;
}

static void search_window(struct pm_window *w, void *arg)
{
    struct search *s = arg;
    if (s->found != NULL)
        return;
    for (uint32_t i = next_empty(w, w->first_arena); i < w->next_arena;) {
        uint32_t end = run_end(s, w, i);
        if (end - i >= s->arenas)
            look_at_run(s, w, i, end);
        if (looked_enough(s))
            return;
        i = next_empty(w, end + 1);
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
