/* SPDX-License-Identifier: MIT */
/* Frees by threads that do not own the pool: the transitions by pm_remote_push, and misuse. */
#include "pool/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, BLOCKS_MAX = 1 << 13 };

static void *blocks[BLOCKS_MAX];

/* A full pool of the class that has no owner; its blocks are in blocks[]. */
static struct pm_pool *floating_pool(size_t size)
{
    struct pm_pool *pool = test_pool(pm_class_of(size), TEST_OWNER);
    test_pop_all(pool, blocks);
    require(pm_pool_float_full(pool, TEST_OWNER));
    return pool;
}

static void a_remote_word_gives_back_what_was_packed(void **state)
{
    static char base[PM_POOL_UNITS_MAX << PM_UNIT_SHIFT];
    uint64_t seed = 31;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        enum pm_state pool_state = (enum pm_state)test_random_below(&seed, 4);
        unsigned count = (unsigned)test_random_below(&seed, UINT16_MAX + 1);
        size_t granule = test_random_below(&seed, sizeof base / PM_GRANULE_BYTES);
        void *head = i % 10 == 0 ? NULL : base + granule * PM_GRANULE_BYTES;
        uint64_t word = pm_word_make(pool_state, base, head, count);
        assert_int_equal(pm_word_state(word), pool_state);
        assert_int_equal(pm_word_count(word), count);
        assert_ptr_equal(pm_word_head(word, base), head);
    }
    char *last = base + sizeof base - PM_GRANULE_BYTES;
    assert_ptr_equal(pm_word_head(pm_word_make(PM_OWNED, base, last, 0), base), last);
    assert_ptr_equal(pm_word_head(pm_word_make(PM_OWNED, base, base, 0), base), base);
}

ISOLATED(pushes_to_an_owned_pool_wait_for_the_owner_whoever_pushes)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_of(64), TEST_OWNER);
    test_pop_all(pool, blocks);
    for (unsigned i = 0; i < pool->capacity; i++) {
        require(test_push(blocks[i], i % 2 ? TEST_OTHER : 0) == PM_PUSHED);
        require(test_is(pool, PM_OWNED, i + 1));
    }
    require(test_has_owner(pool, TEST_OWNER));
    require(pm_pool_take_remote(pool) == pool->capacity);
}

/* An eighth; of pools of few blocks PM_ADOPT_BLOCKS, but at most a quarter. */
static unsigned expected_eighth(unsigned capacity)
{
    if (capacity / PM_ADOPT_PART >= PM_ADOPT_BLOCKS)
        return capacity / PM_ADOPT_PART;
    return capacity / 4 < PM_ADOPT_BLOCKS ? capacity / 4 : PM_ADOPT_BLOCKS;
}

ISOLATED(a_floating_pool_is_adopted_by_the_push_that_makes_an_eighth_free)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = floating_pool(64);
    unsigned eighth = test_eighth(pool);
    require(eighth == expected_eighth(pool->capacity));
    for (unsigned i = 0; i < eighth - 1; i++) {
        require(test_push(blocks[i], TEST_OTHER) == PM_PUSHED);
        require(test_is(pool, PM_FLOATING, pool->capacity - i - 1u));
    }
    require(test_push(blocks[eighth - 1], TEST_OTHER) == PM_PUSH_ADOPTED);
    require(test_is(pool, PM_OWNED, 0) && test_has_owner(pool, TEST_OTHER));
    require(pool->count == pool->capacity - eighth && pm_pool_live_base(pool) == pool->count);
    require(pm_pool_count_local(pool) == eighth && pool->free == blocks[eighth - 1]);
    require(pm_pool_check(pool));
}

ISOLATED(a_floating_pool_is_published_by_a_pusher_that_does_not_allocate)
{
    struct pm_floating_stats stats;
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = floating_pool(64);
    unsigned eighth = test_eighth(pool);
    for (unsigned i = 0; i < eighth - 1; i++)
        test_push(blocks[i], 0);
    pm_floating_stats(&stats);
    require(stats.pools == 0);
    require(test_push(blocks[eighth - 1], 0) == PM_PUSHED);
    require(test_is(pool, PM_PUBLISHED, pool->capacity - eighth));
    pm_floating_stats(&stats);
    require(stats.pools == 1 && test_has_owner(pool, PM_ROUTE_FLOATING));
    require(test_push(blocks[eighth], TEST_OTHER) == PM_PUSHED); /* adopted from the set only */
    require(test_is(pool, PM_PUBLISHED, pool->capacity - eighth - 1u));
}

ISOLATED(the_last_push_retires_a_published_pool_and_takes_it_from_its_set)
{
    struct pm_floating_stats stats;
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = floating_pool(64);
    for (unsigned i = 0; i < pool->capacity - 1u; i++)
        require(test_push(blocks[i], 0) == PM_PUSHED);
    require(test_is(pool, PM_PUBLISHED, 1));
    require(test_push(blocks[pool->capacity - 1], TEST_OTHER) == PM_PUSH_LAST);
    require(test_is(pool, PM_FREE, 0) && test_has_owner(pool, PM_ROUTE_VOID));
    require(pm_pool_count_local(pool) == pool->capacity && pool->count == 0);
    pm_floating_stats(&stats);
    require(stats.pools == 0 && pm_floating_take(pool->class, TEST_OTHER) == NULL);
}

ISOLATED(a_chain_that_frees_all_blocks_retires_a_floating_pool_at_once)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = floating_pool(PM_BLOCK_MAX);
    unsigned n = pool->capacity;
    for (unsigned i = 0; i + 1 < n; i++)
        pm_block_set_next(blocks[i], blocks[i + 1]);
    struct pm_place_of at = test_place(blocks[0]);
    require(pm_remote_push(at, blocks[0], blocks[n - 1], n, TEST_OTHER, "free") == PM_PUSH_LAST);
    require(test_is(pool, PM_FREE, 0) && pm_pool_count_local(pool) == n);
}

ISOLATED(a_chain_joins_the_list_in_its_order)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = floating_pool(64);
    test_push(blocks[0], 0);
    pm_block_set_next(blocks[2], blocks[1]);
    require(pm_remote_push(test_place(blocks[2]), blocks[2], blocks[1], 2, 0, "free") == PM_PUSHED);
    require(test_is(pool, PM_FLOATING, pool->capacity - 3u));
    void *block = pm_word_head(test_word(pool), pool->base);
    for (int i = 2; i >= 0; i--, block = pm_block_next(block))
        require(block == blocks[i]);
    require(block == NULL);
}

ISOLATED(in_pools_of_every_class_exactly_the_starts_of_blocks_are_blocks)
{
    test_arena_start(WINDOW_ARENAS);
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        struct pm_pool *pool = test_pool(class, TEST_OWNER);
        const struct pm_remote *remote = pm_pool_remote(pool);
        const char *first = pool->base + pool->first;
        const char *past = first + (size_t)pool->capacity * pool->block_bytes;
        size_t bytes = (size_t)pool->units << PM_UNIT_SHIFT;
        for (size_t at = 0; at < bytes; at += PM_GRANULE_BYTES / 2) {
            const char *ptr = pool->base + at;
            bool starts = ptr >= first && ptr < past && (ptr - first) % pool->block_bytes == 0;
            require(pm_remote_is_block(remote, (uint32_t)at) == starts);
        }
        require(!pm_remote_is_block(remote, pool->first + 1));
    }
}

struct probe {
    const struct pm_pool *pool;
    const char *ptr;
};

static void check_block(const void *arg)
{
    const struct probe *probe = arg;
    pm_remote_check_block(pm_pool_remote(probe->pool), probe->pool->base, probe->ptr, "free");
}

/* What the report must say of an address that is no block's. */
static void require_named(const struct pm_pool *pool, size_t offset)
{
    char what[120];
    struct probe probe = {pool, pool->base + offset};
    size_t number = (offset - pool->first) / pool->block_bytes;
    if (number >= pool->capacity) /* before the first block, too: the offset wraps */
        snprintf(what, sizeof what, "free(%p): not allocated", (const void *)probe.ptr);
    else
        snprintf(what, sizeof what, "free(%p): points inside a block, not at its start (block %p",
                 (const void *)probe.ptr,
                 (void *)(pool->base + pool->first + number * pool->block_bytes));
    require(test_aborts(check_block, &probe, what));
}

ISOLATED(addresses_between_blocks_before_them_and_past_them_are_named_errors)
{
    uint64_t seed = 32;
    test_arena_start(WINDOW_ARENAS);
    for (unsigned class = 0; class < PM_CLASSES; class += 1 + (unsigned)(class % 3)) {
        struct pm_pool *pool = test_pool(class, TEST_OWNER);
        size_t bytes = (size_t)pool->units << PM_UNIT_SHIFT;
        size_t end = pool->first + (size_t)pool->capacity * pool->block_bytes;
        for (int i = 0; i < 3; i++) {
            size_t block = test_random_below(&seed, pool->capacity) * pool->block_bytes;
            size_t inside = 1 + test_random_below(&seed, pool->block_bytes - 1);
            require_named(pool, pool->first + block + inside);
        }
        if (end < bytes)
            require_named(pool, end);
        if (pool->first > 0)
            require_named(pool, test_random_below(&seed, pool->first));
    }
}

/* One more block than are live comes back. */
static void push_first(const void *pool)
{
    (void)pool;
    test_push(blocks[0], 0);
}

static void push_first_two(const void *pool)
{
    (void)pool;
    pm_block_set_next(blocks[0], blocks[1]);
    pm_remote_push(test_place(blocks[0]), blocks[0], blocks[1], 2, 0, "free");
}

ISOLATED(more_frees_than_live_blocks_are_found_in_every_state)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_of(PM_BLOCK_MAX), TEST_OWNER);
    unsigned capacity = pool->capacity;
    test_pop_all(pool, blocks);
    for (unsigned i = 0; i < capacity; i++)
        test_push(blocks[i], 0);
    require(test_aborts(push_first, pool, "freed twice")); /* OWNED */
    pool = floating_pool(PM_BLOCK_MAX);
    for (unsigned i = 0; i < capacity - 1; i++)
        test_push(blocks[i], 0);
    require(test_is(pool, PM_PUBLISHED, 1));
    require(test_aborts(push_first_two, pool, "freed twice")); /* PUBLISHED */
    test_push(blocks[capacity - 1], 0);
    require(test_aborts(push_first, pool, "not allocated")); /* FREE */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_remote_word_gives_back_what_was_packed),
        cmocka_unit_test(pushes_to_an_owned_pool_wait_for_the_owner_whoever_pushes),
        cmocka_unit_test(a_floating_pool_is_adopted_by_the_push_that_makes_an_eighth_free),
        cmocka_unit_test(a_floating_pool_is_published_by_a_pusher_that_does_not_allocate),
        cmocka_unit_test(the_last_push_retires_a_published_pool_and_takes_it_from_its_set),
        cmocka_unit_test(a_chain_that_frees_all_blocks_retires_a_floating_pool_at_once),
        cmocka_unit_test(a_chain_joins_the_list_in_its_order),
        cmocka_unit_test(in_pools_of_every_class_exactly_the_starts_of_blocks_are_blocks),
        cmocka_unit_test(addresses_between_blocks_before_them_and_past_them_are_named_errors),
        cmocka_unit_test(more_frees_than_live_blocks_are_found_in_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
