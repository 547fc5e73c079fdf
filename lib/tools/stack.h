/* SPDX-License-Identifier: MIT */
/*
 * Stacks: the return addresses that led to a call of this library, innermost first. Those inside
 * the shared library are left out; a program that is linked statically sees them.
 *
 * Two ways. Frame pointers are followed within the bounds of the thread's stack, and never beyond:
 * some nanoseconds a frame, and wrong where a function was compiled without (that one's caller is
 * missing, or all from there on). An unwinder knows all of them, for a microsecond or more; it is a
 * library of the system's, which is loaded when a service starts.
 *
 * Any thread. Nothing is allocated from our memory, no lock of ours is taken, errno stays.
 */
#ifndef PM_TOOLS_STACK_H
#define PM_TOOLS_STACK_H

#include "base/config.h"

#include <stdbool.h>
#include <stdint.h>

#define PM_STACK_FRAMES_MAX 128

/* Loads libunwind, else libgcc's unwinder. It may allocate and take the loader's lock: for
 * functions that start a service, or a constructor, never from inside malloc. Idempotent. */
void pm_stack_start(void);
bool pm_stack_has_unwinder(void);

/* At most `most` (up to PM_STACK_FRAMES_MAX) addresses; how many there were. By the unwinder if
 * there is one, else by frame pointers. */
unsigned pm_stack_take(uintptr_t *frames, unsigned most);
unsigned pm_stack_by_frames(uintptr_t *frames, unsigned most);
/* 0: there is none, or it must not be called now. */
unsigned pm_stack_by_unwinder(uintptr_t *frames, unsigned most);

/* A line for each on stderr: "    #0 0x55d0c0de1234 /usr/bin/server+0x1234", as addr2line takes
 * them. Safe in signal handlers. */
void pm_stack_report(const uintptr_t *frames, unsigned count);

#endif
