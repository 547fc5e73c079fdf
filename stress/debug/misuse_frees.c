/* SPDX-License-Identifier: MIT */
/* Blocks freed twice, and pointers freed that are no block's. */
#include "debug/misuse.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

static void interior_of_a_large_blocks_first_unit(void)
{
    api_free(told((char *)api_malloc(large) + 16));
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

const struct misuse_case misuse_of_frees[] = {
    CASE(double_free),
    CASE(double_free_when_it_waits_no_more),
    CASE(double_free_by_another_thread),
    CASE(double_free_of_a_large_block),
    CASE(use_of_a_freed_block),
    CASE(size_of_a_freed_block),
    CASE(interior_of_a_large_blocks_first_unit),
    CASE(stack_freed),
    CASE(interior),
    CASE(interior_odd),
    CASE(interior_of_a_large_block),
    CASE(interior_of_an_aligned_block),
    CASE(before_a_block),
    {NULL, NULL},
};
