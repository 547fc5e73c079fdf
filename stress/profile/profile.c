/* SPDX-License-Identifier: MIT */
/*
 * A program that allocates known amounts by known functions and keeps a part, for profile.py, which
 * lets readers of profiles say how much that was. Stands for any program that is profiled as a
 * whole. Usage: profile SMALL LARGE, numbers of blocks; prints "FUNCTION LIVE BYTES ALL BYTES".
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

struct sums {
    size_t live, live_bytes, all, all_bytes;
};

enum { SMALL_BYTES = 100, LARGE_BYTES = 300000, THIRD = 3 };

static struct sums small_sums, large_sums;

/* What follows the call keeps it from being a jump. Readers show what is inlined by itself. */
static __attribute__((noinline)) void *counted(struct sums *sums, void *block)
{
    if (block == NULL)
        exit(2);
    size_t bytes = malloc_usable_size(block);
    sums->live++;
    sums->all++;
    sums->live_bytes += bytes;
    sums->all_bytes += bytes;
    return block;
}

static __attribute__((noinline)) void *make_small(void)
{
    void *block = malloc(SMALL_BYTES);
    return counted(&small_sums, block);
}

static __attribute__((noinline)) void *make_large(void)
{
    void *block = malloc(LARGE_BYTES);
    return counted(&large_sums, block);
}

/* Of each three blocks, one goes. */
static void run(void *(*make)(void), size_t count, struct sums *sums)
{
    for (size_t i = 0; i < count; i++) {
        void *block = make();
        if (i % THIRD != 0)
            continue;
        sums->live--;
        sums->live_bytes -= malloc_usable_size(block);
        free(block);
    }
}

static void print(const char *name, const struct sums *sums)
{
    fprintf(stderr, "%s %zu %zu %zu %zu\n", name, sums->live, sums->live_bytes, sums->all,
            sums->all_bytes);
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    run(make_small, strtoul(arguments[1], NULL, 10), &small_sums);
    run(make_large, strtoul(arguments[2], NULL, 10), &large_sums);
    print("make_small", &small_sums);
    print("make_large", &large_sums);
    return 0;
}
