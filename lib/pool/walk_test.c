/* SPDX-License-Identifier: MIT */
/* What a walk sees of pools in every state, of those that others own, and while these change. */
#include "pool/testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, BLOCKS_MAX = 1 << 13, ROUNDS = 3000, WALKERS = 2 };

static void *blocks[BLOCKS_MAX];

struct seen {
    const struct pm_pool *pool;
    struct pm_pool_view view;
    unsigned count, others;
};

static void note(const struct pm_pool_view *view, void *arg)
{
    struct seen *seen = arg;
    require(view->class < PM_CLASSES && view->capacity == pm_class_capacity(view->class));
    require(view->live <= view->capacity);
    if (pm_pool_at(view->at.window, view->at.unit) == seen->pool) {
        seen->view = *view;
        seen->count++;
    } else {
        seen->others++;
    }
}

/* What is seen of that pool, which is the only one. */
static struct pm_pool_view view_of(const struct pm_pool *pool)
{
    struct seen seen = {.pool = pool};
    pm_pool_walk(note, &seen);
    require(seen.count == 1 && seen.others == 0);
    return seen.view;
}

ISOLATED(a_pool_of_every_class_is_seen_once_whatever_its_units)
{
    test_arena_start(WINDOW_ARENAS);
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        struct pm_pool *pool = test_pool(class, TEST_OWNER);
        struct pm_pool_view view = view_of(pool);
        require(view.class == class && view.owner == TEST_OWNER && view.live == 0);
        pm_pool_retire(pool);
        struct seen seen = {.pool = pool};
        pm_pool_walk(note, &seen);
        require(seen.count == 0 && seen.others == 0);
        struct pm_run run = pm_pool_run(pool);
        pm_arena_give_run(&run);
    }
}

/* Owned, then floating, published, and owned again, while blocks come back. */
ISOLATED(live_blocks_are_exact_of_a_pool_without_an_owner)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_of(64), TEST_OWNER);
    test_pop_all(pool, blocks);
    require(pm_pool_float_full(pool, TEST_OWNER));
    unsigned live = pool->capacity;
    for (unsigned i = 0; i < test_eighth(pool) + 2u; i++) {
        struct pm_pool_view view = view_of(pool);
        require(view.live == live - i && view.owner == PM_ROUTE_FLOATING);
        require(test_push(blocks[i], 0) == PM_PUSHED);
    }
    live -= test_eighth(pool) + 2u;
    require(test_is(pool, PM_PUBLISHED, live) && view_of(pool).live == live);
    require(pm_floating_take(pool->class, TEST_OTHER) == pool);
    require(view_of(pool).live == live && view_of(pool).owner == TEST_OTHER);
}

ISOLATED(of_an_owned_pool_what_others_freed_is_not_live)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_of(64), TEST_OWNER);
    for (unsigned i = 0; i < 10; i++)
        blocks[i] = test_pop(pool);
    require(view_of(pool).live == 0); /* not counted yet */
    pm_pool_set_live_base(pool, 10);
    require(view_of(pool).live == 10);
    for (unsigned i = 0; i < 4; i++)
        require(test_push(blocks[i], 0) == PM_PUSHED);
    require(view_of(pool).live == 6);
    require(pm_pool_take_remote(pool) == 4);
    pm_pool_set_live_base(pool, 6);
    require(view_of(pool).live == 6);
    pm_pool_set_live_base(pool, 3); /* of an owner who counted less than came back */
    for (unsigned i = 4; i < 10; i++)
        require(test_push(blocks[i], 0) == PM_PUSHED);
    require(view_of(pool).live == 0);
    pm_pool_set_live_base(pool, UINT16_MAX);
    require(view_of(pool).live == pool->capacity);
}

ISOLATED(classes_have_their_pools_and_live_blocks)
{
    struct pm_class_stats stats[PM_CLASSES];
    unsigned small = pm_class_of(64), medium = pm_class_of(PM_BLOCK_MAX);
    test_arena_start(WINDOW_ARENAS);
    for (int i = 0; i < 3; i++) {
        struct pm_pool *pool = test_pool(small, TEST_OWNER);
        test_pop_all(pool, blocks);
        require(pm_pool_float_full(pool, TEST_OWNER));
    }
    pm_pool_set_live_base(test_pool(medium, TEST_OTHER), 2);
    pm_pool_class_stats(stats);
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        uint64_t pools = class == small ? 3 : class == medium, live = 0;
        live = class == small ? 3 * pm_class_capacity(small) : class == medium ? 2 : 0;
        require(stats[class].pools == pools && stats[class].live_blocks == live);
    }
}

/* Walks go on while other threads make pools, let them float, adopt and retire them, at the same
 * places with other classes, or with large blocks in between. */
static _Atomic bool done;

static void check_view(const struct pm_pool_view *view, void *arg)
{
    uint64_t *seen = arg;
    require(view->class < PM_CLASSES);
    require(view->capacity == pm_class_capacity(view->class) && view->live <= view->capacity);
    require(view->owner != PM_ROUTE_VOID && view->owner != PM_ROUTE_SPAN);
    (*seen)++;
}

static void *walk_on(void *arg)
{
    uint64_t *seen = arg;
    do
        pm_pool_walk(check_view, seen);
    while (!pm_load_relaxed(&done));
    return NULL;
}

static void be_a_span(size_t bytes)
{
    bool zero = false;
    char *block = pm_span_alloc(bytes, 1, &zero);
    require(block != NULL);
    struct pm_window *w = pm_window_find(block);
    size_t unit = pm_window_index(w, block);
    *pm_span_note(w, unit) = (struct pm_span_note){bytes, bytes, 1};
    *pm_span_link(w, unit) = (struct pm_link){NULL, NULL};
    pm_span_free(w, block, "free");
}

static void *change_pools(void *arg)
{
    static const size_t sizes[] = {16, 64, 512, 700, 3000, PM_BLOCK_MAX};
    void *popped[4];
    uint64_t state = *(uint64_t *)arg, owner = TEST_OWNER + state * PM_ROUTE_ALIGN;
    for (int round = 0; round < ROUNDS; round++) {
        size_t size = sizes[test_random_below(&state, sizeof sizes / sizeof *sizes)];
        struct pm_pool *pool = test_pool(pm_class_of(size), owner);
        unsigned n = pool->capacity < 4 ? 1 : 4;
        for (unsigned i = 0; i < n; i++)
            popped[i] = test_pop(pool);
        pm_pool_set_live_base(pool, n);
        unsigned local = pm_pool_count_local(pool);
        require(pm_pool_float(pool, local, owner));
        enum pm_push push = PM_PUSHED;
        for (unsigned i = 0; i < n; i++)
            push = test_push(popped[i], 0);
        require(push == PM_PUSH_LAST); /* and so it was retired */
        struct pm_run run = pm_pool_run(pool);
        pm_arena_give_run(&run);
        be_a_span((size_t)run.units << PM_UNIT_SHIFT);
    }
    return NULL;
}

ISOLATED(walks_see_nothing_but_pools_while_threads_change_them)
{
    pthread_t walkers[WALKERS], changers[2];
    uint64_t seen[WALKERS] = {0}, seeds[2] = {1, 2};
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *constant = test_pool(pm_class_of(64), TEST_OWNER);
    for (int i = 0; i < WALKERS; i++)
        require(pthread_create(&walkers[i], NULL, walk_on, &seen[i]) == 0);
    for (int i = 0; i < 2; i++)
        require(pthread_create(&changers[i], NULL, change_pools, &seeds[i]) == 0);
    for (int i = 0; i < 2; i++)
        require(pthread_join(changers[i], NULL) == 0);
    pm_store_relaxed(&done, true);
    for (int i = 0; i < WALKERS; i++)
        require(pthread_join(walkers[i], NULL) == 0 && seen[i] > 0);
    require(view_of(constant).owner == TEST_OWNER && pm_arena_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_of_every_class_is_seen_once_whatever_its_units),
        cmocka_unit_test(live_blocks_are_exact_of_a_pool_without_an_owner),
        cmocka_unit_test(of_an_owned_pool_what_others_freed_is_not_live),
        cmocka_unit_test(classes_have_their_pools_and_live_blocks),
        cmocka_unit_test(walks_see_nothing_but_pools_while_threads_change_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
