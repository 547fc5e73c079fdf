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
/* How many processors the process may run on; 1 where the system does not tell. A system call. */
unsigned pm_os_processors(void);
/* A number that nobody can guess, another at each call. Where the system has no source of such
 * numbers, it is made of what it gave the process at its start, and of the time. */
uint64_t pm_os_random(void);
/* Of the calling thread, without a system call. 0: the C library does not tell. */
unsigned pm_os_thread_id(void);
/* What the thread of this process is called now; what is not printable ASCII is '?'. Empty: the
 * thread is gone, or the system does not tell. Three system calls; also in signal handlers. */
#define PM_OS_THREAD_NAME_BYTES 16
void pm_os_thread_name(unsigned thread, char name[PM_OS_THREAD_NAME_BYTES]);

/* Address space without memory, aligned to `align` (a power of two). An access traps. */
void *pm_os_reserve(size_t bytes, size_t align);
/* Reserved memory becomes readable, and reads as zero; it is charged against no limit. */
bool pm_os_make_readable(void *start, size_t bytes);
/* Reserved memory becomes usable. What was never committed before reads as zero. */
bool pm_os_commit(void *start, size_t bytes);
/* Committed memory keeps what it holds, and an access traps until it is committed again. */
bool pm_os_forbid(void *start, size_t bytes);
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

/* Memory that was reserved gets a name in /proc/PID/maps; it is, or is not, part of a core dump;
 * its pages come from all memory nodes in turn, or from the nodes first..last only. No more than
 * advice: false, or for nodes an errno value, where the system does not take it. */
bool pm_os_name(void *start, size_t bytes, const char *name);
bool pm_os_dump(void *start, size_t bytes, bool wanted);
int pm_os_interleave(void *start, size_t bytes);
int pm_os_bind(void *start, size_t bytes, unsigned first, unsigned last);

/* The same, as far as the options ask for it; and no huge pages where they say never. Of memory
 * just reserved, or decommitted. */
enum pm_os_part { PM_OS_TABLES, PM_OS_ARENAS, PM_OS_HEAPS };
void pm_os_describe(void *start, size_t bytes, enum pm_os_part part);
/* Of memory of arenas that is about to be used. */
void pm_os_describe_used(void *start, size_t bytes);

/* Reads a file of settings as a whole. Only a regular file that nobody but its owner may write to
 * is read. A program with more rights than its caller finds none. */
enum pm_os_settings {
    PM_OS_SETTINGS_READ,
    PM_OS_SETTINGS_NONE, /* not there, or not to be read by this process */
    PM_OS_SETTINGS_NO_FILE,
    PM_OS_SETTINGS_UNSAFE,
    PM_OS_SETTINGS_LARGE, /* larger than the room */
};
enum pm_os_settings pm_os_read_settings(const char *path, char *text, size_t room, size_t *length);

/* Reads the options (base/options.h): the file of settings, then the environment. The first call
 * does it. Under the lock of start-up. */
#define PM_OS_SETTINGS_PATH "/etc/poolmalloc.conf"
#define PM_OS_SETTINGS_BYTES 4096
void pm_os_options_init(void);

/* Opens a file to append to, which is made if need be; "stderr" and "stdout" are known. Below 0: it
 * cannot be. pm_os_close leaves those two open. These, and pm_os_write, which writes all or returns
 * false, may be called in signal handlers, and are no cancellation points. */
#define PM_OS_STDERR 2
int pm_os_open_append(const char *path);
/* The same of a file that is written anew, from its start. */
int pm_os_open_anew(const char *path);
bool pm_os_write(int file, const char *text, size_t bytes);
void pm_os_close(int file);

/* The same for who has to say why: the errno value, 0 for success; of the first two, what is below
 * 0 is one with its sign changed. pm_os_read gives how many bytes it read, 0 at the end. */
int pm_os_open_read(const char *path);
long pm_os_read(int file, char *text, size_t room);
int pm_os_try_write(int file, const char *text, size_t bytes);

/* Of the program that runs, with a final 0; its length, 0: the system does not tell, or it does not
 * fit. And what time it is, in seconds since 1970. Both also in signal handlers. */
size_t pm_os_program_path(char *path, size_t room);
uint64_t pm_os_time_s(void);

/* What a signal handler interrupted, by its third argument: the instruction (0: not known), and
 * what that wanted of the memory which it was refused. */
enum pm_os_access { PM_OS_ACCESS_ANY, PM_OS_ACCESS_READ, PM_OS_ACCESS_WRITE };
struct pm_os_interrupted {
    uintptr_t instruction;
    enum pm_os_access access; /* ANY: not known */
};
struct pm_os_interrupted pm_os_interrupted(const void *context);

/* Memory that other processes can map: a file without a place, open in this process under that name
 * (/proc/PID/fd), closed by exec. Nobody can change its size, nor, where the system knows how to
 * forbid it, its contents but through this mapping. False: the system refuses. */
struct pm_os_shared {
    void *start;
    size_t bytes;
    int file;
    uint64_t device, inode; /* of the file, as the program may close what it did not open */
};
bool pm_os_share(const char *name, size_t bytes, struct pm_os_shared *shared);
/* Unmaps it, and closes the file if it is that still; other processes keep what they mapped. */
void pm_os_unshare(struct pm_os_shared *shared);

/* The least of the limits on memory that the control group of the process and those around it have,
 * in bytes: memory.high and memory.max, in version 1 memory.limit_in_bytes. SIZE_MAX: there is
 * none, or it cannot be read. Some system calls for each group. */
size_t pm_os_group_limit_bytes(void);

/* What is mapped in this process, in the order of addresses, as long as visit returns true. May be
 * called in signal handlers; visit must not map or unmap. False: the system does not tell. */
struct pm_os_mapping {
    uintptr_t start, end;
    uint64_t offset; /* of the file that `name` names */
    bool executable;
    const char *name; /* or "[stack]" and its like; empty: none; for this call alone */
};
bool pm_os_each_mapping(bool (*visit)(const struct pm_os_mapping *mapping, void *arg), void *arg);

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
    PM_OS_NAME,
    PM_OS_DUMP,
    PM_OS_NODES, /* which memory comes from */
    PM_OS_READ,  /* a file of settings */
    PM_OS_SHARE, /* memory with other processes */
    PM_OS_GROUP, /* opening a file that is about the control group */
    PM_OS_FORBID,
    PM_OS_RANDOM,
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
 *   POOLMALLOC_OS_DOUBLE=page_bytes=65536,address_bits=39,secure=1,settings=PATH
 *
 * secure: the program has more rights than its caller. settings, which comes last: where the file
 * of settings is. What is not named, or does not fit the system, is the system's. Tests may set
 * pages and addresses, too, before the first call; 0: the system's.
 */
void pm_os_double_set_machine(size_t page_bytes, unsigned address_bits);
/* The next reservation lies there, and is no memory. */
void pm_os_double_set_place(uintptr_t address);
/* For the platform file. */
size_t pm_os_double_page_bytes(size_t real_page_bytes);
const char *pm_os_double_settings_path(void);
bool pm_os_double_is_secure(void);
/* What stands before the paths of /proc and of control groups; tests set it. */
void pm_os_double_set_root(const char *path);
const char *pm_os_double_root(void);
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

static inline const char *pm_os_double_settings_path(void)
{
    return PM_OS_SETTINGS_PATH;
}

static inline bool pm_os_double_is_secure(void)
{
    return false;
}

static inline const char *pm_os_double_root(void)
{
    return "";
}

static inline void pm_os_double_check_pages(const void *start, size_t bytes)
{
    (void)start, (void)bytes;
}
#endif

#endif
