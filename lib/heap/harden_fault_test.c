/* SPDX-License-Identifier: MIT */
/* Hardened large blocks where the system refuses. */
#include "heap/harden_testing.h"
#include "os/os.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, LARGE = 3 * PM_UNIT_BYTES, TIMES = 10 };

static void refuse(enum pm_os_call call, unsigned nth, bool for_good)
{
    pm_os_fault_set_kinds(1u << call, nth, for_good);
}

static void make_and_free(struct pm_user_heap *heap)
{
    char *block = test_harden_alloc(heap, LARGE);
    memset(block, 'x', LARGE);
    test_release(block);
}

ISOLATED(without_pages_that_trap_large_blocks_are_served_and_go_back)
{
    struct pm_user_heap *heap = test_harden_start(WINDOW_ARENAS, SIZE_MAX);
    make_and_free(heap);
    for (unsigned nth = 1; nth <= 3; nth++) {
        refuse(PM_OS_FORBID, nth, false);
        make_and_free(heap);
        require(pm_os_fault_calls() >= nth || !test_harden_can_guard());
    }
    refuse(PM_OS_FORBID, 1, true);
    for (unsigned i = 0; i < TIMES; i++)
        make_and_free(heap);
    require(pm_user_check() && pm_heap_check());
    pm_user_destroy(heap);
    require(test_nothing_is_lost());
}

ISOLATED(what_cannot_be_opened_waits_until_it_can)
{
    test_harden.quarantine_bytes = 0;
    struct pm_user_heap *heap = test_harden_start(WINDOW_ARENAS, SIZE_MAX);
    char *blocks[TIMES];
    for (unsigned i = 0; i < TIMES; i++)
        blocks[i] = test_harden_alloc(heap, LARGE);
    refuse(PM_OS_COMMIT, 1, true);
    for (unsigned i = 0; i < TIMES; i++)
        test_release(blocks[i]);
    require(!test_harden_can_guard() || heap->waiting_large_bytes >= (size_t)TIMES * LARGE);
    refuse(PM_OS_COMMIT, 0, false);
    make_and_free(heap);
    require(heap->waiting_large_bytes == 0);
    pm_user_destroy(heap);
    require(test_nothing_is_lost());
}

ISOLATED(memory_that_is_not_purged_is_cleared)
{
    test_harden.guards = false;
    test_harden.quarantine_bytes = 0;
    struct pm_user_heap *heap = test_harden_start(WINDOW_ARENAS, SIZE_MAX);
    char *block = test_harden_alloc(heap, LARGE);
    memset(block, 'x', LARGE);
    refuse(PM_OS_PURGE, 1, true);
    test_release(block);
    require(test_harden_alloc(heap, LARGE) == block); /* the arena gives the same run */
    for (unsigned i = 0; i < LARGE; i++)
        require(block[i] == 0);
}

/* The double ends the process where the system is asked for parts of pages. */
ISOLATED(of_pages_larger_than_units_nothing_else_is_closed_or_cleared)
{
    enum { IN_PAGE = 4, BLOCKS = 2 * TIMES };
    pm_os_double_set_machine(IN_PAGE * PM_UNIT_BYTES, 0);
    struct pm_user_heap *heap = test_harden_start(WINDOW_ARENAS, SIZE_MAX);
    char *blocks[BLOCKS];
    unsigned apart = 0; /* from the starts of pages */
    for (unsigned i = 0; i < BLOCKS; i++) {
        test_harden_alloc(heap, 100 * (i + 1)); /* whose pools lie between them */
        blocks[i] = memset(test_harden_alloc(heap, LARGE), 'x', LARGE);
        apart += (uintptr_t)blocks[i] % pm_os_page_bytes() != 0;
    }
    require(apart != 0);
    for (unsigned i = 0; i < BLOCKS; i += 2)
        test_release(blocks[i]);
    for (unsigned i = 0; i < BLOCKS * LARGE; i++)
        require(blocks[i / LARGE][i % LARGE] == (i / LARGE % 2 == 0 ? 0 : 'x'));
    pm_user_destroy(heap);
    require(test_nothing_is_lost());
}

ISOLATED(secrets_differ_also_where_the_system_has_none)
{
    refuse(PM_OS_RANDOM, 1, true);
    uint64_t first = pm_os_random(), second = pm_os_random();
    require(first != second && first != 0 && pm_os_fault_calls() == 2);
    refuse(PM_OS_RANDOM, 0, false);
    require(pm_os_random() != pm_os_random());
}

int main(void)
{
    if (PM_WATCHED) {
        puts("skipped: nothing is hardened in builds for AddressSanitizer or valgrind");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_pages_that_trap_large_blocks_are_served_and_go_back),
        cmocka_unit_test(what_cannot_be_opened_waits_until_it_can),
        cmocka_unit_test(memory_that_is_not_purged_is_cleared),
        cmocka_unit_test(of_pages_larger_than_units_nothing_else_is_closed_or_cleared),
        cmocka_unit_test(secrets_differ_also_where_the_system_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
