/* SPDX-License-Identifier: MIT */
/*
 * A heap of known contents for heap_gdb.py, which compares what the gdb script finds with what is
 * printed here:
 *
 *   live BYTES COUNT    blocks that hold so many bytes (of that class, this is all there is)
 *   large COUNT BYTES   large blocks, and what they were made for
 *   holds WORD ADDRESS  where a word is to be found in a block
 *
 * and, in the array `questions`, what `pm block` shall say of addresses. The numbers are of blocks
 * made with the pm_ names, which nobody else calls.
 */
#include "check.h"
#include "poolmalloc/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OWN_BYTES = 96,
    OWN_BLOCKS = 3000,
    MEDIUM_BYTES = 3072,
    MEDIUM_BLOCKS = 40,
    OTHERS_BYTES = 208,
    OTHERS_BLOCKS = 300,
    LEFT_BYTES = 48,
    LEFT_BLOCKS = 500,
    USER_BYTES = 160,
    USER_BLOCKS = 50,
    LARGE_BLOCKS = 4,
    QUESTIONS_MAX = 64,
};

/* For the debugger, which reads them by name, from a core file, too. */
struct question {
    const char *state;
    const void *address;
};
struct question questions[QUESTIONS_MAX];
unsigned question_count;

static void *own[OWN_BLOCKS], *medium[MEDIUM_BLOCKS], *others[OTHERS_BLOCKS], *left[LEFT_BLOCKS];
static void *users[USER_BLOCKS], *large[LARGE_BLOCKS];
static sem_t made, never;

/* Where the debugger stops. */
static __attribute__((noinline)) void stopped(void)
{
    __asm__ volatile("" ::: "memory");
}

static void ask(const char *state, const void *address)
{
    CHECK(question_count < QUESTIONS_MAX, "too many questions");
    questions[question_count++] = (struct question){state, address};
}

static void make(void **blocks, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = pm_malloc(bytes);
        CHECK(blocks[i] != NULL, "no block of %zu bytes", bytes);
        memset(blocks[i], 0, bytes);
    }
}

/* A thread of which nothing is left but its blocks. */
static void *leave(void *arg)
{
    make(left, LEFT_BLOCKS, LEFT_BYTES);
    return arg;
}

/* One that sleeps, with a heap. */
static void *stay(void *arg)
{
    make(others, OTHERS_BLOCKS, OTHERS_BYTES);
    sem_post(&made);
    sem_wait(&never);
    return arg;
}

static void start(pthread_t *thread, void *(*run)(void *))
{
    CHECK(pthread_create(thread, NULL, run, NULL) == 0, "no thread");
}

/* Every third; how many stay. */
static size_t free_some(void **blocks, size_t count)
{
    size_t stay = count;
    for (size_t i = 0; i < count; i += 3, stay--)
        pm_free(blocks[i]);
    return stay;
}

static size_t make_large(void)
{
    static const size_t bytes[LARGE_BLOCKS] = {1 << 20, 5 << 20, 7 << 20, 20 << 20};
    size_t sum = 0;
    for (size_t i = 0; i < LARGE_BLOCKS; i++) {
        make(&large[i], 1, bytes[i]);
        sum += bytes[i];
    }
    pm_free(large[2]);
    return sum - bytes[2];
}

static void ask_all(const void *foreign)
{
    for (size_t i = 0; i < OWN_BLOCKS; i += 600) {
        ask("freed", own[i]);
        ask("live", own[i + 1]);
    }
    ask("freed", others[3]);
    ask("live", others[4]);
    ask("freed", left[3]);
    ask("live", left[4]);
    ask("live", users[7]);
    ask("live", medium[MEDIUM_BLOCKS - 1]);
    ask("live", large[0]);
    ask("inside", (char *)own[1] + 8);
    ask("inside", (char *)large[3] + (19 << 20));
    ask("foreign", foreign);
}

int main(int count, char **arguments)
{
    pthread_t thread;
    CHECK(sem_init(&made, 0, 0) == 0 && sem_init(&never, 0, 0) == 0, "no semaphores");
    make(own, OWN_BLOCKS, OWN_BYTES);
    make(medium, MEDIUM_BLOCKS, MEDIUM_BYTES);
    start(&thread, leave);
    CHECK(pthread_join(thread, NULL) == 0, "not joined");
    start(&thread, stay);
    sem_wait(&made);
    pm_user_heap *heap = pm_heap_new(0);
    CHECK(heap != NULL, "no heap");
    for (size_t i = 0; i < USER_BLOCKS; i++)
        users[i] = pm_heap_malloc(heap, USER_BYTES);
    printf("live %d %zu\n", OWN_BYTES, free_some(own, OWN_BLOCKS));
    printf("live %d %d\n", MEDIUM_BYTES, MEDIUM_BLOCKS);
    printf("live %d %zu\n", OTHERS_BYTES, free_some(others, OTHERS_BLOCKS));
    printf("live %d %zu\n", LEFT_BYTES, free_some(left, LEFT_BLOCKS));
    printf("live %d %d\n", USER_BYTES, USER_BLOCKS);
    printf("large %d %zu\n", LARGE_BLOCKS - 1, make_large());
    ask_all(&thread);
    *(void **)large[1] = own[4]; /* for `pm find` */
    printf("holds %p %p\n", own[4], large[1]);
    fflush(stdout);
    stopped();
    (void)arguments;
    if (count > 1) /* for a core file of the kernel's */
        abort();
    return 0;
}
