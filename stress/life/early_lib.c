/* SPDX-License-Identifier: MIT */
/*
 * A library whose constructor allocates and starts a thread that allocates until the destructor
 * stops it, which allocates too. It calls malloc by its usual name and knows nothing of poolmalloc.
 * Built twice, as EARLY_LIB first and last, linked before and after poolmalloc. See early.c.
 */
#include "life.h"

#include <stdatomic.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#define VISIBLE __attribute__((visibility("default")))

VISIBLE struct set *JOIN(EARLY_LIB, _take_set)(void);

static struct set *_Atomic made;
static atomic_bool stopping;
static pthread_t thread;

struct set *JOIN(EARLY_LIB, _take_set)(void)
{
    return atomic_exchange(&made, NULL);
}

static void *allocate_all_the_time(void *argument)
{
    struct rng rng = rng_make(101, 0);
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        struct set *set = atomic_exchange(&made, set_make(&rng, 0x1b));
        if (set)
            set_free(set);
    }
    return argument;
}

static __attribute__((constructor)) void start(void)
{
    struct rng rng = rng_make(102, 0);
    use_heap(&rng, 2);
    thread = start_thread(allocate_all_the_time, NULL);
}

static __attribute__((destructor)) void stop(void)
{
    struct rng rng = rng_make(103, 0);
    atomic_store_explicit(&stopping, true, memory_order_relaxed);
    join_thread(thread);
    struct set *set = atomic_exchange(&made, NULL);
    if (set)
        set_free(set);
    use_heap(&rng, 2);
}
