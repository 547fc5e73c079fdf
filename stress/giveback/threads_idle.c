/* SPDX-License-Identifier: MIT */
/*
 * Many threads alive at once, of which each made a few small blocks and sleeps. Stands for: servers
 * with a thread per connection, most of them idle; source: the cold heap of section 7 of the
 * design. Prints resident memory per thread, stacks included; what the allocator's share is shows
 * the same program under another one: compare.py.
 * Usage: threads_idle [threads=10000] [blocks=20]
 * Exit status 77: the system does not allow so many threads.
 */
#include "check.h"
#include "common.h"
#include "giveback/measure.h"
#include "names.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
    stack_bytes = 64 * 1024,
    blocks_max = 64,
    size_low = 16,
    size_high = 512,
};

static struct gate gate = GATE_INIT;
static size_t blocks_each;

struct sleeper {
    pthread_t thread;
    uint64_t number;
};

static void *make_and_sleep(void *argument)
{
    const struct sleeper *sleeper = argument;
    struct rng rng = rng_make(12, sleeper->number);
    unsigned char *blocks[blocks_max];
    unsigned char mark = (unsigned char)sleeper->number;
    for (size_t i = 0; i < blocks_each; i++) {
        size_t size = size_low + rng_below(&rng, size_high - size_low + 1);
        blocks[i] = api_malloc(size);
        CHECK(blocks[i], "thread %llu got no %zu bytes", (unsigned long long)sleeper->number, size);
        memset(blocks[i], mark, size);
    }
    gate_arrive(&gate);
    gate_wait(&gate, 1);
    for (size_t i = 0; i < blocks_each; i++) {
        CHECK(blocks[i][0] == mark && blocks[i][size_low - 1] == mark, "a block changed");
        api_free(blocks[i]);
    }
    return NULL;
}

/* How many threads could be started. */
static size_t start_all(struct sleeper *sleepers, size_t threads)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    size_t started = 0;
    while (started < threads) {
        struct sleeper *sleeper = &sleepers[started];
        sleeper->number = started;
        if (pthread_create(&sleeper->thread, &attributes, make_and_sleep, sleeper) != 0)
            break;
        started++;
    }
    pthread_attr_destroy(&attributes);
    gate_await(&gate, (unsigned)started);
    return started;
}

int main(int count, char **arguments)
{
    static const char *const names[] = {"threads", "blocks", NULL};
    options_check(count, arguments, names);
    size_t threads = option_number(count, arguments, "threads", 10000);
    blocks_each = option_number(count, arguments, "blocks", 20);
    CHECK(threads > 0 && blocks_each <= blocks_max, "at most %d blocks", blocks_max);
    struct sleeper *sleepers = system_pages(threads * sizeof *sleepers);
    memset(sleepers, 0xff, threads * sizeof *sleepers);
    api_free(api_malloc(1)); /* the allocator has started */
    size_t before = measure_resident();
    size_t started = start_all(sleepers, threads);
    if (started == threads) {
        double growth = (double)measure_resident() - (double)before;
        report("threads", (double)threads);
        report("bytes_per_thread", growth / (double)threads);
    }
    gate_open(&gate, 1);
    for (size_t i = 0; i < started; i++)
        pthread_join(sleepers[i].thread, NULL);
    system_pages_free(sleepers, threads * sizeof *sleepers);
    if (started < threads) {
        printf("skipped: the system allows %zu threads, not %zu\n", started, threads);
        return exit_skipped;
    }
    return judged();
}
