/* SPDX-License-Identifier: MIT */
/*
 * Stacks of samples. The unwinder takes microseconds, and a program samples the same stacks over
 * and over: so the last ones are remembered, with the places where their return addresses stood. If
 * the calling frame is where it was, and all of these hold what they held, the stack is the same
 * (tools/stack.h), and so are its rows. All threads share what is remembered; who finds a place
 * taken does without.
 */
#include "tools/profile_internal.h"
#include "tools/stack.h"

enum { SETS = 64, WAYS = 4, LINKS_MAX = PM_PROFILE_FRAMES + 16, ROWS = 16 };

struct way {
    _Atomic uint32_t taken; /* by one thread; CAS with acquire, and release */
    uint32_t depth, count;
    _Atomic uintptr_t here; /* the frame of pm_profile_row_here; 0: none. Others may look at it */
    uint64_t mean;          /* of these, by the step of the size: */
    struct {
        uint32_t step, row; /* step 0: none; it is one too high */
    } rows[ROWS];
    struct pm_stack_link links[LINKS_MAX];
    uintptr_t frames[PM_PROFILE_FRAMES];
};

static struct way ways[SETS][WAYS];
static _Atomic uint64_t turn; /* which of a set is replaced next; relaxed */

static struct way *set_of(uintptr_t here)
{
    return ways[(here >> 4 ^ here >> 10 ^ here >> 16) % SETS];
}

static bool enter(struct way *way)
{
    uint32_t none = 0;
    return pm_load_relaxed(&way->taken) == 0 && pm_cas_acquire(&way->taken, &none, 1);
}

static void leave(struct way *way)
{
    pm_store_release(&way->taken, 0);
}

/* Each place is read only once those below it were found to hold what they held: so it belongs to
 * a frame that is there. Tools that watch memory know of no access across frames. */
__attribute__((no_sanitize("address"))) static bool is_same(const struct way *way, uintptr_t here)
{
    if (pm_load_relaxed(&way->here) != here)
        return false;
    for (unsigned i = 0; i < way->count; i++) {
        if (*way->links[i].place != way->links[i].word)
            return false;
    }
    return true;
}

static uint32_t row_of(struct way *way, size_t bytes, uint64_t mean)
{
    uint32_t step = pm_profile_step_of(bytes) + 1, at = step % ROWS;
    if (way->mean == mean && way->rows[at].step == step)
        return way->rows[at].row;
    uint32_t row = pm_profile_row_for(way->frames, way->depth, bytes, mean);
    if (row == PM_PROFILE_NO_ROW)
        return row;
    for (unsigned i = 0; i < ROWS && way->mean != mean; i++)
        way->rows[i].step = 0;
    way->mean = mean;
    way->rows[at].step = step;
    way->rows[at].row = row;
    return row;
}

/* False: the stack is not remembered. */
static bool recall(uintptr_t here, size_t bytes, uint64_t mean, uint32_t *row)
{
    struct way *set = set_of(here);
    bool found = false;
    for (unsigned w = 0; w < WAYS && !found; w++) {
        /* Relaxed: a hint; it is looked at once more. */
        if (pm_load_relaxed(&set[w].here) != here || !enter(&set[w]))
            continue;
        found = is_same(&set[w], here);
        if (found)
            *row = row_of(&set[w], bytes, mean);
        leave(&set[w]);
    }
    return found;
}

static void remember(uintptr_t here, const uintptr_t *frames, unsigned depth,
                     const struct pm_stack_chain *chain)
{
    struct way *way = &set_of(here)[pm_add_relaxed(&turn, 1) % WAYS];
    unsigned first = 0; /* those below are of frames that have ended by the next call */
    while (first < chain->count && (uintptr_t)chain->links[first].place < here)
        first++;
    unsigned count = chain->count - first;
    if (!chain->whole || depth == 0 || count == 0 || count > LINKS_MAX || !enter(way))
        return;
    pm_store_relaxed(&way->here, here);
    way->depth = depth;
    way->count = count;
    way->mean = 0; /* no rate: none of the rows is this stack's */
    __builtin_memcpy(way->links, chain->links + first, count * sizeof *way->links);
    __builtin_memcpy(way->frames, frames, depth * sizeof *frames);
    leave(way);
}

static PM_NOINLINE uint32_t take_anew(uintptr_t here, size_t bytes, uint64_t mean)
{
    struct pm_stack_chain chain;
    uintptr_t frames[PM_PROFILE_FRAMES];
    unsigned depth = pm_stack_chain_by_unwinder(frames, PM_PROFILE_FRAMES, &chain);
    if (depth != 0)
        remember(here, frames, depth, &chain);
    else
        depth = pm_stack_take_seldom(frames, PM_PROFILE_FRAMES);
    return pm_profile_row_for(frames, depth, bytes, mean);
}

PM_NOINLINE uint32_t pm_profile_row_here(size_t bytes, uint64_t mean)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uint32_t row = 0; /* not all compilers see that it is set */
    if (!recall(here, bytes, mean, &row))
        row = take_anew(here, bytes, mean);
    __asm__ volatile("" : "+r"(row)); /* no jump: the frame has to stay */
    return row;
}
