/* SPDX-License-Identifier: MIT */
/*
 * Calls that make and free nothing (calls.h): requests that must fail, and calls that look at the
 * allocator or give its memory back.
 */
#include "calls.h"
#include "checked_own.h"

#include <errno.h>

/* Above what any address space has; from half of SIZE_MAX on also above PTRDIFF_MAX. */
static size_t far_too_much(struct rng *rng)
{
    static const size_t bases[] = {(size_t)1 << 50, PTRDIFF_MAX, (size_t)1 << 63, SIZE_MAX};
    size_t base = bases[rng_below(rng, sizeof bases / sizeof *bases)];
    return base - rng_below(rng, 70000);
}

/* Two factors whose product overflows, or is far too much. */
static struct request too_many(struct rng *rng, enum entry entry)
{
    size_t first = (size_t)1 << (1 + rng_below(rng, 30));
    size_t second =
        rng_one_in(rng, 2) ? SIZE_MAX / first + 1 + rng_below(rng, 9) : far_too_much(rng) / first;
    return (struct request){.entry = entry, .size = second, .count = first};
}

static size_t no_power_of_two(struct rng *rng)
{
    size_t value = rng_next(rng) >> rng_below(rng, 62);
    return (value & (value - 1)) == 0 ? 3 * (value ? value : 1) : value;
}

static const enum entry aligned_entries[] = {entry_aligned_alloc, entry_memalign,
                                             entry_posix_memalign};

static void fail_to_align(struct rng *rng)
{
    struct request request = {.entry = aligned_entries[rng_below(rng, 3)]};
    request.size = rng_below(rng, 5000);
    request.alignment = no_power_of_two(rng);
    if (request.entry == entry_posix_memalign && rng_one_in(rng, 4))
        request.alignment = (size_t)1 << rng_below(rng, 3); /* less than a pointer */
    checked_refusal(&request, EINVAL);
}

static void fail_for_want_of_memory(struct rng *rng)
{
    static const enum entry entries[] = {entry_malloc, entry_realloc, entry_valloc, entry_pvalloc};
    struct request request = {.size = far_too_much(rng), .count = 1};
    switch (rng_below(rng, 4)) {
    case 0:
        request = too_many(rng, rng_one_in(rng, 2) ? entry_calloc : entry_reallocarray);
        break;
    case 1:
        request.entry = aligned_entries[rng_below(rng, 3)];
        request.alignment = sizeof(void *) << rng_below(rng, 59);
        break;
    case 2:
        request.entry = entry_memalign;
        request.size = rng_below(rng, 5000);
        request.alignment = (size_t)1 << 50;
        break;
    default:
        request.entry = entries[rng_below(rng, sizeof entries / sizeof *entries)];
    }
    checked_refusal(&request, ENOMEM);
}

static void fail_to_resize(struct rng *rng, const struct block *block)
{
    struct request request = {.entry = entry_realloc, .size = far_too_much(rng)};
    if (rng_one_in(rng, 2))
        request = too_many(rng, entry_reallocarray);
    checked_resize_refusal(block, &request);
}

void caller_ask_too_much(struct caller *caller, const struct block *block)
{
    uint64_t which = rng_below(&caller->rng, 4);
    if (which == 0 && block)
        fail_to_resize(&caller->rng, block);
    else if (which == 1)
        fail_to_align(&caller->rng);
    else
        fail_for_want_of_memory(&caller->rng);
}

void caller_own_round(struct caller *caller)
{
    struct round round = {&caller->rng, &caller->next_id, caller->may_fail};
    switch (rng_below(&caller->rng, 3)) {
    case 0:
        checked_heap_round(&round);
        break;
    case 1:
        checked_domain_round(&round);
        break;
    default:
        checked_batch_round(&round, random_size(&caller->rng, 0, 2000));
    }
}

void caller_expand(struct caller *caller, struct block *block, size_t highest)
{
    size_t most = rng_one_in(&caller->rng, 4) ? highest : block->size_bytes + 64;
    checked_expand(block, random_size(&caller->rng, 1, most), caller->next_id++);
}

void caller_give_back(struct caller *caller)
{
    if (rng_one_in(&caller->rng, 4))
        checked_purge();
    else
        checked_trim(rng_below(&caller->rng, 2) * 65536);
}

void caller_look_around(struct caller *caller, enum others others)
{
    uint64_t which = rng_below(&caller->rng, 256);
    checked_nothing(which);
    if (which < 16)
        checked_idle();
    else if (which == 16)
        checked_structures();
    else if (which < 160)
        checked_statistics(others);
    else
        caller_give_back(caller);
}
