/* SPDX-License-Identifier: MIT */
/*
 * Calls that make, resize and free blocks (calls.h). Those that must fail, and those that only
 * look, are in calls_other.c.
 */
#include "calls.h"
#include "check.h"
#include "names.h"

#include <errno.h>
#include <unistd.h>

/* How a block was made decides how it may be freed; kept in the low bits of its id. */
enum maker { by_malloc, by_aligned_alloc, by_other };

enum {
    usable_top = 64 * 1024, /* up to this size the model sometimes covers all that is usable */
    border_bits_lowest = 12,
    border_bits_highest = 23,
    border_distance = 17,
};

struct caller caller_begin(uint64_t seed, uint64_t stream, enum caller_style style)
{
    return (struct caller){
        .rng = rng_make(seed, stream), .next_id = (stream + 1) << 36, .style = style};
}

static uint64_t new_id(struct caller *caller, enum maker maker)
{
    return caller->next_id++ << 2 | (unsigned)maker;
}

/* Most alignments are at most the first, one in fifty up to the second. */
static size_t choose_alignment(struct caller *caller)
{
    static const unsigned bits[][2] = {[style_usual] = {12, 22}, [style_every] = {20, 25}};
    unsigned most = bits[caller->style][rng_one_in(&caller->rng, 50)];
    return (size_t)1 << rng_below(&caller->rng, most + 1);
}

static void *call_posix_memalign(size_t alignment, size_t size)
{
    void *result = NULL;
    int code = api_posix_memalign(&result, alignment, size);
    CHECK(errno == 0, "posix_memalign(%zu, %zu) set errno to %d", alignment, size, errno);
    CHECK((code == 0) == (result != NULL), "posix_memalign(%zu, %zu) returned %d and %p", alignment,
          size, code, result);
    errno = code;
    return result;
}

static void *call_aligned(struct caller *caller, struct block *block, enum maker *maker)
{
    size_t alignment = choose_alignment(caller);
    size_t size = block->size_bytes;
    uint64_t which = rng_below(&caller->rng, 4);
    block->alignment = alignment;
    *maker = by_other;
    if (which == 0)
        return api_memalign(alignment, size);
    if (which == 1) {
        block->alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
        return call_posix_memalign(block->alignment, size);
    }
    *maker = by_aligned_alloc;
    return api_aligned_alloc(alignment, size);
}

static void *call_page_aligned(struct caller *caller, struct block *block, enum maker *maker)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    block->alignment = page;
    *maker = by_other;
    if (rng_one_in(&caller->rng, 2))
        return api_valloc(block->size_bytes);
    void *address = api_pvalloc(block->size_bytes);
    block->size_bytes = (block->size_bytes + page - 1) / page * page;
    return address;
}

static void *call_calloc(struct caller *caller, struct block *block)
{
    size_t each = 1 + rng_below(&caller->rng, 64);
    size_t count = block->size_bytes / each;
    block->size_bytes = count * each;
    block->address = api_calloc(count, each);
    if (block->address)
        shadow_check_zero(block);
    return block->address;
}

static void *call_some_maker(struct caller *caller, struct block *block, enum maker *maker)
{
    static const uint64_t choices[] = {[style_usual] = 16, [style_every] = 10, [style_plain] = 1};
    uint64_t which = choices[caller->style] - 1 - rng_below(&caller->rng, choices[caller->style]);
    *maker = by_malloc;
    if (caller->style == style_plain)
        return api_malloc(block->size_bytes);
    if (which < 3)
        return call_aligned(caller, block, maker);
    if (which < 6)
        return call_calloc(caller, block);
    if (which == 6)
        return api_realloc(NULL, block->size_bytes);
    if (which == 7)
        return api_reallocarray(NULL, block->size_bytes, 1);
    if (which == 8 && caller->style == style_every)
        return call_page_aligned(caller, block, maker);
    return api_malloc(block->size_bytes);
}

/* A NULL: an answer where memory is short, a failure elsewhere. */
static bool refused(struct caller *caller, size_t size, size_t alignment)
{
    CHECK(caller->may_fail, "no memory for %zu bytes aligned to %zu (errno %d)", size, alignment,
          errno);
    CHECK(errno == ENOMEM, "%zu bytes aligned to %zu refused with errno %d", size, alignment,
          errno);
    caller->failures++;
    return false;
}

bool caller_make(struct caller *caller, size_t size, struct block *block)
{
    enum maker maker;
    *block = (struct block){.size_bytes = size};
    errno = 0;
    block->address = call_some_maker(caller, block, &maker);
    if (!block->address)
        return refused(caller, block->size_bytes, block->alignment);
    size_t usable = api_usable_size(block->address);
    CHECK(usable >= block->size_bytes, "usable size %zu of a block of %zu", usable,
          block->size_bytes);
    /* some programs use all that they got: then the model covers it too */
    if (caller->style != style_plain && usable <= usable_top && rng_one_in(&caller->rng, 16)) {
        block->size_bytes = usable;
        maker = by_other;
    }
    block->id = new_id(caller, maker);
    shadow_add(block);
    return true;
}

bool caller_resize(struct caller *caller, struct block *block, size_t size)
{
    struct block now = {.size_bytes = size ? size : 1, .id = new_id(caller, by_malloc)};
    shadow_remove(block);
    errno = 0;
    if (rng_one_in(&caller->rng, 4))
        now.address = api_reallocarray(block->address, 1, now.size_bytes);
    else
        now.address = api_realloc(block->address, now.size_bytes);
    if (!now.address) {
        shadow_restore(block);
        return refused(caller, now.size_bytes, 0);
    }
    now.hops = block->hops;
    shadow_resized(block, &now);
    *block = now;
    return true;
}

void caller_rewrite(struct caller *caller, struct block *block)
{
    shadow_remove(block);
    block->id = new_id(caller, (enum maker)(block->id & 3));
    shadow_add(block);
}

void caller_free(struct caller *caller, const struct block *block)
{
    enum maker maker = (enum maker)(block->id & 3);
    int before = (int)rng_below(&caller->rng, 200);
    shadow_remove(block);
    errno = before;
    if (maker == by_malloc && before % 4 == 0)
        api_free_sized(block->address, block->size_bytes);
    else if (maker == by_aligned_alloc && before % 2 == 0)
        api_free_aligned_sized(block->address, block->alignment, block->size_bytes);
    else
        api_free(block->address);
    CHECK(errno == before, "free changed errno from %d to %d", before, errno);
}

void caller_free_by_realloc(struct caller *caller, const struct block *block)
{
    void *left;
    shadow_remove(block);
    if (rng_one_in(&caller->rng, 2))
        left = api_realloc(block->address, 0);
    else
        left = api_reallocarray(block->address, rng_below(&caller->rng, 9), 0);
    CHECK(!left, "realloc of %zu bytes to nothing gave %p", block->size_bytes, left);
}

size_t caller_border_size(struct caller *caller, size_t highest)
{
    struct rng *rng = &caller->rng;
    size_t grain = (size_t)1 << (border_bits_lowest +
                                 rng_below(rng, border_bits_highest - border_bits_lowest + 1));
    size_t size = grain * (1 + rng_below(rng, rng_one_in(rng, 2) ? 1 : 4));
    size = size + rng_below(rng, 2 * border_distance + 1) - border_distance;
    return size <= highest ? size : random_size(rng, 1, 1024);
}
