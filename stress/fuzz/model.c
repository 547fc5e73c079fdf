/* SPDX-License-Identifier: MIT */
/* See model.h. */
#include "model.h"

#include "check.h"
#include "checked_own.h"

struct model model;

enum { size_when_spent = 512 };

static const size_t alignment_granted_always = (size_t)1 << 26;

size_t model_size(void)
{
    size_t size = feed_size(&model.feed);
    if (size > model.bytes_left)
        size %= size_when_spent;
    return size;
}

static struct block *find(bool used)
{
    size_t first = feed_number(&model.feed);
    if (model.live == (used ? 0 : model_slots))
        return NULL;
    for (;; first++) {
        struct block *slot = &model.slots[first % model_slots];
        if ((slot->address != NULL) == used)
            return slot;
    }
}

struct block *model_slot_used(void)
{
    return find(true);
}

struct block *model_slot_empty(void)
{
    return find(false);
}

static void spend(size_t bytes)
{
    model.bytes_left -= bytes < model.bytes_left ? bytes : model.bytes_left;
}

/* Not from the input: contents differ from those of earlier inputs. */
static uint64_t next_id(void)
{
    static uint64_t last;
    return ++last;
}

void model_make(struct block *slot, const struct request *request)
{
    struct block block;
    if (!checked_make(request, next_id(), &block)) {
        CHECK(request->alignment > alignment_granted_always,
              "no memory for %zu bytes (count %zu, alignment %zu)", request->size, request->count,
              request->alignment);
        return;
    }
    *slot = block;
    spend(block.size_bytes);
    model.live++;
}

struct block model_taken(struct block *slot)
{
    struct block block = *slot;
    slot->address = NULL;
    model.live--;
    return block;
}

void model_resize(struct block *slot, const struct request *request)
{
    size_t before = slot->size_bytes;
    CHECK(checked_resize(slot, request, next_id()), "realloc from %zu to %zu bytes failed", before,
          request->count * request->size);
    spend(slot->size_bytes);
}

void model_expand(struct block *slot, size_t size)
{
    if (checked_expand(slot, size, next_id()))
        spend(size);
}

void model_use_all(struct block *slot)
{
    checked_use_all(slot, next_id());
    spend(slot->size_bytes);
}
