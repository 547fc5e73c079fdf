/* SPDX-License-Identifier: MIT */
/*
 * A stress worker (worker.h): chooses calls at random, keeps the shadow model in step.
 */
#include "worker.h"
#include "check.h"
#include "names.h"

#include <errno.h>
#include <string.h>

/* How a block was made decides how it may be freed. */
enum maker { by_malloc, by_aligned_alloc, by_other };

enum {
    small_top = 1024,
    medium_top = 64 * 1024,
    steps_per_policy = 512,
    alignment_bits_usual = 12,
    alignment_bits_rare = 22,
};

static void count_live(struct worker *worker, size_t more, size_t less)
{
    atomic_fetch_add_explicit(&worker->shared->live_bytes, more - less, memory_order_relaxed);
}

static bool over_limit(struct worker *worker)
{
    size_t live = atomic_load_explicit(&worker->shared->live_bytes, memory_order_relaxed);
    return live > worker->shared->live_limit_bytes;
}

/* Mostly small, as in real programs; what is large is rare enough that filling it takes no more
 * time than filling the small. */
static size_t choose_size(struct worker *worker)
{
    struct rng *rng = &worker->rng;
    uint64_t kind = rng_below(rng, 1000);
    if (kind < 720 || over_limit(worker))
        return kind < 4 ? 0 : random_size(rng, 1, small_top);
    if (kind < 985)
        return random_size(rng, small_top, medium_top);
    size_t top = kind < 998 ? 16 * (size_t)medium_top : worker->shared->largest_bytes;
    return random_size(rng, medium_top, top);
}

static size_t choose_alignment(struct worker *worker)
{
    struct rng *rng = &worker->rng;
    unsigned bits = rng_one_in(rng, 50) ? alignment_bits_rare : alignment_bits_usual;
    return (size_t)1 << rng_below(rng, bits + 1);
}

static void *call_posix_memalign(size_t alignment, size_t size)
{
    void *result = NULL;
    int code = api_posix_memalign(&result, alignment, size);
    CHECK(code == 0, "posix_memalign(%zu, %zu) returned %d", alignment, size, code);
    return result;
}

static void *call_aligned(struct worker *worker, struct block *block, enum maker *maker)
{
    size_t alignment = choose_alignment(worker);
    size_t size = block->size_bytes;
    uint64_t which = rng_below(&worker->rng, 4);
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

static void *call_calloc(struct worker *worker, struct block *block)
{
    size_t each = 1 + rng_below(&worker->rng, 64);
    size_t count = block->size_bytes / each;
    block->size_bytes = count * each;
    block->address = api_calloc(count, each);
    if (block->address)
        shadow_check_zero(block);
    return block->address;
}

static void *call_some_maker(struct worker *worker, struct block *block, enum maker *maker)
{
    uint64_t which = rng_below(&worker->rng, 16);
    block->alignment = 0;
    *maker = by_malloc;
    if (which < 3)
        return call_aligned(worker, block, maker);
    if (which < 6)
        return call_calloc(worker, block);
    if (which == 6)
        return api_realloc(NULL, block->size_bytes);
    if (which == 7)
        return api_reallocarray(NULL, block->size_bytes, 1);
    return api_malloc(block->size_bytes);
}

static struct block make_block(struct worker *worker, size_t size)
{
    struct block block = {.size_bytes = size, .id = worker->next_id++};
    enum maker maker;
    block.address = call_some_maker(worker, &block, &maker);
    CHECK(block.address, "no memory for %zu bytes aligned to %zu", block.size_bytes,
          block.alignment);
    size_t usable = api_usable_size(block.address);
    CHECK(usable >= block.size_bytes, "usable size %zu of a block of %zu", usable,
          block.size_bytes);
    /* some programs use all that they got: then the model covers it too */
    if (usable <= medium_top && rng_one_in(&worker->rng, 16)) {
        block.size_bytes = usable;
        maker = by_other;
    }
    block.id = block.id << 2 | (unsigned)maker;
    shadow_add(&block);
    count_live(worker, block.size_bytes, 0);
    return block;
}

static void free_block(struct worker *worker, const struct block *block)
{
    enum maker maker = (enum maker)(block->id & 3);
    int before = (int)rng_below(&worker->rng, 200);
    shadow_remove(block);
    count_live(worker, 0, block->size_bytes);
    errno = before;
    if (maker == by_malloc && before % 4 == 0)
        api_free_sized(block->address, block->size_bytes);
    else if (maker == by_aligned_alloc && before % 2 == 0)
        api_free_aligned_sized(block->address, block->alignment, block->size_bytes);
    else
        api_free(block->address);
    CHECK(errno == before, "free changed errno from %d to %d", before, errno);
}

static void resize_block(struct worker *worker, struct block *block)
{
    struct block now = {.size_bytes = choose_size(worker), .id = worker->next_id++ << 2};
    if (now.size_bytes == 0)
        now.size_bytes = 1; /* realloc to 0 frees; the conformance program covers it */
    shadow_remove(block);
    if (rng_one_in(&worker->rng, 4))
        now.address = api_reallocarray(block->address, 1, now.size_bytes);
    else
        now.address = api_realloc(block->address, now.size_bytes);
    CHECK(now.address, "no memory for realloc from %zu to %zu bytes", block->size_bytes,
          now.size_bytes);
    shadow_resized(block, &now);
    count_live(worker, now.size_bytes, block->size_bytes);
    *block = now;
}

static struct block take_out(struct worker *worker)
{
    size_t index = rng_below(&worker->rng, worker->block_count);
    /* last freed, first reused and oldest first both occur: a third of the time the newest goes */
    if (rng_one_in(&worker->rng, 3))
        index = worker->block_count - 1;
    struct block block = worker->blocks[index];
    worker->blocks[index] = worker->blocks[--worker->block_count];
    return block;
}

static struct worker *choose_receiver(struct worker *worker)
{
    struct shared *shared = worker->shared;
    size_t other = worker->index + 1;
    if (worker->transfer == transfer_any)
        other = rng_below(&worker->rng, shared->worker_count);
    return &shared->workers[other % shared->worker_count];
}

/* A block leaves: to the mailbox of another, or, where that is full or nobody is to have it, freed.
 */
static void give_away(struct worker *worker, const struct block *block)
{
    if (worker->transfer != transfer_none &&
        mailbox_put(&choose_receiver(worker)->mailbox, block, rng_next(&worker->rng)))
        return;
    free_block(worker, block);
}

/* What others sent is mostly freed at once; some is kept, to be resized and read by this thread. */
static void open_mail(struct worker *worker)
{
    struct block block;
    for (int i = 0; i < 4; i++) {
        if (!mailbox_take(&worker->mailbox, &block, rng_next(&worker->rng)))
            return;
        if (worker->block_count < worker_slots && rng_one_in(&worker->rng, 4))
            worker->blocks[worker->block_count++] = block;
        else
            free_block(worker, &block);
    }
}

/* A run of calls of one kind fills or empties whole pools, which single random calls rarely do. */
static void make_streak(struct worker *worker)
{
    size_t size = random_size(&worker->rng, 1, small_top);
    size_t count = 1 + rng_below(&worker->rng, 128);
    while (count-- && worker->block_count < worker_slots)
        worker->blocks[worker->block_count++] = make_block(worker, size);
}

static void give_streak(struct worker *worker)
{
    size_t count = 1 + rng_below(&worker->rng, 128);
    while (count-- && worker->block_count) {
        struct block block = take_out(worker);
        give_away(worker, &block);
    }
}

static void give_memory_back(struct worker *worker)
{
#if !STRESS_STANDARD_NAMES
    if (rng_one_in(&worker->rng, 4)) {
        pm_purge();
        return;
    }
#endif
    api_trim(rng_below(&worker->rng, 2) * medium_top);
}

static void step_with_blocks(struct worker *worker, uint64_t which)
{
    struct block *some = &worker->blocks[rng_below(&worker->rng, worker->block_count)];
    if (which < 70) {
        struct block block = take_out(worker);
        give_away(worker, &block);
    } else if (which < 85) {
        resize_block(worker, some);
    } else {
        shadow_glance(some, rng_next(&worker->rng));
    }
}

void worker_step(struct worker *worker)
{
    struct shared *shared = worker->shared;
    uint64_t which = rng_below(&worker->rng, 200);
    if (shared->transfer == transfer_varying && worker->steps % steps_per_policy == 0)
        worker->transfer = (enum transfer)rng_below(&worker->rng, transfer_varying);
    worker->steps++;
    if (rng_one_in(&worker->rng, 4000))
        give_memory_back(worker);
    if (shared->transfer != transfer_none)
        open_mail(worker);
    if (worker->block_count == worker_slots || (over_limit(worker) && worker->block_count))
        give_streak(worker);
    else if (which == 199)
        make_streak(worker);
    else if (which == 198)
        give_streak(worker);
    else if (which < 100 && worker->block_count)
        step_with_blocks(worker, which);
    else
        worker->blocks[worker->block_count++] = make_block(worker, choose_size(worker));
}

void worker_begin(struct worker *worker, uint64_t seed, uint64_t life)
{
    struct shared *shared = worker->shared;
    uint64_t stream = life * shared->worker_count + worker->index;
    worker->rng = rng_make(seed, stream);
    worker->next_id = (stream + 1) << 36;
    worker->steps = 0;
    worker->block_count = 0;
    worker->transfer = shared->transfer;
}

void worker_release(struct worker *worker, size_t count)
{
    while (count-- && worker->block_count) {
        struct block block = take_out(worker);
        free_block(worker, &block);
    }
}

void worker_bequeath(struct worker *worker)
{
    while (worker->block_count) {
        struct block block = take_out(worker);
        if (!mailbox_put(&worker->mailbox, &block, rng_next(&worker->rng)))
            free_block(worker, &block);
    }
}

void worker_drain(struct worker *worker)
{
    struct block block;
    while (mailbox_take(&worker->mailbox, &block, 0))
        free_block(worker, &block);
}

void worker_make_and_free(struct worker *worker)
{
    struct block block = make_block(worker, random_size(&worker->rng, 1, small_top));
    free_block(worker, &block);
}
