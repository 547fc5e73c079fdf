/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of the built-in types share: strings at hand, and allocators that count, and
 * refuse when they are told to. Only x_test.c files include it.
 */
#ifndef PM_OBJECT_VALUES_TESTING_H
#define PM_OBJECT_VALUES_TESTING_H

#include "object/testing.h"
#include "object/value.h"
#include "poolmalloc/domains.h"
#include "poolmalloc/qsbr.h"

#include <errno.h>

static inline struct pm_object *test_str(const char *text)
{
    struct pm_object *string = pm_str_new(text, strlen(text));
    require(string != NULL);
    return string;
}

/* The string says so; and the caller's reference is dropped. */
static inline bool test_reads(struct pm_object *string, const char *text)
{
    bool reads = string != NULL && pm_str_bytes(string) == strlen(text) &&
                 memcmp(pm_str_text(string), text, strlen(text) + 1) == 0;
    if (string != NULL)
        pm_decref(string);
    return reads;
}

static inline uint64_t test_hash(struct pm_object *object)
{
    uint64_t hash;
    require(pm_hash(object, &hash));
    return hash;
}

static inline uint64_t test_entries(void)
{
    struct pm_intern_stats stats;
    pm_intern_get_stats(&stats);
    return stats.entries;
}

/* ---- allocators ---- */

/* Blocks that were taken and given back, of all domains; the call after so many is refused, once or
 * with all that follow. Any thread. */
static struct test_memory {
    struct pm_allocator below[2];
    _Atomic unsigned calls, taken, given;
    _Atomic unsigned refuse_at; /* 0: never */
    bool for_good;
} test_memory;

static inline bool test_memory_refuses(void)
{
    unsigned call = atomic_fetch_add(&test_memory.calls, 1) + 1, at = test_memory.refuse_at;
    if (at == 0 || call < at || (call > at && !test_memory.for_good))
        return false;
    errno = ENOMEM;
    return true;
}

static inline void *test_memory_counted(void *block)
{
    if (block != NULL)
        atomic_fetch_add(&test_memory.taken, 1);
    return block;
}

static inline void *test_memory_malloc(void *context, size_t size)
{
    struct pm_allocator *below = context;
    if (test_memory_refuses())
        return NULL;
    return test_memory_counted(below->malloc(below->context, size));
}

static inline void *test_memory_calloc(void *context, size_t count, size_t size)
{
    struct pm_allocator *below = context;
    if (test_memory_refuses())
        return NULL;
    return test_memory_counted(below->calloc(below->context, count, size));
}

static inline void *test_memory_realloc(void *context, void *ptr, size_t size)
{
    struct pm_allocator *below = context;
    if (test_memory_refuses())
        return NULL;
    void *block = below->realloc(below->context, ptr, size);
    return ptr == NULL ? test_memory_counted(block) : block;
}

static inline void test_memory_free(void *context, void *ptr)
{
    struct pm_allocator *below = context;
    if (ptr != NULL)
        atomic_fetch_add(&test_memory.given, 1);
    below->free(below->context, ptr);
}

/* In a child: from here on all that objects and their library allocate goes through here. */
static inline void test_memory_watch(void)
{
    static const enum pm_domain domains[2] = {PM_DOMAIN_RAW, PM_DOMAIN_OBJECT};
    for (int i = 0; i < 2; i++) {
        struct pm_allocator *below = &test_memory.below[i];
        const struct pm_allocator hook = {below, test_memory_malloc, test_memory_calloc,
                                          test_memory_realloc, test_memory_free};
        require(pm_get_allocator(domains[i], below));
        require(pm_set_allocator(domains[i], &hook));
    }
}

static inline void test_memory_refuse(unsigned calls_from_now, bool for_good)
{
    test_memory.calls = 0;
    test_memory.for_good = for_good;
    test_memory.refuse_at = calls_from_now;
}

/* What waits to be freed is freed: the calling thread is the only one. */
static inline unsigned test_memory_live(void)
{
    pm_qsbr_poll(); /* closes what it has to wait for */
    pm_qsbr_quiescent();
    pm_qsbr_poll();
    return test_memory.taken - test_memory.given;
}

#endif
