/* SPDX-License-Identifier: MIT */
/* Statistics that add up, the report at exit, fork by the registered handlers. */
#include "base/config.h"
#include "base/options.h"
#include "base/testing.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BLOCKS = 2000 };

static void *blocks[BLOCKS];

static struct pm_stats stats_now(void)
{
    struct pm_stats stats;
    require(pm_stats_get(&stats));
    return stats;
}

static void allocate_all(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = pm_malloc((size_t)16 << i % 9);
        require(blocks[i] != NULL);
    }
}

static void free_all(void)
{
    for (int i = 0; i < BLOCKS; i++)
        pm_free(blocks[i]);
}

ISOLATED(what_is_handed_out_and_what_comes_back_is_counted)
{
    allocate_all();
    require(stats_now().mallocs == BLOCKS);
    free_all();
    pm_malloc_trim(0);
    require(stats_now().mallocs == BLOCKS);
    require(stats_now().frees + stats_now().remote_frees == BLOCKS);
    require(stats_now().remote_batches <= stats_now().remote_frees);
}

ISOLATED(memory_adds_up_while_blocks_live_and_after)
{
    allocate_all();
    struct pm_stats stats = stats_now();
    require(stats.arena_bytes == PM_ARENA_BYTES && stats.arenas > 0);
    require(stats.arenas_in_use > 0 && stats.arenas_in_use <= stats.arenas);
    require(stats.free_bytes < stats.arenas * stats.arena_bytes);
    require(stats.dirty_bytes <= stats.free_bytes);
    require(stats.bytes_reserved >= stats.arenas * stats.arena_bytes);
    require(stats.heaps == 1 && stats.heaps_in_use == 1 && stats.heap_bytes > 0);
    free_all();
    pm_malloc_trim(0);
    stats = stats_now();
    require(stats.free_bytes == stats.arenas * stats.arena_bytes);
    require(stats.dirty_bytes == 0 && stats.arenas_in_use == 0 && stats.kept_bytes == 0);
    require(stats.floating_pools == 0 && stats.lock_acquisitions > 0);
}

static void require_sum(void)
{
    struct pm_stats s = stats_now();
    uint64_t sum = s.pool_bytes + s.kept_bytes + s.stash_bytes + s.span_held_bytes + s.free_bytes;
    require(sum == s.arenas * s.arena_bytes);
    require(s.floating_bytes <= s.pool_bytes && s.span_bytes <= s.span_held_bytes);
    require(s.dirty_bytes <= s.free_bytes && s.decommitted_bytes <= s.free_bytes);
}

enum { SLOTS = 300, STEPS = 4000 };

static void *slots[SLOTS];

/* Blocks of all kinds, of which the next thread frees what this one leaves. */
static void *replace_at_random(void *seed)
{
    uint64_t state = *(uint64_t *)seed;
    for (int step = 0; step < STEPS; step++) {
        void **slot = &slots[test_random_below(&state, SLOTS)];
        size_t size = (size_t)8 << test_random_below(&state, step % 50 == 0 ? 20 : 13);
        pm_free(*slot);
        *slot = pm_malloc(size + test_random_below(&state, size));
        require(*slot != NULL);
        if (step % 100 == 0)
            require_sum();
        if (step % 1000 == 999)
            pm_thread_idle();
    }
    require_sum();
    return NULL;
}

static void run_at_random(size_t window_bytes)
{
    pthread_t thread;
    pm_options.window_bytes = window_bytes;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        require(pthread_create(&thread, NULL, replace_at_random, &seed) == 0);
        require(pthread_join(thread, NULL) == 0);
        require_sum();
        if (seed % 2)
            pm_purge();
    }
    for (int i = 0; i < SLOTS; i++)
        pm_free(slots[i]);
    require_sum();
    pm_purge(); /* and what waits in batches is pushed, and counted */
    struct pm_stats stats = stats_now();
    require(stats.mallocs == 6 * STEPS && stats.frees + stats.remote_frees == 6 * STEPS);
    require(stats.free_bytes == stats.arenas * stats.arena_bytes);
}

ISOLATED(arenas_are_the_sum_of_their_parts_at_any_moment)
{
    run_at_random(0);
}

ISOLATED(so_are_arenas_in_added_windows)
{
    run_at_random(4 * PM_ARENA_BYTES);
    require(stats_now().bytes_reserved > 8 * PM_ARENA_BYTES);
}

/* Of one class: all but the last pool are full, and have no owner. */
ISOLATED(pools_without_an_owner_are_counted_by_their_bytes)
{
    allocate_all();
    free_all();
    pm_purge();
    require(stats_now().pool_bytes == 0);
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = pm_malloc(128);
    struct pm_stats stats = stats_now();
    require(stats.pool_bytes == stats.floating_bytes + PM_UNIT_BYTES);
    require(stats.pool_bytes >= BLOCKS * 128 && stats.pool_bytes <= BLOCKS * 128 * 3 / 2);
    free_all();
}

ISOLATED(large_blocks_are_counted_by_their_bytes)
{
    void *block = pm_malloc(5 * PM_ARENA_BYTES + 1);
    require(stats_now().span_bytes >= 5 * PM_ARENA_BYTES + 1);
    require(stats_now().span_bytes <= 5 * PM_ARENA_BYTES + PM_UNIT_BYTES);
    pm_free(block);
    require(stats_now().span_bytes == 0 && stats_now().mallocs == 1);
}

ISOLATED(the_check_is_true_of_a_sound_process)
{
    require(pm_check());
    allocate_all();
    require(pm_check());
    free_all();
    require(pm_check());
}

/* Ends by exit, so that destructors run. */
static void work_and_exit(const void *path)
{
    strcpy(pm_options.stats_at_exit, path);
    for (int i = 0; i < 123; i++)
        pm_free(pm_malloc(100));
    exit(0);
}

ISOLATED(statistics_are_written_at_exit_one_name_a_line)
{
    char text[4000], head[80];
    require(test_stderr_of(work_and_exit, "stderr", text, sizeof text) == 0);
    require(strncmp(text, "poolmalloc statistics (pid ", 27) == 0);
    require(strstr(text, ")\nmallocs: 123\n") != NULL);
    static const char *const names[] = {"frees", "remote_frees", "arenas", "lock_contended"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(head, sizeof head, "\n%s: ", names[i]);
        require(strstr(text, head) != NULL);
    }
}

ISOLATED(statistics_that_cannot_be_written_are_warned_of)
{
    char text[1000];
    require(test_stderr_of(work_and_exit, "/no/such/folder/x", text, sizeof text) == 0);
    require(strstr(text, "cannot write statistics to \"/no/such/folder/x\"") != NULL);
}

ISOLATED(without_the_option_nothing_is_written_at_exit)
{
    char text[1000];
    require(test_stderr_of(work_and_exit, "", text, sizeof text) == 0);
    require(text[0] == 0);
}

static void use_in_child(const void *arg)
{
    (void)arg;
    free_all();
    allocate_all();
    require(pm_check());
}

ISOLATED(a_forked_child_frees_and_allocates)
{
    char text[1000];
    allocate_all();
    require(test_stderr_of(use_in_child, NULL, text, sizeof text) == 0);
    free_all();
    require(pm_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_handed_out_and_what_comes_back_is_counted),
        cmocka_unit_test(memory_adds_up_while_blocks_live_and_after),
        cmocka_unit_test(arenas_are_the_sum_of_their_parts_at_any_moment),
        cmocka_unit_test(so_are_arenas_in_added_windows),
        cmocka_unit_test(pools_without_an_owner_are_counted_by_their_bytes),
        cmocka_unit_test(large_blocks_are_counted_by_their_bytes),
        cmocka_unit_test(the_check_is_true_of_a_sound_process),
        cmocka_unit_test(statistics_are_written_at_exit_one_name_a_line),
        cmocka_unit_test(statistics_that_cannot_be_written_are_warned_of),
        cmocka_unit_test(without_the_option_nothing_is_written_at_exit),
        cmocka_unit_test(a_forked_child_frees_and_allocates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
