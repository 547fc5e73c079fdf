/* SPDX-License-Identifier: MIT */
/* What the tests of the pool layer share. Only x_test.c files include it. */
#ifndef PM_POOL_TESTING_H
#define PM_POOL_TESTING_H

#include "arena/testing.h"
#include "pool/pool.h"

/* Routes of owners that are no heaps. */
#define TEST_OWNER ((uint64_t)PM_ROUTE_ALIGN * 1000)
#define TEST_OTHER ((uint64_t)PM_ROUTE_ALIGN * 1001)

static inline struct pm_pool *test_pool(unsigned class, uint64_t owner)
{
    struct pm_run run;
    require(pm_arena_take_run(pm_class_units(class), &run));
    return pm_pool_cut(&run, class, owner);
}

/* The next block of an owned pool, or NULL: it is full. */
static inline void *test_pop(struct pm_pool *pool)
{
    void *block = pool->free;
    if (block == NULL && pool->block_bytes > PM_CARVE_BATCH_MAX)
        block = pm_pool_carve_one(pool);
    else if (block != NULL || pm_pool_carve(pool))
        pool->free = pm_block_next(block = pool->free);
    if (block != NULL)
        pm_asan_unpoison(block, pool->block_bytes);
    return block;
}

static inline void test_pop_all(struct pm_pool *pool, void **blocks)
{
    for (unsigned i = 0; i < pool->capacity; i++) {
        blocks[i] = test_pop(pool);
        require(blocks[i] != NULL);
    }
    require(test_pop(pool) == NULL);
}

static inline void test_push_local(struct pm_pool *pool, void *block)
{
    pm_block_set_next(block, pool->free);
    pool->free = block;
}

static inline struct pm_place_of test_place(const void *ptr)
{
    struct pm_window *w = pm_window_find(ptr);
    require(w != NULL);
    size_t unit = pm_window_index(w, ptr);
    uint64_t route = pm_load_relaxed(pm_window_route(w, unit));
    return (struct pm_place_of){w, unit - pm_route_distance(route)};
}

/* One block comes back from a thread that is not the owner. */
static inline enum pm_push test_push(void *block, uint64_t adopter)
{
    return pm_remote_push(test_place(block), block, block, 1, adopter, "free");
}

static inline uint64_t test_word(const struct pm_pool *pool)
{
    return pm_load_acquire(&pm_pool_remote(pool)->word);
}

/* All units of the pool have this owner, and their distances. */
static inline bool test_has_owner(const struct pm_pool *pool, uint64_t owner)
{
    struct pm_window *w = pm_window_find(pool->base);
    size_t unit = pm_window_index(w, pool->base);
    for (unsigned i = 0; i < pool->units; i++) {
        uint64_t route = pm_load_relaxed(pm_window_route(w, unit + i));
        if (route != (owner == PM_ROUTE_VOID ? owner : owner + i * PM_ROUTE_STEP))
            return false;
    }
    return true;
}

static inline bool test_is(const struct pm_pool *pool, enum pm_state state, unsigned count)
{
    uint64_t word = test_word(pool);
    return pm_word_state(word) == state && pm_word_count(word) == count;
}

/* How many blocks make the pool worth adopting. */
static inline unsigned test_eighth(const struct pm_pool *pool)
{
    return (unsigned)(pool->capacity - pm_pool_remote(pool)->adopt_live);
}

#endif
