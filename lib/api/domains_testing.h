/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the domains share: hooks. Only x_test.c files include it. Each keeps what it
 * found and calls it in turn, but for the one that serves from the C library.
 */
#ifndef PM_API_DOMAINS_TESTING_H
#define PM_API_DOMAINS_TESTING_H

#include "api/domains.h"
#include "base/asan.h"
#include "heap/testing.h"

/* In AddressSanitizer's build a block has some bytes more. */
enum { TEST_POOL_MAX = PM_SMALL_MAX - PM_ASAN_REDZONE_BYTES };

/* The entry points of a domain. */
struct test_domain {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *ptr, size_t size);
    void (*free)(void *ptr);
};

static const struct test_domain test_domains[PM_DOMAINS] = {
    [PM_DOMAIN_RAW] = {pm_raw_malloc, pm_raw_calloc, pm_raw_realloc, pm_raw_free},
    [PM_DOMAIN_MEM] = {pm_mem_malloc, pm_mem_calloc, pm_mem_realloc, pm_mem_free},
    [PM_DOMAIN_OBJECT] = {pm_object_malloc, pm_object_calloc, pm_object_realloc, pm_object_free},
};

/* Fills so that test_is_filled tells it from what other blocks hold. */
static inline void test_fill(void *block, size_t bytes, unsigned seed)
{
    for (size_t i = 0; i < bytes; i++)
        ((unsigned char *)block)[i] = (unsigned char)(i * 7 + seed);
}

static inline bool test_is_filled(const void *block, size_t bytes, unsigned seed)
{
    for (size_t i = 0; i < bytes; i++) {
        if (((const unsigned char *)block)[i] != (unsigned char)(i * 7 + seed))
            return false;
    }
    return true;
}

/* ---- a hook that counts ---- */

struct test_counts {
    struct pm_allocator previous;
    _Atomic uint64_t allocations, reallocations, frees; /* NULL is not counted */
    _Atomic size_t last_size;
};

static inline void *test_counting_malloc(void *context, size_t size)
{
    struct test_counts *counts = context;
    atomic_fetch_add(&counts->allocations, 1);
    atomic_store(&counts->last_size, size);
    return counts->previous.malloc(counts->previous.context, size);
}

static inline void *test_counting_calloc(void *context, size_t count, size_t size)
{
    struct test_counts *counts = context;
    atomic_fetch_add(&counts->allocations, 1);
    atomic_store(&counts->last_size, count * size);
    return counts->previous.calloc(counts->previous.context, count, size);
}

static inline void *test_counting_realloc(void *context, void *ptr, size_t size)
{
    struct test_counts *counts = context;
    atomic_fetch_add(ptr != NULL ? &counts->reallocations : &counts->allocations, 1);
    atomic_store(&counts->last_size, size);
    return counts->previous.realloc(counts->previous.context, ptr, size);
}

static inline void test_counting_free(void *context, void *ptr)
{
    struct test_counts *counts = context;
    atomic_fetch_add(&counts->frees, ptr != NULL);
    counts->previous.free(counts->previous.context, ptr);
}

static inline void test_count_calls(enum pm_domain domain, struct test_counts *counts)
{
    require(pm_get_allocator(domain, &counts->previous));
    struct pm_allocator hook = {counts, test_counting_malloc, test_counting_calloc,
                                test_counting_realloc, test_counting_free};
    require(pm_set_allocator(domain, &hook));
}

/* ---- a hook that puts a header in front of each block, as CPython's debug hooks do ---- */

enum { TEST_HEADER_BYTES = 16 };

struct test_header {
    size_t size;
    char letter;
};

struct test_letter {
    struct pm_allocator previous;
    char letter;
};

/* The whole block, whose header must be the hook's own. */
static inline void *test_headed_block(const struct test_letter *hook, void *ptr)
{
    const struct test_header *header = (void *)((char *)ptr - TEST_HEADER_BYTES);
    if (header->letter != hook->letter) {
        fprintf(stderr, "bad ID: a block of domain '%c' in domain '%c'\n", header->letter,
                hook->letter);
        abort();
    }
    return (char *)ptr - TEST_HEADER_BYTES;
}

static inline void *test_behind_header(const struct test_letter *hook, void *block, size_t size)
{
    if (block == NULL)
        return NULL;
    *(struct test_header *)block = (struct test_header){size, hook->letter};
    return (char *)block + TEST_HEADER_BYTES;
}

static inline void *test_headed_malloc(void *context, size_t size)
{
    struct test_letter *hook = context;
    const struct pm_allocator *previous = &hook->previous;
    void *block = previous->malloc(previous->context, size + TEST_HEADER_BYTES);
    return test_behind_header(hook, block, size);
}

static inline void *test_headed_calloc(void *context, size_t count, size_t size)
{
    struct test_letter *hook = context;
    const struct pm_allocator *previous = &hook->previous;
    void *block = previous->calloc(previous->context, 1, count * size + TEST_HEADER_BYTES);
    return test_behind_header(hook, block, count * size);
}

static inline void *test_headed_realloc(void *context, void *ptr, size_t size)
{
    struct test_letter *hook = context;
    const struct pm_allocator *previous = &hook->previous;
    void *block = ptr != NULL ? test_headed_block(hook, ptr) : NULL;
    block = previous->realloc(previous->context, block, size + TEST_HEADER_BYTES);
    return test_behind_header(hook, block, size);
}

static inline void test_headed_free(void *context, void *ptr)
{
    struct test_letter *hook = context;
    void *block = ptr != NULL ? test_headed_block(hook, ptr) : NULL;
    hook->previous.free(hook->previous.context, block);
}

static inline void test_put_headers(enum pm_domain domain, struct test_letter *hook)
{
    hook->letter = "rmo"[domain];
    require(pm_get_allocator(domain, &hook->previous));
    struct pm_allocator table = {hook, test_headed_malloc, test_headed_calloc, test_headed_realloc,
                                 test_headed_free};
    require(pm_set_allocator(domain, &table));
}

/* ---- a table that serves from the C library's heap, which is not ours here ---- */

static inline void *test_libc_malloc(void *context, size_t size)
{
    (void)context;
    return malloc(size + (size == 0));
}

static inline void *test_libc_calloc(void *context, size_t count, size_t size)
{
    (void)context;
    return count * size == 0 ? calloc(1, 1) : calloc(count, size);
}

static inline void *test_libc_realloc(void *context, void *ptr, size_t size)
{
    (void)context;
    return realloc(ptr, size + (size == 0));
}

static inline void test_libc_free(void *context, void *ptr)
{
    (void)context;
    free(ptr);
}

static const struct pm_allocator test_libc = {NULL, test_libc_malloc, test_libc_calloc,
                                              test_libc_realloc, test_libc_free};

#endif
