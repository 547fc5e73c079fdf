/* SPDX-License-Identifier: MIT */
/* Calls that make or resize blocks (calls.h). */
#include "calls.h"
#include "model.h"

#include <errno.h>

static void make(struct block *slot, enum entry entry, size_t size)
{
    struct request request = {.entry = entry, .size = size, .count = 1};
    if (slot)
        model_make(slot, &request);
}

void call_malloc(void)
{
    struct block *slot = model_slot_empty();
    make(slot, model.variation ? entry_realloc : entry_malloc, model_size());
}

void call_calloc(void)
{
    struct block *slot = model_slot_empty();
    size_t size = model_size(), each = 1 + feed_byte(&model.feed);
    struct request request = {.entry = entry_calloc, .size = each, .count = size / each};
    if (model.variation)
        make(slot, entry_calloc, size);
    else if (slot)
        model_make(slot, &request);
}

void call_aligned(void)
{
    struct block *slot = model_slot_empty();
    struct request request = {.entry = model.variation ? entry_memalign : entry_aligned_alloc};
    request.alignment = feed_alignment(&model.feed);
    request.size = model_size();
    if (slot)
        model_make(slot, &request);
}

void call_posix_memalign(void)
{
    struct block *slot = model_slot_empty();
    struct request request = {.entry = entry_posix_memalign};
    request.alignment = feed_alignment(&model.feed);
    request.size = model_size();
    if (request.alignment < sizeof(void *))
        checked_refusal(&request, EINVAL);
    else if (slot)
        model_make(slot, &request);
}

void call_page_aligned(void)
{
    struct block *slot = model_slot_empty();
    make(slot, model.variation ? entry_pvalloc : entry_valloc, model_size());
}

static void resize(struct block *slot, size_t size, size_t count)
{
    bool array = count > 1 || model.variation;
    struct request request = {
        .entry = array ? entry_reallocarray : entry_realloc, .size = size, .count = count};
    if (size * count == 0)
        request.size = request.count = 1;
    model_resize(slot, &request);
}

void call_realloc(void)
{
    struct block *slot = model_slot_used();
    size_t size = model_size();
    if (slot)
        resize(slot, size, 1);
}

/* Several steps of one block: it grows or shrinks by a part of its size. */
void call_reallocarray(void)
{
    struct block *slot = model_slot_used();
    unsigned steps = 1 + feed_byte(&model.feed) % 8, by = feed_byte(&model.feed);
    while (slot && steps-- > 0) {
        size_t now = slot->size_bytes;
        size_t next = model.variation ? now / 256 * by + now % 256 : now + (now / 128 + 1) * by;
        size_t count = 1 + by % 7;
        if (next > model.bytes_left)
            return;
        resize(slot, next / count, count);
    }
}

/* Fills pools, so that they become full and float. */
void call_make_many(void)
{
    unsigned count = feed_byte(&model.feed) * (model.variation ? 4 : 1);
    size_t first = feed_number(&model.feed), size = model_size();
    for (size_t i = 0; i < count && model.calls_left > 0 && size <= model.bytes_left; i++) {
        struct block *slot = &model.slots[(first + i) % model_slots];
        if (slot->address)
            continue;
        model.calls_left--;
        make(slot, i % 4 == 3 ? entry_calloc : entry_malloc, size);
    }
}

void call_usable_size(void)
{
    struct block *slot = model_slot_used();
    checked_nothing(0);
    if (slot && checked_usable(slot) <= model.bytes_left && model.variation)
        model_use_all(slot);
}
