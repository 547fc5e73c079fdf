/* SPDX-License-Identifier: MIT */
/*
 * Trap 9: a signal handler that allocates while a thread's heap is being set up must not see a heap
 * half built, nor make a second one that is lost. (In a handler that interrupts an allocator call
 * at any other place malloc is undefined.) Stands for: profilers and crash handlers that allocate.
 *
 * The one call to the outside during set-up is pthread_setspecific: this program stands before it
 * and raises the signal there, before and after. Besides, a storm of signals, bounded by their
 * number, hits threads that are between their first calls. Usage: handler [threads [signals]]
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"

#include <dlfcn.h>
#include <poolmalloc/poolmalloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { handler_blocks = 50, own_blocks = 60, lives = 20, pause_steps = 20000, alarm_seconds = 100 };

static __thread volatile sig_atomic_t inside, raising;
static atomic_uint in_set_up, in_storm;

static void fill_and_free(int count)
{
    char *blocks[handler_blocks];
    for (int i = 0; i < count; i++) {
        blocks[i] = api_malloc(24 + (size_t)i * 8);
        CHECK(blocks[i], "the handler got nothing");
        memset(blocks[i], i, 24 + (size_t)i * 8);
    }
    for (int i = 0; i < count; i++) {
        CHECK(blocks[i][23] == (char)i, "the handler's block %d is not its own", i);
        api_free(blocks[i]);
    }
}

static void on_signal(int number)
{
    (void)number;
    if (inside && !raising)
        return; /* it interrupted an allocator call: not allowed */
    sig_atomic_t was = raising;
    raising = 0;
    inside = 1;
    fill_and_free(handler_blocks);
    inside = was;
    raising = was;
    atomic_fetch_add_explicit(was ? &in_set_up : &in_storm, 1, memory_order_relaxed);
}

static void signal_in_set_up(void)
{
    if (!inside || raising)
        return;
    raising = 1;
    raise(SIGUSR1);
    raising = 0;
}

/* In the place of the C library's. */
int pthread_setspecific(pthread_key_t key, const void *value)
{
    static int (*_Atomic real)(pthread_key_t, const void *);
    if (atomic_load(&real) == NULL)
        atomic_store(&real, (int (*)(pthread_key_t, const void *))dlsym(RTLD_NEXT, __func__));
    signal_in_set_up();
    int code = atomic_load(&real)(key, value);
    signal_in_set_up();
    return code;
}

static void *allocate(void *argument)
{
    char *blocks[own_blocks];
    (void)argument;
    for (int i = 0; i < own_blocks; i++) {
        inside = 1;
        blocks[i] = api_malloc(100);
        inside = 0;
        memset(blocks[i], i, 100);
    }
    for (int i = 0; i < own_blocks; i++) {
        CHECK(blocks[i][0] == (char)i && blocks[i][99] == (char)i, "block %d changed", i);
        inside = 1;
        api_free(blocks[i]);
        inside = 0;
    }
    return NULL;
}

static uint64_t heaps_in_use(void)
{
    struct pm_stats stats;
    pm_stats_get(&stats);
    return stats.heaps_in_use;
}

static void one_after_another(uint64_t threads)
{
    uint64_t used = heaps_in_use();
    for (uint64_t i = 0; i < threads; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, allocate, NULL) == 0, "pthread_create");
        pthread_join(thread, NULL);
        CHECK(heaps_in_use() == used, "heaps in use: %llu after a thread, %llu before",
              (unsigned long long)heaps_in_use(), (unsigned long long)used);
    }
    CHECK(atomic_load(&in_set_up) > 0, "no signal came during the set-up of a heap");
}

static atomic_bool done;

/* Lives, each a thread with a heap of its own, until the signals have been sent. */
static void *allocate_again(void *argument)
{
    while (!atomic_load_explicit(&done, memory_order_relaxed))
        allocate(argument);
    return NULL;
}

static void storm(uint64_t signals)
{
    uint64_t used = heaps_in_use();
    for (int life = 0; life < lives; life++) {
        pthread_t thread;
        atomic_store(&done, false);
        CHECK(pthread_create(&thread, NULL, allocate_again, NULL) == 0, "pthread_create");
        for (uint64_t i = 0; i < signals / lives; i++) {
            pthread_kill(thread, SIGUSR1);
            for (volatile int pause = 0; pause < pause_steps; pause++)
                continue; /* the next one shall not come on top of it */
        }
        atomic_store(&done, true);
        pthread_join(thread, NULL);
    }
    CHECK(heaps_in_use() == used, "heaps in use: %llu after the storm, %llu before",
          (unsigned long long)heaps_in_use(), (unsigned long long)used);
    CHECK(atomic_load(&in_storm) > 0, "no signal came between two calls");
}

int main(int count, char **arguments)
{
    uint64_t threads = parse_number("the number of threads", count > 1 ? arguments[1] : "500");
    uint64_t signals = parse_number("the number of signals", count > 2 ? arguments[2] : "4000");
    alarm_guard(alarm_seconds);
    api_free(api_malloc(1));
    CHECK(signal(SIGUSR1, on_signal) != SIG_ERR, "signal");
    one_after_another(threads);
    storm(signals);
    CHECK(pm_check(), "the structures are not sound");
    printf("handlers allocated: %u times during a heap's set-up, %u times between two calls\n",
           atomic_load(&in_set_up), atomic_load(&in_storm));
    return 0;
}
