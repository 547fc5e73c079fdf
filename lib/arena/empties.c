/* SPDX-License-Identifier: MIT */
/* Runs of wholly free arenas, for large blocks. Under the arena lock. */
#include "arena/piece.h"

/* Once there are some that will do, no more arenas are looked at than these. */
enum { LOOKS_MAX = 512 };

struct search {
    unsigned arenas, align;
    bool clean;               /* they shall read as zero, if there are such */
    uint32_t dirty_most;      /* of those that are found */
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

/* Nothing better could come, or it would take too long to look for it. */
static bool looked_enough(const struct search *s)
{
    bool best = s->clean ? s->found_dirty == 0 : s->dirty_most == 0;
    return s->found != NULL && (best || s->looks >= LOOKS_MAX);
}

static bool is_better(const struct search *s, uint32_t dirty, uint32_t run)
{
    if (s->found == NULL || dirty != s->found_dirty)
        return s->found == NULL || (dirty < s->found_dirty) == s->clean;
    return run < s->found_run;
}

/* Of the run [start, end) those most of which are dirty, if these are more than found before: they
 * cost no page faults. Or the fewest, for what must be zero: dirty ones would be cleared, and all
 * be resident. As many in a shorter run are better, too: they leave less that is good for nothing.
 */
static void look_at_run(struct search *s, const struct pm_window *w, uint32_t start, uint32_t end)
{
    uint32_t dirty = 0, run = end - start, first = start;
    for (uint32_t i = start; i < end && !looked_enough(s); i++, s->looks++) {
        dirty += is_dirty(w, i);
        if (i + 1 - first < s->arenas)
            continue;
        if (is_aligned(s, w, first) && is_better(s, dirty, run)) {
            s->found = &w->arenas[first];
            s->found_run = run;
            s->found_dirty = dirty;
        }
        dirty -= is_dirty(w, first++);
    }
}

/* The end of the run that starts at i. A long one is looked at in parts, each of which will do. */
static uint32_t run_end(const struct search *s, const struct pm_window *w, uint32_t i)
{
    size_t most = (size_t)s->arenas + s->align - 1, end = w->next_arena;
    if (end - i > (most > LOOKS_MAX ? most : LOOKS_MAX))
        end = i + (most > LOOKS_MAX ? most : LOOKS_MAX);
    while (i < end && fits(w, i, s->last))
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
        s->looks += end - i + 1; /* those that will not do count, too */
        if (end - i >= s->arenas)
            look_at_run(s, w, i, end);
        if (looked_enough(s))
            return;
        i = next_empty(w, end == i ? end + 1 : end);
    }
}

struct pm_arena *pm_arena_find_empties(unsigned arenas, unsigned align, bool clean)
{
    const struct pm_arena_totals *t = &pm_arena_totals;
    size_t there[] = {t->dirty_empties, t->clean_empties, t->decommitted};
    struct search s = {.arenas = arenas, .align = align, .clean = clean};
    size_t sum = 0;
    unsigned kinds = pm_piece_wanted() ? 2 : 3; /* else what is committed comes from the program */
    for (unsigned i = 0; i < kinds && s.found == NULL; i++) {
        sum += there[i];
        s.last = PM_DIRTY_EMPTY + i;
        s.dirty_most = t->dirty_empties < arenas ? (uint32_t)t->dirty_empties : arenas;
        if (clean && i == 0 && there[1] != 0)
            continue; /* clean ones first, or both */
        if (there[i] != 0 && sum >= arenas)
            pm_window_each(search_window, &s);
    }
    return s.found;
}
