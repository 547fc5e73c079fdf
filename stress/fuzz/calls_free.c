/* SPDX-License-Identifier: MIT */
/* Calls that free blocks or give memory back, and questions to the allocator (calls.h). */
#include "calls.h"
#include "model.h"

static void free_slot(struct block *slot, bool sized)
{
    struct block block = model_taken(slot);
    checked_free(&block, sized);
}

void call_free(void)
{
    struct block *slot = model_slot_used();
    if (slot)
        free_slot(slot, false);
}

void call_free_sized(void)
{
    struct block *slot = model_slot_used();
    if (slot)
        free_slot(slot, true);
}

/* Each so-manieth of a range: pools are emptied in part. */
void call_free_many(void)
{
    size_t first = feed_number(&model.feed), count = feed_byte(&model.feed) * 4u;
    size_t stride = 1 + feed_byte(&model.feed) % 16;
    for (size_t i = 0; i < count && model.calls_left > 0; i += stride) {
        size_t number = model.variation ? first + count - 1 - i : first + i;
        struct block *slot = &model.slots[number % model_slots];
        if (!slot->address)
            continue;
        model.calls_left--;
        free_slot(slot, false);
    }
}

void call_free_all(void)
{
    for (size_t i = 0; i < model_slots && model.live > 0; i++) {
        struct block *slot = &model.slots[model.variation ? model_slots - 1 - i : i];
        if (slot->address)
            free_slot(slot, i % 2);
    }
}

void call_realloc_to_zero(void)
{
    struct block *slot = model_slot_used();
    struct request nothing = {.entry = entry_realloc};
    if (model.variation)
        nothing = (struct request){.entry = entry_reallocarray, .count = 0, .size = 16};
    if (!slot)
        return;
    struct block block = model_taken(slot);
    checked_free_by_realloc(&block, &nothing);
}

void call_free_null(void)
{
    checked_nothing(feed_byte(&model.feed));
}

void call_trim(void)
{
    checked_trim(feed_byte(&model.feed));
}

void call_purge(void)
{
    checked_purge();
}

void call_idle(void)
{
    checked_idle();
}

/* Nobody else is at work: the figures must add up. */
void call_check(void)
{
    checked_structures();
    checked_statistics(others_at_rest);
}

void call_glance(void)
{
    struct block *slot = model_slot_used();
    if (slot)
        shadow_glance(slot, feed_number(&model.feed));
}
