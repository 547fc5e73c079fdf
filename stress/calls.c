/* SPDX-License-Identifier: MIT */
/*
 * Calls that make, resize and free blocks (calls.h). Those that must fail, and those that only
 * look, are in calls_other.c.
 */
#include "calls.h"
#include "check.h"

enum {
    usable_top = 64 * 1024, /* up to this size all that is usable is used sometimes */
    border_bits_lowest = 12,
    border_bits_highest = 23,
    border_distance = 17,
};

struct caller caller_begin(uint64_t seed, uint64_t stream, enum caller_style style)
{
    return (struct caller){
        .rng = rng_make(seed, stream), .next_id = (stream + 1) << 36, .style = style};
}

/* Most alignments are at most the first, one in fifty up to the second. */
static size_t choose_alignment(struct caller *caller)
{
    static const unsigned bits[][2] = {[style_usual] = {12, 22}, [style_every] = {20, 25}};
    unsigned most = bits[caller->style][rng_one_in(&caller->rng, 50)];
    return (size_t)1 << rng_below(&caller->rng, most + 1);
}

static struct request ask_aligned(struct caller *caller, size_t size)
{
    static const enum entry entries[] = {entry_memalign, entry_posix_memalign, entry_aligned_alloc,
                                         entry_aligned_alloc};
    struct request request = {.size = size, .alignment = choose_alignment(caller)};
    request.entry = entries[rng_below(&caller->rng, 4)];
    if (request.entry == entry_posix_memalign && request.alignment < sizeof(void *))
        request.alignment = sizeof(void *);
    return request;
}

static struct request ask_zeroed(struct caller *caller, size_t size)
{
    size_t each = 1 + rng_below(&caller->rng, 64);
    return (struct request){.entry = entry_calloc, .size = each, .count = size / each};
}

static struct request ask_page_aligned(struct caller *caller, size_t size)
{
    bool simple = rng_one_in(&caller->rng, 2);
    return (struct request){.entry = simple ? entry_valloc : entry_pvalloc, .size = size};
}

static struct request ask(struct caller *caller, size_t size)
{
    static const uint64_t choices[] = {[style_usual] = 16, [style_every] = 10, [style_plain] = 1};
    uint64_t which = choices[caller->style] - 1 - rng_below(&caller->rng, choices[caller->style]);
    struct request request = {.entry = entry_malloc, .size = size, .count = 1};
    if (caller->style == style_plain)
        return request;
    if (which < 3)
        return ask_aligned(caller, size);
    if (which < 6)
        return ask_zeroed(caller, size);
    if (which == 6)
        request.entry = entry_realloc;
    if (which == 7)
        request.entry = entry_reallocarray;
    if (which == 8 && caller->style == style_every)
        return ask_page_aligned(caller, size);
    if (which == 9 && caller->style == style_every && rng_one_in(&caller->rng, 2))
        request.entry = entry_heap_malloc;
    return request;
}

/* An answer where memory is short, a failure elsewhere. */
static bool refused(struct caller *caller, const struct request *request)
{
    CHECK(caller->may_fail, "no memory for %zu bytes (count %zu, alignment %zu)", request->size,
          request->count, request->alignment);
    caller->failures++;
    return false;
}

bool caller_make(struct caller *caller, size_t size, struct block *block)
{
    struct request request = ask(caller, size);
    if (!checked_make(&request, caller->next_id++, block))
        return refused(caller, &request);
    if (caller->style != style_plain && block->size_bytes <= usable_top &&
        rng_one_in(&caller->rng, 16))
        checked_use_all(block, caller->next_id++);
    return true;
}

bool caller_resize(struct caller *caller, struct block *block, size_t size)
{
    struct request request = {.entry = entry_realloc, .size = size ? size : 1, .count = 1};
    if (rng_one_in(&caller->rng, 4))
        request.entry = entry_reallocarray;
    return checked_resize(block, &request, caller->next_id++) || refused(caller, &request);
}

void caller_rewrite(struct caller *caller, struct block *block)
{
    shadow_remove(block);
    block->id = caller->next_id++;
    shadow_add(block);
}

void caller_free(struct caller *caller, const struct block *block)
{
    checked_free(block, rng_one_in(&caller->rng, 4));
}

void caller_free_by_realloc(struct caller *caller, const struct block *block)
{
    struct request nothing = {.entry = entry_realloc};
    if (rng_one_in(&caller->rng, 2)) {
        nothing.entry = entry_reallocarray;
        nothing.count = rng_below(&caller->rng, 9);
    }
    checked_free_by_realloc(block, &nothing);
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
