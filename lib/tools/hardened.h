/* SPDX-License-Identifier: MIT */
/*
 * Mode `hardened`: all calls are served by hardened heaps (heap/harden.h), at most PM_HARDEN_HEAPS,
 * which the threads share. The plain fast paths, which know of no codes, serve nobody but a signal
 * handler that interrupts a function here, and the C library while a thread gets its first memory.
 * Such plain blocks lie in pools of thread heaps, hardened ones never do: their address tells.
 * docs/hardened.md says what is promised.
 */
#ifndef PM_TOOLS_HARDENED_H
#define PM_TOOLS_HARDENED_H

#include "heap/watch.h"

/* Once, at start, before the first block: as the options say. */
void pm_hardened_init(void);
extern const struct pm_watch pm_hardened_watch;

#endif
