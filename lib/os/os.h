/* SPDX-License-Identifier: MIT */
/*
 * What the allocator asks of the operating system: the contract that each os_<platform>.c keeps.
 * Every function may be called from any thread, allocates nothing and preserves errno; those that
 * return bool or a pointer say by false or NULL that the system refused.
 */
#ifndef PM_OS_OS_H
#define PM_OS_OS_H

#include "base/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Registers the sleeping primitives with the locks. Called once, before a second thread waits. */
void pm_os_init(void);

size_t pm_os_page_bytes(void);
size_t pm_os_ram_bytes(void);
/* The limit on the address space of the process, SIZE_MAX when there is none. */
size_t pm_os_address_limit_bytes(void);
/* Monotonic, cheap, as exact as a timer tick. */
uint64_t pm_os_now_ns(void);
unsigned pm_os_process_id(void);

/* Address space without memory, aligned to `align` (a power of two). An access traps. */
void *pm_os_reserve(size_t bytes, size_t align);
/* Reserved memory becomes readable, and reads as zero; it is charged against no limit. */
bool pm_os_make_readable(void *start, size_t bytes);
/* Reserved memory becomes usable. What was never committed before reads as zero. */
bool pm_os_commit(void *start, size_t bytes);
/* The pages go back to the system. True: they read as zero now. */
bool pm_os_purge(void *start, size_t bytes);
/* Gives address space back. */
void pm_os_release(void *start, size_t bytes);

/* Appends to a file, or writes to "stderr" or "stdout". */
bool pm_os_append_file(const char *path, const char *text, size_t bytes);

/* The calls that the system may refuse, for the double below. */
enum pm_os_call {
    PM_OS_RESERVE,
    PM_OS_MAKE_READABLE,
    PM_OS_COMMIT,
    PM_OS_PURGE,
    PM_OS_RELEASE, /* the caller is not told: the address space stays reserved */
    PM_OS_CALLS
};

#if PM_OS_FAULT
/* The double: of the calls whose kind is in `kinds` (a bit for each pm_os_call), number `nth` (from
 * 1) fails, and all later ones too when `for_good`; other calls are neither counted nor refused.
 * nth 0 switches it off. Each setting starts the count anew. */
void pm_os_fault_set_kinds(unsigned kinds, unsigned nth, bool for_good);
/* The same for reserve, make_readable, commit and purge. */
void pm_os_fault_set(unsigned nth, bool for_good);
/* Calls counted since. */
unsigned pm_os_fault_calls(void);
/* For the platform file: whether this call shall fail. */
bool pm_os_fault_now(enum pm_os_call call);
#else
static inline bool pm_os_fault_now(enum pm_os_call call)
{
    (void)call;
    return false;
}
#endif

#endif
