/* SPDX-License-Identifier: MIT */
/*
 * Every call to the system fails in turn while threads allocate and free: a refusal is NULL with
 * ENOMEM, what was handed out stays usable, and all comes back in the end.
 */
#include "heap/sweep_testing.h"
#include "heap/testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BLOCKS = 400, SIZES = 8 };

static const size_t sizes[SIZES] = {
    16, 500, 1024, 5000, PM_BLOCK_MAX, PM_BLOCK_MAX + 1, PM_ARENA_BYTES, 2 * PM_ARENA_BYTES + 1};
static unsigned refused;

static char *alloc_or_enomem(unsigned which, bool zeroed)
{
    size_t n = sizes[which];
    errno = 0;
    char *block = test_told(zeroed ? pm_thread_calloc_medium(n) : pm_thread_malloc(n));
    if (block == NULL) {
        require(errno == ENOMEM);
        refused++;
        return NULL;
    }
    require(!zeroed || (block[0] == 0 && block[n / 2] == 0 && block[n - 1] == 0));
    block[0] = block[n / 2] = block[n - 1] = (char)(which + 1);
    return block;
}

static void *allocate_and_free(void *arg)
{
    char *blocks[BLOCKS];
    (void)arg;
    for (unsigned i = 0; i < BLOCKS; i++) /* few of the large ones */
        blocks[i] = alloc_or_enomem(i % 40 == 0 ? i / 40 % SIZES : i % 5, i % 3 == 0);
    for (unsigned i = 0; i < BLOCKS; i++) {
        unsigned which = i % 40 == 0 ? i / 40 % SIZES : i % 5;
        if (blocks[i] == NULL)
            continue;
        require(blocks[i][sizes[which] / 2] == (char)(which + 1));
        require(pm_heap_usable(blocks[i], "test") >= sizes[which]);
        test_release(blocks[i]);
    }
    require(pm_heap_check() && pm_arena_check());
    return NULL;
}

static unsigned scenario(void)
{
    refused = 0;
    allocate_and_free(NULL);
    test_in_thread(allocate_and_free, NULL);
    pm_heap_trim();
    pm_arena_purge_all();
    require(pm_arena_check());
    return refused;
}

ISOLATED(each_call_that_fails_once_costs_at_most_one_block)
{
    test_sweep(scenario, false);
}

ISOLATED(calls_that_fail_for_good_give_enomem_and_lose_nothing)
{
    test_sweep(scenario, true);
}

ISOLATED(a_child_that_gets_no_memory_for_a_cold_heap_goes_on_with_the_old_one)
{
    test_sweep_start();
    require(pm_heap_process_init());
    pm_cold_replace_in_child(&pm_cold_at(0)->lock); /* the spare one */
    struct pm_heap *cold = pm_cold_at(0)->heap;
    pm_os_fault_set(1, true);
    pm_cold_replace_in_child(&pm_cold_at(0)->lock);
    require(pm_cold_at(0)->heap == cold && pm_os_fault_calls() > 0);
    pm_os_fault_set(0, false);
    require(scenario() == 0 && test_nothing_is_lost());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_that_fails_once_costs_at_most_one_block),
        cmocka_unit_test(calls_that_fail_for_good_give_enomem_and_lose_nothing),
        cmocka_unit_test(a_child_that_gets_no_memory_for_a_cold_heap_goes_on_with_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
