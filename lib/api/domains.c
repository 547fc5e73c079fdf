/* SPDX-License-Identifier: MIT */
/*
 * The entry points of the domains. While every domain has its default table they are the paths of
 * pm_malloc & co. behind one test; else the table is asked. Any thread.
 *
 *   pm_object_malloc -+-> pm_thread_malloc, inlined
 *                     +-> hooked_malloc -> the table's function   a domain, any, is hooked
 */
#include "api/domains.h"
#include "heap/fast.h"

#include <errno.h>

/* See malloc.c. */
#define FAST __attribute__((aligned(PM_LINE_BYTES)))

static PM_COLD void *refuse(void)
{
    errno = ENOMEM;
    return NULL;
}

static const struct pm_allocator *table_of(enum pm_domain domain)
{
    /* Relaxed: a constant's address; what it leads to is not read. */
    if (pm_unlikely(pm_load_relaxed(&pm_domains.domains_now) == &pm_domains_unset))
        pm_domains_start();
    return pm_domain_table(domain);
}

static PM_NOINLINE void *hooked_malloc(enum pm_domain domain, size_t size)
{
    if (size > PTRDIFF_MAX)
        return refuse();
    const struct pm_allocator *table = table_of(domain);
    return table->malloc(table->context, size);
}

static PM_NOINLINE void *hooked_calloc(enum pm_domain domain, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return refuse();
    const struct pm_allocator *table = table_of(domain);
    return table->calloc(table->context, count, size);
}

static PM_NOINLINE void *hooked_realloc(enum pm_domain domain, void *ptr, size_t size)
{
    if (size > PTRDIFF_MAX)
        return refuse();
    const struct pm_allocator *table = table_of(domain);
    return table->realloc(table->context, ptr, size);
}

/* The object domain gives back blocks of gc pools as well, which no hook has seen. */
static PM_NOINLINE void hooked_free(enum pm_domain domain, void *ptr)
{
    if (domain == PM_DOMAIN_OBJECT && pm_heap_in_gc_pool(ptr)) {
        pm_thread_free(ptr, "free");
        return;
    }
    const struct pm_allocator *table = table_of(domain);
    table->free(table->context, ptr);
}

PM_INLINE void *domain_malloc(enum pm_domain domain, size_t size)
{
    if (pm_unlikely(pm_domains_are_hooked()))
        return hooked_malloc(domain, size);
    return PM_WATCHED ? pm_malloc(size) : pm_thread_malloc(size);
}

PM_INLINE void *domain_calloc(enum pm_domain domain, size_t count, size_t size)
{
    if (pm_unlikely(pm_domains_are_hooked()))
        return hooked_calloc(domain, count, size);
    return pm_calloc(count, size);
}

PM_INLINE void *domain_realloc(enum pm_domain domain, void *ptr, size_t size)
{
    if (pm_unlikely(pm_domains_are_hooked()))
        return hooked_realloc(domain, ptr, size);
    return pm_realloc(ptr, size + (size == 0)); /* pm_realloc would free */
}

PM_INLINE void domain_free(enum pm_domain domain, void *ptr)
{
    if (pm_unlikely(pm_domains_are_hooked()))
        return hooked_free(domain, ptr);
    pm_thread_free(ptr, "free");
}

FAST void *pm_raw_malloc(size_t size)
{
    return domain_malloc(PM_DOMAIN_RAW, size);
}

FAST void *pm_mem_malloc(size_t size)
{
    return domain_malloc(PM_DOMAIN_MEM, size);
}

FAST void *pm_object_malloc(size_t size)
{
    return domain_malloc(PM_DOMAIN_OBJECT, size);
}

void *pm_raw_calloc(size_t count, size_t size)
{
    return domain_calloc(PM_DOMAIN_RAW, count, size);
}

void *pm_mem_calloc(size_t count, size_t size)
{
    return domain_calloc(PM_DOMAIN_MEM, count, size);
}

void *pm_object_calloc(size_t count, size_t size)
{
    return domain_calloc(PM_DOMAIN_OBJECT, count, size);
}

void *pm_raw_realloc(void *ptr, size_t size)
{
    return domain_realloc(PM_DOMAIN_RAW, ptr, size);
}

void *pm_mem_realloc(void *ptr, size_t size)
{
    return domain_realloc(PM_DOMAIN_MEM, ptr, size);
}

void *pm_object_realloc(void *ptr, size_t size)
{
    return domain_realloc(PM_DOMAIN_OBJECT, ptr, size);
}

FAST void pm_raw_free(void *ptr)
{
    domain_free(PM_DOMAIN_RAW, ptr);
}

FAST void pm_mem_free(void *ptr)
{
    domain_free(PM_DOMAIN_MEM, ptr);
}

FAST void pm_object_free(void *ptr)
{
    domain_free(PM_DOMAIN_OBJECT, ptr);
}
