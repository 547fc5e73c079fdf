/* SPDX-License-Identifier: MIT */
/*
 * A stress worker (worker.h): chooses what to do, keeps and passes on blocks.
 */
#include "worker.h"
#include "checked_own.h"

enum {
    small_top = 1024,
    medium_top = 64 * 1024,
    steps_per_policy = 512,
    longest_chain = 12,
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
    struct rng *rng = &worker->caller.rng;
    uint64_t kind = rng_below(rng, 1000);
    if (kind < 720 || over_limit(worker))
        return kind < 4 ? 0 : random_size(rng, 1, small_top);
    if (worker->shared->may_fail && kind >= 960) /* more than there is, whatever the geometry */
        return random_size(rng, medium_top, worker->shared->largest_bytes);
    if (worker->shared->style == style_every && kind < 740)
        return caller_border_size(&worker->caller, worker->shared->largest_bytes);
    if (kind < 985)
        return random_size(rng, small_top, medium_top);
    size_t top = kind < 998 ? 16 * (size_t)medium_top : worker->shared->largest_bytes;
    return random_size(rng, medium_top, top);
}

static bool make_block(struct worker *worker, size_t size)
{
    struct block block;
    if (!caller_make(&worker->caller, size, &block))
        return false;
    count_live(worker, block.size_bytes, 0);
    worker->blocks[worker->block_count++] = block;
    return true;
}

static void free_block(struct worker *worker, const struct block *block)
{
    count_live(worker, 0, block->size_bytes);
    caller_free(&worker->caller, block);
}

static bool resize_block(struct worker *worker, struct block *block, size_t size)
{
    size_t before = block->size_bytes;
    if (!caller_resize(&worker->caller, block, size))
        return false;
    count_live(worker, block->size_bytes, before);
    return true;
}

static struct block take_out(struct worker *worker)
{
    size_t index = rng_below(&worker->caller.rng, worker->block_count);
    /* last freed, first reused and oldest first both occur: a third of the time the newest goes */
    if (rng_one_in(&worker->caller.rng, 3))
        index = worker->block_count - 1;
    struct block block = worker->blocks[index];
    worker->blocks[index] = worker->blocks[--worker->block_count];
    return block;
}

/* In a binary tree, whose root is its own parent. */
static size_t choose_relative(struct worker *worker)
{
    uint64_t which = rng_below(&worker->caller.rng, 3);
    size_t child = 2 * worker->index + which;
    if (which == 0 || child >= worker->shared->worker_count)
        return worker->index ? (worker->index - 1) / 2 : 0;
    return child;
}

static struct worker *choose_receiver(struct worker *worker)
{
    struct shared *shared = worker->shared;
    size_t other = worker->index + 1;
    if (worker->transfer == transfer_any)
        other = rng_below(&worker->caller.rng, shared->worker_count);
    else if (worker->transfer == transfer_tree)
        other = choose_relative(worker);
    return &shared->workers[other % shared->worker_count];
}

/* A block leaves: to the mailbox of another, or, where that is full or nobody is to have it, freed.
 */
static void give_away(struct worker *worker, const struct block *block)
{
    if (worker->transfer != transfer_none &&
        mailbox_put(&choose_receiver(worker)->mailbox, block, rng_next(&worker->caller.rng)))
        return;
    free_block(worker, block);
}

static void give_one(struct worker *worker)
{
    struct block block = take_out(worker);
    if (worker->shared->most_hops > 0)
        block.hops = (unsigned)rng_below(&worker->caller.rng, worker->shared->most_hops + 1);
    give_away(worker, &block);
}

/* A stage of a pipeline reads what it got, may write an answer into it, or make it larger. */
static void pass_on(struct worker *worker, struct block *block)
{
    uint64_t which = rng_below(&worker->caller.rng, 4);
    block->hops--;
    if (which == 0)
        resize_block(worker, block, choose_size(worker));
    else if (which == 1)
        caller_rewrite(&worker->caller, block);
    else
        shadow_verify(block);
    give_away(worker, block);
}

/* What others sent is mostly freed at once, unless it has farther to go; some is kept, to be
 * resized and read by this thread. */
static void open_mail(struct worker *worker)
{
    struct block block;
    for (int i = 0; i < 4; i++) {
        if (!mailbox_take(&worker->mailbox, &block, rng_next(&worker->caller.rng)))
            return;
        if (block.hops > 0)
            pass_on(worker, &block);
        else if (worker->block_count < worker_slots && rng_one_in(&worker->caller.rng, 4))
            worker->blocks[worker->block_count++] = block;
        else
            free_block(worker, &block);
    }
}

/* A run of calls of one kind fills or empties whole pools, which single random calls rarely do. */
static void make_streak(struct worker *worker)
{
    size_t size = random_size(&worker->caller.rng, 1, small_top);
    size_t count = 1 + rng_below(&worker->caller.rng, 128);
    while (count-- && worker->block_count < worker_slots)
        if (!make_block(worker, size))
            return;
}

static void give_streak(struct worker *worker)
{
    size_t count = 1 + rng_below(&worker->caller.rng, 128);
    while (count-- && worker->block_count)
        give_one(worker);
}

/* A buffer that grows and shrinks: doubled, by one byte, to a border, to nearly nothing. */
static void resize_chain(struct worker *worker, struct block *block)
{
    struct rng *rng = &worker->caller.rng;
    for (uint64_t left = 1 + rng_below(rng, longest_chain); left > 0; left--) {
        size_t size = block->size_bytes;
        uint64_t which = rng_below(rng, 8);
        if (which < 3)
            size = size * 2 + 1;
        else if (which == 3)
            size = size + 1;
        else if (which == 4)
            size = size / 2;
        else if (which == 5)
            size = caller_border_size(&worker->caller, worker->shared->largest_bytes / 4);
        else
            size = choose_size(worker);
        if (size > worker->shared->largest_bytes || over_limit(worker))
            size = random_size(rng, 1, small_top);
        if (!resize_block(worker, block, size))
            return;
    }
}

static struct block *some_block(struct worker *worker)
{
    return &worker->blocks[rng_below(&worker->caller.rng, worker->block_count)];
}

/* What only poolmalloc has. */
static void step_own(struct worker *worker, uint64_t which, struct block *block)
{
    size_t before = block ? block->size_bytes : 0;
    if (which < 2) {
        caller_own_round(&worker->caller);
    } else if (block && which < 5) {
        caller_expand(&worker->caller, block, worker->shared->largest_bytes / 4);
        count_live(worker, block->size_bytes, before);
    } else if (block && rng_one_in(&worker->caller.rng, 8)) {
        checked_walk(block);
    }
}

/* What style_every adds to the usual steps; false: an ordinary one is due. */
static bool step_beside(struct worker *worker)
{
    uint64_t which = rng_below(&worker->caller.rng, 400);
    struct block *block = worker->block_count ? some_block(worker) : NULL;
    if (which < 20) {
        caller_ask_too_much(&worker->caller, block);
    } else if (which == 20) {
        caller_look_around(&worker->caller,
                           worker->shared->worker_count == 1 ? no_others : others_at_work);
    } else if (which < 25 && block) {
        resize_chain(worker, block);
    } else if (which < 28 && block) {
        struct block gone = take_out(worker);
        count_live(worker, 0, gone.size_bytes);
        caller_free_by_realloc(&worker->caller, &gone);
    } else if (which >= 394) {
        step_own(worker, which - 394, block);
    } else {
        return false;
    }
    return true;
}

static void step_with_blocks(struct worker *worker, uint64_t which)
{
    if (which < 70)
        give_one(worker);
    else if (which < 85)
        resize_block(worker, some_block(worker), choose_size(worker));
    else
        shadow_glance(some_block(worker), rng_next(&worker->caller.rng));
}

static void step_ordinary(struct worker *worker)
{
    uint64_t which = rng_below(&worker->caller.rng, 200);
    if (worker->block_count == worker_slots || (over_limit(worker) && worker->block_count))
        give_streak(worker);
    else if (which == 199)
        make_streak(worker);
    else if (which == 198)
        give_streak(worker);
    else if (which < 100 && worker->block_count)
        step_with_blocks(worker, which);
    else if (!make_block(worker, choose_size(worker)))
        worker_release(worker, worker->block_count / 2);
}

void worker_step(struct worker *worker)
{
    struct shared *shared = worker->shared;
    if (shared->transfer == transfer_varying && worker->steps % steps_per_policy == 0)
        worker->transfer = (enum transfer)rng_below(&worker->caller.rng, transfer_varying);
    worker->steps++;
    if (rng_one_in(&worker->caller.rng, 4000))
        caller_give_back(&worker->caller);
    if (shared->transfer != transfer_none)
        open_mail(worker);
    if (shared->style != style_every || !step_beside(worker))
        step_ordinary(worker);
}

void worker_begin(struct worker *worker, uint64_t seed, uint64_t life)
{
    struct shared *shared = worker->shared;
    uint64_t stream = life * shared->worker_count + worker->index;
    worker->caller = caller_begin(seed, stream, shared->style);
    worker->caller.may_fail = shared->may_fail;
    worker->steps = 0;
    worker->block_count = 0;
    worker->transfer = shared->transfer;
}

void worker_end(struct worker *worker)
{
    atomic_fetch_add_explicit(&worker->shared->steps, worker->steps, memory_order_relaxed);
    atomic_fetch_add_explicit(&worker->shared->failures, worker->caller.failures,
                              memory_order_relaxed);
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
    struct shared *shared = worker->shared;
    size_t heir = worker->index;
    while (worker->block_count) {
        struct block block = take_out(worker);
        size_t tried = 0;
        while (tried < shared->worker_count &&
               !mailbox_put(&shared->workers[heir].mailbox, &block, rng_next(&worker->caller.rng)))
            tried++, heir = (heir + 1) % shared->worker_count;
        if (tried == shared->worker_count)
            free_block(worker, &block);
    }
}

void worker_drain(struct worker *worker, struct worker *other)
{
    struct block block;
    while (mailbox_take(&other->mailbox, &block, 0))
        free_block(worker, &block);
}

void worker_make_and_free(struct worker *worker)
{
    struct block block;
    bool made =
        caller_make(&worker->caller, random_size(&worker->caller.rng, 1, small_top), &block);
    if (!made)
        return;
    count_live(worker, block.size_bytes, 0);
    free_block(worker, &block);
}
