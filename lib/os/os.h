/* SPDX-License-Identifier: MIT */
/*
 * What the allocator asks of the operating system: the contract that each os_<platform>.c keeps.
 * Every function may be called from any thread, allocates nothing and preserves errno; those that
 * return bool or a pointer say by false or NULL that the system refused. What memory is asked for,
 * changed or given back is whole pages: systems round up, and so would change what lies behind.
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
/* The pages and what the system set aside for them go back; the memory is reserved, as it was
 * before pm_os_commit. False: nothing happened. */
bool pm_os_decommit(void *start, size_t bytes);
/* Whether the system charges committed memory, touched or not, against a limit, so that purged
 * memory should be decommitted. Read once. */
bool pm_os_charges_commit(void);
/* Moves the pages of [from, from + bytes) to the committed memory at `to`, whose own are dropped;
 * `from` stays committed and reads as zero. Whole arenas. How many bytes were moved, from the start
 * on, 0 where the system cannot; the rest is as it was. *lost: behind the moved bytes the system
 * dropped memory of `to` and cannot give it again; it must never be touched. */
size_t pm_os_move_pages(void *to, void *from, size_t bytes, bool *lost);
/* Gives address space back. */
void pm_os_release(void *start, size_t bytes);

/* Huge pages: what the system does with memory that nobody gave advice about, and advice. */
enum pm_huge { PM_HUGE_NEVER, PM_HUGE_ON_ADVICE, PM_HUGE_ALWAYS };
enum pm_huge pm_os_huge_policy(void);
bool pm_os_advise_huge(void *start, size_t bytes, bool huge);

/* Appends to a file, or writes to "stderr" or "stdout". */
bool pm_os_append_file(const char *path, const char *text, size_t bytes);

/* The calls that the system may refuse, for the double below. */
enum pm_os_call {
    PM_OS_RESERVE,
    PM_OS_MAKE_READABLE,
    PM_OS_COMMIT,
    PM_OS_PURGE,
    PM_OS_DECOMMIT,
    PM_OS_MOVE,    /* of pages */
    PM_OS_ADVISE,  /* about huge pages */
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

/*
 * The machine that the double pretends to be, from the environment: pages of so many bytes (more
 * than the system's own), addresses below 2^bits.
 *
 *   POOLMALLOC_OS_DOUBLE=page_bytes=65536,address_bits=39
 *
 * What is not named, or does not fit the system, is the system's. Tests may set it, too, before the
 * first call; 0: the system's.
 */
void pm_os_double_set_machine(size_t page_bytes, unsigned address_bits);
/* The next reservation lies there, and is no memory. */
void pm_os_double_set_place(uintptr_t address);
/* For the platform file. */
size_t pm_os_double_page_bytes(size_t real_page_bytes);
/* Ends the process with a message if these are not whole pages. */
void pm_os_double_check_pages(const void *start, size_t bytes);
/* Where to reserve, the next lower place with each call; PM_OS_ANYWHERE: where the system likes;
 * PM_OS_NOWHERE: there is no room. */
#define PM_OS_ANYWHERE ((uintptr_t)0)
#define PM_OS_NOWHERE UINTPTR_MAX
uintptr_t pm_os_double_place(size_t bytes);
/* Whether this is the place set above; once. */
bool pm_os_double_is_set_place(uintptr_t place);
#else
static inline bool pm_os_fault_now(enum pm_os_call call)
{
    (void)call;
    return false;
}

static inline size_t pm_os_double_page_bytes(size_t real_page_bytes)
{
    return real_page_bytes;
}

static inline void pm_os_double_check_pages(const void *start, size_t bytes)
{
    (void)start, (void)bytes;
}
#endif

#endif
