/* SPDX-License-Identifier: MIT */
/*
 * Stacks of samples. The unwinder takes microseconds, and a program samples the same stacks over
 * and over: so the last ones are remembered, with the places where their return addresses stood. If
 * the calling frame is where it was, and all of these hold what they held, the stack is the same
 * (tools/stack.h). All threads share what is remembered; who finds a place taken does without.
 */
#include "tools/profile_internal.h"
#include "tools/stack.h"

enum { SETS = 64, WAYS = 4, LINKS_MAX = PM_PROFILE_FRAMES + 16 };

struct way {
    _Atomic uint32_t taken; /* by one thread; CAS with acquire, and release */
    uint32_t depth, count;
    uintptr_t here; /* the frame of pm_profile_take; 0: none */
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
__attribute__((no_sanitize("address", "thread"))) static bool is_same(const struct way *way)
{
    for (unsigned i = 0; i < way->count; i++) {
        if (*way->links[i].place != way->links[i].word)
            return false;
    }
    return true;
}

/* 0: it is not remembered. */
static unsigned recall(uintptr_t here, uintptr_t *frames)
{
    struct way *set = set_of(here);
    unsigned depth = 0;
    for (unsigned w = 0; w < WAYS && depth == 0; w++) {
        if (!enter(&set[w]))
            continue;
        if (set[w].here == here && is_same(&set[w])) {
            depth = set[w].depth;
            __builtin_memcpy(frames, set[w].frames, depth * sizeof *frames);
        }
        leave(&set[w]);
    }
    return depth;
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
    way->here = here;
    way->depth = depth;
    way->count = count;
    __builtin_memcpy(way->links, chain->links + first, count * sizeof *way->links);
    __builtin_memcpy(way->frames, frames, depth * sizeof *frames);
    leave(way);
}

PM_NOINLINE unsigned pm_profile_take(uintptr_t frames[PM_PROFILE_FRAMES])
{
    struct pm_stack_chain chain;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    unsigned depth = recall(here, frames);
    if (depth != 0)
        return depth;
    depth = pm_stack_chain_by_unwinder(frames, PM_PROFILE_FRAMES, &chain);
    if (depth != 0)
        remember(here, frames, depth, &chain);
    else
        depth = pm_stack_take_seldom(frames, PM_PROFILE_FRAMES);
    __asm__ volatile("" : "+r"(depth)); /* no jump: the frame has to stay */
    return depth;
}
