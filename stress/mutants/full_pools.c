/* SPDX-License-Identifier: MIT */
/*
 * Trap 12: full pools that nobody searches. A thread fills many pools and goes to sleep; another
 * frees most of the blocks. They must serve the allocations of a third thread, although the maker
 * neither runs nor ends: no new arena is added. Stands for: a loader that fills a cache and waits,
 * while workers evict from it. Usage: full_pools [MiB]
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"

#include <poolmalloc/poolmalloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

enum {
    smallest = 64,
    largest = 464,
    keep_one_in = 8, /* of the blocks: so that no pool becomes empty */
    alarm_seconds = 100,
};

static unsigned char **blocks; /* of system pages */
static uint64_t block_count;
static sem_t filled, wake_up;

static size_t size_of(uint64_t i)
{
    return smallest + i * 37 % (largest - smallest + 1);
}

static void make(uint64_t i)
{
    blocks[i] = api_malloc(size_of(i));
    CHECK(blocks[i], "no %zu bytes", size_of(i));
    memset(blocks[i], (int)(i & 0xff), size_of(i));
}

static void *fill_and_sleep(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < block_count; i++)
        make(i);
    sem_post(&filled);
    while (sem_wait(&wake_up) != 0)
        continue;
    return NULL;
}

static void *free_most(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < block_count; i++) {
        if (i % keep_one_in == 0)
            continue;
        CHECK(blocks[i][0] == (i & 0xff), "block %llu changed", (unsigned long long)i);
        api_free(blocks[i]);
    }
    return NULL;
}

/* Three quarters of what was freed. */
static void *allocate_most(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < block_count * 3 / 4; i++) {
        if (i % keep_one_in != 0)
            make(i);
    }
    return NULL;
}

static uint64_t arenas(void)
{
    struct pm_stats stats;
    pm_stats_get(&stats);
    return stats.arenas;
}

static void run(void *(*body)(void *))
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
}

int main(int count, char **arguments)
{
    uint64_t mib = parse_number("the MiB", count > 1 ? arguments[1] : "32");
    pthread_t maker;
    alarm_guard(alarm_seconds);
    block_count = (mib << 20) / ((smallest + largest) / 2);
    blocks = system_pages(block_count * sizeof *blocks);
    CHECK(pthread_create(&maker, NULL, fill_and_sleep, NULL) == 0, "pthread_create");
    while (sem_wait(&filled) != 0)
        continue;
    uint64_t before = arenas();
    run(free_most);
    run(allocate_most);
    printf("%llu blocks of a sleeping thread freed and used again: %llu arenas, %llu before\n",
           (unsigned long long)block_count, (unsigned long long)arenas(),
           (unsigned long long)before);
    CHECK(arenas() == before, "arenas were added: the freed blocks were not found");
    for (uint64_t i = 0; i < block_count; i += keep_one_in)
        CHECK(blocks[i][size_of(i) - 1] == (i & 0xff), "block %llu changed", (unsigned long long)i);
    sem_post(&wake_up);
    pthread_join(maker, NULL);
    return 0;
}
