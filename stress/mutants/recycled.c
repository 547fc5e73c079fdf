/* SPDX-License-Identifier: MIT */
/*
 * Generations of short-lived threads that swap blocks: each free goes to a pool of a living thread,
 * of an exited one, or of nobody; pools are adopted by threads that exit too. Heaps are recycled,
 * so that a route, or a batch, that still names an exited thread's heap would name another one's.
 *
 * Trap 10: a cached heap address that matches a reused one. Trap 15: a dead thread's pools adopted
 * into the wrong heap, which then ends with live blocks. Stands for: servers with a thread per
 * connection that pass requests on. Every block's contents are verified before its free, and in the
 * end every byte of every arena is free again. Usage: recycled [generations [operations]]
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"

#include <poolmalloc/poolmalloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { threads_at_once = 4, slot_count = 6000, sizes = 8, highest = 1000, alarm_seconds = 100 };

/* Few, so that pools become full, float, and are adopted. */
static const uint16_t size_list[sizes] = {16, 64, 96, 208, 320, 512, 704, highest};
static _Atomic(uint64_t *) slots[slot_count];
static uint64_t operations;

/* The block holds its number of words, then words that follow from its address and that. */
static uint64_t *make(struct rng *rng)
{
    size_t size = size_list[rng_below(rng, sizes)], words = size / 8;
    uint64_t *block = api_malloc(size);
    CHECK(block, "no %zu bytes", size);
    block[0] = words;
    for (size_t i = 1; i < words; i++)
        block[i] = mix64((uintptr_t)block + words + i);
    return block;
}

static void verify_and_free(uint64_t *block)
{
    uint64_t words = block[0];
    CHECK(words >= 2 && words <= highest / 8, "a block says that it has %llu words",
          (unsigned long long)words);
    for (uint64_t i = 1; i < words; i++)
        CHECK(block[i] == mix64((uintptr_t)block + words + i), "a block changed at word %llu",
              (unsigned long long)i);
    api_free(block);
}

/* The first thing that every other thread does is a free: it has no heap then. */
static void *swap_blocks(void *argument)
{
    uint64_t number = *(uint64_t *)argument;
    struct rng rng = rng_make(5, number);
    for (uint64_t i = 0; i < operations; i++) {
        bool only_free = i < number % 2 * 40 || rng_one_in(&rng, 2);
        uint64_t *block = only_free ? NULL : make(&rng);
        uint64_t slot = rng_below(&rng, slot_count);
        block = atomic_exchange_explicit(&slots[slot], block, memory_order_acq_rel);
        if (block != NULL)
            verify_and_free(block);
    }
    return NULL;
}

static void run_generation(uint64_t generation)
{
    pthread_t threads[threads_at_once];
    uint64_t numbers[threads_at_once];
    for (uint64_t i = 0; i < threads_at_once; i++) {
        numbers[i] = generation * threads_at_once + i;
        int code = pthread_create(&threads[i], NULL, swap_blocks, &numbers[i]);
        CHECK(code == 0, "pthread_create returned %d", code);
    }
    for (int i = 0; i < threads_at_once; i++)
        pthread_join(threads[i], NULL);
}

static void all_is_free_again(void)
{
    struct pm_stats stats;
    for (int i = 0; i < slot_count; i++) {
        uint64_t *block = atomic_exchange(&slots[i], NULL);
        if (block != NULL)
            verify_and_free(block);
    }
    pm_purge();
    CHECK(pm_check(), "the structures are not sound");
    pm_stats_get(&stats);
    CHECK(stats.free_bytes == stats.arenas * stats.arena_bytes,
          "memory is lost: %llu bytes of %llu arenas are free",
          (unsigned long long)stats.free_bytes, (unsigned long long)stats.arenas);
    CHECK(stats.heaps <= threads_at_once + 2, "heaps are not recycled: %llu were made",
          (unsigned long long)stats.heaps);
}

int main(int count, char **arguments)
{
    uint64_t generations = parse_number("the generations", count > 1 ? arguments[1] : "100");
    operations = parse_number("the operations of a thread", count > 2 ? arguments[2] : "3000");
    alarm_guard(alarm_seconds);
    for (uint64_t i = 0; i < generations; i++)
        run_generation(i);
    all_is_free_again();
    printf("%llu threads, %d at once, recycled their heaps\n",
           (unsigned long long)generations * threads_at_once, threads_at_once);
    return 0;
}
