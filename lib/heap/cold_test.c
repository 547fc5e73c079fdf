/* SPDX-License-Identifier: MIT */
/* Cold heaps: how many there are, who has which, and what a child of a fork does with them. */
#include "heap/testing.h"
#include "heap/user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 16, SIZE = 64, THREADS = 16, MOST = 3 };

static pthread_barrier_t all;
static struct pm_cold *cold_of[THREADS];

static unsigned count_colds(void)
{
    unsigned n = 0;
    while (pm_cold_at(n) != NULL)
        n++;
    return n;
}

/* All threads have heaps at the same time, and two blocks of their cold heaps each. */
static void *live_beside_others(void *number)
{
    void *blocks[2];
    test_get_heap();
    pthread_barrier_wait(&all);
    pm_cold_choose_again(); /* now that there are as many as there will be */
    struct pm_cold *cold = cold_of[(uintptr_t)number] = pm_cold_mine();
    for (unsigned i = 0; i < 2; i++) {
        blocks[i] = test_alloc(SIZE);
        require(test_has_owner(test_pool_of(blocks[i]), pm_heap_route(cold->heap)));
        test_release(blocks[i]);
    }
    require(pm_cold_mine() == cold);
    pthread_barrier_wait(&all);
    return NULL;
}

static void many_live(unsigned most)
{
    pthread_t threads[THREADS];
    pm_cold_most = most;
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    require(pthread_barrier_init(&all, NULL, THREADS) == 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, live_beside_others, (void *)i) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
}

ISOLATED(many_heaps_share_several_cold_heaps_evenly)
{
    many_live(MOST);
    require(count_colds() == MOST);
    for (unsigned i = 0; i < MOST; i++) {
        unsigned users = 0;
        for (unsigned thread = 0; thread < THREADS; thread++)
            users += cold_of[thread] == pm_cold_at(i);
        require(users >= THREADS / MOST);
        require(pm_cold_is(pm_cold_at(i)->heap) && !pm_cold_at(i)->heap->real);
    }
    require(!pm_cold_is(pm_heap_self));
    struct pm_heap_stats stats = test_heap_stats();
    require(stats.heaps_in_use == 1 && stats.mallocs == (uint64_t)2 * THREADS);
    require(stats.frees + stats.remote_frees == stats.mallocs);
    require(test_nothing_is_lost());
}

ISOLATED(there_are_no_more_cold_heaps_than_there_may_be)
{
    many_live(1);
    require(count_colds() == 1 && pm_cold_at(0)->heap == pm_cold_static(0));
    require(test_nothing_is_lost());
}

static void *get_heap(void *arg)
{
    test_get_heap();
    return arg;
}

ISOLATED(a_few_heaps_share_one_cold_heap)
{
    pm_cold_most = PM_COLD_HEAPS_MAX;
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (unsigned i = 0; i < THREADS; i++) /* one after another: a shell for all */
        test_in_thread(get_heap, NULL);
    require(count_colds() == 1);
}

ISOLATED(who_is_in_its_cold_heap_does_not_change_to_another)
{
    many_live(MOST);
    struct pm_cold *mine = pm_cold_mine();
    pm_lock_acquire(&mine->lock); /* as a signal handler finds it */
    for (unsigned i = 0; i < MOST; i++) {
        pm_cold_choose_again();
        require(pm_cold_mine() == mine && pm_cold_is_held());
    }
    pm_lock_release(&mine->lock);
    for (unsigned i = 0; i < 2 && pm_cold_mine() == mine; i++)
        pm_cold_choose_again(); /* by turns: it may have been its turn again */
    require(pm_cold_mine() != mine && !pm_cold_is_held());
}

/* As it gives back what each of them keeps, or counts. */
ISOLATED(who_is_in_any_of_them_is_not_served_by_its_own)
{
    many_live(MOST);
    for (unsigned i = 0; i < MOST; i++) {
        struct pm_cold *cold = pm_cold_enter(i);
        require(pm_cold_is_held());
        pm_cold_leave(cold);
    }
    require(!pm_cold_is_held());
}

/* What a signal handler does that found its thread with the lock. */
static void call_within(struct pm_lock *lock, void *small)
{
    pm_lock_acquire(lock);
    test_release(test_alloc(PM_BLOCK_MAX + 1));
    if (lock->rank < PM_RANK_FLOATING) /* its free may take one of those */
        test_release(small);
    require(pm_heap_self == &pm_heap_none);
    pm_lock_release(lock);
}

/* The next call brings the thread its heap. */
static void *call_within_each(void *arg)
{
    void *blocks[PM_CALLS_BEFORE_HEAP];
    for (unsigned i = 0; i < PM_CALLS_BEFORE_HEAP; i++)
        blocks[i] = test_alloc(SIZE);
    call_within(&pm_cold_mine()->lock, blocks[0]);
    call_within(&pm_registry_lock, blocks[1]);
    struct pm_user_heap *heap = pm_user_new(SIZE_MAX);
    call_within(&heap->lock, blocks[2]);
    pm_user_destroy(heap);
    call_within(pm_lock_of_rank(PM_RANK_GROW), NULL);
    call_within(pm_lock_of_rank(PM_RANK_DECOMMIT), NULL);
    test_release(test_alloc(PM_BLOCK_MAX + 1));
    require(pm_heap_self->real);
    test_release_some(blocks, 3, PM_CALLS_BEFORE_HEAP);
    return arg;
}

ISOLATED(who_has_a_lock_gets_no_heap_meanwhile_but_large_blocks)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    test_in_thread(call_within_each, NULL);
    require(test_nothing_is_lost());
}

static void visit(const struct pm_heap_view *view, void *seen)
{
    for (unsigned i = 0; i < MOST; i++)
        ((unsigned *)seen)[i] += view->owner == pm_heap_route(pm_cold_at(i)->heap);
}

ISOLATED(a_child_replaces_the_cold_heap_whose_holder_is_gone_and_no_other)
{
    many_live(MOST);
    struct pm_heap *before[MOST];
    unsigned seen[MOST] = {0};
    for (unsigned i = 0; i < MOST; i++)
        before[i] = pm_cold_at(i)->heap;
    pm_cold_replace_in_child(&pm_cold_at(1)->lock);
    for (unsigned i = 0; i < MOST; i++)
        require((pm_cold_at(i)->heap != before[i]) == (i == 1));
    pm_heap_each(visit, seen);
    require(seen[0] == 1 && seen[1] == 1 && seen[2] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_heaps_share_several_cold_heaps_evenly),
        cmocka_unit_test(there_are_no_more_cold_heaps_than_there_may_be),
        cmocka_unit_test(a_few_heaps_share_one_cold_heap),
        cmocka_unit_test(who_is_in_its_cold_heap_does_not_change_to_another),
        cmocka_unit_test(who_is_in_any_of_them_is_not_served_by_its_own),
        cmocka_unit_test(who_has_a_lock_gets_no_heap_meanwhile_but_large_blocks),
        cmocka_unit_test(a_child_replaces_the_cold_heap_whose_holder_is_gone_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
