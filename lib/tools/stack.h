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
#define PM_STACK_OWN_MAX 24 /* inside this library */

/* Loads libunwind, else libgcc's unwinder. It may allocate and take the loader's lock: for
 * functions that start a service, or a constructor, never from inside malloc. Idempotent. In a
 * constructor of the shared library only what the program has already is taken (programs in C++
 * have one), and the next call tries anew. */
void pm_stack_start(void);
bool pm_stack_has_unwinder(void);

/* At most `most` (up to PM_STACK_FRAMES_MAX) addresses; how many there were. By the unwinder if
 * there is one, else by frame pointers. */
unsigned pm_stack_take(uintptr_t *frames, unsigned most);
unsigned pm_stack_by_frames(uintptr_t *frames, unsigned most);
/* 0: there is none, or it must not be called now. */
unsigned pm_stack_by_unwinder(uintptr_t *frames, unsigned most);

/* As pm_stack_take, for who takes few stacks in each thread: libunwind keeps a cache for each,
 * which costs the thread's first stack some hundred page faults; libgcc's unwinder keeps nothing,
 * and takes longer for each frame. */
unsigned pm_stack_take_seldom(uintptr_t *frames, unsigned most);

/* Where on the stack the return addresses were found, those inside this library first. As long as
 * each of them stands there still, and the innermost frame is where it was, the stack is the same:
 * which call returns to where tells how large its frame is, and so where the next one starts. */
struct pm_stack_chain {
    unsigned count;
    bool whole; /* false: some place is not known */
    struct pm_stack_link {
        uintptr_t *place;
        uintptr_t word; /* what stands there: an address, perhaps signed */
    } links[PM_STACK_FRAMES_MAX + PM_STACK_OWN_MAX];
};
/* As those above, and the chain. The unwinder is that of exceptions, or no place is known. */
unsigned pm_stack_chain_by_frames(uintptr_t *frames, unsigned most, struct pm_stack_chain *chain);
unsigned pm_stack_chain_by_unwinder(uintptr_t *frames, unsigned most, struct pm_stack_chain *chain);

/* A line for each on stderr: "    #0 0x55d0c0de1234 /usr/bin/server+0x1234", as addr2line takes
 * them. Safe in signal handlers. */
void pm_stack_report(const uintptr_t *frames, unsigned count);
/* That of the caller, with a headline, as far as it can be taken: by whom an error was found. */
void pm_stack_report_here(void);

#endif
