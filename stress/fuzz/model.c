/* SPDX-License-Identifier: MIT */
/* See model.h. */
#include "model.h"

#include "check.h"

#include <errno.h>

struct model model;

enum { size_when_spent = 512 };

size_t model_size(void)
{
    size_t size = feed_size(&model.feed);
    if (size > model.bytes_left)
        size %= size_when_spent;
    return size;
}

static struct slot *find(bool used)
{
    size_t first = feed_number(&model.feed);
    if (model.live == (used ? 0 : model_slots))
        return NULL;
    for (;; first++) {
        struct slot *slot = &model.slots[first % model_slots];
        if ((slot->block.address != NULL) == used)
            return slot;
    }
}

struct slot *model_slot_used(void)
{
    return find(true);
}

struct slot *model_slot_empty(void)
{
    return find(false);
}

static void spend(size_t bytes)
{
    model.bytes_left -= bytes < model.bytes_left ? bytes : model.bytes_left;
}

void model_errno_kept(const char *call)
{
    CHECK(errno == errno_before, "%s that succeeded set errno to %d", call, errno);
}

void model_made(struct slot *slot, void *address, size_t size, size_t alignment, enum maker maker)
{
    static uint64_t next_id; /* not from the input: contents differ from those of earlier inputs */
    slot->block = (struct block){
        .address = address, .size_bytes = size, .alignment = alignment, .id = ++next_id};
    slot->maker = maker;
    shadow_add(&slot->block);
    spend(size);
    model.live++;
}

struct block model_taken(struct slot *slot)
{
    struct block block = slot->block;
    shadow_remove(&block);
    slot->block.address = NULL;
    model.live--;
    return block;
}

void model_resized(struct slot *slot, const struct block *before, void *address, size_t size)
{
    slot->block.address = address;
    slot->block.size_bytes = size;
    slot->block.alignment = 0; /* realloc keeps none */
    slot->maker = by_malloc;
    shadow_resized(before, &slot->block);
    spend(size);
}

void model_not_resized(const struct block *before)
{
    shadow_restore(before);
}
