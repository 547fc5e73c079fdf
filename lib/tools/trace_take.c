/* SPDX-License-Identifier: MIT */
/* See trace_take.h. By the thread whose stack it is; no lock. */
#include "tools/trace_take.h"

#include "base/options.h"
#include "tools/stack.h"
#include "tools/trace_stacks.h"

/* A stack as the thread had it. */
struct pm_trace_way {
    uintptr_t here; /* the frame of pm_trace_take_stack; 0: none */
    uint32_t stack, count;
    struct pm_stack_link links[];
};

/* So many of our own frames come before the program's, no more. */
enum { OWN_FRAMES = 8 };

/* ---- what a thread remembers ---- */

static struct pm_trace_way *way_at(const struct pm_trace_thread *thread, uintptr_t here,
                                   unsigned way)
{
    size_t set = (here >> 4 ^ here >> 10) % PM_TRACE_SETS;
    char *start = (char *)thread->ways + (set * PM_TRACE_WAYS + way) * thread->way_bytes;
    return (struct pm_trace_way *)(void *)start;
}

/* Each place is read only once those below it were found to hold what they held: so it belongs to
 * a frame that is there. Tools that watch memory know of no access across frames. */
__attribute__((no_sanitize("address", "thread"))) PM_INLINE bool
is_same(const struct pm_trace_way *way)
{
    for (unsigned i = 0; i < way->count; i++) {
        if (pm_unlikely(*way->links[i].place != way->links[i].word))
            return false;
    }
    return true;
}

static void forget(struct pm_trace_thread *thread, unsigned frames)
{
    thread->frames = frames;
    for (size_t way = 0; way < PM_TRACE_SETS * PM_TRACE_WAYS; way++)
        ((struct pm_trace_way *)(void *)((char *)thread->ways + way * thread->way_bytes))->here = 0;
}

/* Room for stacks of more frames than it had; what it had before is left where it is. By powers of
 * two, so that little is. */
static PM_NOINLINE void make_ways(struct pm_trace_thread *thread, unsigned frames)
{
    uint32_t links = OWN_FRAMES;
    while (links < frames)
        links *= 2;
    links += OWN_FRAMES;
    if (thread->ways == NULL || links > thread->links) {
        uint32_t way_bytes =
            (uint32_t)(sizeof(struct pm_trace_way) + links * sizeof(struct pm_stack_link));
        uint32_t number = pm_trace_take(PM_TRACE_SETS * PM_TRACE_WAYS * way_bytes);
        thread->ways = number != 0 ? pm_trace_taken(number) : NULL;
        thread->way_bytes = way_bytes;
        thread->links = links;
    }
    thread->frames = 0;
    if (thread->ways != NULL)
        forget(thread, frames);
}

static void remember(struct pm_trace_thread *thread, uintptr_t here, uint32_t stack,
                     const struct pm_stack_chain *chain)
{
    unsigned first = 0; /* those below are of frames that have ended by the next call */
    while (first < chain->count && (uintptr_t)chain->links[first].place < here)
        first++;
    unsigned count = chain->count - first;
    if (!chain->whole || count == 0 || count > thread->links)
        return;
    struct pm_trace_way *way = way_at(thread, here, thread->turn++ % PM_TRACE_WAYS);
    way->here = here;
    way->stack = stack;
    way->count = count;
    for (unsigned i = 0; i < count; i++)
        way->links[i] = chain->links[first + i];
}

/* ---- the long way ---- */

struct taken {
    uintptr_t frames[PM_TRACE_FRAMES_MAX];
    struct pm_stack_chain chain;
};

static uint32_t note_agreed(uint32_t number)
{
    if (number != 0)
        pm_store_relaxed(&pm_trace_stack(number)->agreed, true);
    return number;
}

/* A chain of frame pointers is believed if the unwinder agreed with it before: which frames a
 * return address leads through depends on the code there alone. A chain that it has not seen is not
 * kept: where there are no frame pointers, it is whatever was in the register. */
static uint32_t take_either_way(struct taken *taken, unsigned frames)
{
    uintptr_t unwound[PM_TRACE_FRAMES_MAX];
    unsigned count = pm_stack_chain_by_frames(taken->frames, frames, &taken->chain);
    uint32_t number = count != 0 ? pm_trace_find_stack(taken->frames, count) : 0;
    if (number != 0 && pm_load_relaxed(&pm_trace_stack(number)->agreed))
        return number;
    unsigned all = pm_stack_chain_by_unwinder(unwound, frames, &taken->chain);
    if (all == 0) { /* not loaded yet, or a fork is under way */
        taken->chain.whole = false;
        return pm_trace_intern(taken->frames, count);
    }
    uint32_t better = pm_trace_intern(unwound, all);
    bool agreed =
        all == count && __builtin_memcmp(unwound, taken->frames, all * sizeof *unwound) == 0;
    return agreed ? note_agreed(better) : better;
}

/* The option's first letter; constant since the start. */
static uint32_t take_by_option(struct taken *taken, unsigned frames)
{
    unsigned count;
    switch (pm_options.trace_unwind[0]) {
    case 'f':
        count = pm_stack_chain_by_frames(taken->frames, frames, &taken->chain);
        return pm_trace_intern(taken->frames, count);
    case 'u':
        taken->chain.whole = false; /* each time anew */
        count = pm_stack_by_unwinder(taken->frames, frames);
        return pm_trace_intern(taken->frames, count);
    default:
        return take_either_way(taken, frames);
    }
}

/* Relaxed: a figure. */
static _Atomic uint64_t anew;

uint64_t pm_trace_taken_anew(void)
{
    return pm_load_relaxed(&anew);
}

static PM_NOINLINE uint32_t take_anew(struct pm_trace_thread *thread, uintptr_t here,
                                      unsigned frames)
{
    struct taken taken;
    pm_count_shared(&anew, 1);
    uint32_t number = take_by_option(&taken, frames);
    if (thread != NULL && thread->frames != frames)
        make_ways(thread, frames);
    if (thread != NULL && thread->ways != NULL && number != 0)
        remember(thread, here, number, &taken.chain);
    return number;
}

PM_NOINLINE uint32_t pm_trace_take_stack(struct pm_trace_thread *thread, unsigned frames)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uint32_t number = 0;
    if (pm_likely(thread != NULL && thread->frames == frames)) {
        for (unsigned i = 0; i < PM_TRACE_WAYS; i++) {
            const struct pm_trace_way *way = way_at(thread, here, i);
            if (way->here == here && pm_likely(is_same(way)))
                return way->stack;
        }
    }
    number = take_anew(thread, here, frames);
    __asm__ volatile("" : "+r"(number)); /* no jump: the frame has to stay */
    return number;
}

/* ---- threads ---- */

PM_NOINLINE struct pm_trace_thread *pm_trace_make_thread(struct pm_heap *heap)
{
    uint32_t number = pm_trace_take(sizeof(struct pm_trace_thread) + PM_LINE_BYTES);
    if (number == 0)
        return NULL;
    uintptr_t start = pm_align_up((uintptr_t)pm_trace_taken(number), PM_LINE_BYTES);
    struct pm_trace_thread *thread = (struct pm_trace_thread *)start;
    pm_trace_count_join(&thread->held);
    heap->traced = thread;
    return thread;
}
