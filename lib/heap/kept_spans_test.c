/* SPDX-License-Identifier: MIT */
/* Large blocks that heaps keep: found again without a lock, bounded, within reach of every thread.
 */
#include "base/options.h"
#include "heap/testing.h"
#include "os/os.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 128, UNITS = PM_BLOCK_MAX / PM_UNIT_BYTES + 2, ROUNDS_TO_LEARN = 2 };

static const size_t SIZE = UNITS * PM_UNIT_BYTES;

static size_t leased(void)
{
    return pm_load_relaxed(&pm_purge_leased_units);
}

static void *pair(size_t n)
{
    unsigned char *block = test_alloc(n);
    block[0] = block[n - 1] = 0xaa;
    test_release(block);
    return block;
}

/* Afterwards the calling thread's heap keeps a block of that size. */
static void *learn(size_t n)
{
    void *block = NULL;
    test_get_heap();
    for (int i = 0; i < ROUNDS_TO_LEARN; i++)
        block = pair(n);
    require(test_heap_stats().kept_span_bytes >= n && pm_heap_check());
    return block;
}

ISOLATED(a_size_that_comes_again_is_served_without_the_lock)
{
    test_heap_start(WINDOW_ARENAS);
    void *block = learn(SIZE);
    uint64_t locked = test_arena_stats().lock_acquisitions + 1; /* its own */
    for (int i = 0; i < PM_TICK_EVERY; i++)
        require(pair(SIZE) == block);
    require(test_arena_stats().lock_acquisitions == locked);
    unsigned char *zeros = pm_thread_calloc_medium(SIZE);
    require(zeros == block && zeros[0] == 0 && zeros[SIZE - 1] == 0);
    test_release(zeros);
    require(test_nothing_is_lost() && leased() == 0);
}

static void *make_large_blocks_alone(void *arg)
{
    struct pm_heap_stats before = test_heap_stats();
    for (int i = 0; i < PM_CALLS_BEFORE_HEAP; i++)
        pair(SIZE);
    require(!pm_heap_self->real);
    for (int i = 0; i < ROUNDS_TO_LEARN; i++)
        pair(SIZE);
    struct pm_heap_stats after = test_heap_stats();
    require(pm_heap_self->real && after.kept_span_bytes == SIZE);
    require(after.mallocs - before.mallocs == PM_CALLS_BEFORE_HEAP + ROUNDS_TO_LEARN);
    require(after.frees - before.frees == PM_CALLS_BEFORE_HEAP + ROUNDS_TO_LEARN);
    return arg;
}

ISOLATED(a_thread_that_has_large_blocks_alone_gets_a_heap_that_keeps_some_after_a_while)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    test_in_thread(make_large_blocks_alone, NULL);
    require(leased() == 0 && test_nothing_is_lost());
}

ISOLATED(of_several_slots_the_one_for_the_size_is_found)
{
    test_heap_start(WINDOW_ARENAS);
    void *large = learn(SIZE + PM_UNIT_BYTES), *small = learn(SIZE);
    uint64_t locked = test_arena_stats().lock_acquisitions + 1; /* its own */
    require(test_alloc(SIZE + PM_UNIT_BYTES) == large && test_alloc(SIZE) == small);
    test_release(small);
    test_release(large);
    require(test_alloc(SIZE) == small && test_alloc(SIZE + PM_UNIT_BYTES) == large);
    require(test_arena_stats().lock_acquisitions == locked);
}

ISOLATED(what_waits_is_nobodys_and_the_figures_say_so)
{
    test_heap_start(WINDOW_ARENAS);
    char *block = learn(SIZE);
    struct pm_heap_stats heap = test_heap_stats();
    struct pm_arena_stats arena = test_arena_stats();
    require(heap.kept_span_bytes == SIZE && heap.kept_span_held_bytes == SIZE);
    require(arena.spans == 0 && arena.span_units == UNITS);
    require(!pm_arena_owns(block) && !pm_arena_owns(block + SIZE - 1));
    require(test_alloc(SIZE) == block && pm_arena_owns(block + SIZE - 1));
    require(test_heap_stats().kept_span_bytes == 0 && test_arena_stats().spans == 1);
}

static void free_again(const void *block)
{
    test_release((void *)(uintptr_t)block);
}

ISOLATED(what_waits_is_not_freed_twice)
{
    test_heap_start(WINDOW_ARENAS);
    require(test_aborts(free_again, learn(SIZE), "not allocated"));
}

ISOLATED(alignment_beyond_a_unit_is_kept)
{
    test_heap_start(WINDOW_ARENAS);
    learn(SIZE);
    char *block = pm_thread_malloc_aligned(SIZE, PM_ARENA_BYTES);
    require(block != NULL && (uintptr_t)block % PM_ARENA_BYTES == 0);
    test_release(block);
    require(test_nothing_is_lost());
}

/* Units that an alignment made whole arenas of would be miscounted. */
ISOLATED(a_block_that_holds_more_than_its_size_says_does_not_wait)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (int i = 0; i < 2 * ROUNDS_TO_LEARN; i++)
        test_release(pm_thread_malloc_aligned(PM_ARENA_BYTES / 2, PM_ARENA_BYTES));
    require(test_heap_stats().kept_span_bytes == 0 && test_nothing_is_lost());
}

ISOLATED(no_more_is_leased_than_the_bound_would_keep_dirty)
{
    test_heap_start(WINDOW_ARENAS);
    pm_options.keep_bytes = 3 * SIZE;
    void *block = learn(SIZE);
    require(leased() == UNITS && !pm_purge_lease(0, 2 * UNITS + 1));
    require(pm_purge_lease(0, 2 * UNITS) && !pm_purge_lease(0, 1));
    require(pm_purge_lease(2 * UNITS, UNITS) && !pm_purge_lease(UNITS, 2 * UNITS + 1));
    require(pair(SIZE) == block && leased() == 2 * UNITS);
    pm_options.keep_bytes = 0; /* what is leased stays so, but no more is */
    require(!pm_purge_lease(UNITS, UNITS + 1) && pm_purge_lease(UNITS, 0));
    require(test_nothing_is_lost() && leased() == 0);
}

ISOLATED(nothing_waits_where_a_control_group_may_allow_less_tomorrow)
{
    test_heap_start(WINDOW_ARENAS);
    strcpy(pm_options.cgroup, "purge");
    test_get_heap();
    for (int i = 0; i < 2 * ROUNDS_TO_LEARN; i++)
        pair(SIZE);
    require(leased() == 0 && test_heap_stats().kept_span_bytes == 0);
}

ISOLATED(sizes_that_come_once_have_no_place)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (size_t i = 0; i < 16; i++)
        pair(SIZE + i * PM_UNIT_BYTES);
    require(leased() == 0);
}

/* The last use of a heap's slots: sizes that came before. */
ISOLATED(slots_go_to_the_sizes_that_come_now)
{
    test_heap_start(WINDOW_ARENAS);
    pm_options.keep_bytes = SIZE_MAX / 2;
    for (size_t i = 0; i < 2 * PM_KEPT_SPANS; i++)
        learn(SIZE + i * PM_UNIT_BYTES);
    uint64_t bytes = 0;
    for (size_t i = PM_KEPT_SPANS; i < 2 * PM_KEPT_SPANS; i++)
        bytes += SIZE + i * PM_UNIT_BYTES;
    require(leased() == bytes / PM_UNIT_BYTES && test_nothing_is_lost() && leased() == 0);
}

ISOLATED(what_was_not_used_for_the_delay_goes_and_what_was_stays)
{
    test_heap_start(WINDOW_ARENAS);
    pm_options.keep_bytes = SIZE_MAX / 2;
    learn(SIZE);
    learn(PM_ARENA_BYTES);
    uint64_t now = pm_os_now_ns(), later = now + 2 * pm_purge_delay_ns();
    require(!pm_heap_give_unused_spans(pm_heap_self, now));
    pm_store_relaxed(&pm_heap_self->span_since[0], (uint32_t)(later >> PM_TICK_SHIFT));
    require(pm_heap_give_unused_spans(pm_heap_self, later));
    require(test_heap_stats().kept_span_bytes == SIZE);
    require(pm_load_relaxed(&pm_purge_deadline_ns) == 0); /* the other is due */
    pm_purge_due(now);
    require(test_arena_stats().purged_arenas == 1);
    require(!pm_heap_give_unused_spans(pm_heap_self, later) && test_nothing_is_lost());
}

/* A thread that keeps a block and sleeps until it is told to end. */
static _Atomic unsigned step;

static void *keep_and_sleep(void *arg)
{
    (void)arg;
    learn(SIZE);
    pm_store_release(&step, 1);
    while (pm_load_acquire(&step) != 2)
        sched_yield();
    learn(SIZE); /* all is well after what was taken away */
    return NULL;
}

static pthread_t start_sleeper(void)
{
    pthread_t thread;
    pm_store_relaxed(&step, 0);
    require(pthread_create(&thread, NULL, keep_and_sleep, NULL) == 0);
    while (pm_load_acquire(&step) != 1)
        sched_yield();
    return thread;
}

static void end_sleeper(pthread_t thread)
{
    pm_store_release(&step, 2);
    require(pthread_join(thread, NULL) == 0);
    require(leased() == 0 && test_nothing_is_lost());
}

ISOLATED(what_a_sleeping_thread_has_waiting_is_purged_by_another)
{
    test_heap_start(WINDOW_ARENAS);
    pthread_t sleeper = start_sleeper();
    pm_heap_trim();
    require(test_heap_stats().kept_span_bytes == 0);
    struct pm_arena_stats stats = test_arena_stats();
    require(stats.span_units == 0 && stats.free_units == stats.arenas * PM_ARENA_UNITS);
    end_sleeper(sleeper);
}

ISOLATED(what_waits_is_taken_before_a_new_arena_is_mapped)
{
    struct pm_run run;
    test_heap_start(WINDOW_ARENAS);
    pm_options.keep_bytes = SIZE_MAX / 2;
    learn(2 * PM_ARENA_BYTES);
    uint64_t arenas = test_arena_stats().arenas;
    while (test_heap_stats().kept_span_bytes != 0) {
        require(test_arena_stats().arenas == arenas);
        require(pm_arena_take_run(PM_ARENA_UNITS / 2, &run));
    }
    require(pm_heap_check() && pm_arena_check());
}

ISOLATED(memory_is_refused_only_when_nothing_waits_however_little)
{
    test_heap_start(WINDOW_ARENAS);
    pm_options.limit_bytes = PM_ARENA_BYTES;
    learn(SIZE);
    require(leased() < PM_ARENA_UNITS);
    while (test_told(pm_thread_malloc(SIZE + PM_UNIT_BYTES)) != NULL)
        continue;
    require(errno == ENOMEM && test_heap_stats().kept_span_bytes == 0);
    require(pm_heap_check() && pm_arena_check());
}

ISOLATED(the_child_of_a_fork_can_take_it_and_owes_no_lease)
{
    test_heap_start(WINDOW_ARENAS);
    pthread_t sleeper = start_sleeper();
    uint64_t waiting = test_heap_stats().kept_span_bytes; /* of no thread's, there */
    require(waiting != 0);
    pm_heap_fork_prepare();
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        pm_heap_fork_child();
        require(leased() == 0 && test_heap_stats().kept_span_bytes == waiting);
        _exit(test_nothing_is_lost() ? 0 : 1);
    }
    pm_heap_fork_parent();
    int status;
    require(waitpid(child, &status, 0) == child && status == 0);
    end_sleeper(sleeper);
}

/* Threads keep and take while another takes all away, all the time. */
static _Atomic unsigned running;

static void *keep_and_take(void *arg)
{
    size_t n = SIZE + (uintptr_t)arg * PM_UNIT_BYTES;
    test_get_heap();
    for (int i = 0; i < (PM_TSAN || PM_SCHEDULE ? 200 : 5000); i++)
        pair(n + (size_t)(i / 64 % 2) * PM_UNIT_BYTES);
    require(pm_heap_check());
    atomic_fetch_sub(&running, 1);
    return NULL;
}

ISOLATED(taking_away_while_owners_keep_and_take_loses_nothing)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    test_heap_start(WINDOW_ARENAS);
    pm_options.keep_bytes = SIZE_MAX / 2;
    pm_store_relaxed(&running, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, keep_and_take, (void *)i) == 0);
    while (pm_load_relaxed(&running) != 0)
        pm_heap_give_kept_of_all(false);
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(leased() == 0 && test_nothing_is_lost());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_that_comes_again_is_served_without_the_lock),
        cmocka_unit_test(
            a_thread_that_has_large_blocks_alone_gets_a_heap_that_keeps_some_after_a_while),
        cmocka_unit_test(of_several_slots_the_one_for_the_size_is_found),
        cmocka_unit_test(what_waits_is_nobodys_and_the_figures_say_so),
        cmocka_unit_test(what_waits_is_not_freed_twice),
        cmocka_unit_test(alignment_beyond_a_unit_is_kept),
        cmocka_unit_test(a_block_that_holds_more_than_its_size_says_does_not_wait),
        cmocka_unit_test(no_more_is_leased_than_the_bound_would_keep_dirty),
        cmocka_unit_test(nothing_waits_where_a_control_group_may_allow_less_tomorrow),
        cmocka_unit_test(sizes_that_come_once_have_no_place),
        cmocka_unit_test(slots_go_to_the_sizes_that_come_now),
        cmocka_unit_test(what_was_not_used_for_the_delay_goes_and_what_was_stays),
        cmocka_unit_test(what_a_sleeping_thread_has_waiting_is_purged_by_another),
        cmocka_unit_test(what_waits_is_taken_before_a_new_arena_is_mapped),
        cmocka_unit_test(memory_is_refused_only_when_nothing_waits_however_little),
        cmocka_unit_test(the_child_of_a_fork_can_take_it_and_owes_no_lease),
        cmocka_unit_test(taking_away_while_owners_keep_and_take_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
