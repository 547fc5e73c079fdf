/* SPDX-License-Identifier: MIT */
/*
 * Allocations and threads before main and after it: in .preinit_array, in constructors of the
 * earliest and of the usual priority, in destructors and functions of atexit; with the shared
 * library also in constructors and destructors of libraries that come before and after it. Each
 * frees what an earlier one made. In the end no thread's heap is left but the main one's.
 */
#include "life.h"
#include "poolmalloc/poolmalloc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef EARLY_LIBS
#define EARLY_LIBS 0 /* linked to the two libraries of early_lib.c */
#endif

enum {
    thread_sets = 30,
};

static struct set *left_behind;
static pthread_t early_thread;
static unsigned stages, preinit_stages;
static _Atomic uint64_t thread_sets_made;

static void pass_stage(void)
{
    struct rng rng = rng_make(111, stages);
    if (left_behind)
        set_free(left_behind);
    use_heap(&rng, 2);
    left_behind = set_make(&rng, (unsigned char)++stages);
}

static void *allocate_in_thread(void *argument)
{
    struct rng rng = rng_make(112, 0);
    for (unsigned i = 0; i < thread_sets; i++) {
        use_heap(&rng, 1);
        atomic_fetch_add(&thread_sets_made, 1);
    }
    return argument;
}

static void before_everything(void)
{
    pass_stage();
    preinit_stages = 1;
}

/* glibc runs it before all constructors but that of the shared library; musl never. */
__attribute__((section(".preinit_array"),
               used)) static void (*const first)(void) = before_everything;

static __attribute__((constructor(102))) void earliest(void)
{
    guard_against_hangs();
    pass_stage();
    early_thread = start_thread(allocate_in_thread, NULL);
}

static __attribute__((constructor)) void usual(void)
{
    pass_stage();
}

static __attribute__((destructor)) void usual_end(void)
{
    pass_stage();
    join_thread(start_thread(allocate_in_thread, NULL));
}

static __attribute__((destructor(102))) void last_end(void)
{
    pass_stage();
    set_free(left_behind);
    struct pm_stats stats;
    CHECK(stages == 6 + preinit_stages, "%u stages were passed", stages);
    CHECK(pm_stats_get(&stats), "no statistics");
#if !EARLY_LIBS /* there the threads of the libraries live on */
    CHECK(stats.heaps_in_use == 1, "%llu heaps are in use", (unsigned long long)stats.heaps_in_use);
#endif
    CHECK(atomic_load(&thread_sets_made) == 2 * thread_sets, "a thread ended early");
    CHECK(pm_check(), "the structures are damaged");
    puts("allocated and freed before main, in it and after it");
}

#if EARLY_LIBS
struct set *first_take_set(void);
struct set *last_take_set(void);

static void free_sets_of_libraries(void)
{
    for (int i = 0; i < 50; i++) {
        struct set *one = first_take_set(), *other = last_take_set();
        if (one)
            set_free(one);
        if (other)
            set_free(other);
    }
}
#else
static void free_sets_of_libraries(void) {}
#endif

int main(void)
{
    int code = atexit(pass_stage);
    CHECK(code == 0, "atexit failed");
    pass_stage();
    join_thread(early_thread);
    free_sets_of_libraries();
    return 0;
}
