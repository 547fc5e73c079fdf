/* SPDX-License-Identifier: MIT */
/*
 * Every call to the system fails in turn while user heaps are made, filled and destroyed: a refusal
 * is NULL with ENOMEM, what was handed out stays usable, and all comes back in the end.
 */
#include "heap/sweep_testing.h"
#include "heap/testing.h"
#include "heap/user.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BLOCKS = 300, HEAPS = 3, SIZES = 6 };

static const size_t sizes[SIZES] = {16, 500, 5000, PM_BLOCK_MAX, PM_BLOCK_MAX + 1, PM_ARENA_BYTES};
static unsigned refused;

static void refuse(void)
{
    require(errno == ENOMEM);
    refused++;
}

static unsigned size_of(unsigned i)
{
    return i % 50 == 0 ? 4 + i / 50 % 2 : i % 4;
}

static void fill(struct pm_user_heap *heap, char **blocks)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t n = sizes[size_of(i)];
        errno = 0;
        blocks[i] = test_told(pm_user_alloc(heap, n, 1, i % 3 == 0, "test"));
        if (blocks[i] == NULL)
            refuse();
        else
            blocks[i][0] = blocks[i][n - 1] = (char)i;
    }
}

static void use(struct pm_user_heap *heap)
{
    char *blocks[BLOCKS];
    fill(heap, blocks);
    for (unsigned i = 0; i < BLOCKS; i += 2) {
        if (blocks[i] == NULL)
            continue;
        require(blocks[i][0] == (char)i && blocks[i][sizes[size_of(i)] - 1] == (char)i);
        test_release(blocks[i]);
    }
    require(pm_user_check() && pm_arena_check());
}

static unsigned scenario(void)
{
    struct pm_user_heap *heaps[HEAPS];
    refused = 0;
    for (unsigned i = 0; i < HEAPS; i++) {
        errno = 0;
        heaps[i] = pm_user_new(SIZE_MAX);
        if (heaps[i] == NULL)
            refuse();
        else
            use(heaps[i]);
    }
    for (unsigned i = 0; i < HEAPS; i++) {
        if (heaps[i] != NULL)
            pm_user_destroy(heaps[i]);
    }
    return refused;
}

ISOLATED(each_call_that_fails_once_costs_at_most_one_block_or_heap)
{
    test_sweep(scenario, false);
}

ISOLATED(calls_that_fail_for_good_give_enomem_and_lose_nothing)
{
    test_sweep(scenario, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_that_fails_once_costs_at_most_one_block_or_heap),
        cmocka_unit_test(calls_that_fail_for_good_give_enomem_and_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
