/* SPDX-License-Identifier: MIT */
/*
 * Fatal reports of mode hardened: one line that says what is wrong, the stack of the call that
 * found it where an unwinder is loaded, then SIGABRT. Nothing is allocated but by the unwinder, no
 * lock is taken. Any thread, without the lock of a heap. docs/hardened.md has the messages.
 */
#ifndef PM_TOOLS_HARDENED_REPORT_H
#define PM_TOOLS_HARDENED_REPORT_H

#include "heap/harden.h"

/* What the heaps found: pm_harden.fatal. */
_Noreturn void pm_hardened_fatal(const struct pm_harden_report *report);
/* A sized free told another size, or an alignment that the block does not have. */
_Noreturn void pm_hardened_fatal_size(const char *function, const void *ptr, size_t told,
                                      size_t asked);
_Noreturn void pm_hardened_fatal_alignment(const char *function, const void *ptr, size_t told);

#endif
