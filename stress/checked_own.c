/* SPDX-License-Identifier: MIT */
/* See checked_own.h. */
#include "checked_own.h"
#include "check.h"
#include "checked.h"
#include "names.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#if !STRESS_STANDARD_NAMES

#include "poolmalloc/domains.h"
#include "poolmalloc/walk.h"

enum { round_blocks = 96, round_largest = 100000, heap_limit_bytes = 1 << 20 };

static void errno_is(int expected, const char *call)
{
    CHECK(errno == expected, "%s left errno %d, not %d", call, errno, expected);
}

/* Whether there is a block; else it must be an answer. */
static bool is_made(const void *address, bool may_fail, const char *call)
{
    errno_is(address ? errno_before : ENOMEM, call);
    CHECK(address || may_fail, "%s: no memory", call);
    return address != NULL;
}

static void add(struct block *block, void *address, size_t size, uint64_t id)
{
    *block = (struct block){.address = address, .size_bytes = size, .id = id};
    checked_usable(block);
    shadow_add(block);
}

static size_t round_size(struct rng *rng)
{
    return random_size(rng, 0, rng_one_in(rng, 20) ? round_largest : 2000);
}

/* ---- user heaps ---- */

static void *make_in_heap(struct rng *rng, pm_user_heap *heap, struct block *block)
{
    size_t alignment = (size_t)1 << rng_below(rng, 13);
    errno = errno_before;
    switch (rng_below(rng, 4)) {
    case 0:
        block->address = pm_heap_calloc(heap, 1, block->size_bytes);
        if (block->address)
            shadow_check_zero(block);
        break;
    case 1:
        block->alignment = alignment;
        block->address = pm_heap_aligned_alloc(heap, alignment, block->size_bytes);
        break;
    case 2:
        block->address = pm_heap_realloc(heap, NULL, block->size_bytes);
        break;
    default:
        block->address = pm_heap_malloc(heap, block->size_bytes);
    }
    return block->address;
}

void *shared_heap_malloc(size_t size)
{
    static pm_user_heap *_Atomic shared;
    pm_user_heap *heap = atomic_load_explicit(&shared, memory_order_acquire), *other = NULL;
    if (heap == NULL && (heap = pm_heap_new(0)) != NULL &&
        !atomic_compare_exchange_strong(&shared, &other, heap)) {
        pm_heap_destroy(heap); /* another thread was faster */
        heap = other;
    }
    return heap ? pm_heap_malloc(heap, size) : NULL;
}

/* How many there are until the heap is at its limit. */
static size_t fill_heap(const struct round *round, pm_user_heap *heap, struct block *blocks,
                        bool may_fail)
{
    size_t count = 0;
    for (; count < round_blocks; count++) {
        struct block *block = &blocks[count];
        *block = (struct block){.size_bytes = round_size(round->rng), .id = (*round->id)++};
        if (!is_made(make_in_heap(round->rng, heap, block), may_fail, "pm_heap_malloc"))
            break;
        CHECK(pm_heap_of(block->address) == heap, "a block is of another heap");
        shadow_add(block);
    }
    return count;
}

static bool count_block(void *block, size_t bytes, void *arg)
{
    CHECK(block && bytes >= pm_malloc_usable_size(block),
          "a block of %zu bytes is visited, not %zu", bytes, pm_malloc_usable_size(block));
    ++*(size_t *)arg;
    return true;
}

void checked_heap_round(const struct round *round)
{
    struct block blocks[round_blocks];
    bool limited = rng_one_in(round->rng, 2);
    errno = errno_before;
    pm_user_heap *heap = pm_heap_new(limited ? heap_limit_bytes : 0);
    if (!is_made(heap, round->may_fail, "pm_heap_new"))
        return;
    size_t count = fill_heap(round, heap, blocks, limited || round->may_fail), walked = 0;
    CHECK(!limited || pm_heap_bytes(heap) <= heap_limit_bytes, "the heap is beyond its limit");
    for (uint64_t gone = rng_below(round->rng, count + 1); gone > 0; gone--) {
        size_t which = rng_below(round->rng, count);
        checked_free(&blocks[which], false);
        blocks[which] = blocks[--count];
    }
    CHECK(pm_heap_walk(heap, count_block, &walked) && walked == count,
          "a walk over %zu blocks visits %zu", count, walked);
    while (count > 0)
        shadow_remove(&blocks[--count]); /* they are whole to the end */
    errno = errno_before;
    pm_heap_destroy(heap);
    errno_is(errno_before, "pm_heap_destroy");
}

/* ---- domains ---- */

static const struct domain {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *block, size_t size);
    void (*free)(void *block);
} domains[] = {
    {pm_raw_malloc, pm_raw_calloc, pm_raw_realloc, pm_raw_free},
    {pm_mem_malloc, pm_mem_calloc, pm_mem_realloc, pm_mem_free},
    {pm_object_malloc, pm_object_calloc, pm_object_realloc, pm_object_free},
};

static void resize_in_domain(const struct round *round, const struct domain *domain,
                             struct block *block)
{
    struct block now = {.size_bytes = 1 + round_size(round->rng), .id = (*round->id)++};
    shadow_remove(block);
    errno = errno_before;
    now.address = domain->realloc(block->address, now.size_bytes);
    if (!is_made(now.address, round->may_fail, "pm_object_realloc")) {
        shadow_restore(block);
        return;
    }
    shadow_resized(block, &now);
    *block = now;
}

void checked_domain_round(const struct round *round)
{
    const struct domain *domain = &domains[rng_below(round->rng, 3)];
    struct block blocks[round_blocks];
    size_t count = 0;
    for (; count < round_blocks; count++) {
        struct block *block = &blocks[count];
        bool zeroed = rng_one_in(round->rng, 3);
        *block = (struct block){.size_bytes = round_size(round->rng), .id = (*round->id)++};
        errno = errno_before;
        block->address =
            zeroed ? domain->calloc(1, block->size_bytes) : domain->malloc(block->size_bytes);
        if (!is_made(block->address, round->may_fail, "pm_object_malloc"))
            break;
        if (zeroed)
            shadow_check_zero(block);
        shadow_add(block);
    }
    for (size_t i = 0; i < count; i++) {
        if (rng_one_in(round->rng, 2))
            resize_in_domain(round, domain, &blocks[i]);
        shadow_remove(&blocks[i]);
        errno = errno_before;
        domain->free(blocks[i].address);
        errno_is(errno_before, "pm_object_free");
    }
}

/* ---- batches ---- */

void checked_batch_round(const struct round *round, size_t size)
{
    struct block blocks[round_blocks];
    void *addresses[round_blocks];
    size_t wanted = rng_below(round->rng, round_blocks + 1), freed = 0;
    errno = errno_before;
    size_t count = pm_malloc_batch(size, wanted, addresses);
    errno_is(count == wanted ? errno_before : ENOMEM, "pm_malloc_batch");
    CHECK(count <= wanted && (count == wanted || round->may_fail), "a batch has %zu of %zu blocks",
          count, wanted);
    for (size_t i = 0; i < count; i++)
        add(&blocks[i], addresses[i], size, (*round->id)++);
    for (size_t i = 0; i < count; i++) {
        if (rng_one_in(round->rng, 4)) {
            checked_free(&blocks[i], false);
            addresses[i] = NULL;
        } else {
            shadow_remove(&blocks[i]);
        }
    }
    while (freed < count) {
        size_t part = 1 + rng_below(round->rng, count - freed);
        errno = errno_before;
        pm_free_batch(addresses + freed, part);
        errno_is(errno_before, "pm_free_batch");
        freed += part;
    }
}

/* ---- in place ---- */

bool checked_expand(struct block *block, size_t size, uint64_t id)
{
    struct block now = *block;
    now.size_bytes = size;
    now.id = id;
    now.maker = UINT32_MAX; /* no sized call: some name another size than was asked for */
    shadow_remove(block);
    errno = errno_before;
    bool done = pm_expand(block->address, size);
    errno_is(errno_before, "pm_expand");
    if (!done) {
        shadow_restore(block);
        return false;
    }
    shadow_resized(block, &now);
    *block = now;
    checked_usable(block);
    return true;
}

/* ---- walks ---- */

struct search {
    const struct block *block;
    size_t found, visited;
};

static bool look_for(const struct pm_walk_block *visited, void *arg)
{
    struct search *search = arg;
    search->visited++;
    if (visited->block != search->block->address)
        return true;
    search->found++;
    CHECK(visited->bytes == pm_malloc_usable_size(visited->block), "a block of %zu bytes, not %zu",
          visited->bytes, pm_malloc_usable_size(visited->block));
    return true;
}

void checked_walk(const struct block *block)
{
    struct search process = {.block = block}, mine = {.block = block};
    CHECK(pm_walk_blocks(PM_WALK_PROCESS, look_for, &process) &&
              pm_walk_blocks(PM_WALK_THREAD, look_for, &mine),
          "a walk ended early");
    if (getenv("POOLMALLOC") != NULL) /* other modes: a walk shows what is around it, or nothing */
        return;
    CHECK(process.found == 1 && mine.found <= 1, "a block in use was visited %zu times",
          process.found);
}

#else

void *shared_heap_malloc(size_t size)
{
    return api_malloc(size);
}

void checked_heap_round(const struct round *round)
{
    (void)round;
}

void checked_domain_round(const struct round *round)
{
    (void)round;
}

void checked_batch_round(const struct round *round, size_t size)
{
    (void)round, (void)size;
}

bool checked_expand(struct block *block, size_t size, uint64_t id)
{
    (void)block, (void)size, (void)id;
    return false;
}

void checked_walk(const struct block *block)
{
    (void)block;
}

#endif
