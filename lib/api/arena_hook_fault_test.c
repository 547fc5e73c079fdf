/* SPDX-License-Identifier: MIT */
/* The arena hook when the system refuses what it is still asked for, and hooks that give nonsense.
 */
#include "arena/giver_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { CALLS = 6, RESERVE_AND_COMMIT = 1 << PM_OS_RESERVE | 1 << PM_OS_COMMIT };
#define ONE_ARENA (PM_ARENA_BYTES - PM_ASAN_REDZONE_BYTES)

static struct test_giver giver;

ISOLATED(tables_that_the_system_refuses_cost_the_request_and_nothing_is_asked_of_the_hook)
{
    void *block, *own;
    require(pm_option_set("keep_bytes", "0"));
    own = pm_malloc(1);
    pm_purge(); /* or what is kept would be given back, and it would be tried again */
    test_set_giver(&giver);
    for (unsigned nth = 1; nth <= 2; nth++) { /* reserve, then commit */
        pm_os_fault_set_kinds(RESERVE_AND_COMMIT, nth, false);
        errno = 0;
        require(pm_malloc(ONE_ARENA) == NULL && errno == ENOMEM && giver.allocs == 0);
        require(pm_check());
    }
    pm_os_fault_set_kinds(RESERVE_AND_COMMIT, 1, true);
    require(pm_malloc(ONE_ARENA) == NULL);
    pm_os_fault_set(0, false);
    require((block = pm_malloc(ONE_ARENA)) != NULL && test_was_given(&giver, block));
    pm_free(block);
    pm_os_fault_set_kinds(RESERVE_AND_COMMIT, 1, true); /* the slot's tables serve again */
    require((block = pm_malloc(ONE_ARENA)) != NULL && test_was_given(&giver, block));
    pm_free(block);
    require(giver.held == 0 && pm_check());
    pm_free(own);
}

ISOLATED(each_call_of_the_system_that_fails_loses_nothing)
{
    test_set_giver(&giver);
    for (unsigned nth = 1; nth <= CALLS; nth++) {
        struct test_work work = {.refused = 0};
        pm_os_fault_set(nth, nth % 2 == 0);
        test_work_steps(&work, nth, 60);
        pm_os_fault_set(0, false);
        test_work_free_all(&work);
        pm_purge();
        require(giver.held == 0 && pm_check());
    }
}

ISOLATED(the_systems_function_says_that_memory_is_out)
{
    struct pm_arena_allocator system;
    pm_get_arena_allocator(&system);
    for (unsigned nth = 1; nth <= 2; nth++) {
        pm_os_fault_set_kinds(RESERVE_AND_COMMIT, nth, false);
        require(system.alloc(system.context, PM_ARENA_BYTES) == NULL);
    }
    pm_os_fault_set(0, false);
    char *memory = system.alloc(system.context, PM_ARENA_BYTES);
    require(memory != NULL);
    system.free(system.context, memory, PM_ARENA_BYTES);
}

static unsigned came_back;

static void *too_high(void *context, size_t bytes)
{
    (void)context, (void)bytes;
    return (void *)((uintptr_t)1 << PM_ADDRESS_BITS);
}

static void take_back(void *context, void *ptr, size_t bytes)
{
    (void)context;
    require(ptr == too_high(NULL, 0) && bytes % PM_ARENA_BYTES == 0);
    came_back++;
}

ISOLATED(addresses_that_cannot_be_used_go_back_and_count_as_refused)
{
    struct pm_arena_allocator table = {NULL, too_high, take_back};
    require(pm_set_arena_allocator(&table));
    errno = 0;
    require(pm_malloc(ONE_ARENA) == NULL && errno == ENOMEM && came_back > 0 && pm_check());
}

ISOLATED(a_hook_is_not_asked_for_more_than_there_can_be)
{
    test_set_giver(&giver);
    require(pm_aligned_alloc(PM_WINDOW_MAX_BYTES, PM_ARENA_BYTES) == NULL && errno == ENOMEM);
    require(giver.allocs == 0 && pm_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            tables_that_the_system_refuses_cost_the_request_and_nothing_is_asked_of_the_hook),
        cmocka_unit_test(each_call_of_the_system_that_fails_loses_nothing),
        cmocka_unit_test(the_systems_function_says_that_memory_is_out),
        cmocka_unit_test(addresses_that_cannot_be_used_go_back_and_count_as_refused),
        cmocka_unit_test(a_hook_is_not_asked_for_more_than_there_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
