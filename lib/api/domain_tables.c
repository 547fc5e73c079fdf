/* SPDX-License-Identifier: MIT */
/*
 * The tables of the domains: the default ones, and how others take their place. Any thread; no
 * lock, so that a fork needs no care.
 *
 * The default tables of mem and object are pymalloc's two layers: small requests are served by
 * pools, the others by whatever is in charge of the raw domain. Which of the two a block came from
 * is told by its address alone, whatever the raw table is: a block that lies in a pool of a small
 * class is the pools', since the raw layer is never asked for so little that one of those could
 * hold it; any other, also one outside our memory, or behind a header that the raw table put in
 * front of it, is the raw layer's.
 */
#include "api/domains.h"
#include "heap/heap.h"

#include <errno.h>
#include <string.h>

/* The pools serve 1..POOL_MAX bytes of mem and object. */
#define POOL_MAX (PM_SMALL_MAX - PM_ASAN_REDZONE_BYTES)

static bool is_small(size_t size)
{
    return size - 1 < POOL_MAX;
}

/* ---- raw ---- */

static void *raw_malloc(void *context, size_t size)
{
    (void)context;
    return pm_malloc(size);
}

static void *raw_calloc(void *context, size_t count, size_t size)
{
    (void)context;
    return pm_calloc(count, size);
}

static void *raw_realloc(void *context, void *ptr, size_t size)
{
    (void)context;
    return pm_realloc(ptr, size + (size == 0)); /* pm_realloc would free */
}

static void raw_free(void *context, void *ptr)
{
    (void)context;
    pm_free(ptr);
}

/* ---- mem and object ---- */

static void *layered_malloc(void *context, size_t size)
{
    (void)context;
    if (is_small(size))
        return pm_malloc(size);
    const struct pm_allocator *raw = pm_domain_table(PM_DOMAIN_RAW);
    return raw->malloc(raw->context, size != 0 ? size : POOL_MAX + 1);
}

static void *layered_calloc(void *context, size_t count, size_t size)
{
    size_t bytes;
    (void)context;
    if (__builtin_mul_overflow(count, size, &bytes) || is_small(bytes))
        return pm_calloc(count, size);
    const struct pm_allocator *raw = pm_domain_table(PM_DOMAIN_RAW);
    if (bytes == 0)
        return raw->calloc(raw->context, 1, POOL_MAX + 1);
    return raw->calloc(raw->context, count, size);
}

static void layered_free(void *context, void *ptr)
{
    (void)context;
    if (ptr == NULL || pm_heap_in_small_pool(ptr)) {
        pm_free(ptr);
        return;
    }
    const struct pm_allocator *raw = pm_domain_table(PM_DOMAIN_RAW);
    raw->free(raw->context, ptr);
}

/* From the pools to the raw layer, or back. What comes from the raw layer holds more than goes into
 * a pool: so `size` bytes of it can be copied. */
static void *change_layer(void *ptr, bool in_pool, size_t size)
{
    void *block = layered_malloc(NULL, size);
    if (block == NULL)
        return in_pool ? NULL : ptr; /* as pm_realloc: what shrinks can stay */
    size_t have = in_pool ? pm_malloc_usable_size(ptr) : size;
    pm_asan_unpoison(ptr, have);
    memcpy(block, ptr, have < size ? have : size);
    layered_free(NULL, ptr);
    return block;
}

static void *layered_realloc(void *context, void *ptr, size_t size)
{
    if (ptr == NULL)
        return layered_malloc(context, size);
    size += size == 0;
    bool in_pool = pm_heap_in_small_pool(ptr);
    if (in_pool != is_small(size))
        return change_layer(ptr, in_pool, size);
    if (in_pool)
        return pm_realloc(ptr, size);
    const struct pm_allocator *raw = pm_domain_table(PM_DOMAIN_RAW);
    return raw->realloc(raw->context, ptr, size);
}

#define LAYERED                                                                                    \
    {                                                                                              \
        NULL, layered_malloc, layered_calloc, layered_realloc, layered_free                        \
    }

#define RAW                                                                                        \
    {                                                                                              \
        NULL, raw_malloc, raw_calloc, raw_realloc, raw_free                                        \
    }

const struct pm_domain_set pm_domains_default = {
    .of = {[PM_DOMAIN_RAW] = RAW, [PM_DOMAIN_MEM] = LAYERED, [PM_DOMAIN_OBJECT] = LAYERED}};
const struct pm_domain_set pm_domains_of_malloc = {
    .of = {[PM_DOMAIN_RAW] = RAW, [PM_DOMAIN_MEM] = RAW, [PM_DOMAIN_OBJECT] = RAW}};

/* ---- get and set ---- */

const struct pm_domain_set pm_domains_unset;
struct pm_domains pm_domains = {.domains_now = &pm_domains_unset};

void pm_domains_start(void)
{
    const struct pm_domain_set *unset = &pm_domains_unset;
    pm_heap_process_init(); /* else the mode is not known; there is one even without memory */
    /* Acquire-release: as in pm_set_allocator. Who is second finds it done. */
    pm_cas_acq_rel(&pm_domains.domains_now, &unset, pm_domains_at_start());
}

static bool same_table(const struct pm_allocator *a, const struct pm_allocator *b)
{
    return a->context == b->context && a->malloc == b->malloc && a->calloc == b->calloc &&
           a->realloc == b->realloc && a->free == b->free;
}

bool pm_domain_is_default(enum pm_domain domain)
{
    if (pm_load_relaxed(&pm_domains.domains_now) == &pm_domains_unset) /* as in table_of */
        pm_domains_start();
    return same_table(pm_domain_table(domain), &pm_domains_default.of[domain]);
}

static bool same_set(const struct pm_domain_set *a, const struct pm_domain_set *b)
{
    for (unsigned i = 0; i < PM_DOMAINS; i++) {
        if (!same_table(&a->of[i], &b->of[i]))
            return false;
    }
    return true;
}

/* The set that stays for good and says the same; NULL: no memory. Two threads that come with the
 * same new one at the same moment may leave it there twice. */
static const struct pm_domain_set *keep(const struct pm_domain_set *wanted)
{
    /* Acquire pairs with the release below: the sets of the list are complete. */
    const struct pm_domain_set *newest = pm_load_acquire(&pm_domains.domains_made);
    for (const struct pm_domain_set *set = newest; set != NULL; set = set->made_before) {
        if (same_set(set, wanted))
            return set;
    }
    struct pm_domain_set *copy = pm_malloc(sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *wanted;
    copy->made_before = newest;
    /* Acquire-release: the copy is published; pairs with the load above. */
    while (!pm_cas_acq_rel(&pm_domains.domains_made, &copy->made_before, copy))
        continue;
    return copy;
}

static bool refuse(void)
{
    errno = EINVAL;
    return false;
}

bool pm_get_allocator(enum pm_domain domain, struct pm_allocator *table)
{
    *table = (struct pm_allocator){0};
    if ((unsigned)domain >= PM_DOMAINS)
        return refuse();
    pm_domains_start();
    *table = *pm_domain_table(domain);
    return true;
}

bool pm_set_allocator(enum pm_domain domain, const struct pm_allocator *table)
{
    if ((unsigned)domain >= PM_DOMAINS || table->malloc == NULL || table->calloc == NULL ||
        table->realloc == NULL || table->free == NULL)
        return refuse();
    pm_domains_start();
    const struct pm_domain_set *now = pm_load_acquire(&pm_domains.domains_now), *next;
    do {
        struct pm_domain_set wanted = now != NULL ? *now : pm_domains_default;
        wanted.of[domain] = *table;
        bool all_default = same_set(&wanted, &pm_domains_default);
        next = all_default ? NULL : keep(&wanted);
        if (next == NULL && !all_default)
            return false;
        /* Acquire-release: publishes the set and what the caller prepared for its context, to
         * pm_domain_table; when another thread was faster, its set is read next. */
    } while (!pm_cas_acq_rel(&pm_domains.domains_now, &now, next));
    return true;
}
