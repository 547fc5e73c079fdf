/* SPDX-License-Identifier: MIT */
/*
 * One misuse per run that the debug hooks, or mode hardened, have to name. Prints the pointer that
 * the report must show, then misuses it; coming back from it, and ending well, is status 1.
 * misuse_test.py runs this and judges; cases.txt has what the report must say. Usage: misuse CASE
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "poolmalloc/domains.h"
#include "poolmalloc/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { size = 48, large = 2 << 20, many = 20000 };

/* The compiler knows nothing of it. */
static char *opaque(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

static char *told(void *pointer)
{
    CHECK(pointer, "no memory");
    printf("%#lx\n", (unsigned long)(uintptr_t)pointer);
    fflush(stdout);
    return opaque(pointer);
}

static char *block(void)
{
    return told(api_malloc(size));
}

/* What was freed before leaves quarantine. */
static void free_many(size_t bytes)
{
    for (int i = 0; i < many; i++)
        api_free(opaque(api_malloc(bytes)));
}

static void double_free(void)
{
    char *p = block();
    api_free(p);
    api_free(opaque(p));
}

static void double_free_when_it_waits_no_more(void)
{
    char *p = block();
    api_free(p);
    free_many(200);
    api_free(opaque(p));
}

static void *free_it(void *p)
{
    api_free(p);
    return NULL;
}

static void double_free_by_another_thread(void)
{
    pthread_t thread;
    char *p = block();
    api_free(p);
    CHECK(pthread_create(&thread, NULL, free_it, opaque(p)) == 0, "no thread");
    pthread_join(thread, NULL);
}

static void double_free_of_a_large_block(void)
{
    char *p = told(api_malloc(large));
    api_free(p);
    api_free(opaque(p));
}

static void use_of_a_freed_block(void)
{
    char *p = block();
    api_free(p);
    p = api_realloc(opaque(p), 2 * size);
}

static void size_of_a_freed_block(void)
{
    char *p = block();
    api_free(p);
    printf("%zu\n", api_usable_size(opaque(p)));
}

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

static void interior_of_a_large_blocks_first_unit(void)
{
    api_free(told((char *)api_malloc(large) + 16));
}

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

static void stack_freed(void)
{
    char on_stack[4 * size];
    memset(on_stack, 0, sizeof on_stack);
    api_free(told(on_stack + size));
}

static void interior(void)
{
    api_free(told((char *)api_malloc(size) + 16));
}

static void interior_odd(void)
{
    api_free(told((char *)api_malloc(size) + 1));
}

static void interior_of_a_large_block(void)
{
    api_free(told((char *)api_malloc(large) + large / 2));
}

static void interior_of_an_aligned_block(void)
{
    api_free(told((char *)api_memalign(256, 600) + 256));
}

static void before_a_block(void)
{
    api_free(told((char *)api_malloc(size) - 16));
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

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }

static const struct {
    const char *name;
    void (*misuse)(void);
} cases[] = {
    CASE(double_free),
    CASE(double_free_when_it_waits_no_more),
    CASE(double_free_by_another_thread),
    CASE(double_free_of_a_large_block),
    CASE(use_of_a_freed_block),
    CASE(size_of_a_freed_block),
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
    CASE(interior_of_a_large_blocks_first_unit),
    CASE(mem_freed_as_object),
    CASE(object_resized_as_raw),
    CASE(raw_freed_by_free),
    CASE(malloc_freed_as_mem),
    CASE(stack_freed),
    CASE(interior),
    CASE(interior_odd),
    CASE(interior_of_a_large_block),
    CASE(interior_of_an_aligned_block),
    CASE(before_a_block),
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
};

int main(int count, char **arguments)
{
    static char output[BUFSIZ]; /* no block of stdio's */
    setvbuf(stdout, output, _IOFBF, sizeof output);
    CHECK(count == 2, "usage: misuse CASE");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(arguments[1], cases[i].name) != 0)
            continue;
        cases[i].misuse();
        printf("the misuse was not caught\n");
        return 1;
    }
    CHECK(0, "no case is named \"%s\"", arguments[1]);
}
