/* SPDX-License-Identifier: MIT */
/* The entry points of the domains and their tables: what they promise, what is refused, hooks. */
#include "api/domains_testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct test_counts counts[PM_DOMAINS], outer;

/* With default tables, and with hooks in all domains. */
static void both_ways(void (*body)(const struct test_domain *))
{
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++)
        body(&test_domains[domain]);
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++)
        test_count_calls(domain, &counts[domain]);
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++)
        body(&test_domains[domain]);
    require(pm_check());
}

static void ask_for_nothing(const struct test_domain *d)
{
    void *blocks[] = {d->malloc(0), d->malloc(0), d->calloc(0, 5), d->calloc(5, 0),
                      d->realloc(NULL, 0)};
    enum { BLOCKS = sizeof blocks / sizeof *blocks };
    for (unsigned i = 0; i < BLOCKS; i++) {
        require(blocks[i] != NULL);
        for (unsigned j = 0; j < i; j++)
            require(blocks[i] != blocks[j]);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        d->free(blocks[i]);
    d->free(NULL);
}

ISOLATED(a_size_of_zero_gives_a_block_of_its_own_and_freeing_null_does_nothing)
{
    both_ways(ask_for_nothing);
}

static void refused(const void *block)
{
    require(block == NULL && errno == ENOMEM);
    errno = 0;
}

static void ask_for_too_much(const struct test_domain *d)
{
    static const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX};
    char *block = d->malloc(100);
    strcpy(block, "contents");
    errno = 0;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        refused(d->malloc(sizes[i]));
        refused(d->calloc(1, sizes[i]));
        refused(d->calloc(sizes[i], 1));
        refused(d->realloc(NULL, sizes[i]));
        refused(d->realloc(block, sizes[i]));
    }
    refused(d->calloc(SIZE_MAX / 2, 3));
    refused(d->calloc(PTRDIFF_MAX, 2));
    require(strcmp(block, "contents") == 0);
    d->free(block);
}

ISOLATED(sizes_and_products_above_the_signed_maximum_are_refused)
{
    both_ways(ask_for_too_much);
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++) /* the block's, no others */
        require(atomic_load(&counts[domain].allocations) == 1);
}

static void resize_to_nothing(const struct test_domain *d)
{
    char *block = d->realloc(NULL, 300), *other;
    require(block != NULL);
    block = d->realloc(block, 0);
    require(block != NULL);
    block[0] = 'x';
    for (int i = 0; i < 50; i++) { /* it is nobody else's */
        other = d->malloc(1);
        require(other != block);
        other[0] = 'y';
    }
    require(block[0] == 'x');
    d->free(block);
}

ISOLATED(realloc_to_zero_bytes_keeps_a_block_and_realloc_of_null_allocates)
{
    both_ways(resize_to_nothing);
}

static void ask_for_zeros(const struct test_domain *d)
{
    for (size_t size = 1; size < 3 * PM_BLOCK_MAX; size += 1 + size / 9) {
        unsigned char *block = d->malloc(size), any = 0;
        memset(block, 0xff, size);
        d->free(block);
        block = d->calloc(size, 1);
        for (size_t i = 0; i < size; i++)
            any |= block[i];
        require(any == 0);
        d->free(block);
    }
}

ISOLATED(calloc_clears_and_blocks_are_aligned_to_the_granule)
{
    both_ways(ask_for_zeros);
    for (size_t size = 0; size < 2000; size++)
        require((uintptr_t)pm_object_malloc(size) % PM_GRANULE_BYTES == 0);
}

static void free_foreign(const void *ptr)
{
    pm_mem_free((void *)(uintptr_t)ptr);
}

static void count_and_free_foreign(const void *ptr)
{
    test_count_calls(PM_DOMAIN_MEM, &counts[PM_DOMAIN_MEM]);
    free_foreign(ptr);
}

static void foreign_pointers_are_named_whether_the_domain_is_hooked_or_not(void **state)
{
    int here = 0;
    (void)state;
    assert_true(test_aborts(free_foreign, &here, "free("));
    assert_true(test_aborts(count_and_free_foreign, &here, "free("));
}

/* ---- tables ---- */

static bool same(const struct pm_allocator *a, const struct pm_allocator *b)
{
    return memcmp(a, b, sizeof *a) == 0; /* five pointers */
}

ISOLATED(a_table_that_was_set_is_got_and_other_domains_keep_theirs)
{
    struct pm_allocator before[PM_DOMAINS], now;
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++)
        require(pm_get_allocator(domain, &before[domain]) && before[domain].malloc != NULL);
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++) {
        require(pm_set_allocator(domain, &test_libc));
        for (unsigned i = 0; i < PM_DOMAINS; i++)
            require(pm_get_allocator(i, &now) && same(&now, i == domain ? &test_libc : &before[i]));
        require(pm_set_allocator(domain, &before[domain]));
        require(pm_get_allocator(domain, &now) && same(&now, &before[domain]));
    }
}

ISOLATED(unknown_domains_and_tables_with_a_function_missing_are_refused)
{
    struct pm_allocator table = test_libc, now;
    memset(&now, 0xff, sizeof now);
    errno = 0;
    require(!pm_get_allocator((enum pm_domain)PM_DOMAINS, &now) && errno == EINVAL);
    require(now.context == NULL && now.malloc == NULL && now.calloc == NULL);
    require(now.realloc == NULL && now.free == NULL);
    errno = 0;
    require(!pm_set_allocator((enum pm_domain)PM_DOMAINS, &test_libc) && errno == EINVAL);
    for (int missing = 0; missing < 4; missing++) {
        table = test_libc;
        table.malloc = missing == 0 ? NULL : table.malloc;
        table.calloc = missing == 1 ? NULL : table.calloc;
        table.realloc = missing == 2 ? NULL : table.realloc;
        table.free = missing == 3 ? NULL : table.free;
        errno = 0;
        require(!pm_set_allocator(PM_DOMAIN_MEM, &table) && errno == EINVAL);
    }
    pm_mem_free(pm_mem_malloc(10));
    require(pm_get_allocator(PM_DOMAIN_MEM, &now) && !same(&now, &test_libc));
}

ISOLATED(a_hook_set_before_the_first_allocation_sees_it)
{
    test_count_calls(PM_DOMAIN_OBJECT, &counts[PM_DOMAIN_OBJECT]);
    void *block = pm_object_malloc(77);
    require(block != NULL && atomic_load(&counts[PM_DOMAIN_OBJECT].allocations) == 1);
    require(atomic_load(&counts[PM_DOMAIN_OBJECT].last_size) == 77);
    pm_object_free(block);
    require(atomic_load(&counts[PM_DOMAIN_OBJECT].frees) == 1);
}

ISOLATED(nested_hooks_are_called_from_the_outermost_to_the_innermost)
{
    struct test_letter middle;
    test_count_calls(PM_DOMAIN_MEM, &counts[PM_DOMAIN_MEM]);
    test_put_headers(PM_DOMAIN_MEM, &middle);
    test_count_calls(PM_DOMAIN_MEM, &outer);
    char *block = pm_mem_malloc(100);
    require(atomic_load(&outer.last_size) == 100);
    require(atomic_load(&counts[PM_DOMAIN_MEM].last_size) == 100 + TEST_HEADER_BYTES);
    block = pm_mem_realloc(block, 200);
    require(atomic_load(&counts[PM_DOMAIN_MEM].last_size) == 200 + TEST_HEADER_BYTES);
    pm_mem_free(block);
    require(atomic_load(&outer.frees) == 1 && atomic_load(&counts[PM_DOMAIN_MEM].frees) == 1);
}

ISOLATED(blocks_and_their_contents_outlive_hooks_that_lead_to_the_same_memory)
{
    enum { BLOCKS = 500 };
    static char *blocks[BLOCKS];
    struct pm_allocator plain;
    require(pm_get_allocator(PM_DOMAIN_OBJECT, &plain));
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (i == BLOCKS / 2)
            test_count_calls(PM_DOMAIN_OBJECT, &outer);
        test_fill(blocks[i] = pm_object_malloc(3 * i), 3 * i, i);
    }
    for (unsigned i = 0; i < BLOCKS; i += 2) /* made without and with the hook, freed with it */
        pm_object_free(blocks[i]);
    require(atomic_load(&outer.frees) == BLOCKS / 2);
    require(pm_set_allocator(PM_DOMAIN_OBJECT, &plain));
    for (unsigned i = 1; i < BLOCKS; i += 2) { /* and without it */
        require(test_is_filled(blocks[i], 3 * i, i));
        pm_object_free(blocks[i]);
    }
    require(atomic_load(&outer.frees) == BLOCKS / 2 && pm_check());
}

static void *no_malloc(void *context, size_t size)
{
    (void)size;
    errno = EAGAIN;
    return context;
}

static void *no_calloc(void *context, size_t count, size_t size)
{
    return no_malloc(context, count * size);
}

static void *no_realloc(void *context, void *ptr, size_t size)
{
    (void)ptr;
    return no_malloc(context, size);
}

static const struct pm_allocator no_memory = {NULL, no_malloc, no_calloc, no_realloc,
                                              test_libc_free};

ISOLATED(a_table_without_memory_gives_null_and_leaves_the_block_alone)
{
    struct pm_allocator plain;
    char *block = pm_mem_malloc(100), *large = pm_mem_malloc(5000);
    test_fill(block, 100, 1);
    test_fill(large, 5000, 2);
    require(pm_get_allocator(PM_DOMAIN_MEM, &plain) && pm_set_allocator(PM_DOMAIN_MEM, &no_memory));
    errno = 0;
    require(pm_mem_malloc(1) == NULL && errno == EAGAIN); /* the table's own */
    require(pm_mem_calloc(3, 5) == NULL && pm_mem_realloc(block, 7) == NULL);
    require(pm_set_allocator(PM_DOMAIN_MEM, &plain));
    /* The layer below has none. */
    require(pm_set_allocator(PM_DOMAIN_RAW, &no_memory));
    require(pm_mem_malloc(5000) == NULL && pm_mem_calloc(1, 5000) == NULL);
    require(pm_mem_malloc(0) == NULL && pm_mem_calloc(0, 1) == NULL);
    require(pm_mem_realloc(block, 5000) == NULL && pm_mem_realloc(large, 6000) == NULL);
    require(test_is_filled(block, 100, 1) && test_is_filled(large, 5000, 2));
    block = pm_mem_realloc(block, 90);
    require(block != NULL && test_is_filled(block, 90, 1));
    pm_mem_free(block);
}

ISOLATED(tables_that_come_again_take_no_more_memory)
{
    struct pm_allocator raw, object;
    struct pm_stats before = {0}, after = {0};
    require(pm_get_allocator(PM_DOMAIN_RAW, &raw));
    require(pm_get_allocator(PM_DOMAIN_OBJECT, &object));
    for (int i = 0; i < 1000; i++) {
        require(pm_set_allocator(PM_DOMAIN_RAW, &test_libc));
        require(pm_set_allocator(PM_DOMAIN_OBJECT, &test_libc));
        require(pm_set_allocator(PM_DOMAIN_RAW, &raw));
        require(pm_set_allocator(PM_DOMAIN_OBJECT, &object));
        pm_thread_idle(); /* which makes the counts exact */
        require(pm_stats_get(i == 0 ? &before : &after));
    }
    require(before.mallocs == 3 && after.mallocs == 3); /* raw, both, object */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_of_zero_gives_a_block_of_its_own_and_freeing_null_does_nothing),
        cmocka_unit_test(sizes_and_products_above_the_signed_maximum_are_refused),
        cmocka_unit_test(realloc_to_zero_bytes_keeps_a_block_and_realloc_of_null_allocates),
        cmocka_unit_test(calloc_clears_and_blocks_are_aligned_to_the_granule),
        cmocka_unit_test(foreign_pointers_are_named_whether_the_domain_is_hooked_or_not),
        cmocka_unit_test(a_table_that_was_set_is_got_and_other_domains_keep_theirs),
        cmocka_unit_test(unknown_domains_and_tables_with_a_function_missing_are_refused),
        cmocka_unit_test(a_hook_set_before_the_first_allocation_sees_it),
        cmocka_unit_test(nested_hooks_are_called_from_the_outermost_to_the_innermost),
        cmocka_unit_test(blocks_and_their_contents_outlive_hooks_that_lead_to_the_same_memory),
        cmocka_unit_test(a_table_without_memory_gives_null_and_leaves_the_block_alone),
        cmocka_unit_test(tables_that_come_again_take_no_more_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
