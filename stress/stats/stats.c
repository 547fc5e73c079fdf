/* SPDX-License-Identifier: MIT */
/*
 * A program that has known blocks, of several threads that rest, and then writes its statistics to
 * stdout: a line of JSON by a descriptor, one by a callback, and the table; for stats.py to read.
 * Stands for a server that a monitor asks. Usage: stats THREADS COUNT SIZE LARGE
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { large_bytes = 5 << 20, threads_max = 16 };

static uint64_t threads, blocks, large;
static size_t size;
static pthread_barrier_t barrier;
static void *handed_on[threads_max]; /* lists of blocks for the next thread */

static void *make(void **last, size_t bytes)
{
    void **block = api_malloc(bytes);
    CHECK(block, "no memory for %zu bytes", bytes);
    *block = *last;
    *last = block;
    return block;
}

/* Makes its blocks and as many for the next thread, which frees them: partly in batches. */
static void *work(void *arg)
{
    uintptr_t self = (uintptr_t)arg;
    void *kept = NULL;
    char name[16];
    snprintf(name, sizeof name, "\"worker\" %u", (unsigned)self);
    CHECK(prctl(PR_SET_NAME, name) == 0, "no name");
    for (uint64_t i = 0; i < blocks; i++) {
        make(&kept, size);
        make(&handed_on[self], size);
    }
    for (uint64_t i = 0; i < large; i++)
        make(&kept, large_bytes);
    pthread_barrier_wait(&barrier);
    for (void **block = handed_on[(self + 1) % threads]; block != NULL;) {
        void **next = *block;
        api_free(block);
        block = next;
    }
    pthread_barrier_wait(&barrier); /* the main thread writes */
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void put(void *arg, const char *text)
{
    (void)arg;
    CHECK(strlen(text) < 256, "a piece of %zu bytes", strlen(text));
    CHECK(write(STDOUT_FILENO, text, strlen(text)) == (ssize_t)strlen(text), "stdout");
}

int main(int count, char **arguments)
{
    pthread_t ids[threads_max];
    CHECK(count == 5, "usage: stats THREADS COUNT SIZE LARGE");
    threads = parse_number("THREADS", arguments[1]);
    blocks = parse_number("COUNT", arguments[2]);
    size = parse_number("SIZE", arguments[3]);
    large = parse_number("LARGE", arguments[4]);
    CHECK(threads > 0 && threads <= threads_max, "THREADS: 1 to %u", (unsigned)threads_max);
    CHECK(pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1) == 0, "no barrier");
    for (uintptr_t i = 0; i < threads; i++)
        CHECK(pthread_create(&ids[i], NULL, work, (void *)i) == 0, "no thread");
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    CHECK(pm_stats_json_fd(STDOUT_FILENO), "not all was written");
    pm_stats_json(put, NULL);
    pm_stats_print(put, NULL);
    CHECK(!pm_stats_json_fd(-1), "written to no descriptor");
    pthread_barrier_wait(&barrier);
    for (uint64_t i = 0; i < threads; i++)
        CHECK(pthread_join(ids[i], NULL) == 0, "no thread");
    return 0;
}
