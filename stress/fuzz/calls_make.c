/* SPDX-License-Identifier: MIT */
/* Calls that make or resize blocks (calls.h). */
#include "calls.h"
#include "check.h"
#include "model.h"
#include "names.h"

#include <errno.h>

/* Blocks of such alignments may be refused: the window need not have an address for them. */
static const size_t alignment_granted_always = (size_t)1 << 26;

static void made(struct slot *slot, void *address, size_t size, size_t alignment, enum maker maker,
                 const char *call)
{
    if (!address && alignment > alignment_granted_always) {
        CHECK(errno == ENOMEM, "%s aligned to %zu failed with errno %d", call, alignment, errno);
        return;
    }
    CHECK(address, "%s of %zu bytes aligned to %zu failed, errno %d", call, size, alignment, errno);
    model_errno_kept(call);
    model_made(slot, address, size, alignment, maker);
}

void call_malloc(void)
{
    struct slot *slot = model_slot_empty();
    size_t size = model_size();
    if (!slot)
        return;
    void *address = model.variation ? api_realloc(NULL, size) : api_malloc(size);
    made(slot, address, size, 0, by_malloc, "malloc");
}

static void calloc_into(struct slot *slot, size_t count, size_t each)
{
    struct block block = {.size_bytes = count * each};
    block.address = api_calloc(count, each);
    if (block.address)
        shadow_check_zero(&block);
    made(slot, block.address, block.size_bytes, 0, by_malloc, "calloc");
}

void call_calloc(void)
{
    struct slot *slot = model_slot_empty();
    size_t size = model_size(), each = 1 + feed_byte(&model.feed);
    if (slot)
        calloc_into(slot, model.variation ? 1 : size / each, model.variation ? size : each);
}

void call_aligned(void)
{
    struct slot *slot = model_slot_empty();
    size_t alignment = feed_alignment(&model.feed), size = model_size();
    if (!slot)
        return;
    if (model.variation)
        made(slot, api_memalign(alignment, size), size, alignment, by_other, "memalign");
    else
        made(slot, api_aligned_alloc(alignment, size), size, alignment, by_aligned_alloc,
             "aligned_alloc");
}

void call_posix_memalign(void)
{
    struct slot *slot = model_slot_empty();
    size_t alignment = feed_alignment(&model.feed), size = model_size();
    void *const untouched = &model;
    void *address = untouched;
    if (!slot)
        return;
    int code = api_posix_memalign(&address, alignment, size);
    CHECK(errno == errno_before, "posix_memalign set errno to %d", errno);
    if (alignment < sizeof(void *))
        CHECK(code == EINVAL, "posix_memalign(%zu) returned %d", alignment, code);
    else if (code)
        CHECK(code == ENOMEM && alignment > alignment_granted_always,
              "posix_memalign(%zu, %zu) returned %d", alignment, size, code);
    if (code)
        CHECK(address == untouched, "posix_memalign failed and stored %p", address);
    else
        made(slot, address, size, alignment, by_other, "posix_memalign");
}

void call_page_aligned(void)
{
    enum { page = 4096 }; /* at least */
    struct slot *slot = model_slot_empty();
    size_t size = model_size();
    if (!slot)
        return;
    if (model.variation) /* whole pages, one for nothing */
        size = (size + page - 1 + (size == 0)) / page * page;
    made(slot, model.variation ? api_pvalloc(size) : api_valloc(size), size, page, by_other,
         "valloc");
}

static void resize(struct slot *slot, size_t size, size_t count)
{
    if (size * count == 0)
        size = count = 1;
    struct block before = slot->block;
    shadow_remove(&before);
    void *address = count > 1 || model.variation ? api_reallocarray(before.address, count, size)
                                                 : api_realloc(before.address, size);
    CHECK(address, "realloc from %zu to %zu bytes failed", before.size_bytes, size * count);
    model_errno_kept("realloc");
    model_resized(slot, &before, address, size * count);
}

void call_realloc(void)
{
    struct slot *slot = model_slot_used();
    size_t size = model_size();
    if (slot)
        resize(slot, size, 1);
}

/* Several steps of one block: it grows or shrinks by a part of its size. */
void call_reallocarray(void)
{
    struct slot *slot = model_slot_used();
    unsigned steps = 1 + feed_byte(&model.feed) % 8, by = feed_byte(&model.feed);
    while (slot && steps-- > 0) {
        size_t now = slot->block.size_bytes;
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
        struct slot *slot = &model.slots[(first + i) % model_slots];
        if (slot->block.address)
            continue;
        model.calls_left--;
        if (i % 4 == 3)
            calloc_into(slot, 1, size);
        else
            made(slot, api_malloc(size), size, 0, by_malloc, "malloc");
    }
}

/* All of it may be used from then on. */
void call_usable_size(void)
{
    struct slot *slot = model_slot_used();
    CHECK(api_usable_size(NULL) == 0, "NULL has a usable size");
    if (!slot)
        return;
    struct block block = slot->block;
    size_t usable = api_usable_size(block.address);
    model_errno_kept("malloc_usable_size");
    CHECK(usable >= block.size_bytes, "%zu usable bytes of %zu", usable, block.size_bytes);
    if (!model.variation || usable > model.bytes_left)
        return;
    model_taken(slot);
    model_made(slot, block.address, usable, block.alignment, by_other);
}
