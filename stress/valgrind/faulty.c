/* SPDX-License-Identifier: MIT */
/*
 * One fault after another, each in a function of its own, for memcheck to find when the allocator
 * tells it of blocks; valgrind_test.py has the list of what it must say. No fault does harm: what
 * is written too far lies in the red zone of the block.
 */
#include "poolmalloc/heap.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define APART __attribute__((noinline, noclone))

static volatile char sink;

/* A jump on it, which is what memcheck reports. */
static void use(const volatile char *byte)
{
    if (*byte == 42)
        sink++;
}

static APART void use_after_free(void)
{
    char *block = malloc(100);
    memset(block, 1, 100);
    free(block);
    use(block + 50);
}

static APART void use_after_free_of_large(void)
{
    char *block = malloc(3000000);
    block[2000000] = 1;
    free(block);
    use(block + 2000000);
}

static APART void write_after_free(void)
{
    volatile char *block = malloc(48);
    free((void *)block);
    block[8] = 1;
    block[8] = 0;
}

static APART void uninitialised(void)
{
    char *block = malloc(64);
    use(block + 10);
    free(block);
}

static APART void uninitialised_when_used_again(void)
{
    char *block = malloc(64);
    memset(block, 1, 64);
    free(block);
    block = malloc(64);
    use(block + 10);
    free(block);
}

static APART void uninitialised_after_growth(void)
{
    char *block = malloc(1000);
    memset(block, 1, 1000);
    block = realloc(block, 5000);
    use(block + 3000);
    free(block);
}

static APART void uninitialised_after_growth_in_place(void)
{
    char *block = malloc(1000);
    memset(block, 1, 1000);
    block = realloc(block, 1004);
    use(block + 1002);
    free(block);
}

static APART void overflow(void)
{
    volatile char *block = malloc(100);
    block[100] = 0;
    free((void *)block);
}

static APART void overflow_of_calloc(void)
{
    volatile char *block = calloc(7, 7);
    use(block + 49);
    free((void *)block);
}

static APART void overflow_after_shrinking(void)
{
    char *block = malloc(1000);
    memset(block, 1, 1000);
    block = realloc(block, 990);
    use(block + 995);
    free(block);
}

static APART void underflow(void)
{
    char *before = malloc(32), *block = malloc(32);
    use(block - 1);
    free(before);
    free(block);
}

static APART void free_twice(void)
{
    void *volatile block = malloc(200);
    free(block);
    free(block);
}

static APART void heap_destroyed(void)
{
    pm_user_heap *heap = pm_heap_new(0);
    char *block = pm_heap_malloc(heap, 80);
    memset(block, 1, 80);
    pm_heap_destroy(heap);
    use(block + 40);
}

/* Several, so that one whose address lies about somewhere is not all. */
static APART void leak(void)
{
    for (int i = 0; i < 10; i++)
        memset(malloc(333), 1, 333);
    for (int i = 0; i < 3; i++)
        memset(malloc(444444), 1, 444444);
}

/* What lies about of the blocks is written over. */
static APART void overwrite_stack(void)
{
    volatile char room[4096];
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = 0;
}

/* Of two threads that write to one block nothing makes one the first. */
static void *write_block(void *block)
{
    memset(block, 1, 60);
    return block;
}

static void race(void)
{
    pthread_t thread[2];
    void *block = malloc(60);
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, write_block, block);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    free(block);
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "race") == 0) {
        race();
        return 0;
    }
    use_after_free();
    use_after_free_of_large();
    write_after_free();
    uninitialised();
    uninitialised_when_used_again();
    uninitialised_after_growth();
    uninitialised_after_growth_in_place();
    overflow();
    overflow_of_calloc();
    overflow_after_shrinking();
    underflow();
    free_twice();
    heap_destroyed();
    leak();
    overwrite_stack();
    return 0;
}
