/* SPDX-License-Identifier: MIT */
/* Writes and reads before, behind and after a block. */
#include "debug/misuse.h"
#include "poolmalloc/heap.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void underwrite(void)
{
    char *p = block();
    p[-1] = 'x';
    api_free(p);
}

static void underwrite_of_the_size(void)
{
    char *p = block();
    p[-12] = 'x';
    api_free(p);
}

static void underwrite_of_the_letter(void)
{
    char *p = block();
    p[-8] = 'x';
    api_free(p);
}

static void underwrite_of_an_aligned_block(void)
{
    char *p = told(api_memalign(256, size));
    p[-20] = 'x';
    api_free(p);
}

static void overwrite(void)
{
    char *p = block();
    p[size] = 'x';
    api_free(p);
}

/* What it reads is of no use. */
static void read_at(const volatile char *p)
{
    (void)*p;
}

static void read_after_free(void)
{
    char *p = block();
    api_free(p);
    read_at(opaque(p));
}

static void read_behind(void)
{
    char *p = block();
    read_at(opaque(p) + size);
    api_free(p);
}

static void read_before(void)
{
    char *p = block();
    read_at(opaque(p) - 1);
    api_free(p);
}

static void overwrite_of_a_large_block(void)
{
    char *p = told(api_malloc(large));
    p[large + 7] = 'x';
    api_free(p);
}

static void overwrite_told_by_realloc(void)
{
    char *p = block();
    p[size] = 0;
    p = api_realloc(p, 2 * size);
}

static void overwrite_of_a_heaps_block(void)
{
    char *p = told(pm_heap_malloc(pm_heap_new(0), size));
    p[size] = 'x';
    api_free(p);
}

/* What stands at the first by chance may be that already, in mode hardened. */
static void write_after_free(void)
{
    char *p = block();
    api_free(p);
    opaque(p)[3] = 'x';
    opaque(p)[30] = 'x';
    free_many(size);
}

static void write_after_free_told_at_exit(void)
{
    char *p = block();
    api_free(p);
    opaque(p)[3] = 'x';
    exit(1);
}

static void write_before_a_freed_block(void)
{
    char *one = api_malloc(size), *other = api_malloc(size);
    bool first = (uintptr_t)one % 4096 == 0; /* perhaps of its pool: nothing is before it */
    api_free(first ? one : other);
    char *p = told(first ? other : one);
    api_free(p);
    opaque(p)[-2] = 'x';
    free_many(size);
}

/* For mode hardened; see stress/hardened. */

static void overwrite_of_the_last_word(void)
{
    char *p = block();
    memset(p + size, 'x', 16);
    api_free(p);
}

static void write_after_free_to_the_link(void)
{
    char *p = block(), *other = opaque(api_malloc(size));
    api_free(p);
    memcpy(opaque(p), &other, sizeof other);
    free_many(size);
}

static void write_after_free_to_a_link_that_waits(void)
{
    char *p = block();
    api_free(p);
    opaque(p)[3] ^= 'x';
    api_free(opaque(api_malloc(200))); /* is to stand behind it in line */
}

static void write_after_free_behind_the_link(void)
{
    char *p = block();
    api_free(p);
    opaque(p)[30] = 'x';
    free_many(size);
}

static void write_after_free_of_a_heaps_block(void)
{
    pm_user_heap *heap = pm_heap_new(0);
    char *p = told(pm_heap_malloc(heap, size));
    api_free(p);
    opaque(p)[30] = 'x';
    for (int i = 0; i < many; i++)
        api_free(opaque(pm_heap_malloc(heap, size)));
}

static void write_behind_a_large_block(void)
{
    char *p = told(api_malloc(large));
    p[large] = 'x';
}

/* Fewer bytes than alignment leaves before the page that traps. */
static void write_right_behind_a_large_block(void)
{
    char *p = told(api_malloc(large - 5));
    p[large - 5] = 'x';
    api_free(p);
}

static void write_before_a_large_block(void)
{
    char *p = told(api_malloc(large - 100));
    p[-1] = 'x';
    api_free(p);
}

static void write_far_before_a_large_block(void)
{
    char *p = told(api_malloc(large));
    p[-1] = 'x';
}

static void write_behind_a_large_aligned_block(void)
{
    char *p = told(api_memalign(large, large));
    p[large] = 'x';
}

static void read_of_a_freed_large_block(void)
{
    char *p = told(api_malloc(large));
    p[size] = 'x';
    api_free(p);
    printf("%d\n", opaque(p)[size]);
}

static void write_to_a_freed_large_block(void)
{
    char *p = told(api_malloc(large));
    api_free(p);
    opaque(p)[size] = 'x';
}

const struct misuse_case misuse_of_accesses[] = {
    CASE(underwrite),
    CASE(underwrite_of_the_size),
    CASE(underwrite_of_the_letter),
    CASE(underwrite_of_an_aligned_block),
    CASE(overwrite),
    CASE(read_after_free),
    CASE(read_behind),
    CASE(read_before),
    CASE(overwrite_of_a_large_block),
    CASE(overwrite_told_by_realloc),
    CASE(overwrite_of_a_heaps_block),
    CASE(write_after_free),
    CASE(write_after_free_told_at_exit),
    CASE(write_before_a_freed_block),
    CASE(overwrite_of_the_last_word),
    CASE(write_after_free_to_the_link),
    CASE(write_after_free_to_a_link_that_waits),
    CASE(write_after_free_behind_the_link),
    CASE(write_after_free_of_a_heaps_block),
    CASE(write_behind_a_large_block),
    CASE(write_right_behind_a_large_block),
    CASE(write_before_a_large_block),
    CASE(write_far_before_a_large_block),
    CASE(write_behind_a_large_aligned_block),
    CASE(read_of_a_freed_large_block),
    CASE(write_to_a_freed_large_block),
    {NULL, NULL},
};
