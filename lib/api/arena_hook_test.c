/* SPDX-License-Identifier: MIT */
/* The arena hook: blocks of all kinds in memory that the program gave, and gets back. */
#include "arena/giver_testing.h"
#include "poolmalloc/domains.h"
#include "poolmalloc/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* What watches every access is slow. */
enum { LAST_CALL = PM_TSAN || PM_ASAN ? 3 : 24, SWEEP_STEPS = PM_TSAN || PM_ASAN ? 40 : 120 };
enum { STEPS = PM_TSAN || PM_ASAN ? 80 : 600, BLOCKS = 256 };

/* A block that takes one, with the bytes that AddressSanitizer watches. */
#define ONE_ARENA (PM_ARENA_BYTES - PM_ASAN_REDZONE_BYTES)

static struct test_giver giver;

/* All that was free elsewhere is used up: what comes now is the program's. */
static void use_up_other_memory(void)
{
    for (unsigned i = 0; giver.held == 0; i++)
        require(i < 1000 && pm_malloc(PM_UNIT_BYTES * 8) != NULL);
}

ISOLATED(new_arenas_come_from_the_hook_and_go_back_when_they_are_empty)
{
    static void *blocks[20000];
    test_set_giver(&giver);
    use_up_other_memory();
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 20000; i++)
            require((blocks[i] = pm_object_malloc(1 + i % 512)) != NULL);
        require(test_was_given(&giver, blocks[15000]) && test_was_given(&giver, blocks[19999]));
        void *large = pm_malloc(5 * PM_ARENA_BYTES), *aligned = pm_aligned_alloc(1 << 22, 100);
        require(test_was_given(&giver, large) && test_was_given(&giver, aligned));
        require(((uintptr_t)aligned & ((1 << 22) - 1)) == 0);
        size_t most = giver.held_bytes;
        for (unsigned i = 0; i < 20000; i++)
            pm_object_free(blocks[(i * 7919) % 20000]);
        pm_free(large);
        pm_free(aligned);
        require(giver.held_bytes < most && pm_check());
        pm_purge();
        require(giver.held <= 1 && pm_check()); /* what used_up holds */
    }
}

/* CPython keeps one arena against thrashing; here it is as much as keep_bytes. */
ISOLATED(without_a_purge_no_more_than_keep_bytes_stays_free)
{
    static void *spans[BLOCKS];
    uint64_t seed = 3;
    require(pm_option_set("keep_bytes", "4m"));
    test_set_giver(&giver);
    giver.most_bytes = PM_ARENA_BYTES;
    for (int i = 0; i < 40; i++)
        require((spans[i] = pm_malloc(ONE_ARENA)) != NULL);
    require(giver.held >= 39);
    for (unsigned left = 40; left > 0; left--) { /* in any order */
        unsigned i = (unsigned)test_random_below(&seed, left);
        pm_free(spans[i]);
        spans[i] = spans[left - 1];
        require(giver.held_bytes <= (left - 1) * PM_ARENA_BYTES + ((size_t)4 << 20));
    }
    require(pm_check() && giver.held_bytes > 0);
    require(pm_malloc_trim(0) == 1 && giver.held == 0 && giver.frees >= 39);
}

ISOLATED(blocks_of_all_kinds_live_in_dirty_memory_at_any_address)
{
    static const size_t offsets[] = {0, 16, 4096, PM_ARENA_BYTES - 4096};
    for (int i = 0; i < 4; i++) {
        struct test_work work = {.refused = 0};
        giver.offset = offsets[i];
        test_set_giver(&giver);
        test_work_steps(&work, (uint64_t)i, STEPS);
        require(work.refused == 0 && giver.held > 0);
        test_work_free_all(&work);
        pm_purge();
        require(giver.held == 0 && pm_check());
    }
}

ISOLATED(zeroed_blocks_are_cleared_in_memory_of_the_program)
{
    static const size_t sizes[] = {16, 600, 3000, 30000, 100000, 700000, 3 * PM_ARENA_BYTES};
    test_set_giver(&giver);
    use_up_other_memory();
    for (int i = 0; i < 200; i++) {
        size_t size = sizes[i % 7];
        unsigned char *block = pm_calloc(1, size);
        require(test_all_zero(block, size));
        memset(block, 1, size);
        if (i % 3 != 0)
            pm_free(block);
    }
    require(giver.held > 0 && pm_check());
}

/* Purged pages would read as zero. */
ISOLATED(memory_of_the_program_is_never_purged_decommitted_or_moved)
{
    unsigned char *blocks[60];
    require(pm_option_set("keep_bytes", "0") && pm_option_set("purge_delay_ms", "0"));
    test_set_giver(&giver);
    use_up_other_memory();
    for (int i = 0; i < 60; i++) {
        require((blocks[i] = pm_malloc(PM_BLOCK_MAX + 1)) != NULL);
        memset(blocks[i], 1, PM_BLOCK_MAX + 1);
    }
    unsigned char *large = pm_malloc(4 * PM_ARENA_BYTES), *wall = pm_malloc(ONE_ARENA);
    memset(large, 2, 4 * PM_ARENA_BYTES);
    large = pm_realloc(large, 9 * PM_ARENA_BYTES);
    require(test_is_marked(large, 4 * PM_ARENA_BYTES, 2));
    for (int i = 0; i < 60; i++) {
        if (i % 6 != 0)
            pm_free(blocks[i]);
    }
    pm_purge();
    for (unsigned i = 0; i < TEST_GIVEN; i++) {
        const char *start = giver.given[i].start;
        for (size_t at = 0; start != NULL && at < giver.given[i].bytes; at += 4096) {
            pm_asan_unpoison(start + at, 8);
            require(*(const uint64_t *)(const void *)(start + at) != 0);
        }
    }
    struct pm_stats stats;
    require(pm_stats_get(&stats) && stats.dirty_bytes == 0 && pm_check());
    pm_free(wall);
    pm_free(large);
}

static unsigned refused_calls(unsigned nth, bool for_good)
{
    struct test_work work = {.refused = 0};
    giver.fail_nth = nth;
    giver.for_good = for_good;
    test_set_giver(&giver);
    test_work_steps(&work, 7, SWEEP_STEPS);
    require((nth == 0 || for_good) || work.refused <= 1);
    giver.fail_nth = 0;
    unsigned calls = giver.allocs;
    test_work_free_all(&work);
    work.refused = 0;
    test_work_steps(&work, 8, SWEEP_STEPS / 3);
    require(work.refused == 0);
    test_work_free_all(&work);
    pm_purge();
    require(giver.held == 0 && pm_check());
    return calls;
}

struct fault {
    unsigned nth;
    bool for_good;
};

static void run_with_fault(const void *arg)
{
    const struct fault *fault = arg;
    refused_calls(fault->nth, fault->for_good);
}

ISOLATED(a_hook_that_refuses_once_or_for_good_costs_what_was_asked_for_and_no_more)
{
    char text[1000];
    for (struct fault fault = {0, false}; fault.nth <= LAST_CALL; fault.nth += 1 + fault.nth / 4) {
        for (int i = 0; i < 2; i++, fault.for_good = !fault.for_good) {
            int status = test_stderr_of(run_with_fault, &fault, text, sizeof text);
            if (status != 0)
                fprintf(stderr, "call %u: status %d\n%s", fault.nth, status, text);
            require(status == 0);
        }
    }
}

ISOLATED(pieces_are_retired_and_made_anew_more_often_than_there_are_slots)
{
    uint64_t seed = 5;
    require(pm_option_set("keep_bytes", "0"));
    giver.is_clean = true;
    test_set_giver(&giver);
    for (unsigned i = 0; i < PM_PIECES_MAX + 100; i++) {
        size_t size = 1 + test_random_below(&seed, 3 * PM_ARENA_BYTES - 2 * PM_UNIT_BYTES);
        giver.offset = 64 * (i % 2);
        giver.most_bytes = 4 * PM_ARENA_BYTES;
        size = size < PM_ARENA_BYTES ? size + PM_ARENA_BYTES : size;
        char *block = pm_malloc(size);
        require(test_was_given(&giver, block) && pm_owns(block) && pm_owns(block + size - 1));
        pm_free(block);
        require(giver.held == 0 && !pm_owns(block));
    }
    require(pm_check());
}

ISOLATED(beyond_the_last_piece_memory_is_out_until_one_goes_back)
{
    static char *blocks[PM_PIECES_MAX + 1];
    require(pm_option_set("keep_bytes", "0"));
    giver.is_clean = true;
    test_set_giver(&giver);
    giver.most_bytes = PM_ARENA_BYTES;
    unsigned n = 0;
    while (n <= PM_PIECES_MAX && (blocks[n] = pm_malloc(ONE_ARENA)) != NULL)
        n++;
    require(n == PM_PIECES_MAX && errno == ENOMEM && giver.held == n && pm_check());
    for (unsigned i = 0; i < n; i++) /* each is found among the others */
        require(pm_malloc_usable_size(blocks[i]) == ONE_ARENA);
    pm_free(blocks[77]);
    require((blocks[77] = pm_malloc(ONE_ARENA)) != NULL);
    for (unsigned i = 0; i < n; i++)
        pm_free(blocks[i]);
    require(giver.held == 0 && pm_check());
}

static void free_again(const void *block)
{
    require(pm_option_set("keep_bytes", "0"));
    test_set_giver(&giver);
    block = pm_malloc(2 * PM_ARENA_BYTES);
    pm_free((void *)(uintptr_t)block);
    pm_free((void *)(uintptr_t)block);
}

static void a_block_whose_piece_went_back_is_foreign(void **state)
{
    (void)state;
    assert_true(test_aborts(free_again, NULL, "not a block"));
}

ISOLATED(hooks_call_what_they_found_and_that_ends_them)
{
    struct pm_arena_allocator first, now;
    pm_get_arena_allocator(&first);
    char *memory = first.alloc(first.context, PM_ARENA_BYTES + 1);
    require(memory != NULL && (uintptr_t)memory % PM_ARENA_BYTES == 0);
    memset(memory, 1, PM_ARENA_BYTES + 1);
    first.free(first.context, memory, PM_ARENA_BYTES + 1);
    test_set_giver(&giver);
    pm_get_arena_allocator(&now);
    require(now.context == &giver && now.alloc == test_giver_alloc);
    void *block = pm_malloc(2 * PM_ARENA_BYTES);
    require(test_was_given(&giver, block) && pm_set_arena_allocator(&first));
    void *other = pm_malloc(2 * PM_ARENA_BYTES);
    require(!test_was_given(&giver, other));
    pm_free(block);
    pm_free(other);
    pm_purge();
    require(giver.held == 0 && pm_check());
    now.free = NULL;
    errno = 0;
    require(!pm_set_arena_allocator(&now) && errno == EINVAL);
    errno = 0;
    require(!pm_set_arena_allocator(NULL) && errno == EINVAL);
}

ISOLATED(blocks_move_between_memory_of_the_system_and_of_the_program)
{
    struct test_work work = {.refused = 0};
    struct pm_arena_allocator table = test_giver_table(&giver);
    test_work_steps(&work, 1, STEPS / 3);
    test_set_giver(&giver);
    for (uint64_t round = 0; round < 6; round++) {
        require(pm_set_arena_allocator(round % 2 ? &giver.previous : &table));
        test_work_steps(&work, round, STEPS / 3);
        pm_purge();
    }
    require(work.refused == 0 && giver.held + giver.frees > 0);
    test_work_free_all(&work);
    pm_purge();
    require(giver.held == 0 && pm_check());
}

ISOLATED(a_limit_counts_arenas_of_the_program_and_those_that_are_empty_go_back_for_it)
{
    char limit[32];
    void *blocks[8];
    snprintf(limit, sizeof limit, "%zu", 8 * PM_ARENA_BYTES);
    require(pm_option_set("limit_bytes", limit) && pm_option_set("keep_bytes", "1g"));
    test_set_giver(&giver);
    giver.most_bytes = PM_ARENA_BYTES;
    unsigned n = 0;
    while (n < 8 && (blocks[n] = pm_malloc(ONE_ARENA)) != NULL)
        n++;
    require(n >= 7 && pm_malloc(ONE_ARENA) == NULL && errno == ENOMEM);
    for (unsigned i = 0; i < n; i++)
        pm_free(blocks[i]);
    require(giver.held >= 7); /* kept */
    giver.most_bytes = 0;
    void *block = pm_malloc(5 * PM_ARENA_BYTES);
    require(block != NULL && pm_check());
    pm_free(block);
}

static unsigned told;

static void allocate_inside(void)
{
    errno = 0;
    require(pm_malloc(10 * PM_ARENA_BYTES) == NULL && errno == ENOMEM);
    struct pm_arena_allocator table = test_giver_table(&giver);
    require(!pm_set_arena_allocator(&table) && errno == EBUSY);
    told++;
}

ISOLATED(an_allocation_by_an_arena_hook_fails_with_enomem)
{
    giver.inside = allocate_inside;
    test_set_giver(&giver);
    errno = 0;
    require(pm_malloc(10 * PM_ARENA_BYTES) != NULL && errno == 0 && told > 0 && pm_check());
}

ISOLATED(arenas_of_the_program_add_up_in_the_statistics)
{
    struct pm_stats stats;
    struct test_work work = {.refused = 0};
    test_set_giver(&giver);
    for (int i = 0; i < 4; i++) {
        test_work_steps(&work, (uint64_t)i, STEPS / 4);
        require(pm_stats_get(&stats));
        require(stats.pool_bytes + stats.kept_bytes + stats.stash_bytes + stats.span_held_bytes +
                    stats.free_bytes ==
                stats.arenas * stats.arena_bytes);
        require(stats.arenas * stats.arena_bytes >= giver.held_bytes && giver.held > 0);
    }
}

ISOLATED(user_heaps_and_children_of_a_fork_give_arenas_back)
{
    struct test_work work = {.refused = 0};
    int status;
    test_set_giver(&giver);
    pm_user_heap *heap = pm_heap_new(0);
    for (int i = 0; i < 300; i++)
        require(pm_heap_calloc(heap, 1, 40000) != NULL);
    test_work_steps(&work, 11, 100);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        test_work_steps(&work, 12, 100);
        test_work_free_all(&work);
        pm_heap_destroy(heap);
        pm_purge();
        _exit(work.refused == 0 && giver.held == 0 && pm_check() ? 0 : 1);
    }
    require(waitpid(child, &status, 0) == child && status == 0);
    require(giver.held > 0);
    pm_heap_destroy(heap);
    test_work_free_all(&work);
    pm_purge();
    require(giver.held == 0 && pm_check());
}

ISOLATED(a_hook_that_is_set_first_gives_all_arenas)
{
    test_set_giver(&giver);
    struct test_work work = {.refused = 0};
    test_work_steps(&work, 13, STEPS);
    struct pm_stats stats;
    require(pm_stats_get(&stats) && stats.arenas * stats.arena_bytes <= giver.held_bytes);
    test_work_free_all(&work);
}

ISOLATED(the_tables_of_pieces_come_by_the_page_hooks_and_their_memory_does_not)
{
    static struct test_book book;
    test_open_book(&book);
    test_set_giver(&giver);
    void *block = pm_malloc(ONE_ARENA);
    size_t unit;
    struct pm_window *w = pm_window_locate(block, &unit);
    require(test_was_given(&giver, block) && !test_in_book(&book, block));
    require(test_in_book(&book, (void *)pm_window_route(w, unit)));
    require(test_in_book(&book, pm_window_line(w, unit)));
    require(test_in_book(&book, pm_window_remote_line(w, unit)));
    pm_free(block);
    pm_purge();
    require(giver.held == 0 && book.releases == 0 && pm_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_arenas_come_from_the_hook_and_go_back_when_they_are_empty),
        cmocka_unit_test(without_a_purge_no_more_than_keep_bytes_stays_free),
        cmocka_unit_test(blocks_of_all_kinds_live_in_dirty_memory_at_any_address),
        cmocka_unit_test(zeroed_blocks_are_cleared_in_memory_of_the_program),
        cmocka_unit_test(memory_of_the_program_is_never_purged_decommitted_or_moved),
        cmocka_unit_test(a_hook_that_refuses_once_or_for_good_costs_what_was_asked_for_and_no_more),
        cmocka_unit_test(pieces_are_retired_and_made_anew_more_often_than_there_are_slots),
        cmocka_unit_test(beyond_the_last_piece_memory_is_out_until_one_goes_back),
        cmocka_unit_test(a_block_whose_piece_went_back_is_foreign),
        cmocka_unit_test(hooks_call_what_they_found_and_that_ends_them),
        cmocka_unit_test(blocks_move_between_memory_of_the_system_and_of_the_program),
        cmocka_unit_test(
            a_limit_counts_arenas_of_the_program_and_those_that_are_empty_go_back_for_it),
        cmocka_unit_test(an_allocation_by_an_arena_hook_fails_with_enomem),
        cmocka_unit_test(arenas_of_the_program_add_up_in_the_statistics),
        cmocka_unit_test(user_heaps_and_children_of_a_fork_give_arenas_back),
        cmocka_unit_test(a_hook_that_is_set_first_gives_all_arenas),
        cmocka_unit_test(the_tables_of_pieces_come_by_the_page_hooks_and_their_memory_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
