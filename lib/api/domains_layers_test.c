/* SPDX-License-Identifier: MIT */
/*
 * The layers of the domains: which requests the pools serve and which the raw domain, and that a
 * pointer tells where it came from. F.1 and F.2 of docs/reliability.md.
 */
#include "api/domains_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct test_counts counts[PM_DOMAINS];
static struct test_letter letters[PM_DOMAINS];

/* Of all three domains, with the calls of a warm-up not counted. */
static void start_counting(void)
{
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++)
        test_count_calls(domain, &counts[domain]);
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++) {
        test_domains[domain].free(test_domains[domain].malloc(TEST_POOL_MAX));
        test_domains[domain].free(test_domains[domain].malloc(TEST_POOL_MAX + 1));
    }
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++) {
        atomic_store(&counts[domain].allocations, 0);
        atomic_store(&counts[domain].reallocations, 0);
        atomic_store(&counts[domain].frees, 0);
    }
}

static uint64_t raw_calls(void)
{
    struct test_counts *raw = &counts[PM_DOMAIN_RAW];
    return atomic_load(&raw->allocations) + atomic_load(&raw->reallocations) +
           atomic_load(&raw->frees);
}

static void one_size_calls_raw(unsigned domain, size_t size, uint64_t wanted)
{
    uint64_t before = raw_calls(), own = atomic_load(&counts[domain].allocations);
    void *block = test_domains[domain].malloc(size);
    require(block != NULL && raw_calls() == before + wanted);
    require(atomic_load(&counts[domain].allocations) == own + 1);
    test_domains[domain].free(block);
    require(raw_calls() == before + 2 * wanted);
    block = test_domains[domain].calloc(1, size);
    require(block != NULL && raw_calls() == before + 3 * wanted);
    test_domains[domain].free(block);
    require(raw_calls() == before + 4 * wanted);
}

ISOLATED(f1_512_bytes_make_no_raw_call_and_513_make_one)
{
    start_counting();
    for (unsigned domain = PM_DOMAIN_MEM; domain < PM_DOMAINS; domain++) {
        one_size_calls_raw(domain, TEST_POOL_MAX, 0);
        one_size_calls_raw(domain, TEST_POOL_MAX + 1, 1);
    }
    require(atomic_load(&counts[PM_DOMAIN_OBJECT].frees) == 4);
}

ISOLATED(f1_raw_calls_pass_through_no_other_domain)
{
    start_counting();
    for (size_t size = 0; size < 3 * PM_BLOCK_MAX; size += 1 + size / 3)
        pm_raw_free(pm_raw_malloc(size));
    require(atomic_load(&counts[PM_DOMAIN_MEM].allocations) == 0);
    require(atomic_load(&counts[PM_DOMAIN_OBJECT].allocations) == 0);
    require(atomic_load(&counts[PM_DOMAIN_RAW].allocations) ==
            atomic_load(&counts[PM_DOMAIN_RAW].frees));
}

static void free_by_another_domain(const void *arg)
{
    const unsigned *domains = arg;
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++)
        test_put_headers(domain, &letters[domain]);
    test_domains[domains[1]].free(test_domains[domains[0]].malloc(100));
}

/* The letters are those of the hooks that this test sets, CPython's debug hooks as far as that. */
static void f1_a_free_through_another_domain_is_seen_as_a_bad_id(void **state)
{
    (void)state;
    for (unsigned from = 0; from < PM_DOMAINS; from++) {
        for (unsigned to = 0; to < PM_DOMAINS; to++) {
            char text[512], wanted[64];
            unsigned domains[2] = {from, to};
            int status = test_stderr_of(free_by_another_domain, domains, text, sizeof text);
            snprintf(wanted, sizeof wanted, "bad ID: a block of domain '%c' in domain '%c'",
                     "rmo"[from], "rmo"[to]);
            assert_int_equal(strncmp(text, wanted, strlen(wanted)) == 0, from != to);
            assert_int_equal(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, from != to);
            assert_true(from != to || status == 0);
        }
    }
}

ISOLATED(f2_1_to_512_bytes_are_a_pools_and_0_and_513_the_raw_layers)
{
    static const size_t small[] = {1, TEST_POOL_MAX - 1, TEST_POOL_MAX};
    static const size_t others[] = {0, TEST_POOL_MAX + 1, PM_BLOCK_MAX, 2 * PM_ARENA_BYTES};
    start_counting();
    for (unsigned i = 0; i < sizeof small / sizeof *small; i++) {
        void *block = pm_object_malloc(small[i]);
        require(pm_heap_in_small_pool(block) && raw_calls() == 0);
        require(test_pool_of(block)->block_bytes <= PM_SMALL_MAX);
        pm_object_free(block);
        require(raw_calls() == 0);
    }
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        void *block = pm_object_malloc(others[i]);
        require(!pm_heap_in_small_pool(block) && raw_calls() == 2 * i + 1);
        pm_object_free(block);
        require(raw_calls() == 2 * i + 2);
    }
}

/* The same pointers, whatever is in charge of the raw domain: what was asked of it comes back to
 * it, and nothing else does. */
static void every_pointer_comes_back_to_its_layer(void)
{
    enum { BLOCKS = 600 };
    static char *blocks[BLOCKS];
    struct test_counts *raw = &counts[PM_DOMAIN_RAW];
    test_count_calls(PM_DOMAIN_RAW, raw);
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t size = i < 550 ? i : (size_t)(i - 500) * 700;
        blocks[i] = i % 3 ? pm_object_malloc(size) : pm_object_calloc(1, size);
        require(blocks[i] != NULL);
        memset(blocks[i], (int)i, size);
    }
    uint64_t asked = atomic_load(&raw->allocations);
    require(asked == BLOCKS - TEST_POOL_MAX);
    for (unsigned i = 0; i < BLOCKS; i++)
        pm_object_free(blocks[i]);
    require(atomic_load(&raw->frees) == asked && atomic_load(&raw->allocations) == asked);
    require(pm_check());
}

ISOLATED(f2_every_pointer_is_classified_with_the_default_raw_table)
{
    every_pointer_comes_back_to_its_layer();
}

ISOLATED(f2_every_pointer_is_classified_behind_the_header_of_a_raw_hook)
{
    test_put_headers(PM_DOMAIN_RAW, &letters[PM_DOMAIN_RAW]);
    every_pointer_comes_back_to_its_layer();
}

ISOLATED(f2_every_pointer_is_classified_with_a_raw_table_of_other_memory)
{
    require(pm_set_allocator(PM_DOMAIN_RAW, &test_libc));
    every_pointer_comes_back_to_its_layer();
}

/* And behind the object domain's own header. */
ISOLATED(f2_every_pointer_is_classified_with_headers_in_both_domains)
{
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++)
        test_put_headers(domain, &letters[domain]);
    for (size_t size = 0; size < 3 * PM_BLOCK_MAX; size += 1 + size / 20) {
        char *block = pm_object_malloc(size);
        test_fill(block, size, 3);
        block = pm_object_realloc(block, size / 2);
        require(test_is_filled(block, size / 2, 3));
        pm_object_free(block);
    }
    require(pm_check());
}

/* Sizes of both layers, 0 too, in every order. */
static void realloc_chains(void)
{
    static const size_t sizes[] = {0,
                                   1,
                                   TEST_POOL_MAX,
                                   TEST_POOL_MAX + 1,
                                   40,
                                   5000,
                                   3,
                                   700,
                                   600,
                                   0,
                                   PM_BLOCK_MAX + 1,
                                   100,
                                   4 * PM_BLOCK_MAX,
                                   0};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++) {
        for (unsigned step = 1; step < SIZES; step++) {
            size_t have = 0;
            char *block = NULL;
            for (unsigned i = 0; i < SIZES; i++) {
                size_t size = sizes[i * step % SIZES], kept = size < have ? size : have;
                block = test_domains[domain].realloc(block, size);
                require(block != NULL && test_is_filled(block, kept, domain));
                test_fill(block, have = size, domain);
            }
            test_domains[domain].free(block);
        }
    }
    require(pm_check());
}

ISOLATED(contents_survive_chains_of_realloc_over_the_layers)
{
    realloc_chains();
    start_counting();
    realloc_chains();
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++)
        require(atomic_load(&counts[domain].allocations) == atomic_load(&counts[domain].frees));
}

ISOLATED(contents_survive_chains_of_realloc_behind_headers)
{
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++)
        test_put_headers(domain, &letters[domain]);
    realloc_chains();
}

ISOLATED(contents_survive_chains_of_realloc_with_raw_memory_from_elsewhere)
{
    require(pm_set_allocator(PM_DOMAIN_RAW, &test_libc));
    realloc_chains();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f1_512_bytes_make_no_raw_call_and_513_make_one),
        cmocka_unit_test(f1_raw_calls_pass_through_no_other_domain),
        cmocka_unit_test(f1_a_free_through_another_domain_is_seen_as_a_bad_id),
        cmocka_unit_test(f2_1_to_512_bytes_are_a_pools_and_0_and_513_the_raw_layers),
        cmocka_unit_test(f2_every_pointer_is_classified_with_the_default_raw_table),
        cmocka_unit_test(f2_every_pointer_is_classified_behind_the_header_of_a_raw_hook),
        cmocka_unit_test(f2_every_pointer_is_classified_with_a_raw_table_of_other_memory),
        cmocka_unit_test(f2_every_pointer_is_classified_with_headers_in_both_domains),
        cmocka_unit_test(contents_survive_chains_of_realloc_over_the_layers),
        cmocka_unit_test(contents_survive_chains_of_realloc_behind_headers),
        cmocka_unit_test(contents_survive_chains_of_realloc_with_raw_memory_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
