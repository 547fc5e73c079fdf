/* SPDX-License-Identifier: MIT */
/* See stack.h. By frame pointers; the unwinder is in stack_unwind.c, reports in stack_report.c. */
#define _GNU_SOURCE /* environ */
#include "tools/stack.h"

#include "base/bits.h"
#include "os/os.h"
#include "tools/stack_internal.h"

#include <unistd.h>

/* The linker's bounds of the module's code, and whether that is the shared library (lib/shared.c).
 * Where the library is linked statically nothing is known of its bounds. */
extern const char __ehdr_start[] PM_HIDDEN;
extern const char etext[] PM_HIDDEN;
extern const char pm_in_shared_library __attribute__((weak)) PM_HIDDEN;

bool pm_stack_is_own(uintptr_t address)
{
    return &pm_in_shared_library != NULL && address >= (uintptr_t)__ehdr_start &&
           address < (uintptr_t)etext;
}

/* ---- bounds of stacks ---- */

struct bounds {
    uintptr_t start, end; /* readable; an end of 0: not known */
};

/* Of the stack that the thread was last seen on. */
static _Thread_local struct bounds known;

#define STACK_GAP_BYTES ((uintptr_t)1 << 20)

/* Above all frames of the first thread: what the kernel put there. */
static uintptr_t first_stack_end;

static __attribute__((constructor(102))) void note_first_stack(void)
{
    first_stack_end = (uintptr_t)environ;
}

static bool find_mapping(const struct pm_os_mapping *mapping, void *arg)
{
    struct bounds *bounds = arg; /* comes with an address on the stack */
    if (mapping->end <= bounds->start)
        return true;
    if (mapping->start <= bounds->start)
        *bounds = (struct bounds){mapping->start, mapping->end};
    return false;
}

/* The first stack grows downwards, into a gap that the kernel keeps free. That of another thread
 * ends where its thread-local storage is: what is mapped behind it may go away. Other stacks are
 * the program's own. */
static struct bounds bounds_of(uintptr_t here)
{
    struct bounds bounds = {here, 0};
    pm_os_each_mapping(find_mapping, &bounds);
    uintptr_t storage = (uintptr_t)&known;
    if (storage > here && storage < bounds.end)
        bounds.end = storage;
    if (first_stack_end > here && first_stack_end < bounds.end) {
        bounds.end = first_stack_end;
        bounds.start -= STACK_GAP_BYTES;
    }
    return bounds;
}

/* ---- the chain ---- */

#if defined(__x86_64__)
#define ADDRESS_BITS 47
#elif defined(__aarch64__)
#define ADDRESS_BITS 48 /* above: a signature, perhaps */
#else
#define ADDRESS_BITS 0 /* frames are laid out in some other way */
#endif

struct frame {
    uintptr_t caller; /* its frame */
    uintptr_t address;
};

PM_ACROSS_FRAMES static void follow(uintptr_t at, struct bounds bounds, struct pm_stack_walk *walk)
{
    const uintptr_t mask = ((uintptr_t)1 << ADDRESS_BITS) - 1;
    while (walk->count < walk->most && at % sizeof(uintptr_t) == 0 && at >= bounds.start &&
           at < bounds.end - sizeof(struct frame)) {
        struct frame *frame = (struct frame *)at;
        uintptr_t address = frame->address & mask;
        if (address < PM_LEAST_ADDRESS)
            break;
        pm_stack_add(walk, address);
        pm_stack_link(walk, &frame->address);
        bounds.start = at + sizeof *frame; /* outwards, always */
        at = frame->caller;
    }
}

PM_INLINE unsigned follow_from(uintptr_t here, struct pm_stack_walk walk)
{
    if (ADDRESS_BITS == 0)
        return 0;
    if (pm_unlikely(here < known.start || here >= known.end))
        known = bounds_of(here);
    struct bounds bounds = {here, known.end};
    if (known.end != 0)
        follow(here, bounds, &walk);
    return walk.count;
}

PM_NOINLINE unsigned pm_stack_by_frames(uintptr_t *frames, unsigned most)
{
    struct pm_stack_walk walk = {frames, 0, most, NULL};
    return follow_from((uintptr_t)__builtin_frame_address(0), walk);
}

PM_NOINLINE unsigned pm_stack_chain_by_frames(uintptr_t *frames, unsigned most,
                                              struct pm_stack_chain *chain)
{
    struct pm_stack_walk walk = {frames, 0, most, chain};
    chain->count = 0;
    chain->whole = true;
    return follow_from((uintptr_t)__builtin_frame_address(0), walk);
}

unsigned pm_stack_take(uintptr_t *frames, unsigned most)
{
    unsigned count = pm_stack_by_unwinder(frames, most);
    return count != 0 ? count : pm_stack_by_frames(frames, most);
}
