/* SPDX-License-Identifier: MIT */
/*
 * One spelling for the entry points under test. With STRESS_STANDARD_NAMES=1 they are the names
 * that programs call (malloc, free, ...), bound to whatever library is linked or preloaded; with 0
 * they are poolmalloc's own pm_ names, which sanitizer builds need.
 */
#ifndef STRESS_NAMES_H
#define STRESS_NAMES_H

#include <stddef.h>
#include <stdio.h>

#ifndef STRESS_STANDARD_NAMES
#define STRESS_STANDARD_NAMES 0
#endif

#if STRESS_STANDARD_NAMES

/* Not every C library declares all of these, so none is taken from its headers. */
void *malloc(size_t size);
void free(void *block);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void *reallocarray(void *block, size_t count, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size);
int posix_memalign(void **result, size_t alignment, size_t size);
void *valloc(size_t size);
void *pvalloc(size_t size);
size_t malloc_usable_size(void *block);
int malloc_trim(size_t pad);
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);
/* glibc's structures have other names, and the same layout. */
struct pm_mallinfo_figures mallinfo(void);
struct pm_mallinfo2_figures mallinfo2(void);
int malloc_info(int options, FILE *stream);
void malloc_stats(void);
int mallopt(int parameter, int value);

#define API_PREFIX ""
#define API(name) name

#else

#include "poolmalloc/poolmalloc.h"

#define API_PREFIX "pm_"
#define API(name) pm_##name

#endif

#define api_malloc API(malloc)
#define api_free API(free)
#define api_calloc API(calloc)
#define api_realloc API(realloc)
#define api_reallocarray API(reallocarray)
#define api_aligned_alloc API(aligned_alloc)
#define api_memalign API(memalign)
#define api_posix_memalign API(posix_memalign)
#define api_valloc API(valloc)
#define api_pvalloc API(pvalloc)
#define api_usable_size API(malloc_usable_size)
#define api_trim API(malloc_trim)
#define api_free_sized API(free_sized)
#define api_free_aligned_sized API(free_aligned_sized)
#define api_mallinfo API(mallinfo)
#define api_mallinfo2 API(mallinfo2)
#define api_malloc_info API(malloc_info)
#define api_malloc_stats API(malloc_stats)
#define api_mallopt API(mallopt)

/* The least alignment that malloc promises for a block of at least that size. */
#ifndef STRESS_MIN_ALIGNMENT
#define STRESS_MIN_ALIGNMENT 16
#endif

#endif
