/* SPDX-License-Identifier: MIT */
/* For the tests of the arena hook: one that gives dirty memory of the C library's, at any address,
 * and refuses on request. Only x_test.c files include it. */
#ifndef PM_ARENA_GIVER_TESTING_H
#define PM_ARENA_GIVER_TESTING_H

#include "arena/hooks_testing.h"

enum { TEST_GIVEN = 512, TEST_DIRTY_BYTE = 0x5a };

struct test_giver {
    struct pm_arena_allocator previous;
    pthread_mutex_t lock;
    struct {
        char *start, *memory;
        size_t bytes;
    } given[TEST_GIVEN];
    size_t held_bytes, most_bytes; /* the largest request that is served; 0: any */
    size_t offset;                 /* from an aligned address */
    unsigned allocs, frees, held, fail_nth, refuse_in;
    bool for_good, is_clean; /* is_clean: for tests of numbers, not of contents */
    uint64_t seed;
    void (*inside)(void);
};

static inline bool test_giver_refuses(struct test_giver *giver, size_t bytes)
{
    unsigned call = ++giver->allocs;
    if (giver->refuse_in != 0 && test_random_below(&giver->seed, giver->refuse_in) == 0)
        return true;
    return (giver->most_bytes != 0 && bytes > giver->most_bytes) ||
           (giver->fail_nth != 0 &&
            (call == giver->fail_nth || (call > giver->fail_nth && giver->for_good)));
}

static inline void *test_giver_alloc(void *context, size_t bytes)
{
    struct test_giver *giver = context;
    char *memory = NULL;
    require(bytes > 0 && bytes % PM_ARENA_BYTES == 0);
    if (giver->inside != NULL)
        giver->inside();
    pthread_mutex_lock(&giver->lock);
    errno = ENOTTY;
    if (!test_giver_refuses(giver, bytes))
        memory = aligned_alloc(PM_ARENA_BYTES, bytes + PM_ARENA_BYTES);
    unsigned slot = 0;
    while (memory != NULL && slot < TEST_GIVEN && giver->given[slot].start != NULL)
        slot++;
    require(slot < TEST_GIVEN);
    if (memory != NULL) {
        giver->given[slot].memory = memory;
        giver->given[slot].start = memory += giver->offset;
        giver->given[slot].bytes = bytes;
        giver->held_bytes += bytes;
        giver->held++;
        for (size_t i = 0; !giver->is_clean && i < bytes; i += 256)
            memory[i] = TEST_DIRTY_BYTE;
    }
    pthread_mutex_unlock(&giver->lock);
    return memory;
}

/* As it was given, and nothing else. */
static inline void test_giver_free(void *context, void *ptr, size_t bytes)
{
    struct test_giver *giver = context;
    pthread_mutex_lock(&giver->lock);
    errno = ENOTTY;
    unsigned slot = 0;
    while (slot < TEST_GIVEN && giver->given[slot].start != ptr)
        slot++;
    require(slot < TEST_GIVEN && giver->given[slot].bytes == bytes);
    memset(ptr, 0xdd, giver->is_clean ? 1 : PM_ARENA_BYTES); /* it can be written to */
    free(giver->given[slot].memory);
    giver->given[slot].start = NULL;
    giver->held_bytes -= bytes;
    giver->held--;
    giver->frees++;
    pthread_mutex_unlock(&giver->lock);
}

static inline struct pm_arena_allocator test_giver_table(struct test_giver *giver)
{
    return (struct pm_arena_allocator){giver, test_giver_alloc, test_giver_free};
}

static inline void test_set_giver(struct test_giver *giver)
{
    pm_get_arena_allocator(&giver->previous);
    require(pthread_mutex_init(&giver->lock, NULL) == 0);
    struct pm_arena_allocator table = test_giver_table(giver);
    require(pm_set_arena_allocator(&table));
}

static inline bool test_was_given(struct test_giver *giver, const void *block)
{
    const char *at = block;
    for (unsigned i = 0; i < TEST_GIVEN; i++) {
        char *start = giver->given[i].start;
        if (start != NULL && at >= start && at < start + giver->given[i].bytes)
            return true;
    }
    return false;
}

#endif
