/* SPDX-License-Identifier: MIT */
/* Guarded blocks: which are made, where they lie, and what the allocator's functions say of them.
 */
#include "heap/guests.h"
#include "poolmalloc/heap.h"
#include "poolmalloc/walk.h"
#include "tools/guarded_testing.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* ---- which ---- */

ISOLATED(one_call_in_so_many_is_chosen_and_not_in_step)
{
    enum { CALLS = 200000, ONE_IN = 100 };
    unsigned chosen = 0, after_as_many = 0, last = 0, gap = 0;
    test_guarded_start(ONE_IN);
    for (unsigned i = 0; i < CALLS; i++) {
        void *block = test_guarded_ask(1, 1);
        if (block == NULL)
            continue;
        chosen++;
        after_as_many += i - last == gap;
        gap = i - last;
        last = i;
        pm_free(block);
    }
    require(chosen > CALLS / ONE_IN * 8 / 10 && chosen < CALLS / ONE_IN * 12 / 10);
    require(after_as_many < chosen / 10);
}

ISOLATED(without_a_start_none_is_chosen)
{
    require(!pm_guarded_start(0) && pm_guarded_range.bytes == 0);
    for (unsigned i = 0; i < 1000; i++)
        require(test_guarded_ask(1, 1) == NULL);
    require(!pm_guarded_owns(NULL) && !pm_guarded_owns(&errno));
}

ISOLATED(what_fits_no_slot_is_not_guarded)
{
    test_guarded_start(1);
    size_t page = pm_os_page_bytes();
    require(test_guarded_ask(PM_GUARDED_PAGES * page + 1, 1) == NULL);
    require(test_guarded_ask(1, 2 * page) == NULL);
    pm_user_heap *heap = pm_heap_new(0);
    struct pm_request request = {.bytes = 1, .align = 1, .heap = heap, .function = "malloc"};
    require(pm_guarded_make(&request) == NULL);
    require(test_guarded_ask(PM_GUARDED_PAGES * page, page) != NULL);
}

ISOLATED(as_many_are_live_as_there_are_slots)
{
    void *blocks[TEST_SLOTS];
    test_guarded_start(1);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < TEST_SLOTS; i++)
            blocks[i] = test_guarded(100);
        require(test_guarded_ask(1, 1) == NULL);
        for (unsigned i = 0; i < TEST_SLOTS; i++)
            pm_free(blocks[i]);
    }
}

ISOLATED(a_freed_slot_is_used_last)
{
    test_guarded_start(1);
    for (unsigned round = 0; round < 5; round++) {
        size_t slot = test_slot_of(test_guarded(10));
        void *first = (void *)pm_load_relaxed(&pm_guarded_table.slots[slot].block);
        pm_free(first);
        for (unsigned i = 0; i + 1 < 2 * TEST_SLOTS; i++) {
            void *other = test_guarded(10);
            require(test_slot_of(other) != slot);
            pm_free(other);
        }
        void *again = test_guarded(10);
        require(test_slot_of(again) == slot);
        pm_free(again);
    }
}

/* ---- where, and what is in it ---- */

static bool is_filled(const char *block, size_t bytes, int value)
{
    while (bytes > 0 && block[bytes - 1] == value)
        bytes--;
    return bytes == 0;
}

static void make_and_look(size_t bytes, size_t align)
{
    size_t least = align > PM_GRANULE_BYTES ? align : PM_GRANULE_BYTES;
    struct pm_request request = {.bytes = bytes, .align = align, .zero = true};
    char *block = pm_guarded_make(&request);
    require(block != NULL && (uintptr_t)block % least == 0);
    uintptr_t start = pm_guarded_slot_start(test_slot_of(block));
    uintptr_t end = start + pm_guarded_slot_bytes();
    uintptr_t block_end = (uintptr_t)block + bytes;
    require((uintptr_t)block == start ||
            (block_end <= end && end - block_end < least + (bytes == 0)));
    require(is_filled(block, bytes, 0));
    memset(block, 0x11, bytes);
    require(pm_malloc_usable_size(block) == bytes - PM_ASAN_REDZONE_BYTES);
    pm_free(block);
}

ISOLATED(every_size_and_alignment_lies_at_an_end_and_reads_as_zero)
{
    test_guarded_start(1);
    size_t page = pm_os_page_bytes(), most = PM_GUARDED_PAGES * page;
    for (size_t bytes = PM_ASAN_REDZONE_BYTES; bytes <= most; bytes += bytes < 300 ? 1 : 611)
        make_and_look(bytes, 1);
    make_and_look(most, 1);
    for (size_t align = 1; align <= page; align *= 2) {
        make_and_look(PM_ASAN_REDZONE_BYTES + 1, align);
        make_and_look(page - 1, align);
        make_and_look(page + 1, align);
    }
}

ISOLATED(blocks_come_to_both_ends)
{
    test_guarded_start(1);
    pm_free(test_guarded_at(40, true));
    pm_free(test_guarded_at(40, false));
}

/* ---- the allocator's functions, of a thread that nobody watches ---- */

ISOLATED(blocks_are_owned_while_they_live)
{
    test_guarded_start(1);
    for (unsigned i = 0; i < 4 * TEST_SLOTS; i++) {
        char *block = test_guarded(100);
        require(pm_owns(block) && pm_owns(block + 99));
        require(!pm_owns(block - 1) && !pm_owns(block + 100));
        pm_free(block);
        require(!pm_owns(block) && pm_guarded_owns(block));
    }
    char *start = (char *)pm_guarded_range.start;
    require(pm_guarded_owns(start) && !pm_guarded_owns(start - 1) && !pm_owns(start));
    require(!pm_guarded_owns(start + pm_guarded_range.bytes));
}

ISOLATED(realloc_takes_the_bytes_along)
{
    static const size_t sizes[] = {1, 90, 99, 101, 5000, 3 * PM_BLOCK_MAX};
    test_guarded_start(1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *block = test_guarded(100 + PM_ASAN_REDZONE_BYTES);
        memset(block, 0x22, 100);
        block = pm_realloc(block, sizes[i]);
        require(is_filled(block, sizes[i] < 100 ? sizes[i] : 100, 0x22));
        pm_free(block);
    }
    char *block = test_guarded(100);
    errno = EDOM;
    require(pm_realloc(block, 0) == NULL && errno == EDOM && !pm_owns(block));
}

ISOLATED(a_guarded_block_is_of_no_user_heap)
{
    test_guarded_start(1);
    char *block = test_guarded(100);
    require(pm_heap_of(block) == NULL);
    pm_free_sized(block, 100 - PM_ASAN_REDZONE_BYTES);
}

struct seen {
    const void *block;
    size_t bytes, times;
};

static bool see(const struct pm_walk_block *found, void *arg)
{
    struct seen *seen = arg;
    if (found->block == seen->block) {
        seen->times++;
        seen->bytes = found->bytes;
        require(!found->large && !found->mine && found->thread == 0 && found->heap == NULL);
    }
    return true;
}

ISOLATED(a_walk_of_the_process_sees_those_that_live)
{
    test_guarded_start(1);
    char *block = test_guarded(100);
    struct seen seen = {.block = block};
    require(pm_walk_blocks(PM_WALK_PROCESS, see, &seen));
    require(seen.times == 1 && seen.bytes == 100 - PM_ASAN_REDZONE_BYTES);
    pm_walk_blocks(PM_WALK_THREAD, see, &seen);
    pm_free(block);
    pm_walk_blocks(PM_WALK_PROCESS, see, &seen);
    require(seen.times == 1);
}

ISOLATED(statistics_count_them)
{
    struct pm_stats before, stats;
    test_guarded_start(1);
    pm_free(pm_malloc(1));
    require(pm_stats_get(&before));
    char *blocks[] = {test_guarded(100), test_guarded(11 + PM_ASAN_REDZONE_BYTES),
                      test_guarded(200)};
    pm_free(blocks[1]);
    require(pm_stats_get(&stats));
    require(stats.guarded_blocks == 2 && stats.guarded_bytes == 300);
    require(stats.mallocs == before.mallocs + 3 && stats.frees == before.frees + 1);
    require(stats.arenas * stats.arena_bytes == before.arenas * before.arena_bytes);
}

ISOLATED(errno_stays)
{
    test_guarded_start(1);
    for (unsigned i = 0; i < 2 * TEST_SLOTS; i++) {
        errno = EDOM;
        void *block = test_guarded_ask(64, 1);
        require(errno == EDOM && block != NULL);
        pm_free(block);
        require(errno == EDOM);
    }
}

/* ---- many threads, and children ---- */

enum { THREADS = 6, ROUNDS = 3000 };
static char *_Atomic shared[THREADS];

/* Frees what another thread made, as often as not. */
static void *make_and_swap(void *argument)
{
    uint64_t seed = (uintptr_t)argument + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t bytes = PM_ASAN_REDZONE_BYTES + 1 + test_random_below(&seed, 3000);
        char *block = test_guarded_ask(bytes, 1);
        if (block == NULL)
            continue;
        memset(block, (int)bytes & 0x7f, bytes);
        block = atomic_exchange(&shared[test_random_below(&seed, THREADS)], block);
        if (block == NULL)
            continue;
        bytes = pm_guarded_usable(block, "test");
        require(is_filled(block, bytes, (int)bytes & 0x7f));
        require(pm_owns(block));
        pm_owns(block + 5000); /* whatever it is just then */
        pm_free(block);
    }
    return NULL;
}

static void swap_for_a_while(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, make_and_swap, (void *)i) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < THREADS; i++)
        pm_free(atomic_exchange(&shared[i], NULL));
}

ISOLATED(threads_make_and_free_each_others)
{
    test_guarded_start(1);
    swap_for_a_while();
    require(pm_load_relaxed(&pm_guarded_table.live) == 0);
    for (size_t i = 0; i < pm_guarded_table.count; i++)
        require(pm_guarded_look(i).state == PM_GUARDED_FREE);
}

static void use_both(void)
{
    char *block = shared[0];
    require(is_filled(block, 50, 0x33));
    pm_free(block);
    for (unsigned i = 0; i < 4 * TEST_SLOTS; i++) {
        block = test_guarded(70);
        memset(block, 0x44, 70);
        pm_free(block);
    }
}

ISOLATED(a_child_has_its_parents_blocks_and_its_own)
{
    test_guarded_start(1);
    shared[0] = memset(test_guarded(50), 0x33, 50);
    require(test_isolated(use_both) == 0);
    use_both();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_in_so_many_is_chosen_and_not_in_step),
        cmocka_unit_test(without_a_start_none_is_chosen),
        cmocka_unit_test(what_fits_no_slot_is_not_guarded),
        cmocka_unit_test(as_many_are_live_as_there_are_slots),
        cmocka_unit_test(a_freed_slot_is_used_last),
        cmocka_unit_test(every_size_and_alignment_lies_at_an_end_and_reads_as_zero),
        cmocka_unit_test(blocks_come_to_both_ends),
        cmocka_unit_test(blocks_are_owned_while_they_live),
        cmocka_unit_test(realloc_takes_the_bytes_along),
        cmocka_unit_test(a_guarded_block_is_of_no_user_heap),
        cmocka_unit_test(a_walk_of_the_process_sees_those_that_live),
        cmocka_unit_test(statistics_count_them),
        cmocka_unit_test(errno_stays),
        cmocka_unit_test(threads_make_and_free_each_others),
        cmocka_unit_test(a_child_has_its_parents_blocks_and_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
