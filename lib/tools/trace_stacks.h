/* SPDX-License-Identifier: MIT */
/*
 * Stacks that were seen, each once: a record of the return addresses, which is never changed nor
 * dropped, so that whoever has its number may read it at any time, without a lock. Any thread, also
 * in a signal handler that interrupted a function here.
 */
#ifndef PM_TOOLS_TRACE_STACKS_H
#define PM_TOOLS_TRACE_STACKS_H

#include "tools/trace_room.h"

struct pm_trace_stack {
    uint32_t next; /* number of the next in the bucket; 0: none */
    uint32_t hash;
    uint32_t count;
    _Atomic bool
        agreed; /* frame pointers and the unwinder gave the same; relaxed: orders nothing */
    uintptr_t frames[];
};

#define PM_STACK_NUMBER_BITS 28 /* records start at multiples of 16 bytes */

/* Once, before anything else here. False: out of memory. */
bool pm_trace_stacks_start(void);
/* The number of the record of such a stack, which is made if need be; 0: out of memory. */
uint32_t pm_trace_intern(const uintptr_t *frames, unsigned count);
/* 0: there is none. */
uint32_t pm_trace_find_stack(const uintptr_t *frames, unsigned count);
struct pm_trace_stack *pm_trace_stack(uint32_t number);
/* Room of the same kind, at a multiple of 16 bytes, for ever; zero. 0: out of memory. */
uint32_t pm_trace_take(size_t bytes);
void *pm_trace_taken(uint32_t number);

#endif
