/* SPDX-License-Identifier: MIT */
/* One memory error each: see asan.c. All accesses before the last are good. */
#include "cases.h"

#include "check.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MANY = 5000, /* more small blocks than a pool has */
    SMALL = 48,
    SPAN = 1 << 20,
    ARENA = 2 << 20, /* the default geometry's */
    UNIT = 32 << 10,
    MIB = 1 << 20,
};

static char *blocks[MANY];

static char *filled(size_t size)
{
    char *block = pm_malloc(size);
    CHECK(block != NULL, "no %zu bytes", size);
    memset(block, 1, size);
    return block;
}

static void fill_many(size_t size, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        blocks[i] = filled(size);
}

static void free_many(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        pm_free(blocks[i]);
}

static void in_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, arg) == 0, "no thread");
    CHECK(pthread_join(thread, NULL) == 0, "the thread cannot be joined");
}

static void *free_one(void *block)
{
    pm_free(block);
    return NULL;
}

/* ---- use after free ---- */

static void freed_first_byte(size_t size)
{
    char *block = filled(size);
    pm_free(block);
    bad_read(block);
}

static void freed_last_byte(size_t size)
{
    char *block = filled(size);
    pm_free(block);
    bad_write(block + size - 1);
}

static void freed_middle(size_t size)
{
    char *block = filled(size);
    pm_free(block);
    bad_read(block + size / 2);
}

/* The second freed in a row is held back in a batch. */
static void freed_in_full_pool(size_t count)
{
    fill_many(SMALL, MANY);
    for (size_t i = 0; i < count; i++)
        pm_free(blocks[100 + i]);
    bad_read(blocks[100 + count - 1]);
}

static void freed_by_another_thread(size_t size)
{
    char *block = filled(size);
    in_thread(free_one, block);
    bad_write(block);
}

/* The pool went back to its arena. */
static void freed_with_its_pool(size_t purged)
{
    fill_many(SMALL, MANY);
    free_many(MANY);
    CHECK(pm_thread_idle(), "nothing was let go of");
    if (purged)
        pm_purge();
    bad_read(blocks[MANY / 2]);
}

/* The end of a pool that was cut anew, in which nothing was handed out yet. */
static void freed_and_pool_cut_anew(size_t size)
{
    fill_many(SMALL, MANY);
    uintptr_t unit = (uintptr_t)blocks[MANY / 2] / UNIT;
    free_many(MANY);
    pm_thread_idle();
    for (unsigned i = 0; i < MANY; i++) {
        char *block = filled(size);
        if ((uintptr_t)block / UNIT == unit)
            bad_read((char *)((unit + 1) * UNIT) - 1);
    }
}

static void freed_before_fork(size_t size)
{
    int status;
    char *block = filled(size);
    pm_free(block);
    pid_t child = fork();
    CHECK(child >= 0, "no fork");
    if (child == 0) {
        bad_read(block);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child, "no child");
    _exit(status != 0);
}

/* ---- beyond a block ---- */

static void overflow(size_t size)
{
    fill_many(size, 5);
    bad_write(blocks[2] + size);
}

static void underflow(size_t size)
{
    fill_many(size, 5);
    bad_read(blocks[2] - 1);
}

static void beyond_usable(size_t size)
{
    char *block = filled(size);
    size_t usable = pm_malloc_usable_size(block);
    memset(block, 2, usable);
    bad_write(block + usable);
}

static void beyond_calloc(size_t size)
{
    char *block = pm_calloc(3, size);
    for (size_t i = 0; i < 3 * size; i++)
        CHECK(block[i] == 0, "calloc's byte %zu is not zero", i);
    bad_read(block + 3 * size);
}

static void beyond_aligned(size_t alignment)
{
    char *block = pm_aligned_alloc(alignment, alignment);
    memset(block, 1, alignment);
    bad_write(block + alignment);
}

static void never_handed_out(size_t size)
{
    char *block = filled(size);
    bad_read((char *)((uintptr_t)block | (ARENA - 1)));
}

/* ---- realloc ---- */

static char *must_realloc(char *block, size_t size, bool in_place)
{
    char *now = pm_realloc(block, size);
    CHECK(now != NULL, "no %zu bytes", size);
    CHECK((now == block) == in_place, "realloc to %zu bytes moved it, or not", size);
    memset(now, 2, size);
    return now;
}

static void realloc_in_place(size_t size)
{
    char *block = filled(size);
    bad_write(must_realloc(block, size - 4, true) + size - 4);
}

static void realloc_moved(size_t size)
{
    char *block = filled(size);
    must_realloc(block, 4 * size, false);
    bad_read(block + size / 2);
}

/* A large block that gives its tail back. */
static void realloc_shrunk(size_t size)
{
    char *block = filled(size);
    bad_read(must_realloc(block, size / 2, true) + size / 2 + UNIT);
}

/* It grows to where another block was freed. */
static void realloc_grown(size_t size)
{
    char *block = filled(size), *next = filled(size);
    CHECK(next > block, "the second block is not behind the first");
    pm_free(next);
    bad_write(must_realloc(block, size + size / 2, true) + size + size / 2);
}

const struct asan_case asan_cases[] = {
    {"use-after-free.first-byte", freed_first_byte, SMALL},
    {"use-after-free.last-byte", freed_last_byte, SMALL},
    {"use-after-free.eight-bytes", freed_first_byte, 8},
    {"use-after-free.medium", freed_middle, 5000},
    {"use-after-free.full-pool", freed_in_full_pool, 1},
    {"use-after-free.batch", freed_in_full_pool, 4},
    {"use-after-free.remote", freed_by_another_thread, SMALL},
    {"use-after-free.retired-pool", freed_with_its_pool, 0},
    {"use-after-free.purged-pool", freed_with_its_pool, 1},
    {"use-after-free.recut-pool", freed_and_pool_cut_anew, 1000},
    {"use-after-free.forked", freed_before_fork, SMALL},
    {"use-after-free.span-first", freed_first_byte, SPAN},
    {"use-after-free.span-middle", freed_middle, SPAN},
    {"use-after-free.span-last", freed_last_byte, SPAN},
    {"use-after-free.arenas-first", freed_first_byte, 3 * ARENA},
    {"use-after-free.arenas-middle", freed_middle, 3 * ARENA},
    {"use-after-free.arenas-last", freed_last_byte, 3 * ARENA},
    {"overflow.0", overflow, 0},
    {"overflow.1", overflow, 1},
    {"overflow.16", overflow, 16},
    {"overflow.33", overflow, 33},
    {"overflow.512", overflow, 512},
    {"overflow.1024", overflow, 1024},
    {"overflow.5000", overflow, 5000},
    {"overflow.block-max", overflow, 2 * UNIT},
    {"overflow.span", overflow, SPAN},
    {"overflow.arenas", overflow, 2 * ARENA},
    {"underflow.16", underflow, 16},
    {"underflow.1024", underflow, 1024},
    {"underflow.span", underflow, SPAN},
    {"underflow.arenas", underflow, 2 * ARENA},
    {"beyond-usable.40", beyond_usable, 40},
    {"beyond-usable.5000", beyond_usable, 5000},
    {"beyond-usable.span", beyond_usable, SPAN},
    {"beyond-calloc.11", beyond_calloc, 11},
    {"beyond-calloc.5000", beyond_calloc, 5000},
    {"beyond-calloc.span", beyond_calloc, SPAN},
    {"beyond-aligned.64", beyond_aligned, 64},
    {"beyond-aligned.4096", beyond_aligned, 4096},
    {"beyond-aligned.mib", beyond_aligned, MIB},
    {"never-handed-out", never_handed_out, SMALL},
    {"realloc.in-place", realloc_in_place, 64},
    {"realloc.moved", realloc_moved, 64},
    {"realloc.span-shrunk", realloc_shrunk, SPAN},
    {"realloc.span-moved", realloc_moved, SPAN},
    {"realloc.span-grown", realloc_grown, 4 * UNIT},
    {"realloc.arenas-moved", realloc_moved, 2 * ARENA},
    {"realloc.arenas-shrunk", realloc_shrunk, 4 * ARENA},
    {"clean", case_clean, 6},
    {NULL, NULL, 0},
};
