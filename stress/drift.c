/* SPDX-License-Identifier: MIT */
/*
 * Fragmentation drift: the sizes that a program asks for wander, by a twelfth of a doubling from
 * generation to generation, up and down again (the seed says where it begins); and of each
 * generation one block in eight, at random places, lives for eight generations more. So pools of
 * sizes that are used less and less are held by few blocks. Stands for: caches and interpreters
 * that run for weeks while what they store changes. Each generation replaces the one before, block
 * by block, and is freed by another thread than made it.
 *
 * After each generation resident memory is divided by what lives (the model's and the program's own
 * memory is resident before the first and does not count). Where it exceeds the factor the program
 * fails; docs/stress.md says what the factor allows for. The sanitizers keep memory of their own:
 * there the contents alone are checked.
 * Usage: drift [--seed N] [--threads N] [--generations N] [--generation-kib N] [--percent N]
 */
#include "check.h"
#include "setup.h"

#include <stdio.h>

#ifndef STRESS_SANITIZED
#define STRESS_SANITIZED 0
#endif

enum {
    most_threads = 16,
    survivor_generations = 8,
    one_survives_in = 8,
    steps_per_doubling = 12,
    lowest_doubling = 7, /* the centre of the sizes: 128 bytes to 16 KiB */
    doublings = 7,
    spread_doublings = 2, /* as many of them lie below the centre as above */
    smallest_average = 72,
    warm_generations = survivor_generations + 2,
};

static struct {
    uint64_t seed, threads, generations, generation_kib, percent;
} options = {1, 2, 170, 16384, 320};

/* Blocks in the order in which they were made. */
struct list {
    struct block *blocks;
    size_t count, capacity;
};

struct drifter {
    size_t index;
    struct caller caller;
    struct list young, old;
    struct list survivors[survivor_generations];
    pthread_t thread;
};

static struct drifter drifters[most_threads];
static pthread_barrier_t generation_ends, next_begins;
static _Atomic size_t live_bytes; /* relaxed: read between the barriers */
static _Atomic uint64_t operations;

static size_t choose_size(struct rng *rng, uint64_t generation)
{
    const uint64_t way = doublings * steps_per_doubling;
    uint64_t place = (generation + mix64(options.seed)) % (2 * way);
    uint64_t centre = place < way ? place : 2 * way - place;
    uint64_t twelfths = (lowest_doubling - spread_doublings / 2) * steps_per_doubling + centre +
                        rng_below(rng, spread_doublings * steps_per_doubling);
    size_t base = (size_t)1 << twelfths / steps_per_doubling;
    size_t size = base + base * (twelfths % steps_per_doubling) / steps_per_doubling;
    return size + rng_below(rng, base / steps_per_doubling + 1);
}

static void count(size_t more, size_t less)
{
    atomic_fetch_add_explicit(&live_bytes, more - less, memory_order_relaxed);
    atomic_fetch_add_explicit(&operations, 1, memory_order_relaxed);
}

static void drop(struct caller *caller, const struct block *block)
{
    count(0, block->size_bytes);
    caller_free(caller, block);
}

static void drop_all(struct caller *caller, struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        drop(caller, &list->blocks[i]);
    list->count = 0;
}

static void add(struct list *list, const struct block *block)
{
    CHECK(list->count < list->capacity, "a list of %zu blocks is full", list->capacity);
    list->blocks[list->count++] = *block;
}

/* New blocks come as fast as old ones go. */
static void live_one_generation(struct drifter *drifter, uint64_t generation)
{
    struct caller *caller = &drifter->caller;
    struct list *old = &drifters[(drifter->index + 1) % options.threads].old;
    struct list *survivors = &drifter->survivors[generation % survivor_generations];
    size_t made_bytes = 0, left_bytes = 0, next = 0;
    drop_all(caller, survivors);
    while (made_bytes < options.generation_kib << 10) {
        struct block block;
        caller_make(caller, choose_size(&caller->rng, generation), &block);
        count(block.size_bytes, 0);
        made_bytes += block.size_bytes;
        add(&drifter->young, &block);
        for (; next < old->count && left_bytes < made_bytes; next++) {
            left_bytes += old->blocks[next].size_bytes;
            if (rng_one_in(&caller->rng, one_survives_in))
                add(survivors, &old->blocks[next]);
            else
                drop(caller, &old->blocks[next]);
        }
    }
    for (; next < old->count; next++)
        drop(caller, &old->blocks[next]);
    old->count = 0;
}

static void *drift(void *argument)
{
    struct drifter *drifter = argument;
    for (uint64_t generation = 0; generation < options.generations; generation++) {
        live_one_generation(drifter, generation);
        pthread_barrier_wait(&generation_ends);
        struct list list = drifter->old;
        drifter->old = drifter->young;
        drifter->young = list;
        pthread_barrier_wait(&next_begins);
    }
    for (size_t i = 0; i < survivor_generations; i++)
        drop_all(&drifter->caller, &drifter->survivors[i]);
    drop_all(&drifter->caller, &drifter->old);
    return NULL;
}

/* Its pages are touched here, so that they are in the figure that is subtracted. */
static struct list make_list(size_t capacity)
{
    struct list list = {.blocks = system_pages(capacity * sizeof(struct block)),
                        .capacity = capacity};
    for (size_t i = 0; i < capacity; i++)
        list.blocks[i].hops = 1;
    return list;
}

static void start_all(void)
{
    size_t capacity = (options.generation_kib << 10) / smallest_average;
    for (size_t i = 0; i < options.threads; i++) {
        struct drifter *drifter = &drifters[i];
        *drifter = (struct drifter){.index = i,
                                    .caller = caller_begin(options.seed, i, style_plain),
                                    .young = make_list(capacity),
                                    .old = make_list(capacity)};
        for (size_t list = 0; list < survivor_generations; list++)
            drifter->survivors[list] = make_list(2 * capacity / one_survives_in);
    }
    shadow_populate();
}

/* Resident memory in percent of what lives; the worst of all generations but the first. */
static void watch(size_t before)
{
    uint64_t worst = 0, sum = 0;
    for (uint64_t generation = 0; generation < options.generations; generation++) {
        pthread_barrier_wait(&generation_ends);
        size_t live = atomic_load_explicit(&live_bytes, memory_order_relaxed);
        size_t resident = resident_bytes();
        uint64_t percent = resident > before ? (resident - before) * 100 / live : 0;
        bool counts = generation >= warm_generations;
        worst = counts && percent > worst ? percent : worst;
        sum += counts ? percent : 0;
        CHECK(STRESS_SANITIZED || !counts || percent <= options.percent,
              "%zu KiB are resident for %zu KiB that live, in generation %llu",
              (resident - before) >> 10, live >> 10, (unsigned long long)generation);
        pthread_barrier_wait(&next_begins);
    }
    printf("resident / live: at worst %llu %%, on average %llu %%\n", (unsigned long long)worst,
           (unsigned long long)(sum / (options.generations - warm_generations)));
}

int main(int count_of_arguments, char **arguments)
{
    const struct option known[] = {
        {"seed", &options.seed, 0, UINT64_MAX, NULL},
        {"threads", &options.threads, 1, most_threads, NULL},
        {"generations", &options.generations, warm_generations + 1, 1 << 20, NULL},
        {"generation-kib", &options.generation_kib, 256, 1 << 16, NULL},
        {"percent", &options.percent, 100, 10000, NULL},
        {NULL, NULL, 0, 0, NULL},
    };
    setup_options("drift", known, count_of_arguments, arguments);
    struct shared shared = {.worker_count = 0};
    shadow_start(options.seed);
    pthread_barrier_init(&generation_ends, NULL, (unsigned)options.threads + 1);
    pthread_barrier_init(&next_begins, NULL, (unsigned)options.threads + 1);
    start_all();
    size_t before = resident_bytes();
    for (size_t i = 0; i < options.threads; i++)
        drifters[i].thread = setup_start(drift, &drifters[i]);
    watch(before);
    for (size_t i = 0; i < options.threads; i++)
        setup_join(drifters[i].thread);
    shared.steps = operations;
    setup_finish("drift", &shared);
    return 0;
}
