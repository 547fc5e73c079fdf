/* SPDX-License-Identifier: MIT */
/* Option limit_bytes, by counts of arenas. */
#include "arena/testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { LIMIT_ARENAS = 8, WINDOW_ARENAS = 64 };

static void start(size_t window_arenas)
{
    test_arena_start(window_arenas);
    pm_options.limit_bytes = LIMIT_ARENAS * PM_ARENA_BYTES + PM_ARENA_BYTES - 1; /* not quite 9 */
}

static uint64_t committed_arenas(void)
{
    struct pm_arena_stats stats = test_arena_stats();
    return stats.arenas - stats.decommitted_arenas;
}

static char *take(unsigned arenas)
{
    bool zero = false;
    return pm_span_alloc(arenas * PM_ARENA_BYTES, 1, &zero);
}

static void give(char *block)
{
    pm_span_free(pm_window_find(block), block, "free");
}

/* Runs of a whole arena but a unit, as long as there are some. */
static unsigned take_runs(struct pm_run *runs, unsigned most)
{
    unsigned n = 0;
    while (n < most && pm_arena_take_run(PM_ARENA_UNITS - 1, &runs[n]))
        n++;
    return n;
}

static void give_runs(struct pm_run *runs, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        runs[i].dirty = ~(uint64_t)0;
        pm_arena_give_run(&runs[i]);
    }
}

static void runs_end_at_the_limit(size_t window_arenas)
{
    struct pm_run runs[LIMIT_ARENAS + 1], one;
    start(window_arenas);
    for (int round = 0; round < 3; round++) {
        require(take_runs(runs, LIMIT_ARENAS + 1) == LIMIT_ARENAS);
        require(committed_arenas() == LIMIT_ARENAS && test_arena_stats().arenas == LIMIT_ARENAS);
        require(pm_arena_take_run(1, &one)); /* what is committed serves to the last unit */
        pm_arena_give_run(&one);
        require(take(1) == NULL);
        give_runs(runs, LIMIT_ARENAS);
        require(pm_arena_check());
    }
}

ISOLATED(arenas_are_added_up_to_the_limit_and_no_further)
{
    runs_end_at_the_limit(WINDOW_ARENAS);
}

ISOLATED(so_they_are_in_added_windows)
{
    runs_end_at_the_limit(3);
}

ISOLATED(large_blocks_count_their_whole_arenas)
{
    start(WINDOW_ARENAS);
    char *block = take(LIMIT_ARENAS);
    require(block != NULL && take(1) == NULL && committed_arenas() == LIMIT_ARENAS);
    give(block);
    require(take(LIMIT_ARENAS + 1) == NULL);
    require(take(LIMIT_ARENAS) == block);
}

ISOLATED(without_a_limit_there_is_none)
{
    start(WINDOW_ARENAS);
    pm_options.limit_bytes = 0;
    require(take(5 * LIMIT_ARENAS) != NULL);
}

/* Free arenas here and there do not serve a block of several: they go before it is refused. */
ISOLATED(free_arenas_are_decommitted_before_a_request_is_refused)
{
    char *blocks[LIMIT_ARENAS / 2];
    start(WINDOW_ARENAS);
    for (int i = 0; i < LIMIT_ARENAS / 2; i++) {
        blocks[i] = take(2);
        test_dirty(blocks[i], 2 * PM_ARENA_BYTES);
    }
    give(blocks[0]);
    give(blocks[2]);
    char *large = take(4);
    require(large != NULL && committed_arenas() == LIMIT_ARENAS);
    require(test_arena_stats().decommitted_arenas == 4 && pm_arena_check());
    test_dirty(large, 4 * PM_ARENA_BYTES);
    require(test_is_dirty(blocks[1], 2 * PM_ARENA_BYTES) && take(1) == NULL);
    give(large);
    require(take(2) != NULL && take(2) != NULL && take(1) == NULL);
    require(committed_arenas() == LIMIT_ARENAS && pm_arena_check());
}

ISOLATED(what_cannot_be_had_in_any_case_costs_nothing_that_is_free)
{
    start(WINDOW_ARENAS);
    give(take(LIMIT_ARENAS));
    require(take(LIMIT_ARENAS + 1) == NULL);
    require(committed_arenas() == LIMIT_ARENAS && test_arena_stats().purges == 0);
}

ISOLATED(decommitted_arenas_come_back_within_the_limit_and_read_as_zero)
{
    bool zero = false;
    start(WINDOW_ARENAS);
    char *first = take(3), *second = take(3);
    test_dirty(first, 3 * PM_ARENA_BYTES);
    test_dirty(second, 3 * PM_ARENA_BYTES);
    give(first);
    char *third = take(5); /* for which the first ones went */
    require(third != NULL && test_arena_stats().decommitted_arenas == 3);
    give(third);
    char *head = take(2), *middle = take(1); /* so that no three of the rest lie in a row */
    require(head == third && middle != NULL);
    give(head);
    char *again = pm_span_alloc(3 * PM_ARENA_BYTES, 1, &zero);
    require(again == first && zero && test_reads_as_zero(again, 3 * PM_ARENA_BYTES));
    require(test_is_dirty(second, 3 * PM_ARENA_BYTES));
    require(committed_arenas() <= LIMIT_ARENAS && pm_arena_check());
}

/* Lowered: nothing is taken away, and nothing added. */
ISOLATED(a_limit_below_what_is_in_use_takes_nothing_away)
{
    struct pm_run runs[LIMIT_ARENAS];
    start(WINDOW_ARENAS);
    require(take_runs(runs, 6) == 6);
    pm_options.limit_bytes = 2 * PM_ARENA_BYTES;
    require(take(1) == NULL && committed_arenas() == 6);
    give_runs(runs, 5);
    require(take(1) != NULL);   /* there it is already */
    pm_options.limit_bytes = 1; /* less than an arena is none */
    require(take(5) == NULL && pm_arena_check());
}

static bool kept_back;

static bool give_kept(bool all)
{
    if (!all)
        return false; /* it was too little so far */
    bool some = kept_back;
    kept_back = false;
    return some;
}

ISOLATED(the_layers_above_are_asked_before_a_request_is_refused)
{
    start(WINDOW_ARENAS);
    pm_arena_set_reclaim(give_kept);
    require(take(LIMIT_ARENAS) != NULL);
    kept_back = true;
    require(take(1) == NULL && !kept_back);
}

enum { THREADS = 4, STEPS = 400 };

/* Nobody sees more than the limit, whoever else adds, claims and decommits. */
static void *take_and_give(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    char *held[2] = {NULL, NULL};
    for (int step = 0; step < STEPS; step++) {
        char **slot = &held[test_random_below(&state, 2)];
        if (*slot != NULL)
            give(*slot);
        *slot = take((unsigned)(1 + test_random_below(&state, 4)));
        require(committed_arenas() <= LIMIT_ARENAS);
        if (step % 16 == 0)
            pm_arena_purge_all();
    }
    for (int i = 0; i < 2; i++) {
        if (held[i] != NULL)
            give(held[i]);
    }
    return NULL;
}

ISOLATED(threads_together_stay_within_the_limit)
{
    pthread_t threads[THREADS];
    start(WINDOW_ARENAS);
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(pm_arena_check() && committed_arenas() <= LIMIT_ARENAS);
    require(take(LIMIT_ARENAS) != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arenas_are_added_up_to_the_limit_and_no_further),
        cmocka_unit_test(so_they_are_in_added_windows),
        cmocka_unit_test(large_blocks_count_their_whole_arenas),
        cmocka_unit_test(without_a_limit_there_is_none),
        cmocka_unit_test(free_arenas_are_decommitted_before_a_request_is_refused),
        cmocka_unit_test(what_cannot_be_had_in_any_case_costs_nothing_that_is_free),
        cmocka_unit_test(decommitted_arenas_come_back_within_the_limit_and_read_as_zero),
        cmocka_unit_test(a_limit_below_what_is_in_use_takes_nothing_away),
        cmocka_unit_test(the_layers_above_are_asked_before_a_request_is_refused),
        cmocka_unit_test(threads_together_stay_within_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
