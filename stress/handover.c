/* SPDX-License-Identifier: MIT */
/*
 * Blocks of a few classes, whose pools have few blocks, pass from thread to thread through a small
 * table: each step puts a new block into a place and frees, or keeps for a while, what it finds
 * there. So pools fill, float, are adopted, published, taken and emptied all the time, by every
 * thread. Stands for: queues between stages of a server. Source: section 4 of the design; the
 * transitions of a pool's remote word are rare in stress.c, whose sizes are spread over all
 * classes, and the schedule fuzzer needs them often.
 *
 * Every block carries its number at both ends, so that a block which is handed out twice, or
 * written to while it is free, shows; in the end the memory in use must be gone.
 * Usage: handover [--seed N] [--threads N] [--ops N]
 */
#include "check.h"
#include "common.h"
#include "names.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { places = 256, kept_blocks = 48, lives = 4 };

/* In a pool of one or two units: 16 to 128 blocks. */
static const size_t sizes[] = {256, 1024, 2000, 2048};

struct block {
    uint64_t number; /* and once more in the last 8 bytes */
    size_t size_bytes;
};

static struct {
    uint64_t seed, threads, ops;
} options = {1, 4, 40000};

static _Atomic(struct block *) table[places]; /* acq_rel: hands the block's contents over */

static uint64_t *end_of(struct block *block)
{
    return (uint64_t *)(void *)((char *)block + block->size_bytes - sizeof(uint64_t));
}

static struct block *make(struct rng *rng, uint64_t number)
{
    size_t size = sizes[rng_below(rng, sizeof sizes / sizeof *sizes)];
    struct block *block = api_malloc(size);
    CHECK(block, "no %zu bytes", size);
    block->number = number;
    block->size_bytes = size;
    *end_of(block) = number;
    return block;
}

static void check_and_free(struct block *block)
{
    if (!block)
        return;
    uint64_t number = block->number;
    bool known = false;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        known |= block->size_bytes == sizes[i];
    CHECK(known && *end_of(block) == number, "block %p (number %#llx) was overwritten",
          (void *)block, (unsigned long long)number);
    block->number = ~number; /* a second owner finds that it differs from the end */
    api_free(block);
}

static struct block *swap_in(struct rng *rng, struct block *block)
{
    return atomic_exchange_explicit(&table[rng_below(rng, places)], block, memory_order_acq_rel);
}

static void *hand_over(void *argument)
{
    uint64_t stream = *(uint64_t *)argument;
    struct rng rng = rng_make(options.seed, stream);
    struct block *kept[kept_blocks] = {NULL};
    for (uint64_t i = 0; i < options.ops / options.threads / lives; i++) {
        struct block *found = swap_in(&rng, make(&rng, stream << 32 | i));
        struct block **place = &kept[rng_below(&rng, kept_blocks)];
        if (rng_one_in(&rng, 4)) {
            check_and_free(*place);
            *place = found;
        } else {
            check_and_free(found);
        }
    }
    for (size_t i = 0; i < kept_blocks; i++)
        check_and_free(kept[i]);
    return NULL;
}

static void run(void)
{
    pthread_t threads[64];
    uint64_t streams[64];
    for (uint64_t life = 0; life < lives; life++) {
        for (uint64_t i = 0; i < options.threads; i++) {
            streams[i] = life * options.threads + i + 1;
            int code = pthread_create(&threads[i], NULL, hand_over, &streams[i]);
            CHECK(code == 0, "pthread_create returned %d", code);
        }
        for (uint64_t i = 0; i < options.threads; i++)
            pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < places; i++)
        check_and_free(atomic_load_explicit(&table[i], memory_order_acquire));
}

static void check_nothing_is_left(void)
{
    struct pm_stats stats;
    CHECK(pm_check(), "the allocator's own structures are broken");
    pm_purge();
    CHECK(pm_stats_get(&stats), "no statistics");
    CHECK(stats.floating_pools == 0, "%llu pools are published, though no block is live",
          (unsigned long long)stats.floating_pools);
    CHECK(stats.arenas_in_use == 0, "%llu arenas are in use, though no block is live",
          (unsigned long long)stats.arenas_in_use);
    printf("handover: done, %llu operations, %llu remote frees, %llu refills, %llu pools adopted\n",
           (unsigned long long)options.ops, (unsigned long long)stats.remote_frees,
           (unsigned long long)stats.refills, (unsigned long long)stats.adopted_pools);
}

int main(int count, char **arguments)
{
    static char replay[128];
    for (int i = 1; i < count; i += 2) {
        uint64_t value = parse_number(arguments[i], i + 1 < count ? arguments[i + 1] : NULL);
        if (strcmp(arguments[i], "--seed") == 0)
            options.seed = value;
        else if (strcmp(arguments[i], "--threads") == 0 && value >= 1 && value <= 64)
            options.threads = value;
        else if (strcmp(arguments[i], "--ops") == 0)
            options.ops = value;
        else
            return fprintf(stderr, "handover: unknown option %s\n", arguments[i]), 2;
    }
    snprintf(replay, sizeof replay, "handover --seed %llu --threads %llu --ops %llu",
             (unsigned long long)options.seed, (unsigned long long)options.threads,
             (unsigned long long)options.ops);
    check_set_context(replay);
    run();
    check_nothing_is_left();
    return 0;
}
