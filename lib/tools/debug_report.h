/* SPDX-License-Identifier: MIT */
/*
 * Fatal reports of the debug hooks, a named function each: one line that says what is wrong, as
 * those of base/report.h do, then what the block's bytes say, then SIGABRT. Nothing is allocated,
 * no lock is taken; bytes are read only where the block has to be. docs/debug.md has the messages.
 */
#ifndef PM_TOOLS_DEBUG_REPORT_H
#define PM_TOOLS_DEBUG_REPORT_H

#include "tools/debug.h"

/* Made by another family than gives it back, or by none. */
_Noreturn void pm_debug_fatal_id(const char *function, const struct pm_debug_block *block,
                                 enum pm_maker verified);
/* What stands before the data was written to. */
_Noreturn void pm_debug_fatal_leading(const char *function, const struct pm_debug_block *block);
/* What stands behind it. */
_Noreturn void pm_debug_fatal_trailing(const char *function, const struct pm_debug_block *block);
/* Freed before, and in quarantine still, or not handed out again. */
_Noreturn void pm_debug_fatal_freed(const char *function, const struct pm_debug_block *block);
/* Written to, at `at` first, after it was freed. */
_Noreturn void pm_debug_fatal_dead(const struct pm_debug_block *block, const char *at);
/* A sized free told another size, or an alignment that the block does not have. */
_Noreturn void pm_debug_fatal_size(const char *function, const struct pm_debug_block *block,
                                   size_t told);
_Noreturn void pm_debug_fatal_alignment(const char *function, const struct pm_debug_block *block,
                                        size_t told);
/* Into a block, or before its data. */
_Noreturn void pm_debug_fatal_interior(const char *function, const void *ptr, char *start,
                                       size_t room_bytes);

#endif
