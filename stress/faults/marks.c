/* SPDX-License-Identifier: MIT */
/* See marks.h. By the thread that has the block. */
#include "marks.h"
#include "check.h"
#include "common.h"

#include "base/config.h"

#include <string.h>

enum { first_bytes = 4096, looked_at_bytes = 512 };

/* The part of the block that the shadow model sees. */
static struct block first_of(const struct block *block)
{
    struct block first = *block;
    if (first.size_bytes > PM_UNIT_BYTES)
        first.size_bytes = first_bytes;
    return first;
}

static uint64_t mark_of(const struct block *block, size_t at)
{
    return mix64(block->id ^ (uint64_t)at << 20);
}

/* Marks lie at every unit's distance, the block's first bytes excepted. */
static size_t marks_end(const struct block *block)
{
    return block->size_bytes > sizeof(uint64_t) ? block->size_bytes - sizeof(uint64_t) : 0;
}

static void write_marks(const struct block *block)
{
    for (size_t at = PM_UNIT_BYTES; at <= marks_end(block); at += PM_UNIT_BYTES) {
        uint64_t mark = mark_of(block, at);
        memcpy(block->address + at, &mark, sizeof mark);
    }
}

/* The marks of `block` are in the memory at `address`, as far as both sizes reach. */
static void check_marks(const struct block *block, const unsigned char *address, size_t end)
{
    for (size_t at = PM_UNIT_BYTES; at <= marks_end(block) && at <= end; at += PM_UNIT_BYTES) {
        uint64_t mark = mark_of(block, at);
        CHECK(memcmp(address + at, &mark, sizeof mark) == 0,
              "block %p of %zu bytes (id %llu) lost its mark at byte %zu", (const void *)address,
              block->size_bytes, (unsigned long long)block->id, at);
    }
}

void marks_add(const struct block *block)
{
    struct block first = first_of(block);
    shadow_add(&first);
    write_marks(block);
}

void marks_remove(const struct block *block)
{
    struct block first = first_of(block);
    check_marks(block, block->address, SIZE_MAX);
    shadow_remove(&first);
}

void marks_restore(const struct block *block)
{
    struct block first = first_of(block);
    shadow_restore(&first);
    check_marks(block, block->address, SIZE_MAX);
}

void marks_resized(const struct block *before, const struct block *now)
{
    struct block before_first = first_of(before), now_first = first_of(now);
    check_marks(before, now->address, marks_end(now));
    shadow_resized(&before_first, &now_first);
    write_marks(now);
}

void marks_check_zero(const struct block *block)
{
    struct block part = first_of(block);
    shadow_check_zero(&part);
    for (size_t at = PM_UNIT_BYTES; at < block->size_bytes; at += PM_UNIT_BYTES) {
        size_t rest = block->size_bytes - at;
        part.address = block->address + at;
        part.size_bytes = rest < looked_at_bytes ? rest : looked_at_bytes;
        shadow_check_zero(&part);
    }
}
