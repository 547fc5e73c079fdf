/* SPDX-License-Identifier: MIT */
/*
 * The end of a process while its other threads go on allocating, in each of the ways that there
 * are. Functions of atexit and destructors allocate too, and free what the threads made. exit.sh
 * looks at what the program leaves: its status and, at an orderly end, the allocator's statistics.
 * Usage: ending exit|return|pthread_exit|quick_exit|_exit
 */
#include "life.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    busy_threads = 3,
    steps_before_end = 4,
    status_expected = 3,
};

static _Atomic uint64_t steps;
static _Atomic(struct set *) offered;
static atomic_bool last_thread_ends;

static void *allocate_all_the_time(void *argument)
{
    struct rng rng = rng_make(151, (uintptr_t)argument);
    while (!atomic_load_explicit(&last_thread_ends, memory_order_relaxed)) {
        struct set *set = atomic_exchange(&offered, set_make(&rng, 0x5e));
        if (set)
            set_free(set);
        atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);
    }
    return NULL;
}

static void allocate_and_free(void)
{
    struct rng rng = rng_make(152, 0);
    use_heap(&rng, 2);
    struct set *set = atomic_exchange(&offered, NULL);
    if (set)
        set_free(set);
}

static __attribute__((destructor)) void destroy(void)
{
    allocate_and_free();
}

static void wait_for_steps(void)
{
    while (atomic_load_explicit(&steps, memory_order_relaxed) < steps_before_end)
        sched_yield();
}

/* The main thread is gone: the last thread to end ends the process, with status 0. */
static void *wait_and_stop(void *argument)
{
    wait_for_steps();
    atomic_store_explicit(&last_thread_ends, true, memory_order_relaxed);
    return argument;
}

static void start_detached(void *(*run)(void *), uintptr_t argument)
{
    pthread_detach(start_thread(run, (void *)argument));
}

int main(int count, char **arguments)
{
    const char *way = count > 1 ? arguments[1] : "";
    guard_against_hangs();
    atexit(allocate_and_free);
    at_quick_exit(allocate_and_free);
    for (uintptr_t i = 0; i < busy_threads; i++)
        start_detached(allocate_all_the_time, i);
    wait_for_steps();
    if (strcmp(way, "exit") == 0)
        exit(status_expected);
    if (strcmp(way, "return") == 0)
        return status_expected;
    if (strcmp(way, "quick_exit") == 0)
        quick_exit(status_expected);
    if (strcmp(way, "_exit") == 0)
        _exit(status_expected);
    if (strcmp(way, "pthread_exit") == 0) {
        start_detached(wait_and_stop, 0);
        pthread_exit(NULL);
    }
    fprintf(stderr, "usage: ending exit|return|pthread_exit|quick_exit|_exit\n");
    return 2;
}
