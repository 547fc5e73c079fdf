/* SPDX-License-Identifier: MIT */
/* Pools of kind gc: what tells of their blocks, and what a walk finds while others free. */
#include "base/lock.h"
#include "pool/testing.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, BYTES = 48, BLOCKS_MAX = PM_UNIT_BYTES / 16 };

static void *blocks[BLOCKS_MAX];

/* Past AddressSanitizer: of blocks that may be free. */
PM_GLANCE uint64_t header_of(const void *block)
{
    return ((const uint64_t *)block)[1];
}

PM_GLANCE void set_header(void *block, uint64_t header)
{
    ((uint64_t *)block)[1] = header;
}

/* A pool in a unit that somebody has written to, every byte of it. */
static struct pm_pool *dirty_pool(unsigned class)
{
    struct pm_run run;
    require(pm_arena_take_run(pm_class_units(class), &run));
    size_t bytes = run.units << PM_UNIT_SHIFT;
    pm_asan_unpoison(run.base, bytes);
    memset(run.base, 0x77, bytes);
    pm_asan_poison(run.base, bytes);
    run.dirty = pm_bits_run(0, run.units);
    return pm_pool_cut(&run, class, TEST_OWNER);
}

ISOLATED(what_was_never_handed_out_has_no_header_whatever_was_there_before)
{
    test_arena_start(WINDOW_ARENAS);
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        if (!pm_class_is_gc(class))
            continue;
        struct pm_pool *pool = dirty_pool(class);
        unsigned checked = 0;
        while (test_pop(pool) != NULL) {
            for (; checked < pool->carved; checked++)
                require(header_of(pool->base + pool->first + (size_t)checked * pool->block_bytes) ==
                        0);
        }
        require(checked == pool->capacity);
    }
}

ISOLATED(a_free_block_keeps_its_header_on_each_list)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_gc(BYTES), TEST_OWNER);
    test_pop_all(pool, blocks);
    for (unsigned i = 0; i < pool->capacity; i++)
        set_header(blocks[i], i + 1);
    test_push_local(pool, blocks[0]); /* its owner's list */
    test_push(blocks[1], 0);          /* the remote one */
    pm_pool_take_remote(pool);
    test_push(blocks[2], 0);
    test_pop(pool);
    test_pop(pool); /* 0 and 1 are live again */
    pm_pool_take_remote(pool);
    test_pop(pool);
    pm_pool_set_live_base(pool, pool->capacity);
    require(pm_pool_float_full(pool, TEST_OWNER));
    for (unsigned i = 0; i < pool->capacity - 1u; i++) /* floating, then published */
        test_push(blocks[i], 0);
    require(pm_floating_take(pm_class_gc(BYTES), TEST_OTHER) == pool);
    for (unsigned i = 0; i < pool->capacity; i++)
        require(header_of(blocks[i]) == i + 1);
}

struct seen {
    unsigned pools, carved;
    unsigned stop_after;
};

static bool count(const struct pm_pool *pool, void *arg)
{
    struct seen *seen = arg;
    require(pm_class_is_gc(pool->class) && pool->block_bytes == pm_class_bytes(pool->class));
    seen->carved += pool->carved;
    return ++seen->pools != seen->stop_after;
}

ISOLATED(a_walk_finds_gc_pools_in_each_state_and_no_others)
{
    test_arena_start(WINDOW_ARENAS);
    struct seen seen = {0};
    require(pm_gc_pool_walk(count, &seen) && seen.pools == 0);
    struct pm_pool *plain = test_pool(pm_class_of(BYTES), TEST_OWNER);
    test_pop_all(plain, blocks);
    struct pm_pool *owned = test_pool(pm_class_gc(16), TEST_OWNER);
    test_pop(owned);
    struct pm_pool *other = test_pool(pm_class_gc(PM_SMALL_MAX), TEST_OTHER);
    test_pop(other);
    struct pm_pool *pool = test_pool(pm_class_gc(BYTES), TEST_OWNER);
    test_pop_all(pool, blocks);
    unsigned capacity = pool->capacity, carved = capacity + owned->carved + other->carved;
    pm_pool_set_live_base(pool, capacity);
    require(pm_pool_float_full(pool, TEST_OWNER));
    require(pm_gc_pool_walk(count, &seen) && seen.pools == 3 && seen.carved == carved);
    for (unsigned i = 0; i < capacity - 1; i++)
        test_push(blocks[i], 0);
    require(test_is(pool, PM_PUBLISHED, 1));
    seen = (struct seen){0};
    require(pm_gc_pool_walk(count, &seen) && seen.pools == 3 && seen.carved == carved);
    require(test_push(blocks[capacity - 1], 0) == PM_PUSH_LAST);
    seen = (struct seen){0};
    require(pm_gc_pool_walk(count, &seen) && seen.pools == 2);
    seen = (struct seen){.stop_after = 1};
    require(!pm_gc_pool_walk(count, &seen) && seen.pools == 1);
}

/* ---- a pool that loses its last block while it is looked at ---- */

static struct pm_pool *watched;
static _Atomic bool gone;

static void *free_last(void *block)
{
    require(test_push(block, 0) == PM_PUSH_LAST); /* from here on it may be other memory */
    pm_store_release(&gone, true);
    return NULL;
}

/* The other thread has retired the pool, and stands before the lock; it does not come by. */
static bool look_while_it_goes(const struct pm_pool *pool, void *arg)
{
    pthread_t *thread = arg;
    struct pm_lock *lock = pm_lock_of_rank(PM_RANK_GC);
    require(pool == watched && lock->next == NULL);
    require(pthread_create(thread, NULL, free_last, blocks[0]) == 0);
    while ((pm_load_relaxed(&lock->state) & PM_LOCK_WAITED) == 0) {
        require(!pm_load_acquire(&gone));
        sched_yield();
    }
    require(test_is(pool, PM_FREE, 0) && !pm_load_acquire(&gone));
    return true;
}

ISOLATED(who_would_make_other_memory_of_a_pool_waits_while_it_is_looked_at)
{
    pthread_t thread;
    test_arena_start(WINDOW_ARENAS);
    pm_gc_init();
    watched = test_pool(pm_class_gc(BYTES), TEST_OWNER);
    blocks[0] = test_pop(watched);
    pm_pool_set_live_base(watched, 1);
    require(pm_pool_float(watched, pm_pool_count_local(watched), TEST_OWNER));
    require(pm_gc_pool_walk(look_while_it_goes, &thread));
    require(pthread_join(thread, NULL) == 0 && pm_load_acquire(&gone));
    struct seen seen = {0};
    require(pm_gc_pool_walk(count, &seen) && seen.pools == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_never_handed_out_has_no_header_whatever_was_there_before),
        cmocka_unit_test(a_free_block_keeps_its_header_on_each_list),
        cmocka_unit_test(a_walk_finds_gc_pools_in_each_state_and_no_others),
        cmocka_unit_test(who_would_make_other_memory_of_a_pool_waits_while_it_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
