/* SPDX-License-Identifier: MIT */
/*
 * A thread that a fork stops while its destructors run leaves its heap frozen in the child, and
 * nobody gets or dissolves it there: it may have been stopped in the middle of a step. The danger
 * is real: glibc gives the vanished thread's stack to the next thread, with the values of those
 * keys that the destructors had not come to, the allocator's among them, and calls their
 * destructors for a thread that never set them. musl does not keep stacks.
 *
 * The key whose destructor waits for the fork is made from .preinit_array, before the allocator's,
 * so that its destructor runs first. Not with the shared library, whose constructor is earlier.
 */
#include "life.h"
#include "poolmalloc/poolmalloc.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
    own_heap_sets = 4, /* so much is allocated before a thread surely has a heap of its own */
    skip_status = 77,
};

static pthread_key_t first_key, last_key;
static bool registered;
static atomic_bool ending, forked;

static void wait_for_fork(void *value)
{
    (void)value;
    atomic_store_explicit(&ending, true, memory_order_release);
    while (!atomic_load_explicit(&forked, memory_order_acquire))
        sched_yield();
}

static void make_first_key(void)
{
    registered = pthread_key_create(&first_key, wait_for_fork) == 0;
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = make_first_key;

static void *use_heap_and_end(void *argument)
{
    struct rng rng = rng_make(51, 0);
    use_heap(&rng, own_heap_sets);
    pthread_setspecific(first_key, argument);
    return NULL;
}

/* Has no heap, but a value, without which glibc looks at no key at all. */
static void *only_set_a_key(void *argument)
{
    pthread_setspecific(last_key, argument);
    return NULL;
}

static uint64_t heaps_in_use(void)
{
    struct pm_stats stats;
    CHECK(pm_stats_get(&stats), "no statistics");
    return stats.heaps_in_use;
}

static _Noreturn void live_as_child(void)
{
    struct rng rng = rng_make(52, 0);
    guard_against_hangs();
    atomic_store_explicit(&forked, true, memory_order_release);
    uint64_t before = heaps_in_use();
    CHECK(before == 2, "%llu heaps, not those of two threads", (unsigned long long)before);
    join_thread(start_thread(only_set_a_key, &rng));
    CHECK(heaps_in_use() == 2, "the heap of a vanished thread was dissolved");
    join_thread(start_thread(use_heap_and_end, NULL));
    CHECK(heaps_in_use() == 2, "a thread took the heap of a vanished one");
    use_heap(&rng, 2);
    _exit(0);
}

int main(void)
{
    if (!registered) {
        printf("skipped: this C library does not run .preinit_array\n");
        return skip_status;
    }
    guard_against_hangs();
    struct rng rng = rng_make(53, 0);
    use_heap(&rng, own_heap_sets);
    pthread_key_create(&last_key, NULL);
    pthread_t thread = start_thread(use_heap_and_end, &rng);
    while (!atomic_load_explicit(&ending, memory_order_acquire))
        sched_yield();
    pid_t child = fork();
    CHECK(child >= 0, "fork failed");
    if (child == 0)
        live_as_child();
    atomic_store_explicit(&forked, true, memory_order_release);
    join_thread(thread);
    expect_exit(child, 0, "the child");
    CHECK(heaps_in_use() == 1, "the thread's heap did not come back in the parent");
    printf("the heap of a thread that fork stopped at its end stayed as it was\n");
    return 0;
}
