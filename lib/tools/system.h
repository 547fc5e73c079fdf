/* SPDX-License-Identifier: MIT */
/*
 * The C library's malloc, for the modes `malloc` and `malloc_debug`. glibc exports it under names
 * that nobody replaces (__libc_malloc and its like), which weak references find from the first call
 * on: dlsym may allocate and is not safe so early. musl does not, nor does a static program: there
 * it cannot be reached, and the pools serve.
 *
 * The one function without such a name is malloc_usable_size: dlsym finds it when it is asked for
 * the first time, or a constructor here has run.
 */
#ifndef PM_TOOLS_SYSTEM_H
#define PM_TOOLS_SYSTEM_H

#include "heap/watch.h"
#include "tools/debug.h"

/* Whether it can be reached. */
bool pm_system_is_there(void);

/* No hooks. Blocks of ours, and user heaps, stay ours. */
extern const struct pm_watch pm_system_watch;
/* For the debug hooks. */
extern const struct pm_debug_below pm_system_below;

#endif
