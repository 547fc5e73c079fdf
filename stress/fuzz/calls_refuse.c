/* SPDX-License-Identifier: MIT */
/* Calls that must fail, with the error that is documented, and change nothing (calls.h). */
#include "calls.h"
#include "model.h"

#include <errno.h>

static void refuse(enum entry entry, size_t count, size_t size)
{
    struct request request = {.entry = entry, .size = size, .count = count};
    checked_refusal(&request, ENOMEM);
}

void call_too_much(void)
{
    size_t size = feed_too_much(&model.feed);
    refuse(entry_malloc, 1, size);
    refuse(entry_calloc, 1, size);
    refuse(entry_valloc, 1, size);
    refuse(entry_pvalloc, 1, size);
}

/* Factors whose product does not fit; the wrapped product often does. */
void call_overflow(void)
{
    unsigned bits = 1 + feed_byte(&model.feed) % 63;
    size_t count = (size_t)1 << bits, more = feed_number(&model.feed);
    size_t each = SIZE_MAX / count + 1 + (bits > 16 ? more : 0);
    refuse(entry_calloc, count, each);
    refuse(entry_calloc, each, count);
    refuse(entry_reallocarray, count, each);
}

void call_realloc_too_much(void)
{
    struct block *slot = model_slot_used();
    struct request request = {.entry = model.variation ? entry_reallocarray : entry_realloc,
                              .count = 2,
                              .size = feed_too_much(&model.feed)};
    if (slot)
        checked_resize_refusal(slot, &request);
}

static void refuse_aligned(size_t alignment, size_t size, int error)
{
    static const enum entry entries[] = {entry_memalign, entry_aligned_alloc, entry_posix_memalign};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        bool too_little = entries[i] == entry_posix_memalign && alignment < sizeof(void *);
        struct request request = {.entry = entries[i], .size = size, .alignment = alignment};
        checked_refusal(&request, too_little ? EINVAL : error);
    }
}

void call_wrong_alignment(void)
{
    size_t alignment = feed_wrong_alignment(&model.feed), size = feed_byte(&model.feed);
    refuse_aligned(alignment, size, EINVAL);
    refuse_aligned(0, size, EINVAL);
}

void call_aligned_too_much(void)
{
    size_t alignment = feed_alignment(&model.feed);
    refuse_aligned(alignment, feed_too_much(&model.feed), ENOMEM);
}
