/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* environ */
/*
 * What happens at the start of the process and around fork. The first allocator call may come
 * before the constructor, so that initialises nothing that is needed to allocate. (What is written
 * at the end: tools/stats_report.c.)
 */
#include "base/report.h"
#include "heap/heap.h"
#include "heap/user.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <unistd.h>

/* For malloc.c, which pulls this file in. */
extern const char pm_process_linked PM_HIDDEN;
const char pm_process_linked = 1;

bool pm_check(void)
{
    return pm_heap_check() && pm_user_check() && pm_arena_check();
}

/* As early as can be (the shared library is linked -z initfirst): prepare handlers run in the
 * reverse order of their registration, so that ours, which takes the locks, comes after those of
 * everybody who may still allocate. No lock of ours is held here: the C library may allocate. */
static __attribute__((constructor(101))) void process_start(int count, char **arguments,
                                                            char **environment)
{
    (void)count;
    (void)arguments;
    if (environ == NULL) /* glibc: its own start-up comes later, but it passes these to us */
        environ = environment;
    pm_heap_process_init();
    if (pthread_atfork(pm_heap_fork_prepare, pm_heap_fork_parent, pm_heap_fork_child) != 0)
        pm_warn("no memory for fork handlers: a fork with threads running may hang");
}
