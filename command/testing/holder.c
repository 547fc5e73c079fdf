/* SPDX-License-Identifier: MIT */
/* For report_test.py: holds 1000 blocks of 100 to 106 bytes, then 3000 more, and writes a snapshot
 * of each moment to its two arguments. */
#include <fcntl.h>
#include <poolmalloc/snapshot.h>
#include <poolmalloc/trace.h>
#include <stdlib.h>

static void *held[4000];
static int held_count;

static __attribute__((noinline)) void *take(size_t bytes)
{
    void *block = malloc(bytes);
    __asm__ volatile("");
    return block;
}

static __attribute__((noinline)) void parse(void)
{
    held[held_count] = take(100 + (size_t)held_count % 7);
    held_count++;
}

static __attribute__((noinline)) void load(int count)
{
    while (count-- > 0)
        parse();
}

static int write_snapshot(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    pm_snapshot *snapshot = pm_snapshot_take();
    return snapshot != NULL && pm_snapshot_write(snapshot, file) ? 0 : 1;
}

int main(int count, char **arguments)
{
    if (count != 3 || !pm_trace_start(16))
        return 2;
    load(1000);
    int failed = write_snapshot(arguments[1]);
    load(3000);
    return failed | write_snapshot(arguments[2]) | (held[1] == NULL);
}
