/* SPDX-License-Identifier: MIT */
/*
 * Every byte that may be used is used, of memory that goes from class to class, from pool to large
 * block, to the system and back, and through fork: nothing of it may be reported.
 */
#include "cases.h"

#include "check.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 600, BYTES = 4 << 20 };

static const size_t sizes[] = {1,       8,       16,      24,
                               100,     512,     1000,    1024,
                               3000,    5000,    1 << 14, (1 << 16) - 16,
                               1 << 16, 1 << 18, 1 << 20, (2 << 20) - 16,
                               2 << 20, 3 << 20};
enum { SIZES = sizeof sizes / sizeof *sizes };

static char *blocks[BLOCKS];

static char *allocate(size_t size, unsigned way)
{
    char *block = way % 3 == 0   ? pm_malloc(size)
                  : way % 3 == 1 ? pm_calloc(1, size)
                                 : pm_aligned_alloc(size < 4096 ? 64 : 4096, size);
    CHECK(block != NULL, "no %zu bytes", size);
    for (size_t i = 0; way % 3 == 1 && i < size; i++)
        CHECK(block[i] == 0, "calloc's byte %zu of %zu is not zero", i, size);
    memset(block, 1, size);
    if (way % 5 == 0)
        memset(block, 1, pm_malloc_usable_size(block));
    return block;
}

static void *free_every_third(void *count)
{
    for (size_t i = 0; i < (size_t)count; i += 3) {
        pm_free(blocks[i]);
        blocks[i] = NULL;
    }
    return NULL;
}

static void resize(size_t count, size_t size)
{
    for (size_t i = 1; i < count; i += 3) {
        size_t now = i % 2 ? size + size / 8 + 1 : size - size / 5;
        blocks[i] = pm_realloc(blocks[i], now);
        CHECK(blocks[i] != NULL, "no %zu bytes", now);
        for (size_t at = 0; at < (now < size ? now : size); at++)
            CHECK(blocks[i][at] == 1, "realloc lost byte %zu of %zu", at, size);
        memset(blocks[i], 1, now);
    }
}

static void one_size(size_t size, unsigned round)
{
    pthread_t thread;
    size_t count = BYTES / size < BLOCKS ? BYTES / size : BLOCKS;
    for (unsigned i = 0; i < count; i++)
        blocks[i] = allocate(size, round + i);
    CHECK(pthread_create(&thread, NULL, free_every_third, (void *)count) == 0, "no thread");
    CHECK(pthread_join(thread, NULL) == 0, "the thread cannot be joined");
    resize(count, size);
    for (size_t i = 0; i < count; i++) {
        pm_free(blocks[i]);
        blocks[i] = NULL;
    }
    if (round % 2)
        pm_thread_idle();
    if (round % 3 == 0)
        pm_purge();
}

void case_clean(size_t rounds)
{
    int status;
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < SIZES; i++)
            one_size(sizes[(i * 7 + round) % SIZES], round);
        pid_t child = round % 4 == 2 ? fork() : -1;
        if (child == 0) {
            for (unsigned i = 0; i < SIZES; i++)
                one_size(sizes[i], round);
            _exit(0);
        }
        if (child > 0)
            CHECK(waitpid(child, &status, 0) == child && status == 0, "the child failed");
    }
    CHECK(pm_check(), "the allocator's structures are damaged");
}
