/* SPDX-License-Identifier: MIT */
/*
 * For the tests beside it: a program that writes recordings of itself, whose figures are made up
 * and whose stacks are real, so that all that is to be found in them is known:
 *
 *   recorder snapshot|gperftools|jemalloc MEAN [FACTOR] >FILE
 *
 * The stacks: keep() inlined into grow(), called by main: 3 blocks, 3000 bytes live; the same
 * called by twice(), called by main: 5 blocks, 400 bytes; outside of all functions: 1 block, 7
 * bytes. Of all allocations: twice as much. With FACTOR the first has so many times as much.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <execinfo.h>

struct recorded {
    void *frames[64];
    int count;
};
static recorded stacks[2];
static int stack_count;

template <typename T> struct holder {
    /* No frame of its own. The call returns here, in what was inlined. */
    static inline __attribute__((always_inline)) void keep()
    {
        recorded &now = stacks[stack_count++];
        now.count = backtrace(now.frames, 64);
        asm volatile("");
    }
};

static __attribute__((noinline)) void grow()
{
    holder<int &>::keep();
    asm volatile("");
}

static __attribute__((noinline)) void twice()
{
    grow();
    asm volatile("");
}

static void put_frames(int number)
{
    printf("@");
    if (number == 2)
        printf(" 0x1000");
    for (int i = 0; number < 2 && i < stacks[number].count; i++)
        printf(" 0x%jx", (uintmax_t)(uintptr_t)stacks[number].frames[i]);
    printf("\n");
}

static void put_maps()
{
    printf("\nMAPPED_LIBRARIES:\n");
    FILE *maps = fopen("/proc/self/maps", "r");
    for (int letter; (letter = fgetc(maps)) != EOF;)
        putchar(letter);
    fclose(maps);
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    const char *form = arguments[1];
    long mean = atol(arguments[2]), factor = count > 3 ? atol(arguments[3]) : 1;
    long blocks[3] = {3 * factor, 5, 1}, bytes[3] = {3000 * factor, 400, 7};
    grow();
    twice();
    bool is_snapshot = strcmp(form, "snapshot") == 0, is_jemalloc = strcmp(form, "jemalloc") == 0;
    if (is_snapshot)
        printf("poolmalloc snapshot 1\npid 4711\nprogram %s\ntime 2026-11-27T12:00:00Z\n"
               "traceback_limit 64\ntraced_bytes %ld\npeak_bytes 9999\nstacks 3\n",
               arguments[0], bytes[0] + bytes[1] + bytes[2]);
    else if (is_jemalloc)
        printf("heap_v2/%ld\n  t*: 9: 3407 [18: 6814]\n  t0: 9: 3407 [18: 6814]\n", mean);
    else
        printf("heap profile: 9: 3407 [18: 6814] @ heap_v2/%ld\n", mean);
    for (int i = 0; i < 3; i++) {
        if (is_snapshot)
            printf("%ld %ld %d ", blocks[i], bytes[i], i);
        else if (!is_jemalloc)
            printf("%6ld: %8ld [%6ld: %8ld] ", blocks[i], bytes[i], 2 * blocks[i], 2 * bytes[i]);
        put_frames(i);
        if (is_jemalloc)
            printf("  t*: %ld: %ld [%ld: %ld]\n  t7: 1: 1 [1: 1]\n", blocks[i], bytes[i],
                   2 * blocks[i], 2 * bytes[i]);
    }
    put_maps();
    if (is_snapshot)
        printf("end\n");
    return 0;
}
