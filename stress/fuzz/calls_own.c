/* SPDX-License-Identifier: MIT */
/* Calls of what poolmalloc has beyond the C library's names (calls.h). A round (checked_own.h) goes
 * by random numbers, whose seed is from the input. */
#include "calls.h"
#include "checked_own.h"
#include "model.h"

enum { round_bytes = 64 << 10, round_calls = 200, walk_calls = 200 }; /* what one costs, roughly */

/* Whether so much work is left. */
static bool can_spend(size_t calls)
{
    bool can = model.calls_left >= calls;
    model.calls_left -= can ? calls : 0;
    return can;
}

static void run(void (*body)(const struct round *round))
{
    struct rng rng = rng_make(feed_number(&model.feed), 0);
    uint64_t id = (uint64_t)1 << 40;
    const struct round round = {&rng, &id, false};
    if (model.bytes_left < round_bytes || !can_spend(round_calls))
        return;
    model.bytes_left -= round_bytes;
    body(&round);
}

void call_heap(void)
{
    run(checked_heap_round);
}

void call_domain(void)
{
    run(checked_domain_round);
}

static void batch(const struct round *round)
{
    checked_batch_round(round, model_size() % 8192);
}

void call_batch(void)
{
    run(batch);
}

void call_expand(void)
{
    struct block *slot = model_slot_used();
    size_t size = model_size();
    if (slot)
        model_expand(slot, size ? size : 1);
}

void call_walk(void)
{
    struct block *slot = model_slot_used();
    if (slot && can_spend(walk_calls))
        checked_walk(slot);
}
