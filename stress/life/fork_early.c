/* SPDX-License-Identifier: MIT */
/*
 * fork handlers of a program may allocate, and a constructor may start threads and fork: the
 * allocator's handlers are registered before anybody else's, so that they are the last to prepare
 * and the first afterwards. Stands for: libraries that guard themselves with pthread_atfork.
 * Source: "the handlers registered before another thread can hold a lock" (traps). With handlers
 * registered later, those here would allocate while the allocator's locks are held.
 * Usage: fork_early [forks]
 */
#include "life.h"
#include "poolmalloc/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
    busy_threads = 2,
    constructor_forks = 10,
};

static atomic_bool stopping;
static unsigned prepared, parents, children;
static struct set *prepared_set;

static void allocate(void)
{
    struct rng rng = rng_make(41, prepared);
    struct pm_stats stats;
    use_heap(&rng, 1);
    CHECK(pm_stats_get(&stats), "no statistics in a fork handler");
    pm_heap_destroy(pm_heap_new(0)); /* under the lock of the shells of heaps */
}

static void on_prepare(void)
{
    struct rng rng = rng_make(42, prepared);
    prepared++;
    allocate();
    prepared_set = set_make(&rng, 0xf0);
}

static void on_parent(void)
{
    parents++;
    set_free(prepared_set);
    allocate();
}

static void on_child(void)
{
    children++;
    guard_against_hangs();
    set_free(prepared_set);
    allocate();
}

static void *allocate_all_the_time(void *argument)
{
    struct rng rng = rng_make(43, (uintptr_t)argument);
    while (!atomic_load_explicit(&stopping, memory_order_relaxed))
        use_heap(&rng, 2);
    return NULL;
}

static void fork_often(uint64_t forks)
{
    pthread_t threads[busy_threads];
    atomic_store_explicit(&stopping, false, memory_order_relaxed);
    for (uintptr_t i = 0; i < busy_threads; i++)
        threads[i] = start_thread(allocate_all_the_time, (void *)i);
    for (uint64_t i = 0; i < forks; i++) {
        unsigned before = prepared;
        pid_t child = fork();
        CHECK(child >= 0, "fork failed");
        if (child == 0) {
            allocate();
            _exit(children == 1 && prepared == before + 1 ? 0 : 1);
        }
        expect_exit(child, 0, "a child");
        CHECK(prepared == before + 1 && parents == prepared, "handlers did not run");
    }
    atomic_store_explicit(&stopping, true, memory_order_relaxed);
    for (unsigned i = 0; i < busy_threads; i++)
        join_thread(threads[i]);
}

/* The earliest of a program: 100 and below are the compiler's. */
static __attribute__((constructor(102))) void fork_from_constructor(void)
{
    guard_against_hangs();
    int code = pthread_atfork(on_prepare, on_parent, on_child);
    CHECK(code == 0, "pthread_atfork returned %d", code);
    fork_often(constructor_forks);
}

int main(int count, char **arguments)
{
    uint64_t forks = parse_number("the number of forks", count > 1 ? arguments[1] : "20");
    fork_often(forks);
    printf("%u forks with handlers that allocate, %d of them in a constructor\n", prepared,
           constructor_forks);
    return 0;
}
