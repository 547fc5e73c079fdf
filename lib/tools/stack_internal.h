/* SPDX-License-Identifier: MIT */
/* What the files about stacks share. */
#ifndef PM_TOOLS_STACK_INTERNAL_H
#define PM_TOOLS_STACK_INTERNAL_H

#include "base/bits.h"
#include "tools/stack.h"

#define PM_LEAST_ADDRESS ((uintptr_t)4096) /* nobody runs code below it */

/* In this shared library; of static ones nothing is known. */
bool pm_stack_is_own(uintptr_t address) PM_HIDDEN;

/* Tools that watch memory know of no access across frames. */
#define PM_ACROSS_FRAMES __attribute__((no_sanitize("address", "thread")))

/* What a walk found so far. */
struct pm_stack_walk {
    uintptr_t *frames;
    unsigned count, most;
    struct pm_stack_chain *chain; /* NULL: not wanted */
};

/* What comes before the first that is not this library's is left out. */
static inline void pm_stack_add(struct pm_stack_walk *walk, uintptr_t address)
{
    if (walk->count != 0 || !pm_stack_is_own(address))
        walk->frames[walk->count++] = address;
}

/* `place` NULL: not known. */
PM_ACROSS_FRAMES static inline void pm_stack_link(struct pm_stack_walk *walk, uintptr_t *place)
{
    struct pm_stack_chain *chain = walk->chain;
    if (chain == NULL)
        return;
    if (place == NULL || chain->count == PM_STACK_FRAMES_MAX + PM_STACK_OWN_MAX)
        chain->whole = false;
    else
        chain->links[chain->count++] = (struct pm_stack_link){place, *place};
}

#endif
