/* SPDX-License-Identifier: MIT */
/* Which blocks of a pool are told to be free: in every state of the pool, and of lists that lead
 * astray, as those of a pool that its owner changes may. */
#include "pool/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, BLOCKS_MAX = 1 << 13, SIZE = 64 };

static void *blocks[BLOCKS_MAX];

static bool is_live(const struct pm_pool_blocks *look, const void *block)
{
    unsigned next = 0;
    const void *live;
    while ((live = pm_pool_next_live(look, &next)) != NULL) {
        if (live == block)
            return true;
    }
    return false;
}

static unsigned count_live(const struct pm_pool_blocks *look)
{
    unsigned next = 0, count = 0;
    while (pm_pool_next_live(look, &next) != NULL)
        count++;
    return count;
}

static struct pm_pool_blocks look_at(const struct pm_pool *pool)
{
    struct pm_pool_blocks look;
    require(pm_pool_look(test_place(pool->base), &look));
    return look;
}

/* Of the first n blocks every third is free. */
static bool is_right(const struct pm_pool *pool, unsigned n)
{
    struct pm_pool_blocks look = look_at(pool);
    for (unsigned i = 0; i < n; i++) {
        if (is_live(&look, blocks[i]) != (i % 3 != 0))
            return false;
    }
    return count_live(&look) == n - (n + 2) / 3 && look.block_bytes == pool->block_bytes;
}

static struct pm_pool *start_with_pool(size_t size, unsigned most)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_of(size), TEST_OWNER);
    for (unsigned i = 0; i < most && i < pool->capacity; i++)
        blocks[i] = test_pop(pool);
    return pool;
}

static void free_each_third(struct pm_pool *pool, unsigned n, bool remote)
{
    for (unsigned i = 0; i < n; i += 3) {
        if (remote && i % 2 == 0)
            require(test_push(blocks[i], 0) == PM_PUSHED);
        else
            test_push_local(pool, blocks[i]);
    }
}

ISOLATED(an_owned_pool_has_its_free_blocks_on_two_lists)
{
    struct pm_pool *pool = start_with_pool(SIZE, 50);
    free_each_third(pool, 50, true);
    require(is_right(pool, 50) && look_at(pool).owner == TEST_OWNER);
}

ISOLATED(so_do_pools_of_every_class)
{
    test_arena_start(WINDOW_ARENAS);
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        struct pm_pool *pool = test_pool(class, TEST_OWNER);
        require(count_live(&(struct pm_pool_blocks){0}) == 0);
        test_pop_all(pool, blocks);
        free_each_third(pool, pool->capacity, true);
        require(is_right(pool, pool->capacity));
    }
}

ISOLATED(a_floating_pool_has_them_on_one)
{
    struct pm_pool *pool = start_with_pool(SIZE, BLOCKS_MAX);
    unsigned n = pool->capacity;
    require(pm_pool_float_full(pool, TEST_OWNER));
    struct pm_pool_blocks look = look_at(pool);
    require(count_live(&look) == n && look.owner == PM_ROUTE_FLOATING);
    for (unsigned i = 0; i < n; i += 3)
        require(test_push(blocks[i], 0) == PM_PUSHED);
    require(is_right(pool, n));
}

ISOLATED(a_pool_that_is_gone_has_nothing)
{
    struct pm_pool_blocks look;
    struct pm_pool *pool = start_with_pool(SIZE, 1);
    struct pm_place_of at = test_place(pool->base);
    test_push_local(pool, blocks[0]);
    pm_pool_retire(pool);
    require(!pm_pool_look(at, &look));
    struct pm_run run = pm_pool_run(pool);
    pm_arena_give_run(&run);
    require(!pm_pool_look(at, &look));
    bool zero = false;
    char *span = pm_span_alloc(PM_BLOCK_MAX + 1, 1, &zero);
    require(
        !pm_pool_look((struct pm_place_of){at.window, pm_window_index(at.window, span)}, &look));
}

/* The first word of a block that was popped and written to while the list was read. */
ISOLATED(a_list_that_leads_astray_is_followed_nowhere)
{
    struct pm_pool *pool = start_with_pool(SIZE, 30);
    char elsewhere[SIZE] = {0};
    uintptr_t first = (uintptr_t)blocks[0];
    const uintptr_t astray[] = {1,
                                (uintptr_t)elsewhere,
                                first + 8,
                                first - SIZE,
                                UINTPTR_MAX,
                                (uintptr_t)pool->base + ((size_t)pool->units << PM_UNIT_SHIFT),
                                (uintptr_t)blocks[5],
                                (uintptr_t)blocks[4]};
    test_push_local(pool, blocks[4]);
    test_push_local(pool, blocks[5]);
    for (size_t i = 0; i < sizeof astray / sizeof *astray; i++) {
        pm_block_set_next(blocks[4], (void *)astray[i]);
        struct pm_pool_blocks look = look_at(pool);
        for (unsigned j = 0; j < 30; j++)
            require(is_live(&look, blocks[j]) == (j != 4 && j != 5));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owned_pool_has_its_free_blocks_on_two_lists),
        cmocka_unit_test(so_do_pools_of_every_class),
        cmocka_unit_test(a_floating_pool_has_them_on_one),
        cmocka_unit_test(a_pool_that_is_gone_has_nothing),
        cmocka_unit_test(a_list_that_leads_astray_is_followed_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
