/* SPDX-License-Identifier: MIT */
/* See guarded_report.h. */
#include "tools/guarded_report.h"

#include "base/report.h"
#include "tools/stack.h"

#include <stdlib.h>

#define TABLE pm_guarded_table

static void print_call(const char *what, const struct pm_guarded_call *call, bool small_stack)
{
    if (call->thread != 0)
        pm_print("%s by thread %u:\n", what, (unsigned)call->thread);
    else
        pm_print("%s:\n", what);
    if (call->count == 0)
        pm_print("    (its stack is not known)\n");
    if (!small_stack)
        pm_stack_report(call->frames, call->count);
    for (unsigned i = 0; small_stack && i < call->count; i++)
        pm_print("    #%u %p\n", i, (void *)call->frames[i]);
}

static void print_past(const struct pm_guarded_slot *slot, bool freed, bool small_stack)
{
    if (freed)
        print_call("Freed", &slot->freed, small_stack);
    print_call("Made", &slot->made, small_stack);
}

/* ---- by a function of the allocator ---- */

static _Noreturn void end(const struct pm_guarded_slot *slot, bool freed)
{
    struct pm_guarded_call now;
    pm_guarded_note(&now);
    print_call("Called", &now, false);
    print_past(slot, freed, false);
    abort();
}

static void *block_of(const struct pm_guarded_slot *slot)
{
    return (void *)pm_load_relaxed(&slot->block); /* nobody changes it */
}

static size_t bytes_of(const struct pm_guarded_slot *slot)
{
    return pm_load_relaxed(&slot->bytes); /* the same */
}

void pm_guarded_fatal_no_block(const char *function, const void *ptr, size_t number)
{
    const struct pm_guarded_slot *slot = &TABLE.slots[number];
    uint64_t word = pm_guarded_settled(number);
    if (!pm_guarded_to_busy(number, word) || block_of(slot) == NULL)
        pm_fatal_not_allocated(function, ptr);
    bool freed = pm_guarded_state_of(word) != PM_GUARDED_LIVE;
    const char *block = block_of(slot);
    size_t bytes = bytes_of(slot);
    if ((uintptr_t)ptr - (uintptr_t)block >= (bytes > 0 ? bytes : 1))
        pm_warn("%s(%p): not allocated (beside the %sguarded block %p of %zu bytes)", function, ptr,
                freed ? "freed " : "", (const void *)block, bytes);
    else if (ptr != block)
        pm_warn("%s(%p): points inside a block, not at its start (%sguarded block %p of %zu bytes)",
                function, ptr, freed ? "freed " : "", (const void *)block, bytes);
    else
        pm_warn("%s(%p): freed already: freed twice, or used after its free (guarded block of %zu "
                "bytes)",
                function, ptr, bytes);
    end(slot, freed);
}

void pm_guarded_fatal_written(const char *function, const struct pm_guarded_slot *slot,
                              const char *at)
{
    const char *block = block_of(slot);
    size_t bytes = bytes_of(slot);
    if (at < block)
        pm_warn("%s(%p): something wrote before the guarded block of %zu bytes: %zu before it",
                function, (const void *)block, bytes, (size_t)(block - at));
    else
        pm_warn("%s(%p): something wrote behind the guarded block of %zu bytes: %zu behind it",
                function, (const void *)block, bytes, (size_t)(at - block) - bytes + 1);
    end(slot, false);
}

void pm_guarded_fatal_size(const char *function, const struct pm_guarded_slot *slot, size_t told)
{
    pm_warn("%s(%p): wrong size: %zu bytes told, %zu asked for (guarded block)", function,
            block_of(slot), told, bytes_of(slot));
    end(slot, false);
}

void pm_guarded_fatal_alignment(const char *function, const struct pm_guarded_slot *slot,
                                size_t told)
{
    pm_warn("%s(%p): wrong alignment: the block is not aligned to %zu (guarded block of %zu bytes)",
            function, block_of(slot), told, bytes_of(slot));
    end(slot, false);
}

/* ---- by an access ---- */

static void print_access(uintptr_t address, const char *access, const struct pm_guarded_slot *slot,
                         bool freed)
{
    uintptr_t block = (uintptr_t)block_of(slot);
    size_t bytes = bytes_of(slot), far = block - address;
    const char *where = "before", *what = "underflow";
    if (address - block < bytes) {
        far = address - block;
        where = "into";
        what = "access";
    } else if (address >= block) {
        far = address - block - bytes + 1;
        where = "behind";
        what = "overflow";
    }
    pm_warn("%s: %s %p, %zu byte%s %s a %sguarded block of %zu bytes at %p",
            freed ? "use after free" : what, access, (void *)address, far, far == 1 ? "" : "s",
            where, freed ? "freed " : "", bytes, (void *)block);
}

void pm_guarded_report_access(uintptr_t address, enum pm_os_access access,
                              const struct pm_guarded_call *call, bool small_stack)
{
    static const char *const names[] = {"access to", "read of", "write to"};
    size_t number = pm_guarded_slot_at(address);
    struct pm_guarded_slot *slot = &TABLE.slots[number];
    uint64_t word = pm_guarded_settled(number);
    bool known = pm_guarded_to_busy(number, word) && block_of(slot) != NULL;
    bool freed = pm_guarded_state_of(word) != PM_GUARDED_LIVE;
    if (known)
        print_access(address, names[access], slot, freed);
    else
        pm_warn("%s %p, where guarded blocks are made and freed", names[access], (void *)address);
    print_call("Accessed", call, small_stack);
    if (known)
        print_past(slot, freed, small_stack);
    /* A freed one stays busy: else it could be in use again when the access is repeated. */
    if (!freed)
        pm_guarded_busy_to(number, word);
}
