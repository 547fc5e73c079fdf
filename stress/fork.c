/* SPDX-License-Identifier: MIT */
/*
 * fork while other threads allocate: the child gets a usable heap, in which blocks of the parent,
 * also of its other threads, can be read and freed. Stands for: servers that fork workers or
 * helpers. A child that hangs is ended by alarm(2) and so fails the program.
 * Usage: fork [number of forks]
 */
#include "check.h"
#include "common.h"
#include "names.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef STRESS_SANITIZED
#define STRESS_SANITIZED 0
#endif

enum {
    busy_threads = 3,
    kept_blocks = 200,
    child_blocks = 500,
    child_seconds = 60,
};

struct busy {
    uint64_t number;
    pthread_t thread;
    _Atomic(unsigned char *) offered; /* release by the busy thread, acquire by the main thread */
};

static atomic_bool stopping;

static void *allocate_all_the_time(void *argument)
{
    struct busy *busy = argument;
    struct rng rng = rng_make(2, busy->number);
    unsigned char *blocks[kept_blocks] = {NULL};
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        size_t slot = rng_below(&rng, kept_blocks);
        api_free(blocks[slot]);
        size_t size = random_size(&rng, 8, 20000);
        blocks[slot] = api_malloc(size);
        CHECK(blocks[slot], "no %zu bytes", size);
        memset(blocks[slot], 0x5a, size);
        if (rng_one_in(&rng, 64)) {
            /* what the main thread did not take in time comes back and is freed here */
            blocks[slot] =
                atomic_exchange_explicit(&busy->offered, blocks[slot], memory_order_acq_rel);
        }
    }
    for (size_t i = 0; i < kept_blocks; i++)
        api_free(blocks[i]);
    return NULL;
}

static void use_heap(struct rng *rng)
{
    unsigned char *blocks[child_blocks];
    for (size_t i = 0; i < child_blocks; i++) {
        size_t size = random_size(rng, 1, i % 50 ? 4096 : 1 << 20);
        blocks[i] = i % 2 ? api_malloc(size) : api_calloc(1, size);
        CHECK(blocks[i], "the child got no %zu bytes", size);
        CHECK(i % 2 || blocks[i][size - 1] == 0, "calloc in the child is not zero");
        memset(blocks[i], 0xa5, size);
    }
    for (size_t i = 0; i < child_blocks; i++)
        api_free(blocks[i]);
}

static void *use_heap_in_thread(void *argument)
{
    use_heap(argument);
    return NULL;
}

static void live_as_child(unsigned char *inherited, uint64_t number)
{
    struct rng rng = rng_make(3, number);
    alarm(child_seconds);
    CHECK(!inherited || inherited[7] == 0x5a, "an inherited block lost its contents");
    api_free(inherited);
    use_heap(&rng);
#if !STRESS_SANITIZED /* whose own locks a vanished thread may hold; a new thread takes them */
    pthread_t thread;
    int code = pthread_create(&thread, NULL, use_heap_in_thread, &rng);
    CHECK(code == 0, "pthread_create in the child returned %d", code);
    pthread_join(thread, NULL);
#else
    use_heap_in_thread(&rng);
#endif
    exit_child(0);
}

static void fork_once(struct busy *busy, uint64_t number)
{
    struct rng rng = rng_make(4, number);
    struct busy *giver = &busy[number % busy_threads];
    unsigned char *block = atomic_exchange_explicit(&giver->offered, NULL, memory_order_acq_rel);
    pid_t child = fork();
    CHECK(child >= 0, "fork number %llu failed", (unsigned long long)number);
    if (child == 0)
        live_as_child(block, number);
    use_heap(&rng);
    api_free(block);
    int status = 0;
    pid_t ended = waitpid(child, &status, 0);
    CHECK(ended == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "child %llu ended with status %#x", (unsigned long long)number, (unsigned)status);
}

int main(int count, char **arguments)
{
    uint64_t forks = parse_number("the number of forks", count > 1 ? arguments[1] : "100");
    static struct busy busy[busy_threads];
    for (uint64_t i = 0; i < busy_threads; i++) {
        busy[i].number = i;
        int code = pthread_create(&busy[i].thread, NULL, allocate_all_the_time, &busy[i]);
        CHECK(code == 0, "pthread_create returned %d", code);
    }
    for (uint64_t i = 0; i < forks; i++)
        fork_once(busy, i);
    atomic_store_explicit(&stopping, true, memory_order_relaxed);
    for (int i = 0; i < busy_threads; i++) {
        pthread_join(busy[i].thread, NULL);
        api_free(atomic_load_explicit(&busy[i].offered, memory_order_acquire));
    }
    printf("%llu children allocated, freed what they inherited and exited\n",
           (unsigned long long)forks);
    return 0;
}
