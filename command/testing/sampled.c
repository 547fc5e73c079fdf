/* SPDX-License-Identifier: MIT */
/* For report_test.py: holds 1000 blocks, has made and freed 500 more, and writes a profile of each
 * block to its arguments, in gperftools' and in jemalloc's form. Prints the usable bytes that it
 * holds and those that it freed. */
#include <malloc.h>
#include <poolmalloc/profile.h>
#include <stdio.h>
#include <stdlib.h>

static void *held[1000];

static __attribute__((noinline)) size_t hold(int number)
{
    held[number] = malloc(100 + (size_t)number % 7 * 50);
    return malloc_usable_size(held[number]);
}

static __attribute__((noinline)) size_t waste(void)
{
    void *block = malloc(3000);
    size_t bytes = malloc_usable_size(block);
    free(block);
    return bytes;
}

int main(int count, char **arguments)
{
    size_t held_bytes = 0, wasted_bytes = 0;
    if (count != 3 || !pm_profile_start(1))
        return 2;
    for (int i = 0; i < 1000; i++)
        held_bytes += hold(i);
    for (int i = 0; i < 500; i++)
        wasted_bytes += waste();
    bool done = pm_profile_dump(arguments[1], PM_PROFILE_GPERFTOOLS) &&
                pm_profile_dump(arguments[2], PM_PROFILE_JEMALLOC);
    pm_profile_stop();
    printf("%zu %zu\n", held_bytes, wasted_bytes);
    return done && held[999] != NULL ? 0 : 1;
}
