/* SPDX-License-Identifier: MIT */
/* Where the blocks of gc pools come from, and when there are none: memory, heaps, samples. */
#include "heap/sample.h"
#include "heap/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, SIZE = 96, HELD = 4000 };

static void *held[HELD];

/* As pm_gc_calloc, but for clearing. */
static void *take(size_t n)
{
    void *block = pm_thread_try_gc(n);
    return test_told(block != NULL ? block : pm_thread_gc_slow(n));
}

static bool lies_in_first_window(const void *block)
{
    return pm_window_find(block) == &pm_window;
}

/* Blocks of so many bytes, until they come from an added window; how many. */
static unsigned fill_first_window(size_t n, void **blocks, unsigned most)
{
    unsigned count = 0;
    do
        require(count < most);
    while (lies_in_first_window(blocks[count++] = test_alloc(n)));
    return count;
}

ISOLATED(memory_outside_the_window_makes_no_gc_pool_and_is_asked_for_rarely)
{
    static void *others[HELD];
    test_heap_start(3);
    test_get_heap();
    void *first = take(SIZE);
    require(first != NULL && lies_in_first_window(first));
    unsigned spans = fill_first_window(PM_ARENA_BYTES / 8, held, HELD);
    unsigned units = fill_first_window(PM_BLOCK_MAX / 2, others, HELD);
    unsigned count = 0;
    for (void *block; (block = take(PM_SMALL_MAX)) != NULL; count++)
        require(lies_in_first_window(block) && count < WINDOW_ARENAS * 1000u);
    require(take(SIZE) != NULL); /* of the pool that is there */
    struct pm_heap_stats before = test_heap_stats();
    for (unsigned i = 0; i < 10 * (PM_GC_PAUSE + 1); i++)
        require(take(PM_SMALL_MAX) == NULL);
    require(test_heap_stats().refills - before.refills == 10);
    while (spans > 0)
        test_release(held[--spans]);
    while (units > 0)
        test_release(others[--units]);
    pm_heap_trim();
    void *block;
    for (unsigned tries = 0; (block = take(PM_SMALL_MAX)) == NULL; tries++)
        require(tries <= PM_GC_PAUSE);
    require(lies_in_first_window(block));
}

ISOLATED(an_empty_pool_that_is_kept_is_cut_anew_for_either_kind_with_no_header_left)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (int turn = 0; turn < 4; turn++) {
        for (unsigned i = 0; i < HELD; i++)
            held[i] = turn % 2 == 0 ? test_alloc(SIZE) : take(SIZE);
        for (unsigned i = 0; i < HELD; i++) {
            require(pm_class_is_gc(test_pool_of(held[i])->class) == (turn % 2 != 0));
            if (turn % 2 == 0)
                memset(held[i], 0x77, SIZE);
            else
                require(((uint64_t *)held[i])[1] == 0);
        }
        test_release_some(held, 0, HELD);
    }
    require(test_heap_stats().kept_bytes > 0);
    require(test_nothing_is_lost());
}

static void *leave_half(void *arg)
{
    (void)arg;
    test_get_heap();
    for (unsigned i = 0; i < HELD; i++)
        require((held[i] = take(SIZE)) != NULL);
    for (unsigned i = 0; i < HELD; i += 2)
        test_release(held[i]);
    return NULL;
}

ISOLATED(a_pool_is_adopted_by_who_allocates_of_its_kind_only)
{
    test_heap_start(WINDOW_ARENAS);
    test_in_thread(leave_half, NULL);
    test_get_heap();
    struct pm_pool *left = test_pool_of(held[HELD / 2 + 1]);
    for (unsigned i = 0; i < HELD / 4; i++)
        require(test_pool_of(test_alloc(SIZE)) != left);
    bool found = false;
    for (unsigned i = 0; i < HELD / 2; i++)
        found |= test_pool_of(take(SIZE)) == left;
    require(found);
}

static void *take_cold(void *arg)
{
    void **block = arg;
    *block = take(SIZE); /* by the cold heap: it is the thread's first call */
    require(*block != NULL && !pm_heap_self->real);
    return NULL;
}

ISOLATED(a_thread_that_allocates_a_little_is_served_by_the_cold_heap)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap(); /* the process's first thread has one at once */
    for (unsigned i = 0; i < 5; i++) {
        test_in_thread(take_cold, &held[i]);
        require(test_pool_of(held[i]) == test_pool_of(held[0]));
        require(pm_class_is_gc(test_pool_of(held[i])->class));
    }
    test_release_some(held, 0, 5);
    require(test_nothing_is_lost());
}

/* ---- samples ---- */

static unsigned taken_count;
static size_t taken_bytes;

static void on_taken(void *block, size_t bytes)
{
    (void)block;
    taken_count++;
    taken_bytes += bytes;
}

static void on_freed(void *block)
{
    (void)block;
}

static const struct pm_sampler sampler = {.taken = on_taken, .freed = on_freed};

/* What is sampled lies in a heap of its own, which is no gc pool: so there is none for the one that
 * is chosen, and the plain block in its place is the sample. */
ISOLATED(each_so_manieth_block_is_refused_and_the_plain_one_in_its_place_is_sampled)
{
    enum { EVERY = 100, SAMPLES = 30 };
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (unsigned i = 0; i < 1000; i++) /* both classes have pools, with free blocks */
        test_release(i % 2 == 0 ? test_alloc(SIZE) : take(SIZE));
    pm_store_relaxed(&pm_sampling.every, EVERY);
    require(pm_sampling_prepare(&sampler));
    pm_sampling_start(1 << 20);
    pm_heap_idle();
    for (unsigned i = 1; i <= EVERY * SAMPLES; i++) {
        void *block = take(SIZE);
        require((block == NULL) == (i % EVERY == 0));
        if (block == NULL) {
            block = test_alloc(SIZE);
            require(taken_count == i / EVERY);
        }
        if (i % 3 != 0)
            test_release(block);
    }
    require(taken_count == SAMPLES && taken_bytes == SAMPLES * SIZE);
    pm_sampling_stop();
    for (unsigned i = 0; i < 3 * EVERY; i++)
        require((held[i] = take(SIZE)) != NULL);
    require(taken_count == SAMPLES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_outside_the_window_makes_no_gc_pool_and_is_asked_for_rarely),
        cmocka_unit_test(
            an_empty_pool_that_is_kept_is_cut_anew_for_either_kind_with_no_header_left),
        cmocka_unit_test(a_pool_is_adopted_by_who_allocates_of_its_kind_only),
        cmocka_unit_test(a_thread_that_allocates_a_little_is_served_by_the_cold_heap),
        cmocka_unit_test(
            each_so_manieth_block_is_refused_and_the_plain_one_in_its_place_is_sampled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
