/* SPDX-License-Identifier: MIT */
/* Blocks of gc pools: where they lie, what is refused, and that a walk finds each of them. */
#include "poolmalloc/gc_pools.h"
#include "api/domains_testing.h"
#include "api/figures.h"
#include "poolmalloc/walk.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum {
    GC_MAX = PM_GC_BYTES_MAX - PM_ASAN_REDZONE_BYTES,
    BLOCKS = 5000,
    THREADS = 4,
    ROUNDS = 200,
};

#define IS_LIVE UINT64_C(0x11ce) /* what the tests have in bytes 8..15 of a live block */

static void *blocks[BLOCKS];

/* What is freed from here says in its header that it is dead, as a collector wants it. */
static void *take(size_t bytes)
{
    char *block = pm_gc_calloc(bytes);
    require(block != NULL && (uintptr_t)block % (bytes % 16 == 0 ? 16 : 8) == 0);
    for (size_t i = 0; i < bytes; i++)
        require(block[i] == 0);
    memset(block, 0x77, bytes);
    if (bytes >= 16)
        ((uint64_t *)(void *)block)[1] = IS_LIVE;
    return block;
}

static void give(void *block)
{
    /* As objects do it: walks may look meanwhile. */
    __atomic_store_n((uint64_t *)block + 1, 0, __ATOMIC_RELAXED);
    pm_gc_free(block);
}

struct seen {
    unsigned pools, live, dead;
    uintptr_t sum; /* of the addresses of what is live */
};

static bool look(const struct pm_gc_pool *pool, void *arg)
{
    struct seen *seen = arg;
    char *base;
    size_t window_bytes;
    pm_gc_window(&base, &window_bytes);
    require(pool->first >= base && pool->block_bytes % 8 == 0);
    require((size_t)(pool->first - base) + (size_t)pool->blocks * pool->block_bytes <=
            window_bytes);
    seen->pools++;
    for (uint32_t i = 0; i < pool->blocks; i++) {
        char *block = pool->first + (size_t)i * pool->block_bytes;
        uint64_t header = pm_gc_peek(block);
        require(header == 0 || header == IS_LIVE);
        seen->live += header == IS_LIVE;
        seen->dead += header == 0;
        seen->sum += header == IS_LIVE ? (uintptr_t)block : 0;
    }
    return true;
}

static struct seen look_at_all(void)
{
    struct seen seen = {0};
    require(pm_gc_pools_walk(look, &seen));
    return seen;
}

static void require_seen(unsigned live, uintptr_t sum)
{
    struct seen seen = look_at_all();
    require(seen.live == live && seen.sum == sum);
}

static void require_refused(size_t bytes)
{
    errno = 0;
    require(pm_gc_calloc(bytes) == NULL && errno == ENOTSUP);
}

static size_t block_bytes_of(size_t bytes)
{
    bytes = (bytes < 9 ? 9 : bytes) + PM_ASAN_REDZONE_BYTES;
    size_t step = bytes <= 80 ? 8 : bytes <= 384 ? 16 : 32;
    return (bytes + step - 1) / step * step;
}

ISOLATED(blocks_of_each_size_are_zero_aligned_and_in_pools_where_nothing_else_lies)
{
    for (int turn = 0; turn < 3; turn++) {
        for (size_t bytes = 1; bytes <= GC_MAX; bytes++) {
            void *plain = pm_malloc(bytes), *block = take(bytes);
            struct pm_pool *pool = test_pool_of(block);
            require(pm_class_is_gc(pool->class) && !pm_class_is_gc(test_pool_of(plain)->class));
            require(pool->block_bytes == block_bytes_of(bytes));
            blocks[bytes] = block;
            memset(plain, 0x77, bytes);
            pm_free(plain);
        }
        for (size_t bytes = 1; bytes <= GC_MAX; bytes++)
            pm_gc_free(blocks[bytes]);
    }
    pm_gc_free(NULL);
    require(test_nothing_is_lost());
}

ISOLATED(what_is_too_large_or_nothing_is_refused)
{
    require_refused(0);
    require_refused(GC_MAX + 1);
    require_refused(SIZE_MAX);
    pm_gc_free(take(GC_MAX));
}

/* Whatever was in the memory before: first the fresh pools, then those cut from used units. */
ISOLATED(a_walk_finds_what_is_live_and_of_what_is_free_the_headers_say_so)
{
    uint64_t seed = 5;
    require_seen(0, 0);
    for (int turn = 0; turn < 3; turn++) {
        uintptr_t sum = 0;
        unsigned live = 0;
        for (int i = 0; i < BLOCKS; i++) {
            blocks[i] = take(16 + test_random_below(&seed, GC_MAX - 15));
            sum += (uintptr_t)blocks[i];
        }
        require_seen(BLOCKS, sum);
        for (int i = 0; i < BLOCKS; i++) {
            bool goes = test_random_below(&seed, 4) != 0;
            sum -= goes ? (uintptr_t)blocks[i] : 0;
            live += !goes;
            if (goes)
                give(blocks[i]);
            blocks[i] = goes ? NULL : blocks[i];
        }
        require_seen(live, sum);
        for (int i = 0; i < BLOCKS; i++)
            if (blocks[i] != NULL)
                give(blocks[i]);
        require_seen(0, 0);
        for (int i = 0; i < BLOCKS; i++) /* the units become others' */
            memset(blocks[i] = pm_malloc(400), 0x77, 400);
        for (int i = 0; i < BLOCKS; i++)
            pm_free(blocks[i]);
    }
    require(test_nothing_is_lost());
}

static bool add_one(const struct pm_walk_block *found, void *arg)
{
    unsigned *mine = arg;
    for (int i = 0; i < 10; i++)
        *mine += found->block == blocks[i];
    return true;
}

ISOLATED(walks_over_all_blocks_and_statistics_know_them)
{
    struct pm_figures before, figures;
    unsigned mine = 0;
    require(pm_figures_take(&before));
    for (int i = 0; i < 10; i++)
        blocks[i] = take(100 - PM_ASAN_REDZONE_BYTES);
    require(pm_walk_blocks(PM_WALK_PROCESS, add_one, &mine) && mine == 10);
    require(pm_figures_take(&figures) && pm_figures_add_up(&figures, true));
    require(figures.classes[pm_class_gc(100)].live_blocks == 10);
    require(figures.classes[pm_class_of(100)].live_blocks ==
            before.classes[pm_class_of(100)].live_blocks);
    require(figures.stats.mallocs == before.stats.mallocs + 10);
    require(pm_malloc_usable_size(blocks[0]) >= 100 - PM_ASAN_REDZONE_BYTES);
    for (int i = 0; i < 10; i++)
        give(blocks[i]);
    require(pm_figures_take(&figures));
    require(figures.stats.frees == before.stats.frees + 10);
}

/* ---- statistics as texts ---- */

enum { TEXT_BYTES = 1 << 16 };

static char text[TEXT_BYTES];

static void add_text(void *arg, const char *more)
{
    (void)arg;
    require(strlen(text) + strlen(more) < TEXT_BYTES);
    strcat(text, more);
}

static void write_info(void)
{
    FILE *stream = fmemopen(text, TEXT_BYTES, "w");
    require(stream != NULL && pm_malloc_info(0, stream) == 0 && fclose(stream) == 0);
}

ISOLATED(classes_of_gc_pools_are_named_as_such_and_others_are_not)
{
    char json[80], xml[80];
    unsigned bytes = (unsigned)pm_class_bytes(pm_class_gc(100));
    snprintf(json, sizeof json, "\"kind\":\"gc\",\"block_bytes\":%u,", bytes);
    snprintf(xml, sizeof xml, "<size kind=\"gc\" from=\"%u\" to=\"%u\" ", bytes - 15, bytes);
    pm_free(pm_malloc(100));
    for (int with = 0; with < 2; with++) {
        if (with)
            take(100 - PM_ASAN_REDZONE_BYTES);
        text[0] = 0;
        pm_stats_print(add_text, NULL);
        require((strstr(text, "  gc\n") != NULL) == with);
        text[0] = 0;
        pm_stats_json(add_text, NULL);
        require((strstr(text, json) != NULL) == with);
        require(strstr(text, "\"kind\":\"plain\"") != NULL);
        write_info();
        require((strstr(text, xml) != NULL) == with);
    }
}

/* ---- hooks ---- */

ISOLATED(a_hooked_object_domain_sees_all_its_allocations_and_other_hooks_are_no_reason)
{
    struct test_counts counts = {0};
    struct pm_allocator own, raw;
    void *first = take(64);
    require(pm_get_allocator(PM_DOMAIN_OBJECT, &own) && pm_get_allocator(PM_DOMAIN_RAW, &raw));
    test_count_calls(PM_DOMAIN_OBJECT, &counts);
    require_refused(64);
    ((uint64_t *)first)[1] = 0;
    pm_object_free(first); /* made before: nothing for the hook, by whichever name */
    pm_object_free(NULL);
    require(counts.frees == 0);
    require(pm_set_allocator(PM_DOMAIN_OBJECT, &own));
    test_count_calls(PM_DOMAIN_RAW, &counts);
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = take(64);
    for (int i = 0; i < BLOCKS; i++)
        give(blocks[i]);
    require(counts.allocations == 0 && counts.frees == 0);
    require(pm_set_allocator(PM_DOMAIN_RAW, &raw));
    give(take(64));
}

/* ---- threads ---- */

static void *take_half_and_end(void *arg)
{
    void **own = arg;
    for (int i = 0; i < BLOCKS / THREADS; i++)
        own[i] = take(32);
    for (int i = 0; i < BLOCKS / THREADS; i += 2)
        give(own[i]);
    return NULL;
}

ISOLATED(what_threads_leave_is_found_and_goes_on_being_used)
{
    uintptr_t sum = 0;
    unsigned live = 0;
    for (int t = 0; t < THREADS; t++)
        test_in_thread(take_half_and_end, &blocks[t * (BLOCKS / THREADS)]);
    for (int i = 0; i < BLOCKS; i++) {
        if (i % (BLOCKS / THREADS) % 2 == 0)
            continue;
        live++;
        sum += (uintptr_t)blocks[i];
    }
    require_seen(live, sum);
    unsigned pools = look_at_all().pools;
    for (int i = 0; i < BLOCKS / 10; i++) /* from the pools that they left */
        take(32);
    require(look_at_all().pools == pools);
    require(look_at_all().live == live + BLOCKS / 10);
}

/* Each thread makes blocks and passes them on; whoever gets one frees it. */
static void *_Atomic shelf[64];

static void *exchange(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    for (int i = 0; i < ROUNDS * 64; i++) {
        void *block = take(16 + test_random_below(&seed, GC_MAX - 15));
        void *old = pm_exchange_acq_rel(&shelf[test_random_below(&seed, 64)], block);
        if (old != NULL)
            give(old);
        if (i % 8 == 0)
            pm_free(pm_malloc(1 + test_random_below(&seed, 600)));
    }
    return NULL;
}

ISOLATED(blocks_go_from_thread_to_thread_and_the_last_walk_finds_those_left)
{
    pthread_t threads[THREADS];
    uintptr_t sum = 0;
    unsigned live = 0;
    for (uintptr_t t = 0; t < THREADS; t++)
        require(pthread_create(&threads[t], NULL, exchange, (void *)(t + 1)) == 0);
    for (int t = 0; t < THREADS; t++)
        require(pthread_join(threads[t], NULL) == 0);
    for (int i = 0; i < 64; i++) {
        live += shelf[i] != NULL;
        sum += (uintptr_t)shelf[i];
    }
    require_seen(live, sum);
    for (int i = 0; i < 64; i++)
        if (shelf[i] != NULL)
            give(shelf[i]);
    require_seen(0, 0);
    require(test_nothing_is_lost());
}

/* Walks go on while another thread, which makes no gc blocks, frees all there are and takes the
 * memory for others: what a walk sees is a header, never what the other thread writes. */
static _Atomic bool done;

static void *free_all_and_write(void *arg)
{
    (void)arg;
    for (int i = 0; i < BLOCKS; i++)
        give(blocks[i]);
    for (int i = 0; i < BLOCKS; i++)
        memset(blocks[i] = pm_malloc(480), 0x77, 480);
    for (int i = 0; i < BLOCKS; i++)
        pm_free(blocks[i]);
    pm_store_release(&done, true);
    return NULL;
}

ISOLATED(a_walk_never_sees_what_became_of_a_pool)
{
    pthread_t thread;
    for (int round = 0; round < 20; round++) {
        pm_store_relaxed(&done, false);
        for (int i = 0; i < BLOCKS; i++)
            blocks[i] = take(48);
        require(pthread_create(&thread, NULL, free_all_and_write, NULL) == 0);
        while (!pm_load_acquire(&done))
            look_at_all();
        require(pthread_join(thread, NULL) == 0);
        require_seen(0, 0);
    }
}

/* ---- fork ---- */

static _Atomic bool inside, forked;

static bool stay(const struct pm_gc_pool *pool, void *arg)
{
    (void)pool, (void)arg;
    pm_store_release(&inside, true);
    return true;
}

static void *walk_on(void *arg)
{
    while (!pm_load_acquire(&forked))
        pm_gc_pools_walk(stay, arg);
    return NULL;
}

ISOLATED(a_child_walks_and_goes_on_though_the_parent_was_walking)
{
    pthread_t thread;
    void *first = take(64), *other = take(200);
    require(pthread_create(&thread, NULL, walk_on, NULL) == 0);
    while (!pm_load_acquire(&inside))
        sched_yield();
    for (int i = 0; i < 20; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            require_seen(2, (uintptr_t)first + (uintptr_t)other);
            give(first);
            void *next = take(64);
            require_seen(2, (uintptr_t)next + (uintptr_t)other);
            _exit(0);
        }
        require(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
    pm_store_release(&forked, true);
    require(pthread_join(thread, NULL) == 0);
}

static void free_twice(const void *arg)
{
    (void)arg;
    char *block = take(64);
    pm_gc_free(block + 16);
}

static void what_is_no_block_is_a_named_error(void **state)
{
    (void)state;
    if (!PM_CHECK && !PM_ASAN) /* as with pm_free: in the thread's own pool it is not looked at */
        return;
    assert_true(test_aborts(free_twice, NULL, "pm_gc_free("));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_each_size_are_zero_aligned_and_in_pools_where_nothing_else_lies),
        cmocka_unit_test(what_is_too_large_or_nothing_is_refused),
        cmocka_unit_test(a_walk_finds_what_is_live_and_of_what_is_free_the_headers_say_so),
        cmocka_unit_test(walks_over_all_blocks_and_statistics_know_them),
        cmocka_unit_test(classes_of_gc_pools_are_named_as_such_and_others_are_not),
        cmocka_unit_test(
            a_hooked_object_domain_sees_all_its_allocations_and_other_hooks_are_no_reason),
        cmocka_unit_test(what_threads_leave_is_found_and_goes_on_being_used),
        cmocka_unit_test(blocks_go_from_thread_to_thread_and_the_last_walk_finds_those_left),
        cmocka_unit_test(a_walk_never_sees_what_became_of_a_pool),
        cmocka_unit_test(a_child_walks_and_goes_on_though_the_parent_was_walking),
        cmocka_unit_test(what_is_no_block_is_a_named_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
