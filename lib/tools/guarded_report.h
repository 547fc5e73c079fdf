/* SPDX-License-Identifier: MIT */
/*
 * What is said of guarded blocks, a named function each: a line that says what is wrong, then who
 * called, who freed the block and who made it, with their stacks. Nothing is allocated, no lock of
 * ours is taken. docs/guarded.md has the messages. Any thread.
 */
#ifndef PM_TOOLS_GUARDED_REPORT_H
#define PM_TOOLS_GUARDED_REPORT_H

#include "os/os.h"
#include "tools/guarded_slots.h"

/* There is no live block at ptr, which lies in the slot or in a guard of it. */
_Noreturn void pm_guarded_fatal_no_block(const char *function, const void *ptr, size_t slot);
/* Something wrote beside the block, at `at` first. The caller has the slot BUSY, here and below. */
_Noreturn void pm_guarded_fatal_written(const char *function, const struct pm_guarded_slot *slot,
                                        const char *at);
/* Another size than was asked for, or an alignment that it does not have, was told. */
_Noreturn void pm_guarded_fatal_size(const char *function, const struct pm_guarded_slot *slot,
                                     size_t told);
_Noreturn void pm_guarded_fatal_alignment(const char *function, const struct pm_guarded_slot *slot,
                                          size_t told);

/* An access to the address trapped; `call`: who, and from where. In a signal handler, which may run
 * on a small stack: then frames are printed without the modules that they lie in. */
void pm_guarded_report_access(uintptr_t address, enum pm_os_access access,
                              const struct pm_guarded_call *call, bool small_stack);

#endif
