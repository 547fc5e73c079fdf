/* SPDX-License-Identifier: MIT */
/* What the tests of the profiler share. Only x_test.c files include it. */
#ifndef PM_TOOLS_PROFILE_TESTING_H
#define PM_TOOLS_PROFILE_TESTING_H

#include "base/options.h"
#include "base/testing.h"
#include "heap/heap.h"
#include "poolmalloc/profile.h"
#include "tools/profile_table.h"

#include <fcntl.h>
#include <pthread.h>

/* The sums of a profile, as its first line says them, and of its rows. */
struct test_sums {
    uint64_t live_blocks, live_bytes, all_blocks, all_bytes;
};
struct test_profile {
    struct test_sums head, rows;
    unsigned row_count, rows_without_frames;
    uint64_t rate, dropped;
    bool has_maps;
};

static inline struct test_profile test_parse(FILE *file)
{
    static char line[4096];
    struct test_profile p = {0};
    struct test_sums row;
    uint64_t dropped;
    const char *form = "heap profile: %lu: %lu [%lu: %lu] @ heap_v2/%lu";
    require(fgets(line, sizeof line, file) != NULL);
    require(sscanf(line, form, &p.head.live_blocks, &p.head.live_bytes, &p.head.all_blocks,
                   &p.head.all_bytes, &p.rate) == 5);
    while (fgets(line, sizeof line, file) != NULL &&
           sscanf(line, "%lu: %lu [%lu: %lu] @", &row.live_blocks, &row.live_bytes, &row.all_blocks,
                  &row.all_bytes) == 4) {
        p.rows.live_blocks += row.live_blocks;
        p.rows.live_bytes += row.live_bytes;
        p.rows.all_blocks += row.all_blocks;
        p.rows.all_bytes += row.all_bytes;
        p.row_count++;
        p.rows_without_frames += strstr(line, "@ 0x") == NULL;
    }
    p.dropped = sscanf(line, "# %lu samples are not in here: ", &dropped) == 1 ? dropped : 0;
    if (p.dropped != 0)
        require(fgets(line, sizeof line, file) != NULL);
    require(strcmp(line, "\n") == 0);
    require(fgets(line, sizeof line, file) != NULL && strcmp(line, "MAPPED_LIBRARIES:\n") == 0);
    while (fgets(line, sizeof line, file) != NULL)
        p.has_maps |= strstr(line, " r-xp ") != NULL;
    fclose(file);
    return p;
}

/* The profile as it is now, in gperftools' form. */
static inline struct test_profile test_profile_now(void)
{
    FILE *file = tmpfile();
    require(file != NULL && pm_profile_dump_fd(fileno(file), PM_PROFILE_GPERFTOOLS));
    rewind(file);
    return test_parse(file);
}

/* What a sample of the block counts; to AddressSanitizer it holds less. */
static inline size_t test_bytes(const void *block)
{
    return pm_heap_usable(block, "test");
}

static inline bool test_same(const struct test_sums *a, const struct test_sums *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

#endif
