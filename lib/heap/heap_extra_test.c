/* SPDX-License-Identifier: MIT */
/* Statistics, the check of a heap, and fork. */
#include "heap/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 128, SIZE = 256, SOME = 300 };

static void *blocks[TEST_BLOCKS_MAX];

static void *release_range(void *arg)
{
    const unsigned *range = arg;
    test_release_some(blocks, range[0], range[1]);
    return NULL;
}

ISOLATED(blocks_handed_out_less_those_that_came_back_are_those_alive)
{
    unsigned range[] = {100, 150};
    test_heap_start(WINDOW_ARENAS);
    for (unsigned i = 0; i < SOME; i++)
        blocks[i] = test_alloc(16 * (i % 100) + 16);
    struct pm_heap_stats stats = test_heap_stats();
    require(stats.mallocs == SOME && stats.frees == 0 && stats.remote_frees == 0);
    test_release_some(blocks, 0, 100);
    pm_heap_flush(pm_heap_self);
    stats = test_heap_stats();
    require(stats.mallocs == SOME && stats.frees + stats.remote_frees == 100);
    test_in_thread(release_range, range);
    stats = test_heap_stats();
    require(stats.mallocs == SOME && stats.frees + stats.remote_frees == 150);
    require(stats.remote_frees >= 50);
    test_release_some(blocks, 150, SOME);
    pm_heap_trim();
    stats = test_heap_stats();
    require(stats.mallocs == SOME && stats.frees + stats.remote_frees == SOME);
    require(test_nothing_is_lost());
}

/* A current pool counts its frees down, and when the counter is used up, as many mallocs are taken
 * for granted: more than there were, of a pool that has fewer live blocks than at the last count.
 */
ISOLATED(counters_are_right_when_a_pool_counted_down_with_fewer_blocks_than_before)
{
    enum { MANY = 10, LEFT = 3 }; /* in one pool of classic builds, too */
    test_heap_start(WINDOW_ARENAS);
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = test_alloc(SIZE);
    struct pm_heap_stats before = test_heap_stats();
    test_release_some(blocks, LEFT, MANY);
    for (unsigned i = MANY - LEFT; i < PM_COUNT_CURRENT; i++)
        test_release(test_alloc(SIZE));
    struct pm_heap_stats after = test_heap_stats();
    require(before.mallocs - before.frees == MANY && after.mallocs - after.frees == LEFT);
    require(after.frees - before.frees == PM_COUNT_CURRENT);
    test_release_some(blocks, 0, LEFT);
}

static void *work_and_exit(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    void *mine[50];
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 50; i++)
            mine[i] = test_alloc(1 + test_random_below(&seed, PM_BLOCK_MAX));
        for (int i = 0; i < 50; i++)
            test_release(mine[i]);
    }
    return NULL;
}

ISOLATED(the_counters_of_exited_threads_count)
{
    test_heap_start(WINDOW_ARENAS);
    for (uintptr_t i = 1; i <= 3; i++)
        test_in_thread(work_and_exit, (void *)i);
    struct pm_heap_stats stats = test_heap_stats();
    require(stats.mallocs == 3 * 40 * 50);
    require(stats.frees + stats.remote_frees == 3 * 40 * 50);
    require(stats.shell_bytes >= sizeof(struct pm_heap));
}

static void check_fails(const void *arg)
{
    (void)arg;
    require(!pm_heap_check());
}

ISOLATED(the_check_passes_for_good_heaps_and_reports_a_damaged_list)
{
    char text[400];
    test_heap_start(WINDOW_ARENAS);
    require(pm_heap_check()); /* of a thread without a heap */
    for (unsigned i = 0; i < 3; i++)
        blocks[i] = test_alloc(SIZE);
    test_release_some(blocks, 0, 3);
    require(pm_heap_check());
    struct pm_pool *pool = test_pool_of(blocks[0]);
    void *link = pool->free;
    pool->free = (char *)link + PM_GRANULE_BYTES;
    require(test_stderr_of(check_fails, NULL, text, sizeof text) == 0);
    require(strstr(text, "pool check") != NULL);
    pool->free = link;
    require(pm_heap_check());
}

ISOLATED(the_check_reports_parked_pools_that_are_not_or_whose_count_is_wrong)
{
    char text[400];
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    struct pm_pool *pool = test_float_pool(SIZE, blocks);
    for (unsigned i = 0; i < pool->capacity / 2u; i++) /* comes home, and is parked */
        test_release(blocks[i]);
    require(pool->place == PM_PLACE_PARKED && pm_heap_check());
    pool->count++;
    require(test_stderr_of(check_fails, NULL, text, sizeof text) == 0);
    require(strstr(text, "pool check: ") != NULL && strstr(text, " live and ") != NULL);
    pool->count--;
    pool->place = PM_PLACE_CURRENT;
    require(test_stderr_of(check_fails, NULL, text, sizeof text) == 0);
    require(strstr(text, "heap check: a pool on the list of parked ones is not") != NULL);
}

static void start_with_fork_handlers(void)
{
    test_heap_start(WINDOW_ARENAS);
    require(pthread_atfork(pm_heap_fork_prepare, pm_heap_fork_parent, pm_heap_fork_child) == 0);
}

/* In the child: what the parent's thread held is this thread's, and goes on. */
static void use_after_fork(const void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < SOME; i++)
        test_release(blocks[i]);
    for (unsigned i = 0; i < SOME; i++)
        blocks[i] = test_alloc(16 * (i % 100) + 16);
    require(pm_heap_check() && pm_arena_check());
    test_release_some(blocks, 0, SOME);
    require(test_nothing_is_lost());
}

ISOLATED(the_child_of_a_fork_frees_and_allocates_and_the_parent_goes_on)
{
    char text[1000];
    start_with_fork_handlers();
    for (unsigned i = 0; i < SOME; i++)
        blocks[i] = test_alloc(16 * (i % 100) + 16);
    require(test_stderr_of(use_after_fork, NULL, text, sizeof text) == 0);
    use_after_fork(NULL);
}

/* A second thread that holds a current pool and full ones while the first forks. */
static pthread_barrier_t barrier;

static void *hold_pools(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < SOME; i++)
        blocks[i] = test_alloc(SIZE);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* the fork is over */
    for (unsigned i = 0; i < SOME; i++)
        test_release(blocks[i]);
    return NULL;
}

static void free_blocks_of_the_vanished(const void *arg)
{
    (void)arg;
    require(test_heap_stats().heaps_in_use == 2); /* theirs is frozen */
    for (unsigned i = 0; i < SOME; i++)
        test_release(blocks[i]);
    for (unsigned i = 0; i < SOME; i++)
        memset(blocks[i] = test_alloc(SIZE), 1, SIZE);
    require(pm_heap_check() && pm_arena_check());
}

ISOLATED(the_child_frees_into_pools_of_threads_that_the_fork_left_behind)
{
    char text[1000];
    pthread_t holder;
    start_with_fork_handlers();
    test_alloc(SIZE);
    require(pthread_barrier_init(&barrier, NULL, 2) == 0);
    require(pthread_create(&holder, NULL, hold_pools, NULL) == 0);
    pthread_barrier_wait(&barrier);
    require(test_stderr_of(free_blocks_of_the_vanished, NULL, text, sizeof text) == 0);
    pthread_barrier_wait(&barrier);
    require(pthread_join(holder, NULL) == 0 && pm_arena_check());
}

/* Forks while other threads allocate, so that locks are held at the moment of the fork. */
static _Atomic bool stop;

static void *allocate_until_stopped(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    while (!pm_load_relaxed(&stop)) {
        void *large = test_alloc(PM_BLOCK_MAX + test_random_below(&seed, 8 * PM_ARENA_BYTES));
        void *small = test_alloc(1 + test_random_below(&seed, PM_BLOCK_MAX));
        test_release(large);
        test_release(small);
    }
    return NULL;
}

static void allocate_in_child(const void *arg)
{
    (void)arg;
    test_release(test_alloc(3 * PM_ARENA_BYTES));
    test_release(test_alloc(SIZE));
    require(pm_arena_check() && pm_heap_check());
}

ISOLATED(no_lock_stays_held_in_the_child_of_a_fork_while_others_allocate)
{
    pthread_t threads[2];
    char text[1000];
    start_with_fork_handlers();
    for (uintptr_t i = 0; i < 2; i++)
        require(pthread_create(&threads[i], NULL, allocate_until_stopped, (void *)(i + 1)) == 0);
    for (int i = 0; i < 50; i++)
        require(test_stderr_of(allocate_in_child, NULL, text, sizeof text) == 0);
    pm_store_relaxed(&stop, true);
    for (int i = 0; i < 2; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(test_nothing_is_lost());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_handed_out_less_those_that_came_back_are_those_alive),
        cmocka_unit_test(counters_are_right_when_a_pool_counted_down_with_fewer_blocks_than_before),
        cmocka_unit_test(the_counters_of_exited_threads_count),
        cmocka_unit_test(the_check_passes_for_good_heaps_and_reports_a_damaged_list),
        cmocka_unit_test(the_check_reports_parked_pools_that_are_not_or_whose_count_is_wrong),
        cmocka_unit_test(the_child_of_a_fork_frees_and_allocates_and_the_parent_goes_on),
        cmocka_unit_test(the_child_frees_into_pools_of_threads_that_the_fork_left_behind),
        cmocka_unit_test(no_lock_stays_held_in_the_child_of_a_fork_while_others_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
