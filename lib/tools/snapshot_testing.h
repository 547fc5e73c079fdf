/* SPDX-License-Identifier: MIT */
/* What the tests of snapshots share: stacks of make-believe source lines. Only x_test.c files
 * include it. */
#ifndef PM_TOOLS_SNAPSHOT_TESTING_H
#define PM_TOOLS_SNAPSHOT_TESTING_H

#include "base/testing.h"
#include "poolmalloc/snapshot.h"

/* The address of a line of "a.py", "b.py", "c.py"; 0: unknown. */
#define TEST_LINE(file, line) ((uintptr_t)((file) - 'a' + 1) * 100000 + (line))

static inline void test_resolve(void *arg, struct pm_snapshot_frame *frame)
{
    static const char *const files[] = {NULL, "a.py", "b.py", "c.py"};
    static const char *const functions[] = {NULL, "a_f", "b_f", "c_f"};
    (void)arg;
    require(frame->address / 100000 < 4);
    frame->file = files[frame->address / 100000];
    frame->function = functions[frame->address / 100000];
    frame->line = frame->address % 100000;
}

static const struct pm_snapshot_resolver test_lines = {test_resolve, NULL};

struct test_stack {
    unsigned domain;
    uint64_t blocks, bytes;
    unsigned count;
    uintptr_t frames[4];
};

static inline pm_snapshot *test_snapshot_of(const struct test_stack *stacks, size_t count)
{
    pm_snapshot *snapshot = pm_snapshot_new();
    require(snapshot != NULL);
    for (const struct test_stack *s = stacks; s < stacks + count; s++)
        require(pm_snapshot_add(snapshot, s->domain, s->frames, s->count, s->blocks, s->bytes));
    return snapshot;
}

/* The two snapshots of CPython's Lib/test/test_tracemalloc.py, create_snapshots(). */
static inline pm_snapshot *test_first_snapshot(void)
{
    static const struct test_stack stacks[] = {
        {0, 1, 10, 2, {TEST_LINE('a', 2), TEST_LINE('b', 4)}},
        {0, 1, 10, 2, {TEST_LINE('a', 2), TEST_LINE('b', 4)}},
        {0, 1, 10, 2, {TEST_LINE('a', 2), TEST_LINE('b', 4)}},
        {1, 1, 2, 2, {TEST_LINE('a', 5), TEST_LINE('b', 4)}},
        {2, 1, 66, 1, {TEST_LINE('b', 1)}},
        {3, 1, 7, 0, {0}},
    };
    return test_snapshot_of(stacks, sizeof stacks / sizeof *stacks);
}

static inline pm_snapshot *test_second_snapshot(void)
{
    static const struct test_stack stacks[] = {
        {0, 3, 30, 2, {TEST_LINE('a', 2), TEST_LINE('b', 4)}},
        {2, 1, 2, 2, {TEST_LINE('a', 5), TEST_LINE('b', 4)}},
        {2, 1, 5000, 2, {TEST_LINE('a', 5), TEST_LINE('b', 4)}},
        {4, 1, 400, 1, {TEST_LINE('c', 578)}},
    };
    return test_snapshot_of(stacks, sizeof stacks / sizeof *stacks);
}

/* The first one, with modules where the lines of "a.py" and "b.py" are. */
static inline pm_snapshot *test_mapped_snapshot(void)
{
    static const char maps[] = "000186a0-00030d40 r-xp 00000000 08:01 7    /lib/a.so\n"
                               "00030d40-000493e0 r-xp 00000000 08:01 8    /lib/b.so\n";
    pm_snapshot *snapshot = test_first_snapshot();
    require(pm_snapshot_add_maps(snapshot, maps, sizeof maps - 1));
    return snapshot;
}

#endif
