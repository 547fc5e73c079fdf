/* SPDX-License-Identifier: MIT */
/*
 * Fork by a signal handler: whatever locks its own thread and others hold at that moment, nobody
 * waits for ever, and in the child what the others guarded is whole. The handler is played by the
 * test, which calls the fork handlers itself while it holds a lock.
 */
#include "heap/testing.h"
#include "heap/user.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, SIZE = 256, BLOCKS = 3000 };

/* Another thread, which holds a lock until it is told to let go. */
struct holder {
    unsigned rank;
    _Atomic unsigned step;
    pthread_t thread;
};

static void *hold(void *arg)
{
    struct holder *holder = arg;
    struct pm_lock *lock = pm_lock_of_rank(holder->rank);
    pm_lock_acquire(lock);
    pm_store_release(&holder->step, 1);
    while (pm_load_acquire(&holder->step) != 2)
        sched_yield();
    pm_lock_release(lock);
    return NULL;
}

static void start_holder(struct holder *holder)
{
    require(pthread_create(&holder->thread, NULL, hold, holder) == 0);
    while (pm_load_acquire(&holder->step) != 1)
        sched_yield();
}

static void use_heap(void)
{
    static void *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++)
        blocks[i] = test_alloc(1 + i * 7 % 4000);
    for (unsigned i = 0; i < BLOCKS; i++)
        test_release(blocks[i]);
    require(pm_heap_check() && pm_arena_check());
}

static void *use_heap_in_thread(void *arg)
{
    (void)arg;
    use_heap();
    return NULL;
}

static struct pm_user_heap *user;

/* The layers above have locks, too, which are registered when their services start. */
static struct pm_lock service = PM_LOCK_INIT(PM_RANK_SERVICE), trace = PM_LOCK_INIT(PM_RANK_TRACE);

static void live_as_child(struct pm_lock *interrupted)
{
    bool given_up = pm_lock_state(&user->lock) == PM_LOCK_ANOTHERS;
    pm_heap_fork_child();
    require(user->lost == given_up);
    if (interrupted != NULL) { /* the handler returns, the interrupted code goes on */
        require(pm_lock_state(interrupted) == PM_LOCK_INTERRUPTED);
        pm_lock_release(interrupted);
    }
    for (unsigned rank = 0; rank < PM_RANK_COUNT; rank++)
        require(pm_lock_state(pm_lock_of_rank(rank)) == PM_LOCK_FREE);
    use_heap();
    pm_heap_self = &pm_heap_dead; /* the cold heap serves, too */
    use_heap();
    _exit(0);
}

static void fork_inside(struct pm_lock *interrupted)
{
    int status;
    pm_heap_fork_prepare();
    pid_t child = fork();
    require(child >= 0);
    if (child == 0)
        live_as_child(interrupted);
    pm_heap_fork_parent();
    require(waitpid(child, &status, 0) == child && status == 0);
}

/* Floating pools, cold pools, parked pools, dirty and clean arenas; a user heap. */
static void make_things_to_mend(void)
{
    static void *blocks[BLOCKS];
    test_get_heap();
    user = pm_user_new(SIZE_MAX);
    require(user != NULL);
    pm_lock_register(&service);
    pm_lock_register(&trace);
    for (unsigned i = 0; i < BLOCKS; i++)
        blocks[i] = test_alloc(i % 3 ? SIZE : 10000);
    test_in_thread(use_heap_in_thread, NULL);
    for (unsigned i = 0; i < BLOCKS; i += 2)
        test_release(blocks[i]);
    pm_heap_trim(); /* half empty pools: published */
}

static bool is_above(unsigned rank)
{
    return rank == PM_RANK_SERVICE || rank == PM_RANK_TRACE;
}

/* Those of the layers above guard nothing here. */
static bool is_tried(unsigned mine, unsigned other)
{
    return mine != other && (!is_above(mine) || other == PM_RANK_ARENA) &&
           (!is_above(other) || mine == PM_RANK_ARENA);
}

static void fork_while_another_holds(unsigned mine, unsigned other)
{
    struct holder holder = {.rank = other};
    start_holder(&holder);
    pm_lock_acquire(pm_lock_of_rank(mine));
    fork_inside(pm_lock_of_rank(mine));
    require(pm_lock_state(pm_lock_of_rank(other)) == PM_LOCK_ANOTHERS);
    pm_lock_release(pm_lock_of_rank(mine));
    pm_store_release(&holder.step, 2);
    require(pthread_join(holder.thread, NULL) == 0);
    for (unsigned rank = 0; rank < PM_RANK_COUNT; rank++)
        require(pm_lock_state(pm_lock_of_rank(rank)) == PM_LOCK_FREE);
}

/* Each pair waits some forty milliseconds; so a process for each lock of the thread that forks. */
ISOLATED(a_fork_inside_the_allocator_goes_on_whatever_another_thread_holds)
{
    pid_t processes[PM_RANK_COUNT];
    int status;
    test_heap_start(WINDOW_ARENAS);
    make_things_to_mend();
    for (unsigned mine = 0; mine < PM_RANK_COUNT; mine++) {
        processes[mine] = fork();
        require(processes[mine] >= 0);
        if (processes[mine] != 0)
            continue;
        for (unsigned other = 0; other < PM_RANK_COUNT; other++) {
            if (is_tried(mine, other))
                fork_while_another_holds(mine, other);
        }
        use_heap();
        _exit(0);
    }
    for (unsigned mine = 0; mine < PM_RANK_COUNT; mine++)
        require(waitpid(processes[mine], &status, 0) == processes[mine] && status == 0);
}

ISOLATED(an_ordinary_fork_takes_every_lock_and_the_child_finds_them_free)
{
    int status;
    test_heap_start(WINDOW_ARENAS);
    make_things_to_mend();
    pm_heap_fork_prepare();
    for (unsigned rank = 0; rank < PM_RANK_COUNT; rank++)
        require(pm_lock_state(pm_lock_of_rank(rank)) == PM_LOCK_FOR_FORK);
    pid_t child = fork();
    if (child == 0)
        live_as_child(NULL);
    pm_heap_fork_parent();
    for (unsigned rank = 0; rank < PM_RANK_COUNT; rank++)
        require(pm_lock_state(pm_lock_of_rank(rank)) == PM_LOCK_FREE);
    require(waitpid(child, &status, 0) == child && status == 0);
}

ISOLATED(a_fork_inside_a_fork_does_not_wait_for_itself)
{
    test_heap_start(WINDOW_ARENAS);
    make_things_to_mend();
    pm_heap_fork_prepare();
    fork_inside(NULL);
    pm_heap_fork_parent();
    use_heap();
}

/* Lists made anew from the bits: all units are where they were. */
ISOLATED(mended_arena_lists_and_floating_sets_are_complete)
{
    test_heap_start(WINDOW_ARENAS);
    make_things_to_mend();
    struct pm_arena_stats before = test_arena_stats(), after;
    struct pm_floating_stats sets, mended;
    pm_floating_stats(&sets);
    pm_arena_rebuild_in_child();
    pm_floating_rebuild_in_child();
    pm_floating_stats(&mended);
    after = test_arena_stats();
    require(sets.pools > 0 && mended.pools == sets.pools);
    require(after.arenas == before.arenas && after.free_units == before.free_units);
    require(after.dirty_units == after.free_units); /* nothing is known to be clean */
    require(pm_arena_check());
    use_heap();
}

ISOLATED(a_child_of_such_a_child_has_a_cold_heap_of_its_own_again)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_heap *colds[3];
    for (int generation = 0; generation < 3; generation++) {
        colds[generation] = pm_cold_at(0)->heap;
        pm_heap_self = &pm_heap_dead; /* the cold heap serves this thread */
        use_heap();
        pm_cold_replace_in_child(&pm_cold_at(0)->lock);
    }
    require(colds[0] != colds[1] && colds[1] != colds[2] && colds[2] != pm_cold_at(0)->heap);
    use_heap();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fork_inside_the_allocator_goes_on_whatever_another_thread_holds),
        cmocka_unit_test(an_ordinary_fork_takes_every_lock_and_the_child_finds_them_free),
        cmocka_unit_test(a_fork_inside_a_fork_does_not_wait_for_itself),
        cmocka_unit_test(mended_arena_lists_and_floating_sets_are_complete),
        cmocka_unit_test(a_child_of_such_a_child_has_a_cold_heap_of_its_own_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
