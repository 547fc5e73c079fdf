/* SPDX-License-Identifier: MIT */
/*
 * Run-time options: POOLMALLOC_OPTIONS="name=value,name=value", read once at process start without
 * allocating. Sizes take k, m, g or t. Set-user-id programs ignore the variable.
 * The table below is the only list; texts for users come from its doc strings.
 */
#ifndef PM_BASE_OPTIONS_H
#define PM_BASE_OPTIONS_H

#include "base/config.h"
#include "base/schedule.h"

#include <stdbool.h>
#include <stddef.h>

#define PM_OPTION_TEXT_BYTES 256
#define PM_OPTION_CHOICE_BYTES 16

/* X(kind, name, default, doc). The doc of a CHOICE starts with the texts that can be chosen. */
#define PM_OPTIONS(X)                                                                              \
    X(BYTES, window_bytes, PM_WINDOW_DEFAULT_BYTES,                                                \
      "address space reserved for arenas; 0: four times the machine's memory, at least 64g")       \
    X(BYTES, keep_bytes, PM_KEEP_BYTES_DEFAULT,                                                    \
      "free memory kept resident, besides an eighth of what is in use and what demand justifies")  \
    X(BYTES, heap_keep_bytes, PM_HEAP_KEEP_BYTES_DEFAULT, "empty pools kept by each thread heap")  \
    X(BYTES, heaps_keep_bytes, PM_HEAPS_KEEP_BYTES_DEFAULT,                                        \
      "empty pools kept by all thread heaps together")                                             \
    X(NUMBER, purge_delay_ms, PM_PURGE_DELAY_MS_DEFAULT,                                           \
      "free memory goes back to the system when it was not touched for so long")                   \
    X(CHOICE, huge_pages, "default",                                                               \
      "default|never|always: advice to the system about huge pages; default: none, but that "      \
      "arenas given back in part get no new ones")                                                 \
    X(TEXT, stats_at_exit, "",                                                                     \
      "append statistics at exit to this file; stderr and stdout are known")

struct pm_options {
#define PM_OPTION_FIELD_BYTES(name) size_t name;
#define PM_OPTION_FIELD_NUMBER(name) size_t name;
#define PM_OPTION_FIELD_CHOICE(name) char name[PM_OPTION_CHOICE_BYTES];
#define PM_OPTION_FIELD_TEXT(name) char name[PM_OPTION_TEXT_BYTES];
#define PM_OPTION_FIELD(kind, name, initial, doc) PM_OPTION_FIELD_##kind(name)
    PM_OPTIONS(PM_OPTION_FIELD)
#undef PM_OPTION_FIELD
};

/* Written by pm_options_init() before any other thread allocates, constant afterwards, but for
 * keep_bytes and purge_delay_ms: those are read and written by the two functions below. */
extern struct pm_options pm_options;

/* Relaxed: a number that orders nothing; who reads an older one is as if it came before. */
static inline size_t pm_option_now(const size_t *field)
{
    pm_schedule_point();
    return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static inline void pm_option_change(size_t *field, size_t value)
{
    pm_schedule_point();
    __atomic_store_n(field, value, __ATOMIC_RELAXED);
}

/* Reads the environment. Warns of names and values that it does not understand, and ignores them.
 */
void pm_options_init(void);

/* Parses a list of settings into pm_options. False: something was not understood (and warned of);
 * the rest is in force. */
bool pm_options_parse(const char *text);

#endif
