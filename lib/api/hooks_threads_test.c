/* SPDX-License-Identifier: MIT */
/* Hooks that count and refuse at random, and come and go, while four threads allocate. */
#include "arena/giver_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { THREADS = 4, STEPS = PM_TSAN || PM_SCHEDULE ? 250 : 1200, FORKS = 6 };

static struct test_book books[2];
static _Atomic bool stop;
static _Atomic unsigned refused;

/* Every other time a block goes to whoever comes next, who frees it. */
static unsigned char *_Atomic passed[16];

static void pass_on(uint64_t *seed)
{
    size_t size = test_some_size(seed) % 100000 + 1;
    unsigned char *block = pm_malloc(size);
    if (block != NULL)
        memset(block, 5, size);
    block = atomic_exchange(&passed[test_random_below(seed, 16)], block);
    require(block == NULL || block[0] == 5);
    pm_free(block);
}

static void *work_until_stopped(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    struct test_work work = {.refused = 0};
    for (unsigned i = 0; i < STEPS || !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        test_work_step(&work, &seed);
        if (i % 2 == 0)
            pass_on(&seed);
        if (i % 64 == 0)
            pm_purge();
    }
    test_work_free_all(&work);
    atomic_fetch_add(&refused, work.refused);
    return NULL;
}

static void run_threads(void (*meanwhile)(void))
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, work_until_stopped, (void *)(i + 1)) == 0);
    meanwhile();
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < 16; i++)
        pm_free(atomic_exchange(&passed[i], NULL));
    pm_purge();
    require(pm_check());
}

static bool has_committed(struct test_book *book)
{
    pthread_mutex_lock(&book->lock);
    bool some = book->commits > 0;
    pthread_mutex_unlock(&book->lock);
    return some;
}

static void swap_page_hooks(void)
{
    struct pm_page_hooks hooks[2] = {test_book_hooks(&books[0]), test_book_hooks(&books[1])};
    for (int i = 0; i < 60 || !has_committed(&books[0]) || !has_committed(&books[1]); i++) {
        require(pm_set_page_hooks(i % 3 == 2 ? NULL : &hooks[i % 3]));
        for (int turn = 0; turn < 10; turn++)
            sched_yield();
    }
}

ISOLATED(page_hooks_that_refuse_at_random_and_are_swapped_lose_nothing)
{
    pm_malloc(1);
    for (int i = 0; i < 2; i++) {
        test_open_book(&books[i]);
        require(pm_set_page_hooks(NULL));
        books[i].refuse_in = 5;
        books[i].seed = (uint64_t)i;
    }
    run_threads(swap_page_hooks);
    struct pm_stats stats;
    require(pm_stats_get(&stats) && stats.spans == 0);
}

/* A fork waits for hooks that run, so what they were changing is whole in the child. */
static void fork_meanwhile(void)
{
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        require(child >= 0);
        if (child == 0) {
            alarm(100);
            uint64_t seed = (uint64_t)i;
            struct test_work work = {.refused = 0};
            for (int step = 0; step < 20; step++)
                test_work_step(&work, &seed);
            test_work_free_all(&work);
            pm_purge();
            _exit(pm_check() ? 0 : 1);
        }
        int status;
        require(waitpid(child, &status, 0) == child && status == 0);
    }
}

ISOLATED(children_of_a_fork_that_came_while_page_hooks_ran_can_use_them)
{
    struct pm_page_hooks hooks = {0};
    pm_malloc(1);
    test_open_book(&books[0]);
    hooks = test_book_hooks(&books[0]);
    require(pm_set_page_hooks(&hooks) && pm_option_set("keep_bytes", "0"));
    run_threads(fork_meanwhile);
    require(has_committed(&books[0]));
}

static struct test_giver giver;

static void swap_arena_hook(void)
{
    struct pm_arena_allocator table = test_giver_table(&giver), now;
    for (int i = 0; i < 60; i++) {
        require(pm_set_arena_allocator(i % 4 == 3 ? &giver.previous : &table));
        pm_get_arena_allocator(&now);
        require(now.alloc == (i % 4 == 3 ? giver.previous.alloc : table.alloc));
        for (int turn = 0; turn < 10; turn++) {
            require(!pm_owns(&now));
            sched_yield();
        }
    }
    require(pm_set_arena_allocator(&table));
}

ISOLATED(an_arena_hook_that_refuses_at_random_and_comes_and_goes_gets_all_back)
{
    require(pm_option_set("keep_bytes", "0"));
    test_set_giver(&giver);
    giver.refuse_in = 9;
    run_threads(swap_arena_hook);
    pm_thread_idle();
    pm_purge();
    require(giver.frees > 0 && giver.held == 0);
}

ISOLATED(children_of_a_fork_that_came_while_an_arena_hook_ran_can_use_it)
{
    require(pm_option_set("keep_bytes", "0"));
    test_set_giver(&giver);
    run_threads(fork_meanwhile);
    require(giver.allocs > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_hook_that_refuses_at_random_and_comes_and_goes_gets_all_back),
        cmocka_unit_test(page_hooks_that_refuse_at_random_and_are_swapped_lose_nothing),
        cmocka_unit_test(children_of_a_fork_that_came_while_page_hooks_ran_can_use_them),
        cmocka_unit_test(children_of_a_fork_that_came_while_an_arena_hook_ran_can_use_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
