/* SPDX-License-Identifier: MIT */
/* The life of thread heaps: what an exiting thread leaves, and who gets it. */
#include "arena/internal.h"
#include "heap/testing.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 128, SIZE = 256, MANY = 200 };

static void *use_some_classes(void *arg)
{
    (void)arg;
    test_get_heap();
    for (size_t n = 16; n <= PM_BLOCK_MAX; n *= 2)
        test_release(test_alloc(n));
    return NULL;
}

ISOLATED(an_exiting_thread_leaves_no_heap_in_use_and_its_shell_serves_the_next)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    require(test_heap_stats().heaps == 1 && test_heap_stats().heaps_in_use == 1);
    for (int i = 0; i < MANY; i++) {
        test_in_thread(use_some_classes, NULL);
        require(test_heap_stats().heaps_in_use == 1);
    }
    require(test_heap_stats().heaps == 2);
}

ISOLATED(an_exiting_thread_that_freed_all_leaves_no_unit_in_use)
{
    test_heap_start(WINDOW_ARENAS);
    for (int i = 0; i < MANY; i++)
        test_in_thread(use_some_classes, NULL);
    struct pm_arena_stats stats = test_arena_stats();
    require(stats.free_units == stats.arenas * PM_ARENA_UNITS && pm_arena_check());
    require(test_heap_stats().kept_bytes == 0 && test_heap_stats().stash_bytes == 0);
}

static void *let_go_of_a_pool_of_each_class(void *visits)
{
    unsigned pools = 0;
    test_get_heap();
    for (size_t n = PM_GRANULE_BYTES; n <= PM_SMALL_MAX; n += PM_GRANULE_BYTES, pools++)
        test_release(test_alloc(n));
    uint64_t before = pm_load_relaxed(&pm_arena_lock.acquisitions);
    require(pm_heap_idle());
    *(uint64_t *)visits = pm_load_relaxed(&pm_arena_lock.acquisitions) - before;
    require(*(uint64_t *)visits <= pools / PM_RETURNS_MAX + 2); /* and one for the stash */
    return NULL;
}

ISOLATED(a_heap_that_dissolves_gives_its_pools_back_in_few_visits_to_the_arena_list)
{
    uint64_t visits;
    test_heap_start(WINDOW_ARENAS);
    test_in_thread(let_go_of_a_pool_of_each_class, &visits);
    require(visits > 0);
    struct pm_arena_stats stats = test_arena_stats();
    require(stats.free_units == stats.arenas * PM_ARENA_UNITS && pm_arena_check());
}

static void *allocate_one(void *block)
{
    *(void **)block = test_alloc(SIZE);
    return NULL;
}

ISOLATED(a_pool_of_an_exited_thread_floats_and_its_last_block_gives_it_back)
{
    void *block;
    test_heap_start(WINDOW_ARENAS);
    test_in_thread(allocate_one, &block);
    require(test_has_owner(test_pool_of(block), PM_ROUTE_FLOATING));
    require(test_is(test_pool_of(block), PM_PUBLISHED, 1));
    test_release(block);
    require(test_nothing_is_lost());
}

/* Three arenas' worth of blocks; then every other one is freed. */
enum { MANY_BLOCKS = 3 * PM_ARENA_BYTES / SIZE };

static void *leave_half(void *arg)
{
    static void *many[MANY_BLOCKS];
    (void)arg;
    test_get_heap();
    for (unsigned i = 0; i < MANY_BLOCKS; i++)
        many[i] = test_alloc(SIZE);
    for (unsigned i = 0; i < MANY_BLOCKS; i += 2)
        test_release(many[i]);
    return NULL;
}

ISOLATED(what_exited_threads_left_is_used_before_new_arenas_are_added)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    test_in_thread(leave_half, NULL);
    uint64_t arenas = test_arena_stats().arenas;
    require(arenas >= 3);
    for (unsigned i = 0; i < MANY_BLOCKS / 2; i++)
        test_alloc(SIZE);
    require(test_arena_stats().arenas == arenas && pm_heap_check());
}

static void *make_and_free_pools(void *arg)
{
    (void)arg;
    void *held[64];
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 64; i++)
            held[i] = test_alloc(16 + 97 * i);
        for (unsigned i = 0; i < 64; i++)
            test_release(held[i]);
    }
    return NULL;
}

ISOLATED(a_thousand_threads_one_after_another_need_no_more_arenas_than_the_first)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    test_in_thread(make_and_free_pools, NULL); /* the cold heap serves its first calls */
    uint64_t arenas = test_arena_stats().arenas;
    for (int i = 0; i < 1000 / (1 + 9 * PM_TSAN); i++)
        test_in_thread(make_and_free_pools, NULL);
    require(test_arena_stats().arenas == arenas && test_heap_stats().heaps <= 2);
}

/* A destructor of the thread that runs again in every round, also after the heap's own. */
static pthread_key_t late_key;
static _Atomic unsigned late_rounds, late_dead; /* TSan takes the thread for ended before */

static void late_destructor(void *block)
{
    test_release(block);
    late_rounds++;
    late_dead += pm_heap_self == &pm_heap_dead;
    void *next = test_alloc(SIZE);
    memset(next, 1, SIZE);
    if (late_rounds < PTHREAD_DESTRUCTOR_ITERATIONS)
        require(pthread_setspecific(late_key, next) == 0);
    else
        test_release(next);
}

static void *live_until_late(void *arg)
{
    (void)arg;
    require(pthread_setspecific(late_key, test_alloc(SIZE)) == 0);
    return NULL;
}

ISOLATED(late_thread_destructors_are_served_by_the_cold_heap_and_leak_no_heap)
{
    test_heap_start(WINDOW_ARENAS);
    require(pthread_key_create(&late_key, late_destructor) == 0);
    test_in_thread(live_until_late, NULL);
    require(late_rounds == PTHREAD_DESTRUCTOR_ITERATIONS && late_dead > 0);
    require(test_heap_stats().heaps_in_use == 0);
    require(test_nothing_is_lost());
}

static void *leave_block_of_cold_heap(void *block)
{
    pm_heap_self = &pm_heap_dead; /* as after the heap's destructor */
    *(void **)block = test_alloc(SIZE);
    require(test_has_owner(test_pool_of(*(void **)block), pm_heap_route(pm_cold_mine()->heap)));
    require(test_alloc(SIZE) != *(void **)block);
    require(pm_heap_self == &pm_heap_dead);
    return NULL;
}

ISOLATED(blocks_of_the_cold_heap_are_freed_by_any_thread_and_used_again)
{
    void *block;
    test_heap_start(WINDOW_ARENAS);
    test_in_thread(leave_block_of_cold_heap, &block);
    test_release(block);
    require(test_is(test_pool_of(block), PM_OWNED, 1));
    struct pm_pool *pool = test_pool_of(block);
    require(pm_pool_take_remote(pool) == 1 && pm_pool_check(pool));
}

ISOLATED(initialising_twice_is_initialising_once)
{
    test_heap_start(WINDOW_ARENAS);
    uintptr_t base = pm_window_base(&pm_window);
    require(pm_heap_process_init() && pm_window_base(&pm_window) == base);
}

static bool is_of_heap(const void *block, const struct pm_heap *heap)
{
    return test_has_owner(test_pool_of(block), pm_heap_route(heap));
}

static void *allocate_few_of_each_size(void *arg)
{
    test_get_heap();
    for (size_t n = 16; n <= PM_BLOCK_MAX; n *= 2) {
        unsigned class = pm_class_of(n), calls = pm_class_calls_before_pool(class);
        require(calls >= PM_CALLS_BEFORE_POOL_MIN && calls <= PM_CALLS_BEFORE_POOL_MAX);
        for (unsigned i = 0; i < calls; i++) {
            test_alloc(n);
            require(pm_heap_self->current[class] == &pm_pool_none);
        }
        require(is_of_heap(test_alloc(n), pm_heap_self));
    }
    return arg;
}

ISOLATED(a_thread_has_a_pool_of_a_class_after_the_cold_heap_served_some_blocks_of_it)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    require(is_of_heap(test_alloc(SIZE), pm_heap_self)); /* the first thread at once */
    uint64_t before = pm_load_relaxed(&pm_cold_mine()->heap->refills);
    test_in_thread(allocate_few_of_each_size, NULL);
    require(pm_load_relaxed(&pm_cold_mine()->heap->refills) > before);
    test_in_thread(allocate_few_of_each_size, NULL); /* the shell is as a new one */
}

ISOLATED(the_first_allocation_of_a_process_initialises_it)
{
    pm_options.window_bytes = WINDOW_ARENAS * PM_ARENA_BYTES;
    void *block = test_alloc(SIZE);
    require(pm_window_find(block) == &pm_window && test_heap_stats().heaps == 1);
}

/* Threads that swap blocks of all sizes and come and go. */
enum { THREADS = 4, SLOTS = 300, ROUNDS = 6000 };
static _Atomic(void *) slots[SLOTS];

static void *swap_blocks(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = 16 + test_random_below(&seed, 2 * PM_BLOCK_MAX >> test_random_below(&seed, 14));
        size_t *block = test_random_below(&seed, 2) ? test_alloc(n) : NULL;
        if (block != NULL)
            block[0] = block[n / sizeof n - 1] = n;
        size_t *found = pm_exchange_acq_rel(&slots[test_random_below(&seed, SLOTS)], block);
        if (found == NULL)
            continue;
        n = found[0];
        require(found[n / sizeof n - 1] == n && pm_heap_usable(found, "test") >= n);
        test_release(found);
    }
    require(pm_heap_check());
    return NULL;
}

ISOLATED(after_threads_swapped_blocks_and_all_is_freed_no_unit_is_lost)
{
    test_heap_start(WINDOW_ARENAS);
    for (uintptr_t round = 0; round < 3; round++) {
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            require(pthread_create(&threads[i], NULL, swap_blocks,
                                   (void *)(round * THREADS + i + 1)) == 0);
        for (int i = 0; i < THREADS; i++)
            require(pthread_join(threads[i], NULL) == 0);
    }
    for (int i = 0; i < SLOTS; i++) {
        void *found = pm_exchange_acq_rel(&slots[i], NULL);
        if (found != NULL)
            test_release(found);
    }
    require(test_nothing_is_lost());
    struct pm_heap_stats stats = test_heap_stats();
    require(stats.kept_bytes == 0 && stats.heaps <= THREADS + 1);
}

static void *call_a_little(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < PM_CALLS_BEFORE_HEAP / 2; i++)
        test_release(test_alloc(100 * (i + 1)));
    require(pm_heap_self == &pm_heap_none);
    return NULL;
}

ISOLATED(threads_of_few_calls_are_served_by_the_cold_heap_and_get_none_of_their_own)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (int i = 0; i < MANY; i++)
        test_in_thread(call_a_little, NULL);
    require(test_heap_stats().heaps == 1 && test_nothing_is_lost());
}

ISOLATED(the_first_thread_has_its_heap_at_once)
{
    test_heap_start(WINDOW_ARENAS);
    test_release(test_alloc(SIZE));
    require(pm_heap_self->real);
}

/* The thread's first allocator call comes in the last round of destructors, after ours. */
static pthread_key_t last_key;
static _Thread_local unsigned last_rounds;

static void last_destructor(void *arg)
{
    if (++last_rounds < PTHREAD_DESTRUCTOR_ITERATIONS)
        require(pthread_setspecific(last_key, arg) == 0);
    else
        use_some_classes(NULL);
}

static void *leave_heap(void *arg)
{
    (void)arg;
    require(pthread_setspecific(last_key, &last_key) == 0);
    return NULL;
}

ISOLATED(the_heap_that_a_dead_thread_left_serves_the_next_with_its_storage)
{
    if (PM_TSAN) /* which takes a thread for ended before its last destructors */
        return;
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    require(pthread_key_create(&last_key, last_destructor) == 0);
    for (int i = 0; i < MANY; i++)
        test_in_thread(leave_heap, NULL);
    /* The C library uses a thread's storage again, but perhaps not at once. */
    require(test_heap_stats().heaps >= 2 && test_heap_stats().heaps <= 1 + MANY / 20);
}

/* More threads at a time than the registry has buckets; not so with the sanitizers, to which each
 * thread is dear. */
enum { AT_ONCE = PM_ASAN || PM_TSAN ? 50 : 600 };
static pthread_barrier_t all_there;

static void *wait_with_a_heap(void *arg)
{
    test_get_heap();
    pthread_barrier_wait(&all_there);
    return arg;
}

ISOLATED(each_of_many_heaps_is_found_again_at_its_threads_exit)
{
    pthread_t threads[AT_ONCE];
    pthread_attr_t small;
    test_heap_start(WINDOW_ARENAS);
    require(pthread_barrier_init(&all_there, NULL, AT_ONCE) == 0);
    require(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 1 << 18) == 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < AT_ONCE; i++)
            require(pthread_create(&threads[i], &small, wait_with_a_heap, NULL) == 0);
        for (int i = 0; i < AT_ONCE; i++)
            require(pthread_join(threads[i], NULL) == 0);
        require(test_heap_stats().heaps == AT_ONCE && test_heap_stats().heaps_in_use == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exiting_thread_leaves_no_heap_in_use_and_its_shell_serves_the_next),
        cmocka_unit_test(an_exiting_thread_that_freed_all_leaves_no_unit_in_use),
        cmocka_unit_test(
            a_heap_that_dissolves_gives_its_pools_back_in_few_visits_to_the_arena_list),
        cmocka_unit_test(a_pool_of_an_exited_thread_floats_and_its_last_block_gives_it_back),
        cmocka_unit_test(what_exited_threads_left_is_used_before_new_arenas_are_added),
        cmocka_unit_test(a_thousand_threads_one_after_another_need_no_more_arenas_than_the_first),
        cmocka_unit_test(late_thread_destructors_are_served_by_the_cold_heap_and_leak_no_heap),
        cmocka_unit_test(blocks_of_the_cold_heap_are_freed_by_any_thread_and_used_again),
        cmocka_unit_test(initialising_twice_is_initialising_once),
        cmocka_unit_test(
            a_thread_has_a_pool_of_a_class_after_the_cold_heap_served_some_blocks_of_it),
        cmocka_unit_test(the_first_allocation_of_a_process_initialises_it),
        cmocka_unit_test(after_threads_swapped_blocks_and_all_is_freed_no_unit_is_lost),
        cmocka_unit_test(
            threads_of_few_calls_are_served_by_the_cold_heap_and_get_none_of_their_own),
        cmocka_unit_test(the_first_thread_has_its_heap_at_once),
        cmocka_unit_test(the_heap_that_a_dead_thread_left_serves_the_next_with_its_storage),
        cmocka_unit_test(each_of_many_heaps_is_found_again_at_its_threads_exit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
