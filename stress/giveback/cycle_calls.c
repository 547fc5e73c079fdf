/* SPDX-License-Identifier: MIT */
/*
 * A thread that comes after another gets its heap, pools and tables without a system call. Stands
 * for: servers with a thread per request. The calls are those that the allocator's os layer makes,
 * counted by the double of it that tests use (lib/os/os_fault.c): from the tenth thread to the last
 * there must be none.
 * Usage: cycle_calls [threads=10000]
 */
#include "check.h"
#include "common.h"
#include "giveback/measure.h"
#include "names.h"
#include "os/os.h"

#include <pthread.h>

enum { warm_up_threads = 10, blocks_max = 100 };

/* A block, or so many that the thread gets a heap of its own. */
static void *use_heap(void *argument)
{
    size_t blocks = *(const size_t *)argument;
    char *held[blocks_max];
    for (size_t i = 0; i < blocks; i++) {
        held[i] = api_malloc(16 + i * 37 % 500);
        CHECK(held[i], "no block");
        held[i][0] = 1;
    }
    for (size_t i = 0; i < blocks; i++)
        api_free(held[i]);
    return NULL;
}

static void run_threads(size_t threads, size_t blocks)
{
    for (size_t i = 0; i < threads; i++) {
        pthread_t thread;
        int code = pthread_create(&thread, NULL, use_heap, &blocks);
        CHECK(code == 0, "pthread_create number %zu returned %d", i, code);
        pthread_join(thread, NULL);
    }
}

static void judge_calls(const char *figure, size_t threads, size_t blocks)
{
    run_threads(warm_up_threads, blocks);
    CHECK(pm_os_fault_calls() > 0, "the os layer counted no calls at all");
    unsigned before = pm_os_fault_calls();
    run_threads(threads - warm_up_threads, blocks);
    judge(figure, pm_os_fault_calls() - before, 0);
}

int main(int count, char **arguments)
{
    static const char *const names[] = {"threads", NULL};
    options_check(count, arguments, names);
    size_t threads = option_number(count, arguments, "threads", 10000);
    CHECK(threads > warm_up_threads, "more than %d threads", warm_up_threads);
    judge_calls("system_calls_one_block", threads, 1);
    judge_calls("system_calls_100_blocks", threads, blocks_max);
    return judged();
}
