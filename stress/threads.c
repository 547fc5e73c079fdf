/* SPDX-License-Identifier: MIT */
/*
 * Threads that come and go, one after another: each allocates, frees most, leaves one block to the
 * main thread. Stands for: servers with a thread per connection. Source: "memory of exited threads
 * is not reused by the living" (reference/traps.md, asks 4). Fails when resident memory grew by
 * more than a bound from the first threads to the last; sanitizers, whose own data grow, need a
 * higher one. Usage: threads [number of threads [MiB that may be added]]
 */
#include "check.h"
#include "common.h"
#include "names.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    blocks_per_thread = 20,
    warm_up_threads = 10,
    stack_bytes = 256 * 1024,
};

struct visitor {
    uint64_t number;
    unsigned char *left_behind;
};

static void *visit(void *argument)
{
    struct visitor *visitor = argument;
    struct rng rng = rng_make(1, visitor->number);
    unsigned char *blocks[blocks_per_thread];
    for (int i = 0; i < blocks_per_thread; i++) {
        size_t size = random_size(&rng, 1, i == 0 ? 64 * 1024 : 2048);
        blocks[i] = api_malloc(size);
        CHECK(blocks[i], "thread %llu got no %zu bytes", (unsigned long long)visitor->number, size);
        memset(blocks[i], (int)(visitor->number & 0xff), size);
    }
    visitor->left_behind = blocks[0];
    for (int i = 1; i < blocks_per_thread; i++)
        api_free(blocks[i]);
    return NULL;
}

static void run_one(const pthread_attr_t *attributes, uint64_t number)
{
    struct visitor visitor = {.number = number, .left_behind = NULL};
    pthread_t thread;
    int code = pthread_create(&thread, attributes, visit, &visitor);
    CHECK(code == 0, "pthread_create number %llu returned %d", (unsigned long long)number, code);
    code = pthread_join(thread, NULL);
    CHECK(code == 0, "pthread_join returned %d", code);
    CHECK(visitor.left_behind[0] == (number & 0xff), "thread %llu's block changed after its end",
          (unsigned long long)number);
    api_free(visitor.left_behind);
}

int main(int count, char **arguments)
{
    uint64_t threads = parse_number("the number of threads", count > 1 ? arguments[1] : "100000");
    uint64_t allowed_mib = parse_number("the MiB allowed", count > 2 ? arguments[2] : "8");
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    /* the C library's stacks and the first pools are not growth */
    for (uint64_t i = 0; i < warm_up_threads; i++)
        run_one(&attributes, i);
    long long before = (long long)resident_bytes();
    for (uint64_t i = 0; i < threads; i++)
        run_one(&attributes, i);
    long long after = (long long)resident_bytes();
    pthread_attr_destroy(&attributes);
    printf("resident: %lld KiB after %d threads, %lld KiB after %llu more: grown by %lld KiB\n",
           before / 1024, warm_up_threads, after / 1024, (unsigned long long)threads,
           (after - before) / 1024);
    CHECK(after - before <= (long long)allowed_mib << 20, "grown by more than %llu MiB",
          (unsigned long long)allowed_mib);
    return 0;
}
