/* SPDX-License-Identifier: MIT */
/* See quarantine.h. */
#include "tools/quarantine.h"

#include "base/atomic.h"

static char *_Atomic small_slots[PM_QUARANTINE_SMALL_SLOTS];
static char *_Atomic slots[PM_QUARANTINE_SLOTS];
static struct ring {
    char *_Atomic *slots;
    uint64_t count;
    _Atomic uint64_t puts; /* so far; nothing is ordered by it */
} small_ring = {small_slots, PM_QUARANTINE_SMALL_SLOTS, 0}, ring = {slots, PM_QUARANTINE_SLOTS, 0};

static void let_go(char *data)
{
    struct pm_debug_block block = pm_debug_check_dead(data);
    pm_debug_release(&block);
}

void pm_quarantine_put(const struct pm_debug_block *block)
{
    if (block->bytes > PM_QUARANTINE_MAX) {
        pm_debug_release(block);
        return;
    }
    struct ring *to = block->bytes <= PM_QUARANTINE_SMALL ? &small_ring : &ring;
    uint64_t number = pm_add_relaxed(&to->puts, 1) % to->count;
    /* Acquire-release: hands our block on, with what was written to it, and takes another's. */
    char *leaves = pm_exchange_acq_rel(&to->slots[number], block->data);
    if (leaves != NULL)
        let_go(leaves);
}

static void check_ring(struct ring *of)
{
    for (uint64_t i = 0; i < of->count; i++) {
        char *data = pm_exchange_acq_rel(&of->slots[i], NULL); /* see above */
        if (data != NULL)
            pm_debug_check_dead(data);
    }
}

void pm_quarantine_check(void)
{
    check_ring(&small_ring);
    check_ring(&ring);
}
