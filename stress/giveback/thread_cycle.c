/* SPDX-License-Identifier: MIT */
/*
 * Threads that start, use malloc a little and end, one after another. Stands for: servers with a
 * thread per request. Source: "thread start + first malloc + exit: <= 1.1 of glibc's time". The
 * test cycle_instructions.py judges instructions; compare.py compares times of interleaved runs, by
 * processor time: threads and main take turns, so it is what passes less the waiting to be woken,
 * which both allocators share; cycle_calls.py counts the system calls of the same runs.
 *
 * Usage: thread_cycle [threads=2000] [use=none|one|many]
 *   none: no call of the allocator in the thread
 *   one:  a block of 100 bytes
 *   many: 100 blocks of several sizes, enough for a heap of its own
 */
#include "check.h"
#include "common.h"
#include "giveback/measure.h"
#include "names.h"

#include <pthread.h>
#include <string.h>

enum { blocks_of_many = 100, warm_up_threads = 50 };

static void *use_none(void *argument)
{
    return argument;
}

static void *use_one(void *argument)
{
    char *block = api_malloc(100);
    CHECK(block, "no 100 bytes");
    block[0] = 1;
    api_free(block);
    return argument;
}

static void *use_many(void *argument)
{
    char *blocks[blocks_of_many];
    for (size_t i = 0; i < blocks_of_many; i++) {
        blocks[i] = api_malloc(16 + i * 37 % 500);
        CHECK(blocks[i], "no block");
        blocks[i][0] = 1;
    }
    for (size_t i = 0; i < blocks_of_many; i++)
        api_free(blocks[i]);
    return argument;
}

static void run_threads(size_t threads, void *(*body)(void *))
{
    for (size_t i = 0; i < threads; i++) {
        pthread_t thread;
        int code = pthread_create(&thread, NULL, body, NULL);
        CHECK(code == 0, "pthread_create number %zu returned %d", i, code);
        pthread_join(thread, NULL);
    }
}

int main(int count, char **arguments)
{
    static const char *const names[] = {"threads", "use", NULL};
    options_check(count, arguments, names);
    size_t threads = option_number(count, arguments, "threads", 2000);
    const char *use = option(count, arguments, "use", "one");
    CHECK(strcmp(use, "none") == 0 || strcmp(use, "one") == 0 || strcmp(use, "many") == 0,
          "use=%s is not known", use);
    CHECK(threads > 0, "no threads");
    void *(*body)(void *) = use[0] == 'n' ? use_none : use[0] == 'o' ? use_one : use_many;
    run_threads(warm_up_threads, body);
    uint64_t start = measure_now_ns(), start_cpu = measure_cpu_ns();
    run_threads(threads, body);
    report("ns_per_thread", (double)(measure_now_ns() - start) / (double)threads);
    report("cpu_ns_per_thread", (double)(measure_cpu_ns() - start_cpu) / (double)threads);
    return judged();
}
