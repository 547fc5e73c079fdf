/* SPDX-License-Identifier: MIT */
/* Floating sets, and pools shared by threads that allocate, free and adopt. */
#include "pool/testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, BLOCKS_MAX = 1 << 13 };

static void *blocks[BLOCKS_MAX];

/* A pool of which an eighth is free, in its floating set. */
static struct pm_pool *published_pool(size_t size)
{
    struct pm_pool *pool = test_pool(pm_class_of(size), TEST_OWNER);
    test_pop_all(pool, blocks);
    for (unsigned i = 0; i < test_eighth(pool); i++)
        test_push_local(pool, blocks[i]);
    require(pm_pool_float(pool, test_eighth(pool), TEST_OWNER));
    return pool;
}

static uint64_t published(void)
{
    struct pm_floating_stats stats;
    pm_floating_stats(&stats);
    return stats.pools;
}

ISOLATED(an_empty_set_gives_nothing_and_takes_no_lock)
{
    struct pm_floating_stats stats;
    test_arena_start(WINDOW_ARENAS);
    for (unsigned class = 0; class < PM_CLASSES; class++)
        require(pm_floating_take(class, TEST_OWNER) == NULL);
    pm_floating_stats(&stats);
    require(stats.lock_acquisitions == 0);
}

ISOLATED(the_newest_pool_of_the_class_is_taken_first)
{
    struct pm_pool *pools[3];
    test_arena_start(WINDOW_ARENAS);
    for (int i = 0; i < 3; i++)
        pools[i] = published_pool(64);
    struct pm_pool *other = published_pool(128);
    require(published() == 4);
    for (int i = 2; i >= 0; i--) {
        require(pm_floating_take(pools[i]->class, TEST_OTHER) == pools[i]);
        require(test_is(pools[i], PM_OWNED, 0) && test_has_owner(pools[i], TEST_OTHER));
    }
    require(pm_floating_take(pools[0]->class, TEST_OTHER) == NULL);
    require(pm_floating_take(other->class, TEST_OTHER) == other && published() == 0);
}

ISOLATED(a_taken_pool_has_what_was_freed_into_it_while_it_was_published)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = published_pool(64);
    unsigned eighth = test_eighth(pool);
    test_push(blocks[eighth], 0);
    test_push(blocks[eighth + 1], 0);
    require(pm_floating_take(pool->class, TEST_OTHER) == pool);
    require(pm_pool_count_local(pool) == eighth + 2);
    require(pool->count == pool->capacity - eighth - 2 && pm_pool_live_base(pool) == pool->count);
    require(pm_pool_check(pool));
}

/*
 * Threads with owner routes of their own allocate from pools, swap blocks through shared slots and
 * free what they find there, adopting pools as they go. Each block says who has it: so a block that
 * is in two lists, or in none, is seen.
 */
enum { THREADS = 4, SLOTS = 600, ROUNDS = 30000, SIZES = 3, POOLS_MAX = 4096 };

static const size_t sizes[SIZES] = {32, 1024, PM_BLOCK_MAX};
static _Atomic(void *) slots[SLOTS];

struct user {
    uint64_t route, seed, allocated, freed;
    struct pm_pool *current[SIZES];
    struct pm_pool *parked[POOLS_MAX];
    unsigned parked_count;
};

static void give(struct pm_pool *pool)
{
    struct pm_run run = pm_pool_run(pool);
    pm_arena_give_run(&run);
}

static struct pm_pool *find_pool(struct user *user, unsigned class)
{
    for (unsigned i = 0; i < user->parked_count; i++) {
        struct pm_pool *pool = user->parked[i];
        if (pool->class == class) {
            user->parked[i] = user->parked[--user->parked_count];
            return pool;
        }
    }
    struct pm_pool *pool = pm_floating_take(class, user->route);
    return pool ? pool : test_pool(class, user->route);
}

static void *user_alloc(struct user *user, unsigned which)
{
    struct pm_pool **current = &user->current[which];
    for (;;) {
        if (*current == NULL)
            *current = find_pool(user, pm_class_of(sizes[which]));
        if ((*current)->free == NULL)
            pm_pool_take_remote(*current);
        uint64_t *block = test_pop(*current);
        if (block != NULL) {
            block[1] = user->route; /* the first word is for the list */
            user->allocated++;
            return block;
        }
        if (pm_pool_float_full(*current, user->route))
            *current = NULL;
    }
}

static void user_free(struct user *user, uint64_t *block)
{
    struct pm_place_of at = test_place(block);
    uint64_t route = pm_load_relaxed(pm_window_route(at.window, at.unit));
    struct pm_pool *pool = pm_pool_at(at.window, at.unit);
    require(block[1] != 0);
    block[1] = 0; /* freed: a second free would see it */
    user->freed++;
    if (route == user->route) {
        test_push_local(pool, block);
        return;
    }
    uint64_t adopter = test_random_below(&user->seed, 2) ? user->route : 0;
    switch (pm_remote_push(at, block, block, 1, adopter, "free")) {
    case PM_PUSHED:
        break;
    case PM_PUSH_ADOPTED:
        require(user->parked_count < POOLS_MAX);
        user->parked[user->parked_count++] = pool;
        break;
    case PM_PUSH_LAST:
        give(pool);
    }
}

static void let_go(struct user *user, struct pm_pool *pool)
{
    require(pm_pool_check(pool));
    if (!pm_pool_float(pool, pm_pool_count_local(pool), user->route)) {
        pm_pool_retire(pool);
        give(pool);
    }
}

static void user_leave(struct user *user)
{
    for (unsigned i = 0; i < SIZES; i++) {
        if (user->current[i] != NULL)
            let_go(user, user->current[i]);
        user->current[i] = NULL;
    }
    while (user->parked_count > 0)
        let_go(user, user->parked[--user->parked_count]);
}

static void *user_run(void *arg)
{
    struct user *user = arg;
    for (int i = 0; i < ROUNDS; i++) {
        _Atomic(void *) *slot = &slots[test_random_below(&user->seed, SLOTS)];
        unsigned which = (unsigned)test_random_below(&user->seed, SIZES);
        void *block = test_random_below(&user->seed, 2) ? user_alloc(user, which) : NULL;
        void *found = pm_exchange_acq_rel(slot, block);
        if (found != NULL)
            user_free(user, found);
        if (i % (ROUNDS / 4) == ROUNDS / 8) /* as if the thread ended and another one began */
            user_leave(user);
    }
    user_leave(user);
    return NULL;
}

ISOLATED(blocks_that_threads_swap_and_free_come_back_exactly_once)
{
    static struct user users[THREADS + 1];
    pthread_t threads[THREADS];
    uint64_t allocated = 0, freed = 0;
    test_arena_start(4 * WINDOW_ARENAS);
    pm_options.keep_bytes = 0; /* pages of given pools vanish: who still wrote there is seen */
    for (unsigned i = 0; i <= THREADS; i++)
        users[i] = (struct user){.route = TEST_OWNER + i * PM_ROUTE_ALIGN, .seed = i + 1};
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, user_run, &users[i]) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    for (unsigned i = 0; i < SLOTS; i++) {
        void *found = pm_exchange_acq_rel(&slots[i], NULL);
        if (found != NULL)
            user_free(&users[THREADS], found);
    }
    user_leave(&users[THREADS]);
    for (unsigned i = 0; i <= THREADS; i++) {
        allocated += users[i].allocated;
        freed += users[i].freed;
    }
    require(allocated == freed && allocated > (uint64_t)THREADS * ROUNDS / 3);
    struct pm_arena_stats stats = test_arena_stats();
    require(stats.free_units == stats.arenas * PM_ARENA_UNITS); /* no pool was lost */
    require(pm_arena_check() && published() == 0);
}

/* One owner, and pushers that race with its take. */
static struct pm_pool *shared_pool;

static void *push_slots(void *arg)
{
    struct user *user = arg;
    while (user->freed < (uint64_t)ROUNDS) {
        uint64_t *block = pm_exchange_acq_rel(&slots[test_random_below(&user->seed, SLOTS)], NULL);
        if (block == NULL)
            continue;
        require(block[1] == 1);
        block[1] = 0;
        require(pm_remote_push(test_place(block), block, block, 1, 0, "free") == PM_PUSHED);
        user->freed++;
    }
    return NULL;
}

ISOLATED(an_owner_that_takes_while_others_push_gets_every_block_once)
{
    static struct user users[2] = {{.seed = 1}, {.seed = 2}};
    pthread_t threads[2];
    uint64_t handed_out = 0, seed = 3;
    test_arena_start(WINDOW_ARENAS);
    shared_pool = test_pool(pm_class_of(64), TEST_OWNER);
    for (int i = 0; i < 2; i++)
        require(pthread_create(&threads[i], NULL, push_slots, &users[i]) == 0);
    while (handed_out < 2 * (uint64_t)ROUNDS) {
        _Atomic(void *) *slot = &slots[test_random_below(&seed, SLOTS)];
        if (pm_load_relaxed(slot) != NULL) /* filled by this thread alone */
            continue;
        if (shared_pool->free == NULL)
            pm_pool_take_remote(shared_pool);
        uint64_t *block = test_pop(shared_pool);
        if (block == NULL)
            continue;
        require(block[1] == 0);
        block[1] = 1;
        pm_exchange_acq_rel(slot, block);
        handed_out++;
    }
    for (int i = 0; i < 2; i++)
        require(pthread_join(threads[i], NULL) == 0);
    pm_pool_take_remote(shared_pool);
    require(pm_pool_check(shared_pool));
    require(pm_pool_count_local(shared_pool) == shared_pool->carved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_set_gives_nothing_and_takes_no_lock),
        cmocka_unit_test(the_newest_pool_of_the_class_is_taken_first),
        cmocka_unit_test(a_taken_pool_has_what_was_freed_into_it_while_it_was_published),
        cmocka_unit_test(blocks_that_threads_swap_and_free_come_back_exactly_once),
        cmocka_unit_test(an_owner_that_takes_while_others_push_gets_every_block_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
