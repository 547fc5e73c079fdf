/* SPDX-License-Identifier: MIT */
/* Calls that free blocks or give memory back, and questions to the allocator (calls.h). */
#include "calls.h"
#include "check.h"
#include "model.h"
#include "names.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>

static void free_slot(struct slot *slot, bool sized)
{
    enum maker maker = slot->maker;
    struct block block = model_taken(slot);
    if (sized && maker == by_malloc)
        api_free_sized(block.address, block.size_bytes);
    else if (sized && maker == by_aligned_alloc)
        api_free_aligned_sized(block.address, block.alignment, block.size_bytes);
    else
        api_free(block.address);
    CHECK(errno == errno_before, "free of %zu bytes set errno to %d", block.size_bytes, errno);
}

void call_free(void)
{
    struct slot *slot = model_slot_used();
    if (slot)
        free_slot(slot, false);
}

void call_free_sized(void)
{
    struct slot *slot = model_slot_used();
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
        struct slot *slot = &model.slots[number % model_slots];
        if (!slot->block.address)
            continue;
        model.calls_left--;
        free_slot(slot, false);
    }
}

void call_free_all(void)
{
    for (size_t i = 0; i < model_slots && model.live > 0; i++) {
        struct slot *slot = &model.slots[model.variation ? model_slots - 1 - i : i];
        if (slot->block.address)
            free_slot(slot, i % 2);
    }
}

void call_realloc_to_zero(void)
{
    struct slot *slot = model_slot_used();
    if (!slot)
        return;
    struct block block = model_taken(slot);
    void *left =
        model.variation ? api_reallocarray(block.address, 0, 16) : api_realloc(block.address, 0);
    CHECK(!left, "realloc to 0 gave %p", left);
    model_errno_kept("realloc to 0");
}

void call_free_null(void)
{
    api_free(NULL);
    api_free_sized(NULL, feed_byte(&model.feed));
    api_free_aligned_sized(NULL, 64, feed_byte(&model.feed));
    model_errno_kept("free of NULL");
}

void call_trim(void)
{
    int result = api_trim(feed_byte(&model.feed));
    CHECK(result == 0 || result == 1, "malloc_trim returned %d", result);
    model_errno_kept("malloc_trim");
}

void call_purge(void)
{
    pm_purge();
    model_errno_kept("pm_purge");
}

void call_idle(void)
{
    pm_thread_idle();
    model_errno_kept("pm_thread_idle");
}

/* Nobody else is at work: the figures must add up. */
void call_check(void)
{
    struct pm_stats stats;
    CHECK(pm_check(), "the allocator's own structures are broken");
    if (!pm_stats_get(&stats))
        return;
    uint64_t sum = stats.pool_bytes + stats.kept_bytes + stats.stash_bytes + stats.span_held_bytes +
                   stats.free_bytes;
    CHECK(sum == stats.arenas * stats.arena_bytes,
          "%llu arenas, but pools %llu + kept %llu + stash %llu + spans %llu + free %llu",
          (unsigned long long)stats.arenas, (unsigned long long)stats.pool_bytes,
          (unsigned long long)stats.kept_bytes, (unsigned long long)stats.stash_bytes,
          (unsigned long long)stats.span_held_bytes, (unsigned long long)stats.free_bytes);
    CHECK(stats.span_bytes <= stats.span_held_bytes, "spans use more than they hold");
    CHECK(stats.dirty_bytes <= stats.free_bytes, "more is dirty than is free");
    model_errno_kept("pm_check");
}

void call_glance(void)
{
    struct slot *slot = model_slot_used();
    if (slot)
        shadow_glance(&slot->block, feed_number(&model.feed));
}
