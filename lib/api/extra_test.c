/* SPDX-License-Identifier: MIT */
/* Sizes, ownership, change in place and batches under their public names. */
#include "base/config.h"
#include "base/testing.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <cmocka.h>

enum { COUNT = 500, ROUNDS = 2000, THREADS = 3 };

static void a_good_size_is_what_the_block_holds(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 5 * PM_BLOCK_MAX; n += n < 3000 ? 1 : n / 13) {
        void *block = pm_malloc(n);
        assert_int_equal(pm_good_size(n), pm_malloc_usable_size(block));
        assert_true(pm_good_size(n) >= n && (pm_good_size(n) > 0 || PM_ASAN));
        assert_int_equal(pm_good_size(pm_good_size(n)), pm_good_size(n));
        pm_free(block);
    }
}

static void sizes_that_are_always_refused_have_no_good_size(void **state)
{
    static const size_t sizes[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX,
                                   PM_WINDOW_MAX_BYTES + 1};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_int_equal(pm_good_size(sizes[i]), 0);
    assert_true(pm_good_size(PM_WINDOW_MAX_BYTES / 2) >= PM_WINDOW_MAX_BYTES / 2);
}

static void every_byte_of_a_block_is_owned(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 3 * PM_ARENA_BYTES; n += n) {
        char *block = pm_malloc(n);
        for (size_t at = 0; at < n; at += n / 50 + 1)
            assert_true(pm_owns(block + at));
        assert_true(pm_owns(block + n - 1));
        pm_free(block);
    }
}

static void what_others_made_is_not_owned(void **state)
{
    int here;
    static int there;
    size_t page = 4096;
    (void)state;
    char *mapped = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(mapped != MAP_FAILED);
    assert_false(pm_owns(NULL) || pm_owns(&here) || pm_owns(&there) || pm_owns(mapped));
    assert_false(pm_owns((void *)UINTPTR_MAX) || pm_owns((void *)(uintptr_t)1));
    assert_false(pm_owns((void *)(uintptr_t)what_others_made_is_not_owned));
    munmap(mapped, page);
}

ISOLATED(what_was_given_back_is_not_owned)
{
    char *large = pm_malloc(3 * PM_BLOCK_MAX), *small = pm_malloc(100);
    require(pm_owns(large) && pm_owns(small));
    pm_free(large);
    pm_free(small);
    require(!pm_owns(large) && pm_owns(small)); /* its pool is there still */
    pm_purge();
    require(!pm_owns(large) && !pm_owns(small));
}

static void expanding_keeps_place_and_contents_and_says_when_it_cannot(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 4 * PM_BLOCK_MAX; n += n / 2 + 1) {
        unsigned char *block = pm_malloc(n);
        memset(block, 0x5a, n);
        size_t most = pm_good_size(n);
        errno = EDOM;
        assert_true(pm_expand(block, most));
        memset(block + n, 0x5a, most - n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(block[i], 0x5a);
        assert_true(pm_expand(block, n / 2));
        assert_true(pm_malloc_usable_size(block) >= n / 2);
        assert_false(pm_expand(block, SIZE_MAX) || pm_expand(block, (size_t)PTRDIFF_MAX + 1));
        assert_false(pm_expand(block, (size_t)1 << 45));
        assert_int_equal(errno, EDOM);
        pm_free(block);
    }
    assert_false(pm_expand(NULL, 10));
}

static void a_batch_is_as_many_single_blocks(void **state)
{
    void *blocks[COUNT];
    (void)state;
    for (size_t n = 0; n <= 2 * PM_BLOCK_MAX; n += n + 1) {
        size_t count = n <= 4096 ? COUNT : 20;
        errno = EDOM;
        assert_int_equal(pm_malloc_batch(n, count, blocks), count);
        for (size_t i = 0; i < count; i++) {
            memset(blocks[i], (int)i, n);
            assert_int_equal(pm_malloc_usable_size(blocks[i]), pm_good_size(n));
        }
        for (size_t i = 0; i < count / 4; i++) {
            pm_free(blocks[i]);
            blocks[i] = NULL;
        }
        blocks[count / 2] = pm_realloc(blocks[count / 2], 3 * n + 1);
        pm_free_batch(blocks, count);
        assert_int_equal(errno, EDOM);
    }
    assert_true(pm_check());
}

static void a_batch_that_cannot_be_is_none(void **state)
{
    void *blocks[2] = {state, state};
    errno = 0;
    assert_int_equal(pm_malloc_batch(PTRDIFF_MAX, 2, blocks), 0);
    assert_true(errno == ENOMEM && blocks[0] == state);
    assert_int_equal(pm_malloc_batch(100, 0, NULL), 0);
    pm_free_batch(NULL, 0);
}

/* Each hands its blocks to the next, and asks all along for what the others have. */
static _Atomic(void *) mailbox[THREADS][COUNT];

static void *exchange(void *arg)
{
    unsigned number = *(unsigned *)arg;
    uint64_t state = number;
    void *blocks[COUNT];
    for (int round = 0; round < ROUNDS; round++) {
        size_t n = (size_t)16 << test_random_below(&state, round % 20 ? 9 : 17);
        size_t count = 1 + test_random_below(&state, n > 4096 ? 4 : 60);
        require(pm_malloc_batch(n, count, blocks) == count);
        for (size_t i = 0; i < count; i++) {
            require(pm_owns(blocks[i]) && pm_owns((char *)blocks[i] + n - 1));
            pm_expand(blocks[i], n / 2 + 1);
            memset(blocks[i], (int)number, n / 2 + 1);
            blocks[i] = atomic_exchange(&mailbox[(number + 1) % THREADS][i], blocks[i]);
            pm_owns(&blocks[i]);
        }
        pm_free_batch(blocks, count);
    }
    return NULL;
}

ISOLATED(threads_exchange_batches_while_they_ask_who_owns_what)
{
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        require(pthread_create(&threads[i], NULL, exchange, &numbers[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pm_free_batch((void **)(void *)mailbox[i], COUNT);
    pm_purge();
    struct pm_stats stats;
    require(pm_stats_get(&stats) && pm_check());
    require(stats.mallocs == stats.frees + stats.remote_frees && stats.pool_bytes == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_size_is_what_the_block_holds),
        cmocka_unit_test(sizes_that_are_always_refused_have_no_good_size),
        cmocka_unit_test(every_byte_of_a_block_is_owned),
        cmocka_unit_test(what_others_made_is_not_owned),
        cmocka_unit_test(what_was_given_back_is_not_owned),
        cmocka_unit_test(expanding_keeps_place_and_contents_and_says_when_it_cannot),
        cmocka_unit_test(a_batch_is_as_many_single_blocks),
        cmocka_unit_test(a_batch_that_cannot_be_is_none),
        cmocka_unit_test(threads_exchange_batches_while_they_ask_who_owns_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
