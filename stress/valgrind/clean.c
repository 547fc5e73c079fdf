/* SPDX-License-Identifier: MIT */
/*
 * A program without a fault, of which valgrind's tools must say nothing: threads that hand blocks
 * to each other under a lock and by their end, blocks that are used again, reallocs large and
 * small, cleared memory, purges, user heaps, a child.
 */
#include "check.h"
#include "poolmalloc/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <stdint.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, OPS = 400, SHELF = 100 };

static struct {
    pthread_mutex_t lock;
    unsigned char *block[SHELF];
    size_t size[SHELF];
} shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t random_of(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Every byte of a block is written and read, of large ones some. */
static size_t step_of(size_t size)
{
    return size > 100000 ? 61 : 1;
}

static void fill(unsigned char *block, size_t size)
{
    CHECK(block != NULL, "no block of %zu bytes", size);
    for (size_t i = 0; i < size; i += step_of(size))
        block[i] = (unsigned char)size;
}

/* The first bytes of a block that was filled as a whole. */
static void verify_part(const unsigned char *block, size_t size, size_t whole, unsigned char value)
{
    for (size_t i = 0; i < size; i += step_of(whole))
        CHECK(block[i] == value, "byte %zu of %zu", i, size);
}

static void verify(const unsigned char *block, size_t size, unsigned char value)
{
    verify_part(block, size, size, value);
}

/* Puts a block there and takes the one that was there. */
static void exchange(size_t at, unsigned char **block, size_t *size)
{
    pthread_mutex_lock(&shelf.lock);
    unsigned char *other = shelf.block[at];
    size_t other_size = shelf.size[at];
    shelf.block[at] = *block;
    shelf.size[at] = *size;
    pthread_mutex_unlock(&shelf.lock);
    *block = other;
    *size = other_size;
}

static unsigned char *make(uint32_t *state, size_t size)
{
    unsigned char *block;
    if (random_of(state) % 4 == 0) {
        block = calloc(1, size);
        CHECK(block != NULL, "no block of %zu bytes", size);
        verify(block, size, 0);
    } else {
        block = random_of(state) % 8 == 0 ? aligned_alloc(64, size) : malloc(size);
    }
    fill(block, size);
    return block;
}

static unsigned char *change(unsigned char *block, size_t size, size_t new_size)
{
    unsigned char value = (unsigned char)size;
    block = realloc(block, new_size);
    CHECK(block != NULL, "no block of %zu bytes", new_size);
    verify_part(block, size < new_size ? size : new_size, size, value);
    fill(block, new_size);
    return block;
}

static void *work(void *arg)
{
    uint32_t state = (uint32_t)(uintptr_t)arg;
    for (int i = 0; i < OPS; i++) {
        size_t size = 1 + random_of(&state) % (i % 50 == 0 ? 200000 : 700);
        unsigned char *block = make(&state, size);
        if (i % 3 == 0) {
            size_t new_size = 1 + random_of(&state) % 900;
            block = change(block, size, new_size);
            size = new_size;
        }
        exchange(random_of(&state) % SHELF, &block, &size);
        if (block != NULL)
            verify(block, size, (unsigned char)size);
        free(block);
        if (i % 500 == 0)
            pm_purge();
    }
    return make(&state, 500);
}

/* What the main thread does: a thread's last block comes by its end. */
static void run_threads(void)
{
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, work, (void *)(i + 1)) == 0, "no thread");
    for (int i = 0; i < THREADS; i++) {
        void *last;
        pthread_join(thread[i], &last);
        verify(last, 500, (unsigned char)500);
        free(last);
    }
    for (int i = 0; i < SHELF; i++)
        free(shelf.block[i]);
}

static void large(void)
{
    size_t size = 3000000;
    unsigned char *block = malloc(size), *cleared = calloc(5, 1000001);
    fill(block, size);
    verify(cleared, 5000005, 0);
    for (int i = 0; i < 3; i++, size += 2500000)
        block = change(block, size, size + 2500000);
    block = change(block, size, 1000);
    free(block);
    free(cleared);
}

static void others(void)
{
    void *batch[100];
    pm_user_heap *heap = pm_heap_new(0);
    for (size_t i = 1; i < 300; i++)
        fill(pm_heap_malloc(heap, i * 11), i * 11);
    verify(pm_heap_calloc(heap, 10, 1000), 10000, 0);
    pm_heap_destroy(heap);
    CHECK(pm_malloc_batch(72, 100, batch) == 100, "no batch");
    for (int i = 0; i < 100; i++)
        fill(batch[i], 72);
    pm_free_batch(batch, 100);
    unsigned char *block = malloc(90);
    fill(block, malloc_usable_size(block));
    free(block);
}

enum { GROWING = 300, SHORT = 900, LONG = 940 }; /* of one size class */

static struct {
    int given[2], ended[2];
} lender;

/* Leaves memory that it wrote to whoever takes it, and stays. */
static void *lend(void *arg)
{
    static unsigned char *blocks[GROWING];
    char byte = 0;
    for (int i = 0; i < GROWING; i++) {
        blocks[i] = malloc(LONG);
        fill(blocks[i], LONG);
    }
    for (int i = 0; i < GROWING; i++)
        free(blocks[i]);
    pm_purge();
    CHECK(write(lender.given[1], &byte, 1) == 1 && read(lender.ended[0], &byte, 1) == 1, "pipe");
    return arg;
}

/* What realloc adds was another thread's, and these tools know of no order between the two: a pipe
 * is none to them, nor how the allocator hands on its pools. */
static void grow_where_another_was(void)
{
    static unsigned char *blocks[GROWING];
    pthread_t thread;
    char byte = 0;
    int grown = 0;
    CHECK(pipe(lender.given) == 0 && pipe(lender.ended) == 0, "no pipe");
    CHECK(pthread_create(&thread, NULL, lend, NULL) == 0, "no thread");
    CHECK(read(lender.given[0], &byte, 1) == 1, "pipe");
    for (int i = 0; i < GROWING; i++) {
        unsigned char *block = malloc(SHORT);
        fill(block, SHORT);
        blocks[i] = change(block, SHORT, LONG);
        grown += blocks[i] == block;
    }
    CHECK(grown == GROWING, "%d of %d grew where they were", grown, GROWING);
    for (int i = 0; i < GROWING; i++)
        free(blocks[i]);
    CHECK(write(lender.ended[1], &byte, 1) == 1, "pipe");
    pthread_join(thread, NULL);
}

static void child(void)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) {
        large();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0, "the child: %d", status);
}

int main(void)
{
    run_threads();
    large();
    others();
    grow_where_another_was();
    child();
    CHECK(pm_check(), "pm_check");
    return 0;
}
