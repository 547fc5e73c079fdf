/* SPDX-License-Identifier: MIT */
/*
 * The workloads whose instructions budget.py counts under callgrind. Each stands for the shortest
 * path of what every program does all the time: take a block, give it back, from pools that are
 * warm. Source: the budgets of section 5 of the design. A workload does the same set-up whatever
 * the number of rounds is, so that the difference of two runs is the cost of the rounds alone.
 * Usage: budget WORKLOAD SIZE ROUNDS
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "poolmalloc/poolmalloc.h"
#include "poolmalloc/domains.h"
#include "poolmalloc/gc_pools.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    warm_up_rounds = 2000,
    batch_blocks = 1000,
    small_batch_blocks = 100,
};

/* One block taken and given back: the loop's own share is a compare, a decrement and moves. */
static __attribute__((noinline)) void pairs(size_t size, uint64_t rounds)
{
    while (rounds--)
        api_free(api_malloc(size));
}

/* The same through a domain whose table nobody replaced. */
static __attribute__((noinline)) void object_pairs(size_t size, uint64_t rounds)
{
    while (rounds--)
        pm_object_free(pm_object_malloc(size));
}

/* The same by operator new and delete; a C++ program calls the sized form where it knows the type.
 */
void *operator_new(size_t size) __asm__("_Znwm");
void operator_delete(void *block, size_t size) __asm__("_ZdlPvm");

static __attribute__((noinline)) void new_pairs(size_t size, uint64_t rounds)
{
    while (rounds--)
        operator_delete(operator_new(size), size);
}

static __attribute__((noinline)) void calloc_pairs(size_t size, uint64_t rounds)
{
    while (rounds--)
        api_free(api_calloc(1, size));
}

/* The same by posix_memalign, whose pair has the pointer to the block to write and to read. */
static __attribute__((noinline)) void aligned_pairs(size_t size, uint64_t rounds)
{
    while (rounds--) {
        void *block;
        if (api_posix_memalign(&block, 64, size) == 0)
            api_free(block);
    }
}

/* One block that loses an eighth and gets it back; a round is both. */
static __attribute__((noinline)) void resized_in_place(size_t size, uint64_t rounds)
{
    void *block = api_malloc(size);
    while (rounds--)
        block = api_realloc(api_realloc(block, size - size / 8), size);
    api_free(block);
}

/* Pairs in a pool of kind gc. */
static __attribute__((noinline)) void gc_pairs(size_t size, uint64_t rounds)
{
    while (rounds--)
        pm_gc_free(pm_gc_calloc(size));
}

/* As many as a batch has, taken and given back by one call each: a round is a block. */
static __attribute__((noinline)) void batches(size_t size, uint64_t rounds)
{
    void *blocks[small_batch_blocks];
    for (; rounds >= small_batch_blocks; rounds -= small_batch_blocks)
        pm_free_batch(blocks, pm_malloc_batch(size, small_batch_blocks, blocks));
}

/* The two sides take turns, a batch each, so that the count does not depend on the scheduler. The
 * hand-over (one lock, one condition) is paid once per batch. */
struct turns {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int whose;
    uint64_t batches;
    void *blocks[batch_blocks];
};

enum { makers_turn, freers_turn };

static void wait_for_turn(struct turns *turns, int whose)
{
    pthread_mutex_lock(&turns->lock);
    while (turns->whose != whose)
        pthread_cond_wait(&turns->changed, &turns->lock);
    pthread_mutex_unlock(&turns->lock);
}

static void give_turn(struct turns *turns, int whose)
{
    pthread_mutex_lock(&turns->lock);
    turns->whose = whose;
    pthread_cond_signal(&turns->changed);
    pthread_mutex_unlock(&turns->lock);
}

static void *free_batches(void *argument)
{
    struct turns *turns = argument;
    for (uint64_t batch = 0; batch < turns->batches; batch++) {
        wait_for_turn(turns, freers_turn);
        for (int i = 0; i < batch_blocks; i++)
            api_free(turns->blocks[i]);
        give_turn(turns, makers_turn);
    }
    return NULL;
}

/* `rounds` blocks, rounded up to whole batches, after as many batches of warm-up. */
static void made_here_freed_there(size_t size, uint64_t rounds)
{
    static struct turns turns = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                 .changed = PTHREAD_COND_INITIALIZER};
    pthread_t freer;
    turns.batches = (warm_up_rounds + rounds) / batch_blocks;
    int code = pthread_create(&freer, NULL, free_batches, &turns);
    CHECK(code == 0, "pthread_create returned %d", code);
    for (uint64_t batch = 0; batch < turns.batches; batch++) {
        wait_for_turn(&turns, makers_turn);
        for (int i = 0; i < batch_blocks; i++)
            turns.blocks[i] = api_malloc(size);
        give_turn(&turns, freers_turn);
    }
    pthread_join(freer, NULL);
}

int main(int count, char **arguments)
{
    CHECK(count == 4,
          "usage: budget pairs|new|object|calloc|aligned|in_place|gc|batches|handed SIZE ROUNDS");
    size_t size = parse_number("SIZE", arguments[2]);
    uint64_t rounds = parse_number("ROUNDS", arguments[3]);
    if (strcmp(arguments[1], "handed") == 0) {
        made_here_freed_there(size, rounds);
        return 0;
    }
    void (*work)(size_t, uint64_t) = pairs;
    if (strcmp(arguments[1], "calloc") == 0)
        work = calloc_pairs;
    else if (strcmp(arguments[1], "aligned") == 0)
        work = aligned_pairs;
    else if (strcmp(arguments[1], "in_place") == 0)
        work = resized_in_place;
    else if (strcmp(arguments[1], "gc") == 0)
        work = gc_pairs;
    else if (strcmp(arguments[1], "object") == 0)
        work = object_pairs;
    else if (strcmp(arguments[1], "batches") == 0)
        work = batches;
    else if (strcmp(arguments[1], "new") == 0)
        work = new_pairs;
    work(size, warm_up_rounds);
    work(size, rounds);
    return 0;
}
