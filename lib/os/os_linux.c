/* SPDX-License-Identifier: MIT */
/* The os layer on Linux, glibc and musl: see os.h. */
#define _GNU_SOURCE /* madvise, syscall */
#include "base/atomic.h"
#include "base/lock.h"
#include "base/probe.h"
#include "base/schedule.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* Linux 5.7 */
#endif

/* The kernel's numbers; its header is not on musl's path. */
enum { FUTEX_WAIT_PRIVATE = 0 | 128, FUTEX_WAKE_PRIVATE = 1 | 128 };

/* Not for ever: the thread that was woken, or one that has yet to wake us, may be in a signal
 * handler meanwhile, and wait there for what we hold (heap/fork.c). */
enum { LONGEST_SLEEP_NS = 5000000 };

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    int saved_errno = errno;
    struct timespec longest = {.tv_nsec = LONGEST_SLEEP_NS};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &longest, NULL, 0);
    errno = saved_errno;
}

static void futex_wake(_Atomic uint32_t *word)
{
    int saved_errno = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved_errno;
}

#if PM_SCHEDULE
static void nap(uint64_t ns)
{
    struct timespec time = {.tv_nsec = (long)ns};
    nanosleep(&time, NULL); /* the caller keeps errno */
}
#endif

void pm_os_init(void)
{
#if PM_SCHEDULE
    pm_schedule_start(nap);
#endif
    pm_lock_set_waiter(futex_wait, futex_wake);
}

size_t pm_os_page_bytes(void)
{
    /* getauxval neither allocates nor opens a file, as sysconf may. Relaxed: all write the same. */
    static _Atomic size_t page_bytes;
    size_t bytes = pm_load_relaxed(&page_bytes);
    if (bytes == 0) {
        bytes = getauxval(AT_PAGESZ);
        bytes = pm_os_double_page_bytes(bytes);
        pm_store_relaxed(&page_bytes, bytes);
    }
    return bytes;
}

size_t pm_os_ram_bytes(void)
{
    int saved_errno = errno;
    struct sysinfo info;
    size_t bytes = sysinfo(&info) == 0 ? (size_t)info.totalram * info.mem_unit : 0;
    errno = saved_errno;
    return bytes;
}

size_t pm_os_address_limit_bytes(void)
{
    int saved_errno = errno;
    struct rlimit limit;
    bool known = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    errno = saved_errno;
    return known && limit.rlim_cur < SIZE_MAX ? (size_t)limit.rlim_cur : SIZE_MAX;
}

uint64_t pm_os_now_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

unsigned pm_os_process_id(void)
{
    return (unsigned)getpid();
}

void pm_os_release(void *start, size_t bytes)
{
    int saved_errno = errno;
    pm_os_double_check_pages(start, bytes);
    if (bytes > 0 && !pm_os_fault_now(PM_OS_RELEASE))
        munmap(start, bytes); /* refused: the address space stays reserved, nothing else is lost */
    errno = saved_errno;
}

static void *map_reserved(void *where, size_t bytes)
{
    return mmap(where, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static void *reserve_somewhere(size_t bytes)
{
#if PM_OS_FAULT /* where the double's machine has its addresses */
    for (;;) {
        uintptr_t place = pm_os_double_place(bytes);
        if (place == PM_OS_ANYWHERE)
            return map_reserved(NULL, bytes);
        if (place == PM_OS_NOWHERE)
            return MAP_FAILED;
        if (pm_os_double_is_set_place(place))
            return (void *)place;
        void *start = map_reserved((void *)place, bytes);
        if (start == (void *)place || start == MAP_FAILED)
            return start;
        munmap(start, bytes); /* something else is there */
    }
#else
    return map_reserved(NULL, bytes);
#endif
}

void *pm_os_reserve(size_t bytes, size_t align)
{
    int saved_errno = errno;
    size_t page = pm_os_page_bytes();
    size_t slack = align > page ? align - page : 0;
    char *start = MAP_FAILED;
    pm_os_double_check_pages(NULL, bytes);
    if (bytes <= SIZE_MAX - slack && !pm_os_fault_now(PM_OS_RESERVE))
        start = reserve_somewhere(bytes + slack);
    errno = saved_errno;
    if (start == MAP_FAILED)
        return NULL;
    char *aligned = start + (-(uintptr_t)start & (align - 1));
    pm_os_release(start, (size_t)(aligned - start));
    pm_os_release(aligned + bytes, slack - (size_t)(aligned - start));
    PM_PROBE3(map, aligned, bytes, PM_PROBE_RESERVED);
    return aligned;
}

static bool protect(enum pm_os_call call, void *start, size_t bytes, int protection)
{
    pm_os_double_check_pages(start, bytes);
    if (pm_os_fault_now(call))
        return false;
    int saved_errno = errno;
    bool done = mprotect(start, bytes, protection) == 0;
    errno = saved_errno;
    return done;
}

bool pm_os_make_readable(void *start, size_t bytes)
{
    return protect(PM_OS_MAKE_READABLE, start, bytes, PROT_READ);
}

bool pm_os_commit(void *start, size_t bytes)
{
    bool done = protect(PM_OS_COMMIT, start, bytes, PROT_READ | PROT_WRITE);
    if (done)
        PM_PROBE3(map, start, bytes, PM_PROBE_COMMITTED);
    return done;
}

bool pm_os_forbid(void *start, size_t bytes)
{
    return protect(PM_OS_FORBID, start, bytes, PROT_NONE);
}

bool pm_os_purge(void *start, size_t bytes)
{
    pm_os_double_check_pages(start, bytes);
    if (pm_os_fault_now(PM_OS_PURGE))
        return false;
    int saved_errno = errno;
    bool done = madvise(start, bytes, MADV_DONTNEED) == 0;
    errno = saved_errno;
    if (done)
        PM_PROBE3(purge, start, bytes, PM_PROBE_PURGED);
    return done;
}

bool pm_os_decommit(void *start, size_t bytes)
{
    pm_os_double_check_pages(start, bytes);
    if (pm_os_fault_now(PM_OS_DECOMMIT))
        return false;
    int saved_errno = errno;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    bool done = mmap(start, bytes, PROT_NONE, flags, -1, 0) != MAP_FAILED;
    errno = saved_errno;
    if (done)
        PM_PROBE3(purge, start, bytes, PM_PROBE_DECOMMITTED);
    return done;
}

/* Whether the range lies in one mapping. Growth by a page is refused in any case, since something
 * of ours follows; the error says what the system looked at first. */
static bool one_mapping(void *start, size_t bytes)
{
    void *grown = mremap(start, bytes, bytes + pm_os_page_bytes(), 0);
    if (grown != MAP_FAILED) /* the end of a window */
        munmap((char *)start + bytes, pm_os_page_bytes());
    return grown != MAP_FAILED || errno == ENOMEM;
}

/* After a refusal nothing is moved any more. Relaxed: who misses it tries once more. */
static _Atomic bool moving_is_refused;

/* qemu's user mode takes the old place for unmapped. Of its protection it can be told; purges of it
 * do nothing even then, and say that they did. */
static bool is_left_mapped(void *from)
{
    unsigned char resident;
    return mincore(from, 1, &resident) == 0 || errno != ENOMEM;
}

/* The system drops the target's pages before it looks whether it can move: where it then refuses,
 * the target is mapped again, unless another thread's mapping was faster. */
static bool move_piece(char *to, char *from, size_t bytes, bool *lost)
{
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    if (mremap(from, bytes, bytes, flags, to) != MAP_FAILED) {
        int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
        if (pm_unlikely(!is_left_mapped(from)))
            mmap(from, bytes, PROT_READ | PROT_WRITE, fixed, -1, 0);
        return true;
    }
    pm_store_relaxed(&moving_is_refused, true);
    if (errno == EINVAL) /* before Linux 5.7: the flags are looked at first */
        return false;
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *again = mmap(to, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (again != MAP_FAILED && again != to) /* a system without MAP_FIXED_NOREPLACE */
        munmap(again, bytes);
    *lost = again != to && !(again == MAP_FAILED && errno == EEXIST && one_mapping(to, bytes));
    return false;
}

size_t pm_os_move_pages(void *to, void *from, size_t bytes, bool *lost)
{
    *lost = false;
    pm_os_double_check_pages(to, bytes);
    pm_os_double_check_pages(from, bytes);
    if (pm_os_fault_now(PM_OS_MOVE) || pm_load_relaxed(&moving_is_refused))
        return 0;
    int saved_errno = errno;
    /* A range that earlier moves left in several mappings goes in pieces. */
    size_t moved = 0, step = one_mapping(from, bytes) ? bytes : PM_ARENA_BYTES;
    while (moved < bytes && !*lost && one_mapping((char *)from + moved, step) &&
           move_piece((char *)to + moved, (char *)from + moved, step, lost))
        moved += step;
    errno = saved_errno;
    return moved;
}

bool pm_os_advise_huge(void *start, size_t bytes, bool huge)
{
    pm_os_double_check_pages(start, bytes);
    if (pm_os_fault_now(PM_OS_ADVISE))
        return false;
    int saved_errno = errno;
    bool done = madvise(start, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0;
    errno = saved_errno;
    return done;
}

/* The start of a small file of the system's; empty: it cannot be read. By system calls: the C
 * library's functions are cancellation points, and other libraries put their own in front. */
static void read_setting(const char *path, char *text, size_t bytes)
{
    int saved_errno = errno;
    long file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    long length = file >= 0 ? syscall(SYS_read, (int)file, text, bytes - 1) : 0;
    text[length > 0 ? length : 0] = 0;
    if (file >= 0)
        syscall(SYS_close, (int)file);
    errno = saved_errno;
}

enum { SETTING_BYTES = 64, KNOWN = 0x100 };

bool pm_os_charges_commit(void)
{
    static _Atomic unsigned answer; /* relaxed: all write the same */
    if (pm_load_relaxed(&answer) == 0) {
        char text[SETTING_BYTES];
        struct rlimit limit;
        read_setting("/proc/sys/vm/overcommit_memory", text, sizeof text);
        bool limited = getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
        pm_store_relaxed(&answer, KNOWN | (unsigned)(text[0] == '2' || limited));
    }
    return pm_load_relaxed(&answer) & 1;
}

enum pm_huge pm_os_huge_policy(void)
{
    static _Atomic unsigned answer; /* relaxed: all write the same */
    if (pm_load_relaxed(&answer) == 0) {
        char text[SETTING_BYTES]; /* "always [madvise] never" */
        read_setting("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text);
        const char *chosen = strchr(text, '[');
        enum pm_huge policy = chosen == NULL     ? PM_HUGE_NEVER
                              : chosen[1] == 'a' ? PM_HUGE_ALWAYS
                              : chosen[1] == 'm' ? PM_HUGE_ON_ADVICE
                                                 : PM_HUGE_NEVER;
        pm_store_relaxed(&answer, KNOWN | (unsigned)policy);
    }
    return pm_load_relaxed(&answer) & ~(unsigned)KNOWN;
}
