/* SPDX-License-Identifier: MIT */
/*
 * The C names of gperftools' MallocExtension that programs call, as its header malloc_extension_c.h
 * and its manual describe them, over this allocator; see jemalloc.h for why. Under those names
 * where PM_OVERRIDE says so; the pm_tc_ names are hidden, and for the tests. Any thread; none
 * allocates. docs/jemalloc-names.md has what each property answers here. tc_malloc, tc_free and
 * their like are aliases in malloc.c.
 */
#ifndef PM_API_TCMALLOC_H
#define PM_API_TCMALLOC_H

#include "base/bits.h"

#include <stddef.h>

enum pm_tc_ownership { PM_TC_UNKNOWN_OWNERSHIP, PM_TC_OWNED, PM_TC_NOT_OWNED };

/* Gives memory that is not in use back to the system, as pm_purge; the second may stop after
 * `bytes`, and does not. */
void pm_tc_release_free_memory(void) PM_HIDDEN;
void pm_tc_release_to_system(size_t bytes) PM_HIDDEN;
/* 1: *value is set; 0: there is no such property. */
int pm_tc_get_numeric_property(const char *property, size_t *value) PM_HIDDEN;
/* 0: none can be set. */
int pm_tc_set_numeric_property(const char *property, size_t value) PM_HIDDEN;
/* The report of malloc_stats_print, as much as fits, with its final 0. */
void pm_tc_get_stats(char *buffer, int bytes) PM_HIDDEN;
/* pm_thread_idle; a busy thread gets a heap when it allocates. */
void pm_tc_mark_thread_idle(void) PM_HIDDEN;
void pm_tc_mark_thread_busy(void) PM_HIDDEN;
/* What a block for so many bytes would hold; what that block holds, 0 for NULL. */
size_t pm_tc_get_estimated_allocated_size(size_t bytes) PM_HIDDEN;
size_t pm_tc_get_allocated_size(const void *ptr) PM_HIDDEN;
/* Whether that is memory of this allocator: pm_owns. */
enum pm_tc_ownership pm_tc_get_ownership(const void *ptr) PM_HIDDEN;
/* What the calling thread keeps is not counted by thread: 0. */
size_t pm_tc_get_thread_cache_size(void) PM_HIDDEN;
/* pm_check: 1, or 0 after a line on stderr. */
int pm_tc_verify_all_memory(void) PM_HIDDEN;

#endif
