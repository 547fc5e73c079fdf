/* SPDX-License-Identifier: MIT */
/* Tables of the domains that change while other threads allocate, or set others. */
#include "api/domains_testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { THREADS = 4, SWAPS = PM_TSAN || PM_SCHEDULE ? 600 : 3000, TABLES = 4, HELD = 64 };

/* A table for each context, and functions that know theirs: a pair that does not belong together
 * is seen at once. */
struct witness {
    struct pm_allocator plain;
    unsigned number;
    _Atomic uint64_t calls;
};

static struct witness witnesses[PM_DOMAINS][TABLES];
static _Atomic bool stop;

static struct witness *called(void *context, unsigned number)
{
    struct witness *witness = context;
    require(witness->number == number);
    atomic_fetch_add_explicit(&witness->calls, 1, memory_order_relaxed);
    return witness;
}

#define WITNESS(n)                                                                                 \
    static void *malloc_##n(void *context, size_t size)                                            \
    {                                                                                              \
        struct witness *witness = called(context, n);                                              \
        return witness->plain.malloc(witness->plain.context, size);                                \
    }                                                                                              \
    static void *calloc_##n(void *context, size_t count, size_t size)                              \
    {                                                                                              \
        struct witness *witness = called(context, n);                                              \
        return witness->plain.calloc(witness->plain.context, count, size);                         \
    }                                                                                              \
    static void *realloc_##n(void *context, void *ptr, size_t size)                                \
    {                                                                                              \
        struct witness *witness = called(context, n);                                              \
        return witness->plain.realloc(witness->plain.context, ptr, size);                          \
    }                                                                                              \
    static void free_##n(void *context, void *ptr)                                                 \
    {                                                                                              \
        struct witness *witness = called(context, n);                                              \
        witness->plain.free(witness->plain.context, ptr);                                          \
    }
WITNESS(0)
WITNESS(1)
WITNESS(2)
WITNESS(3)
#define WITNESS_TABLE(n)                                                                           \
    {                                                                                              \
        NULL, malloc_##n, calloc_##n, realloc_##n, free_##n                                        \
    }
static const struct pm_allocator witness_tables[TABLES] = {WITNESS_TABLE(0), WITNESS_TABLE(1),
                                                           WITNESS_TABLE(2), WITNESS_TABLE(3)};

static void *allocate_until_stopped(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    unsigned char *blocks[HELD] = {NULL};
    size_t sizes[HELD] = {0};
    unsigned domains[HELD];
    do {
        unsigned i = (unsigned)test_random_below(&seed, HELD);
        size_t size = 1 + test_random_below(&seed, 1200);
        if (blocks[i] == NULL) {
            domains[i] = (unsigned)test_random_below(&seed, PM_DOMAINS);
            bool zero = test_random_below(&seed, 2);
            blocks[i] = zero ? test_domains[domains[i]].calloc(1, size)
                             : test_domains[domains[i]].malloc(size);
        } else if (test_random_below(&seed, 2)) {
            require(blocks[i][0] == i && blocks[i][sizes[i] - 1] == i);
            blocks[i] = test_domains[domains[i]].realloc(blocks[i], size);
        } else {
            test_domains[domains[i]].free(blocks[i]);
            blocks[i] = NULL;
            continue;
        }
        require(blocks[i] != NULL);
        sizes[i] = size;
        blocks[i][0] = blocks[i][size - 1] = (unsigned char)i;
    } while (!atomic_load_explicit(&stop, memory_order_relaxed));
    for (unsigned i = 0; i < HELD; i++) {
        if (blocks[i] != NULL)
            test_domains[domains[i]].free(blocks[i]);
    }
    return NULL;
}

/* The context is prepared by plain writes that only pm_set_allocator publishes. */
static void set_witness(unsigned domain, unsigned number, const struct pm_allocator *plain)
{
    struct witness *witness = &witnesses[domain][number];
    struct pm_allocator table = witness_tables[number];
    if (witness->plain.malloc == NULL) {
        witness->plain = *plain;
        witness->number = number;
    }
    table.context = witness;
    require(pm_set_allocator(domain, &table));
}

ISOLATED(tables_that_change_while_four_threads_allocate_are_met_whole_or_not_at_all)
{
    pthread_t threads[THREADS];
    struct pm_allocator plain[PM_DOMAINS];
    uint64_t seed = 61, calls = 0;
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++)
        require(pm_get_allocator(domain, &plain[domain]));
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, allocate_until_stopped, (void *)(i + 1)) == 0);
    for (int i = 0; i < SWAPS || calls < 1000; i++) {
        unsigned domain = (unsigned)test_random_below(&seed, PM_DOMAINS);
        unsigned number = (unsigned)test_random_below(&seed, TABLES + 1);
        if (number == TABLES)
            require(pm_set_allocator(domain, &plain[domain]));
        else
            set_witness(domain, number, &plain[domain]);
        calls = atomic_load(&witnesses[PM_DOMAIN_RAW][0].calls);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(pm_check());
}

static pthread_barrier_t start;

static void *set_own_domain(void *arg)
{
    unsigned domain = (unsigned)(uintptr_t)arg;
    struct pm_allocator plain, now;
    require(pm_get_allocator(domain, &plain));
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < 20 * SWAPS; i++) {
        set_witness(domain, i % TABLES, &plain);
        require(pm_get_allocator(domain, &now));
        require(now.malloc == witness_tables[i % TABLES].malloc);
        require(now.context == &witnesses[domain][i % TABLES]);
    }
    return NULL;
}

ISOLATED(threads_that_set_different_domains_lose_none_of_their_tables)
{
    pthread_t threads[PM_DOMAINS];
    require(pthread_barrier_init(&start, NULL, PM_DOMAINS) == 0);
    for (uintptr_t i = 0; i < PM_DOMAINS; i++)
        require(pthread_create(&threads[i], NULL, set_own_domain, (void *)i) == 0);
    for (int i = 0; i < PM_DOMAINS; i++)
        require(pthread_join(threads[i], NULL) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            tables_that_change_while_four_threads_allocate_are_met_whole_or_not_at_all),
        cmocka_unit_test(threads_that_set_different_domains_lose_none_of_their_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
