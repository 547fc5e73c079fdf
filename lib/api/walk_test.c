/* SPDX-License-Identifier: MIT */
/* Walks over blocks: exact when nobody is at work, to the byte, and harmless when all are. */
#include "poolmalloc/walk.h"
#include "api/figures.h"
#include "base/asan.h"
#include "base/atomic.h"
#include "base/options.h"
#include "base/testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { THREADS = 8, BLOCKS = 2000, ALL = THREADS * BLOCKS, KINDS = 8 };

static const size_t sizes[KINDS] = {1, 16, 100, 700, 3000, 16000, PM_BLOCK_MAX, PM_BLOCK_MAX + 1};

/* Blocks that live, sorted by address before a walk looks them up. */
static char *live[ALL];
static bool seen[ALL];
static size_t live_count;

static int by_address(const void *a, const void *b)
{
    uintptr_t left = *(const uintptr_t *)a, right = *(const uintptr_t *)b;
    return left < right ? -1 : left > right;
}

struct sum {
    size_t blocks, bytes, large, large_bytes, mine, of_threads, of_heaps;
    size_t stop_after;
};

static bool add(const struct pm_walk_block *found, void *arg)
{
    struct sum *sum = arg;
    sum->blocks++;
    sum->bytes += found->bytes + PM_ASAN_REDZONE_BYTES;
    sum->large += found->large;
    sum->large_bytes += found->large ? found->bytes + PM_ASAN_REDZONE_BYTES : 0;
    sum->mine += found->mine;
    sum->of_threads += found->thread != 0;
    sum->of_heaps += found->heap != NULL;
    require(!found->mine || found->thread != 0);
    return sum->blocks != sum->stop_after;
}

static bool add_known(const struct pm_walk_block *found, void *arg)
{
    void *at = bsearch(&found->block, live, live_count, sizeof *live, by_address);
    require(at != NULL);
    size_t number = (size_t)((char **)at - live);
    require(!seen[number] && found->bytes == pm_malloc_usable_size(found->block));
    seen[number] = true;
    return add(found, arg);
}

static struct sum walk(enum pm_walk_which which)
{
    struct sum sum = {0};
    require(pm_walk_blocks(which, add, &sum));
    return sum;
}

/* What the statistics say of the same moment. */
static void require_figures(const struct sum *sum)
{
    struct pm_figures figures;
    require(pm_figures_take(&figures));
    require(sum->blocks == figures.live_blocks + figures.stats.spans);
    require(sum->bytes == figures.live_bytes + figures.stats.span_bytes);
    require(sum->large == figures.stats.spans && sum->large_bytes == figures.stats.span_bytes);
}

/* Every block that lives is visited once, and nothing else. */
static void require_exact(void)
{
    struct sum sum = {0};
    memset(seen, 0, sizeof seen);
    qsort(live, live_count, sizeof *live, by_address);
    require(pm_walk_blocks(PM_WALK_PROCESS, add_known, &sum));
    require(sum.blocks == live_count);
    require_figures(&sum);
}

static char *make(uint64_t *seed)
{
    uint64_t which = test_random_below(seed, 200);
    size_t size = sizes[which < 190 ? which % 5 : which % KINDS];
    char *block = pm_malloc(size);
    require(block != NULL);
    memset(block, 0xab, size);
    return block;
}

ISOLATED(a_walk_of_one_thread_visits_each_live_block_once)
{
    uint64_t seed = 1;
    require(walk(PM_WALK_PROCESS).blocks == 0 && walk(PM_WALK_THREAD).blocks == 0);
    for (int round = 0; round < 20; round++) {
        while (live_count < BLOCKS)
            live[live_count++] = make(&seed);
        require_exact();
        for (size_t i = test_random_below(&seed, BLOCKS); i > 0; i--) {
            size_t which = test_random_below(&seed, live_count);
            pm_free(live[which]);
            live[which] = live[--live_count];
        }
        require_exact();
    }
}

static pthread_barrier_t made, freed, walked;

struct worker {
    uint64_t seed;
    size_t mine_blocks;
    char *blocks[BLOCKS], *kept[BLOCKS];
    size_t kept_count;
};
static struct worker workers[THREADS];

/* Some of its own blocks go, and some of its neighbour's; then it rests. */
static void *make_free_and_rest(void *arg)
{
    struct worker *worker = arg;
    struct worker *neighbour = &workers[(worker - workers + 1) % THREADS];
    for (int i = 0; i < BLOCKS; i++)
        worker->blocks[i] = make(&worker->seed);
    pthread_barrier_wait(&made);
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 5 == 0)
            pm_free(worker->blocks[i]);
        else if (i % 5 == 1)
            pm_free(neighbour->blocks[i]);
        else
            worker->kept[worker->kept_count++] = worker->blocks[i];
    }
    pthread_barrier_wait(&freed);
    walk(PM_WALK_THREAD); /* hands on what it held back */
    pthread_barrier_wait(&freed);
    worker->mine_blocks = walk(PM_WALK_THREAD).blocks;
    struct pm_stats stats;
    pm_stats_get(&stats); /* its own figures are counted anew */
    pthread_barrier_wait(&walked);
    pthread_barrier_wait(&walked);
    return NULL;
}

ISOLATED(of_eight_threads_at_rest_each_block_is_visited_to_the_byte)
{
    pthread_t threads[THREADS];
    size_t mine = 0;
    pthread_barrier_init(&made, NULL, THREADS);
    pthread_barrier_init(&freed, NULL, THREADS);
    pthread_barrier_init(&walked, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++) {
        workers[i].seed = i + 1;
        require(pthread_create(&threads[i], NULL, make_free_and_rest, &workers[i]) == 0);
    }
    pthread_barrier_wait(&walked);
    for (int i = 0; i < THREADS; i++) {
        memcpy(live + live_count, workers[i].kept, workers[i].kept_count * sizeof *live);
        live_count += workers[i].kept_count;
        mine += workers[i].mine_blocks;
    }
    require_exact();
    struct sum sum = walk(PM_WALK_PROCESS);
    require(sum.of_threads == mine && mine > 0 && mine < sum.blocks && sum.mine == 0);
    pthread_barrier_wait(&walked);
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require_exact(); /* of threads that are gone */
    require(walk(PM_WALK_PROCESS).of_threads == 0);
}

static _Atomic bool stop;

/* Blocks come and go, also to other threads and to the system. */
static void *churn(void *arg)
{
    static char *_Atomic swapped[64];
    uint64_t seed = (uintptr_t)arg;
    char *held[100] = {NULL};
    for (unsigned i = 0; !pm_load_relaxed(&stop); i++) {
        char **slot = &held[test_random_below(&seed, 100)];
        pm_free(*slot);
        *slot = make(&seed);
        *slot = atomic_exchange(&swapped[test_random_below(&seed, 64)], *slot);
        if (i % 5000 == 4999)
            pm_purge();
    }
    for (int i = 0; i < 100; i++)
        pm_free(held[i]);
    return NULL;
}

/* Never more than all arenas have, and a block of ours that stays is seen each time. */
ISOLATED(while_others_are_at_work_a_walk_ends_and_sees_what_stays)
{
    pthread_t threads[3];
    pm_user_heap *heap = pm_heap_new(0);
    for (int i = 0; i < 100; i++)
        require(pm_malloc(200) != NULL && pm_heap_malloc(heap, 300) != NULL);
    size_t mine = walk(PM_WALK_THREAD).blocks;
    require(pm_option_set("limit_bytes", "256m")); /* arenas are decommitted, too */
    for (uintptr_t i = 0; i < 3; i++)
        require(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0);
    for (int i = 0; i < 60; i++) {
        struct sum sum = walk(PM_WALK_PROCESS);
        struct pm_stats stats;
        pm_stats_get(&stats);
        require(sum.mine == mine && sum.of_heaps == 100 && sum.blocks >= mine + 100);
        require(sum.bytes <= stats.arenas * stats.arena_bytes);
    }
    pm_store_relaxed(&stop, true);
    for (int i = 0; i < 3; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(pm_check());
}

static bool free_it_and_make_others(const struct pm_walk_block *found, void *arg)
{
    struct sum nested = {.stop_after = 3};
    char **others = arg;
    pm_walk_blocks(PM_WALK_PROCESS, add, &nested);
    if (others[0] == NULL || (char *)found->block != others[0])
        pm_free(found->block);
    if (others[0] == NULL)
        others[0] = pm_malloc(100);
    return true;
}

ISOLATED(a_visit_may_free_and_allocate_and_walk)
{
    char *others[1] = {NULL};
    pm_user_heap *heap = pm_heap_new(0);
    for (int i = 0; i < BLOCKS; i++)
        require((i % 10 ? pm_malloc(sizes[i % KINDS]) : pm_heap_malloc(heap, 500)) != NULL);
    require(pm_walk_blocks(PM_WALK_PROCESS, free_it_and_make_others, others));
    require(walk(PM_WALK_PROCESS).blocks == 1 && pm_heap_of(others[0]) == NULL && pm_check());
    pm_heap_destroy(heap);
}

ISOLATED(a_walk_ends_when_visit_says_so)
{
    struct sum sum = {.stop_after = 7};
    for (int i = 0; i < BLOCKS; i++)
        require(pm_malloc(sizes[i % KINDS]) != NULL);
    require(!pm_walk_blocks(PM_WALK_PROCESS, add, &sum) && sum.blocks == 7);
    sum = (struct sum){.stop_after = 1};
    require(!pm_walk_blocks(PM_WALK_THREAD, add, &sum) && sum.blocks == 1 && sum.mine == 1);
}

static bool is_of_heap(const struct pm_walk_block *found, void *heap)
{
    return found->heap == heap && !found->mine && found->thread == 0;
}

ISOLATED(blocks_of_user_heaps_are_told_with_their_heap)
{
    pm_user_heap *heap = pm_heap_new(0), *other = pm_heap_new(0);
    for (int i = 0; i < KINDS; i++)
        require(pm_heap_malloc(heap, sizes[i]) != NULL);
    require(pm_walk_blocks(PM_WALK_PROCESS, is_of_heap, heap));
    require(walk(PM_WALK_PROCESS).of_heaps == KINDS);
    require(pm_heap_malloc(other, 100) != NULL);
    require(!pm_walk_blocks(PM_WALK_PROCESS, is_of_heap, heap));
    pm_heap_destroy(other);
    require(pm_walk_blocks(PM_WALK_PROCESS, is_of_heap, heap));
    pm_heap_destroy(heap);
    require(walk(PM_WALK_PROCESS).blocks == 0);
}

ISOLATED(blocks_outside_the_first_window_are_visited_too)
{
    uint64_t seed = 3;
    pm_options.window_bytes = 2 * PM_ARENA_BYTES;
    while (live_count < 4 * BLOCKS)
        live[live_count++] = make(&seed);
    require_exact();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_of_one_thread_visits_each_live_block_once),
        cmocka_unit_test(of_eight_threads_at_rest_each_block_is_visited_to_the_byte),
        cmocka_unit_test(while_others_are_at_work_a_walk_ends_and_sees_what_stays),
        cmocka_unit_test(a_visit_may_free_and_allocate_and_walk),
        cmocka_unit_test(a_walk_ends_when_visit_says_so),
        cmocka_unit_test(blocks_of_user_heaps_are_told_with_their_heap),
        cmocka_unit_test(blocks_outside_the_first_window_are_visited_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
