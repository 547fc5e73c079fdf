/* SPDX-License-Identifier: MIT */
/*
 * One misuse of the allocator per run: a call is given a pointer that it must not get. Prints the
 * pointer, then makes the call, which has to end the process; returning from it is status 1.
 * misuse_test.py runs this and judges; misuse_cases.txt says which pairs are sure to be caught.
 * Usage: misuse CALL POINTER
 */
#include "check.h"
#include "common.h"
#include "names.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
    page_bytes = 4096,
    block_bytes = 48,
    granule = 16,
    many_blocks = 5000, /* more than any pool holds, so that most of their pools are full */
    span_bytes = 1 << 20,
    arenas_bytes = 20 << 20,
};

static char static_data[page_bytes];
static char *blocks[many_blocks];

static char *must_malloc(size_t size)
{
    char *block = api_malloc(size);
    CHECK(block, "no %zu bytes", size);
    return block;
}

static void make_many(void)
{
    for (int i = 0; i < many_blocks; i++)
        blocks[i] = must_malloc(block_bytes);
}

/* A block of a pool that is full, and so belongs to no thread. */
static char *full_pool(void)
{
    make_many();
    return blocks[many_blocks / 2];
}

static pthread_barrier_t block_is_made;
static char *made_elsewhere;

/* The thread stays alive, and its pool its own, until the process ends. */
static void *make_one_and_stay(void *argument)
{
    (void)argument;
    made_elsewhere = must_malloc(block_bytes);
    pthread_barrier_wait(&block_is_made);
    pthread_barrier_wait(&block_is_made);
    return NULL;
}

static char *other_thread(void)
{
    pthread_t thread;
    pthread_barrier_init(&block_is_made, NULL, 2);
    int code = pthread_create(&thread, NULL, make_one_and_stay, NULL);
    CHECK(code == 0, "pthread_create returned %d", code);
    pthread_barrier_wait(&block_is_made);
    return made_elsewhere;
}

static void *make_many_and_end(void *argument)
{
    (void)argument;
    make_many();
    return NULL;
}

static char *ended_thread(void)
{
    pthread_t thread;
    int code = pthread_create(&thread, NULL, make_many_and_end, NULL);
    CHECK(code == 0, "pthread_create returned %d", code);
    pthread_join(thread, NULL);
    return blocks[many_blocks - 1];
}

static char *own(void)
{
    return must_malloc(block_bytes);
}

static char *smaller(void)
{
    return must_malloc(1);
}

static char *span(void)
{
    return must_malloc(span_bytes);
}

static char *arenas(void)
{
    return must_malloc(arenas_bytes);
}

static char *freed(char *block)
{
    api_free(block);
    return block;
}

static char *mapped(void)
{
    return system_pages(page_bytes);
}

/* Far behind the first block, but within the window; the test makes the window 1 GiB. */
static char *never_allocated(void)
{
    return own() + (512 << 20);
}

static char *small_integer(void)
{
    uintptr_t number = granule;
    return (char *)number;
}

static char *top_of_address_space(void)
{
    uintptr_t number = UINTPTR_MAX - granule + 1;
    return (char *)number;
}

struct pointer {
    const char *name;
    char *(*make)(void);
    size_t offset; /* added to what make returns */
    int free_first;
};

/* "interior" is aligned as a block is, "odd" is not; "stack" is made in main. */
static const struct pointer pointers[] = {
    {"mapped", mapped, 0, 0},
    {"mapped-odd", mapped, 5, 0},
    {"small-integer", small_integer, 0, 0},
    {"top-of-address-space", top_of_address_space, 0, 0},
    {"never-allocated", never_allocated, 0, 0},
    {"own-interior", own, granule, 0},
    {"own-odd", own, 1, 0},
    {"smaller-block", smaller, 0, 0},
    {"full-pool-interior", full_pool, granule, 0},
    {"full-pool-odd", full_pool, 1, 0},
    {"other-thread-interior", other_thread, granule, 0},
    {"other-thread-odd", other_thread, 1, 0},
    {"ended-thread-interior", ended_thread, granule, 0},
    {"ended-thread-odd", ended_thread, 1, 0},
    {"span-odd", span, 1, 0},
    {"span-interior", span, granule, 0},
    {"span-page", span, page_bytes, 0},
    {"span-middle", span, span_bytes / 2, 0},
    {"span-end", span, span_bytes - granule, 0},
    {"arenas-middle", arenas, arenas_bytes / 2, 0},
    {"arenas-end", arenas, arenas_bytes - granule, 0},
    {"span-freed", span, 0, 1},
    {"span-freed-middle", span, span_bytes / 2, 1},
    {"arenas-freed", arenas, 0, 1},
    {"arenas-freed-middle", arenas, arenas_bytes / 2, 1},
};

static char *make_pointer(const char *name, char *on_stack)
{
    if (strcmp(name, "stack") == 0)
        return on_stack;
    if (strcmp(name, "static") == 0)
        return static_data;
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
        const struct pointer *pointer = &pointers[i];
        if (strcmp(pointer->name, name) != 0)
            continue;
        char *made = pointer->make();
        return (pointer->free_first ? freed(made) : made) + pointer->offset;
    }
    CHECK(0, "no pointer is named \"%s\"", name);
}

static void make_call(const char *name, char *pointer)
{
    if (strcmp(name, "free") == 0)
        api_free(pointer);
    else if (strcmp(name, "free_sized") == 0)
        api_free_sized(pointer, block_bytes);
    else if (strcmp(name, "free_aligned_sized") == 0)
        api_free_aligned_sized(pointer, granule, block_bytes);
    else if (strcmp(name, "realloc") == 0)
        pointer = api_realloc(pointer, 2 * arenas_bytes);
    else if (strcmp(name, "reallocarray") == 0)
        pointer = api_reallocarray(pointer, 2, arenas_bytes);
    else if (strcmp(name, "malloc_usable_size") == 0)
        printf("usable size %zu\n", api_usable_size(pointer));
    else
        CHECK(0, "no call is named \"%s\"", name);
}

int main(int count, char **arguments)
{
    char on_stack[page_bytes];
    /* a buffer that stdio allocates could lie where a block was freed */
    static char output[BUFSIZ];
    setvbuf(stdout, output, _IOFBF, sizeof output);
    memset(on_stack, 0, sizeof on_stack);
    CHECK(count == 3, "usage: misuse CALL POINTER");
    char *pointer = make_pointer(arguments[2], on_stack);
    __asm__ volatile("" : "+r"(pointer) : : "memory"); /* the compiler knows nothing of it */
    printf("%#lx\n", (unsigned long)(uintptr_t)pointer);
    fflush(stdout);
    make_call(arguments[1], pointer);
    printf("the misuse was not caught\n");
    return 1;
}
