/* SPDX-License-Identifier: MIT */
/* What the owner of a pool does with it: the transitions by the owner of the table in pool.h. */
#include "pool/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, BLOCKS_MAX = 1 << 13 };

static void *blocks[BLOCKS_MAX];

/* A small class of one unit, a medium one that is carved in batches, one carved block by block. */
enum { SIZES = 5 };
static const size_t sizes[SIZES] = {48, PM_SMALL_MAX, PM_CARVE_BATCH_MAX, 3 * PM_CARVE_BATCH_MAX,
                                    PM_BLOCK_MAX};

ISOLATED(a_pool_is_cut_owned_with_nothing_carved)
{
    test_arena_start(WINDOW_ARENAS);
    for (int i = 0; i < SIZES; i++) {
        unsigned class = pm_class_of(sizes[i]);
        struct pm_pool *pool = test_pool(class, TEST_OWNER);
        require(pool->free == NULL && pool->carved == 0 && pool->class == class);
        require(pool->block_bytes == pm_class_bytes(class));
        require(pool->capacity == pm_class_capacity(class));
        require(pool->units == pm_class_units(class) && pool->zero);
        require(test_is(pool, PM_OWNED, 0) && test_has_owner(pool, TEST_OWNER));
        require(pm_pool_check(pool));
    }
}

ISOLATED(every_block_of_the_pool_is_carved_once_inside_it_and_apart_from_the_others)
{
    test_arena_start(WINDOW_ARENAS);
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        struct pm_pool *pool = test_pool(class, TEST_OWNER);
        char *end = pool->base + ((size_t)pool->units << PM_UNIT_SHIFT);
        test_pop_all(pool, blocks);
        require(pool->carved == pool->capacity && !pm_pool_carve(pool));
        for (unsigned i = 0; i < pool->capacity; i++) {
            char *block = blocks[i];
            require(block >= pool->base + pool->first && block + pool->block_bytes <= end);
            require(i == 0 || block == (char *)blocks[i - 1] + pool->block_bytes);
            require((uintptr_t)block % (pm_class_is_gc(class) ? 8 : PM_GRANULE_BYTES) == 0);
        }
        require(test_place(end - 1).unit == test_place(pool->base).unit);
    }
}

/* By the system's own pages, which may be smaller than those of the double. */
static size_t touched_bytes(const struct pm_pool *pool)
{
    unsigned char pages[(PM_POOL_UNITS_MAX << PM_UNIT_SHIFT) / 4096];
    size_t bytes = (size_t)pool->units << PM_UNIT_SHIFT, touched = 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    require(mincore(pool->base, bytes, pages) == 0);
    for (size_t i = 0; i < bytes / page; i++)
        touched += (pages[i] & 1) * page;
    return touched;
}

ISOLATED(no_page_is_touched_before_a_block_that_starts_in_it_is_handed_out)
{
    test_arena_start(WINDOW_ARENAS);
    for (int size = 0; size < SIZES; size++) {
        struct pm_pool *pool = test_pool(pm_class_of(sizes[size]), TEST_OWNER);
        madvise(pool->base, (size_t)pool->units << PM_UNIT_SHIFT, MADV_NOHUGEPAGE);
        require(touched_bytes(pool) == 0);
        for (unsigned i = 0; i < pool->capacity; i++) {
            char *block = test_pop(pool);
            size_t page = (size_t)(block - pool->base) / pm_os_page_bytes();
            require(touched_bytes(pool) <= (page + 1) * pm_os_page_bytes());
        }
    }
}

ISOLATED(a_carved_list_stays_within_one_page)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_of(48), TEST_OWNER);
    size_t page = pm_os_page_bytes();
    while (pm_pool_carve(pool)) {
        size_t first = (uintptr_t)pool->free / page;
        require(pm_pool_check(pool) && pm_pool_count_local(pool) <= PM_CARVE_BATCH_BLOCKS);
        for (void *block = pool->free; block != NULL; block = pm_block_next(block))
            require((uintptr_t)block / page == first);
    }
}

/* Of the run's units all but `clean` of them were used before. */
static struct pm_pool *worn_pool(unsigned class, unsigned clean)
{
    struct pm_run run;
    require(pm_arena_take_run(pm_class_units(class), &run));
    run.dirty = pm_bits_run(clean, run.units - clean);
    return pm_pool_cut(&run, class, TEST_OWNER);
}

ISOLATED(only_where_all_was_used_before_are_blocks_carved_several_at_once_whatever_their_size)
{
    test_arena_start(WINDOW_ARENAS);
    unsigned class = pm_class_of(2 * PM_CARVE_BATCH_MAX), carved = 0;
    struct pm_pool *pool = worn_pool(class, 0);
    while (pm_pool_carve(pool)) {
        unsigned n = pm_pool_count_local(pool), left = pool->capacity - carved;
        unsigned least = left < PM_CARVE_WORN_BLOCKS ? left : PM_CARVE_WORN_BLOCKS;
        bool page_has_more = pm_os_page_bytes() >= PM_CARVE_WORN_BLOCKS * pool->block_bytes;
        require(page_has_more ? n >= least : n == least);
        require((char *)pool->free == pool->base + pool->first + carved * pool->block_bytes);
        carved += n;
        require(pm_pool_check(pool) && pool->carved == carved);
    }
    require(carved == pool->capacity);
    for (unsigned clean = 1; clean <= pm_class_units(class); clean++) {
        pool = worn_pool(class, clean);
        require(!pool->worn && pm_pool_carve(pool));
        require(pm_pool_count_local(pool) <= pm_os_page_bytes() / pool->block_bytes);
    }
}

ISOLATED(what_others_freed_comes_before_the_local_list_last_freed_first)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_of(64), TEST_OWNER);
    test_pop_all(pool, blocks);
    require(pm_pool_take_remote(pool) == 0 && pool->free == NULL);
    test_push_local(pool, blocks[0]);
    test_push_local(pool, blocks[1]);
    for (int i = 2; i < 5; i++)
        require(test_push(blocks[i], TEST_OTHER) == PM_PUSHED);
    require(test_is(pool, PM_OWNED, 3) && pm_pool_count_local(pool) == 2);
    require(pm_pool_take_remote(pool) == 3 && test_is(pool, PM_OWNED, 0));
    static const int order[] = {4, 3, 2, 1, 0};
    void *block = pool->free;
    for (int i = 0; i < 5; i++, block = pm_block_next(block))
        require(block == blocks[order[i]]);
    require(block == NULL && pm_pool_check(pool));
    require(pm_pool_take_remote(pool) == 0);
}

ISOLATED(a_full_pool_floats_with_all_its_blocks_live)
{
    test_arena_start(WINDOW_ARENAS);
    for (int i = 0; i < SIZES; i++) {
        struct pm_pool *pool = test_pool(pm_class_of(sizes[i]), TEST_OWNER);
        test_pop_all(pool, blocks);
        require(pm_pool_float_full(pool, TEST_OWNER));
        require(test_is(pool, PM_FLOATING, pool->capacity));
        require(test_has_owner(pool, PM_ROUTE_FLOATING));
    }
}

ISOLATED(a_full_pool_into_which_something_was_freed_stays_with_its_owner)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_of(64), TEST_OWNER);
    test_pop_all(pool, blocks);
    test_push(blocks[3], 0);
    require(!pm_pool_float_full(pool, TEST_OWNER));
    require(test_is(pool, PM_OWNED, 1) && test_has_owner(pool, TEST_OWNER));
    require(pm_pool_take_remote(pool) == 1 && pool->free == blocks[3]);
}

/* Carves the pool, then frees so many blocks locally and so many from another thread. */
static struct pm_pool *partly_free(size_t size, unsigned local, unsigned remote)
{
    struct pm_pool *pool = test_pool(pm_class_of(size), TEST_OWNER);
    test_pop_all(pool, blocks);
    for (unsigned i = 0; i < local; i++)
        test_push_local(pool, blocks[i]);
    for (unsigned i = local; i < local + remote; i++)
        test_push(blocks[i], 0);
    return pool;
}

ISOLATED(a_pool_let_go_with_little_free_floats_and_keeps_its_free_blocks_on_the_remote_list)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = partly_free(64, 2, 3);
    require(test_eighth(pool) > 5);
    require(pm_pool_float(pool, 2, TEST_OWNER));
    require(test_is(pool, PM_FLOATING, pool->capacity - 5u));
    require(test_has_owner(pool, PM_ROUTE_FLOATING));
    unsigned listed = 0;
    for (void *block = pm_word_head(test_word(pool), pool->base); block != NULL;
         block = pm_block_next(block))
        listed++;
    require(listed == 5 && pm_floating_take(pool->class, TEST_OTHER) == NULL);
}

ISOLATED(a_pool_let_go_with_an_eighth_free_is_published_at_once)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = partly_free(64, 0, 0);
    unsigned eighth = test_eighth(pool);
    for (unsigned i = 0; i < eighth; i++)
        test_push_local(pool, blocks[i]);
    require(pm_pool_float(pool, eighth, TEST_OWNER));
    require(test_is(pool, PM_PUBLISHED, pool->capacity - eighth));
    require(pm_floating_take(pool->class, TEST_OTHER) == pool);
    require(test_is(pool, PM_OWNED, 0) && test_has_owner(pool, TEST_OTHER));
    require(pm_pool_count_local(pool) == eighth && pool->count == pool->capacity - eighth);
}

ISOLATED(a_pool_let_go_without_a_live_block_stays_with_its_owner_who_retires_it)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_of(64), TEST_OWNER);
    void *one = test_pop(pool);
    test_push_local(pool, one);
    require(!pm_pool_float(pool, pool->carved, TEST_OWNER));
    require(test_is(pool, PM_OWNED, 0) && test_has_owner(pool, TEST_OWNER));
    pool = partly_free(64, 1, pm_class_capacity(pm_class_of(64)) - 1); /* the last ones remotely */
    require(!pm_pool_float(pool, 1, TEST_OWNER) && test_has_owner(pool, TEST_OWNER));
    pm_pool_retire(pool);
    require(test_is(pool, PM_FREE, 0) && test_has_owner(pool, PM_ROUTE_VOID));
}

ISOLATED(a_partly_carved_pool_counts_only_carved_blocks_as_live)
{
    test_needs_small_pages();
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = test_pool(pm_class_of(PM_CARVE_BATCH_MAX), TEST_OWNER);
    void *live = test_pop(pool);
    require(pool->carved > 1 && pool->carved < pool->capacity);
    require(pm_pool_float(pool, pool->carved - 1u, TEST_OWNER));
    require(test_is(pool, PM_PUBLISHED, 1)); /* one block is live: much is free */
    require(test_push(live, 0) == PM_PUSH_LAST);
    require(test_is(pool, PM_FREE, 0) && pm_pool_count_local(pool) == pool->carved);
}

ISOLATED(a_retired_pool_goes_on_as_it_was_when_it_is_revived)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = partly_free(64, 0, 0);
    for (unsigned i = 0; i < pool->capacity; i++)
        test_push_local(pool, blocks[i]);
    pm_pool_retire(pool);
    pm_pool_revive(pool, TEST_OTHER);
    require(test_is(pool, PM_OWNED, 0) && test_has_owner(pool, TEST_OTHER));
    require(pool->carved == pool->capacity && pm_pool_count_local(pool) == pool->capacity);
    require(pm_pool_check(pool));
    void *block = test_pop(pool);
    require(test_push(block, 0) == PM_PUSHED && pm_pool_take_remote(pool) == 1);
}

ISOLATED(of_a_fresh_pool_only_the_units_of_carved_blocks_come_back_dirty)
{
    test_arena_start(WINDOW_ARENAS);
    unsigned class = pm_class_of(PM_BLOCK_MAX), units = pm_class_units(class);
    struct pm_pool *pool = test_pool(class, TEST_OWNER);
    require(units > 2 && pm_pool_run(pool).dirty == 0);
    test_pop(pool);
    unsigned used = (unsigned)((pool->first + PM_BLOCK_MAX + PM_UNIT_BYTES - 1) / PM_UNIT_BYTES);
    struct pm_run run = pm_pool_run(pool);
    require(run.base == pool->base && run.units == units);
    require(run.dirty == pm_bits_run(0, used));
    run.dirty |= 1;
    pool = pm_pool_cut(&run, class, TEST_OWNER); /* no longer all zero: all may be dirty */
    require(!pool->zero);
    require((pm_pool_run(pool).dirty & pm_bits_run(0, units)) == pm_bits_run(0, units));
}

static char damaged_text[400];

static void check_fails(const void *pool)
{
    require(!pm_pool_check(pool));
}

static bool check_reports(const struct pm_pool *pool, const char *what)
{
    int status = test_stderr_of(check_fails, pool, damaged_text, sizeof damaged_text);
    return status == 0 && strstr(damaged_text, what) != NULL;
}

ISOLATED(the_check_reports_damaged_lists_and_counts)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_pool *pool = partly_free(64, 3, 0);
    require(pm_pool_check(pool));
    void *link = pm_block_next(blocks[2]);
    pm_block_set_next(blocks[2], (char *)link + PM_GRANULE_BYTES);
    require(check_reports(pool, "leads to"));
    pm_block_set_next(blocks[2], blocks[2]); /* round and round */
    require(check_reports(pool, "leads to"));
    pm_block_set_next(blocks[2], link);
    pool->place = PM_PLACE_PARKED;
    pool->count = pool->capacity - 3u;
    require(pm_pool_check(pool));
    pool->count++;
    require(check_reports(pool, "live"));
}

static void count_local(const void *pool)
{
    pm_pool_count_local(pool);
}

/* As a block that is freed twice on the fast path leaves it. */
ISOLATED(a_circular_list_is_named_when_it_is_counted)
{
    require(pm_arena_init());
    struct pm_pool *pool = test_pool(pm_class_of(64), TEST_OWNER);
    void *block = test_pop(pool);
    pm_block_set_next(block, block);
    pool->free = block;
    require(test_aborts(count_local, pool, "a list of free blocks is damaged"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_is_cut_owned_with_nothing_carved),
        cmocka_unit_test(
            every_block_of_the_pool_is_carved_once_inside_it_and_apart_from_the_others),
        cmocka_unit_test(no_page_is_touched_before_a_block_that_starts_in_it_is_handed_out),
        cmocka_unit_test(a_carved_list_stays_within_one_page),
        cmocka_unit_test(
            only_where_all_was_used_before_are_blocks_carved_several_at_once_whatever_their_size),
        cmocka_unit_test(what_others_freed_comes_before_the_local_list_last_freed_first),
        cmocka_unit_test(a_full_pool_floats_with_all_its_blocks_live),
        cmocka_unit_test(a_full_pool_into_which_something_was_freed_stays_with_its_owner),
        cmocka_unit_test(
            a_pool_let_go_with_little_free_floats_and_keeps_its_free_blocks_on_the_remote_list),
        cmocka_unit_test(a_pool_let_go_with_an_eighth_free_is_published_at_once),
        cmocka_unit_test(a_pool_let_go_without_a_live_block_stays_with_its_owner_who_retires_it),
        cmocka_unit_test(a_partly_carved_pool_counts_only_carved_blocks_as_live),
        cmocka_unit_test(a_retired_pool_goes_on_as_it_was_when_it_is_revived),
        cmocka_unit_test(of_a_fresh_pool_only_the_units_of_carved_blocks_come_back_dirty),
        cmocka_unit_test(the_check_reports_damaged_lists_and_counts),
        cmocka_unit_test(a_circular_list_is_named_when_it_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
