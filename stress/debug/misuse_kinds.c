/* SPDX-License-Identifier: MIT */
/* Blocks that are freed by the call of another kind, or with another size or alignment. */
#include "debug/misuse.h"
#include "poolmalloc/domains.h"

#include <stdint.h>

static void mem_freed_as_object(void)
{
    pm_object_free(told(pm_mem_malloc(size)));
}

static void object_resized_as_raw(void)
{
    pm_object_free(pm_raw_realloc(told(pm_object_calloc(1, size)), 2 * size));
}

static void raw_freed_by_free(void)
{
    api_free(told(pm_raw_malloc(size)));
}

static void malloc_freed_as_mem(void)
{
    pm_mem_free(block());
}

static void sized_free(void)
{
    api_free_sized(block(), size - 1);
}

enum { wrong_alignment = 1 << 20 };

/* By chance the first of a pool may have it. */
static char *without_the_alignment(void *one, void *other)
{
    return told((uintptr_t)one % wrong_alignment != 0 ? one : other);
}

static void sized_free_of_an_alignment(void)
{
    char *p = without_the_alignment(api_memalign(64, size), api_memalign(64, size));
    api_free_aligned_sized(p, wrong_alignment, size);
}

#if STRESS_STANDARD_NAMES
void sdallocx(void *p, size_t bytes, int flags);
void *new_one(size_t bytes) __asm__("_Znwm");
void *new_array(size_t bytes) __asm__("_Znam");
void *new_aligned(size_t bytes, size_t alignment) __asm__("_ZnwmSt11align_val_t");
void delete_one(void *p) __asm__("_ZdlPv");
void delete_array(void *p) __asm__("_ZdaPv");
void delete_sized(void *p, size_t bytes) __asm__("_ZdlPvm");
void delete_array_sized(void *p, size_t bytes) __asm__("_ZdaPvm");
void delete_sized_aligned(void *p, size_t bytes,
                          size_t alignment) __asm__("_ZdlPvmSt11align_val_t");

static void sdallocx_size(void)
{
    sdallocx(block(), size + 1, 0);
}

static void new_freed_by_free(void)
{
    api_free(told(new_one(size)));
}

static void malloc_freed_by_delete(void)
{
    delete_one(block());
}

static void new_array_freed_by_delete(void)
{
    delete_one(told(new_array(size)));
}

static void new_freed_by_delete_array(void)
{
    delete_array(told(new_one(size)));
}

static void new_resized(void)
{
    delete_one(api_realloc(told(new_one(size)), 2 * size));
}

static void delete_size(void)
{
    delete_sized(told(new_one(size)), size / 2);
}

static void delete_array_size(void)
{
    delete_array_sized(told(new_array(size)), size / 2);
}

static void delete_alignment(void)
{
    char *p = without_the_alignment(new_aligned(size, 64), new_aligned(size, 64));
    delete_sized_aligned(p, size, wrong_alignment);
}
#endif

const struct misuse_case misuse_of_kinds[] = {
    CASE(mem_freed_as_object),
    CASE(object_resized_as_raw),
    CASE(raw_freed_by_free),
    CASE(malloc_freed_as_mem),
    CASE(sized_free),
    CASE(sized_free_of_an_alignment),
#if STRESS_STANDARD_NAMES
    CASE(sdallocx_size),
    CASE(new_freed_by_free),
    CASE(malloc_freed_by_delete),
    CASE(new_array_freed_by_delete),
    CASE(new_freed_by_delete_array),
    CASE(new_resized),
    CASE(delete_size),
    CASE(delete_array_size),
    CASE(delete_alignment),
#endif
    {NULL, NULL},
};
