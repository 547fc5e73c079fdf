/* SPDX-License-Identifier: MIT */
/* The os layer on Linux: what is said of memory beside its use, and the file of settings. See os.h.
 * By system calls where the C library has no function, or one that other libraries put their own in
 * front of. */
#define _GNU_SOURCE /* syscall */
#include "base/atomic.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The kernel's numbers; its headers are not on musl's path. */
enum { SET_VMA = 0x53564d41, SET_VMA_ANON_NAME = 0 };             /* prctl, Linux 5.17 */
enum { NODES_BIND = 2, NODES_INTERLEAVE = 3, NODES_ALLOWED = 4 }; /* mbind, get_mempolicy */
enum { GRND_NOW = 1 };                                            /* getrandom: do not wait */
enum { PROCESSORS_MAX = 8192 };
enum { NODES_MAX = 1024, WORD_BITS = 64, NODE_WORDS = NODES_MAX / WORD_BITS };

bool pm_os_name(void *start, size_t bytes, const char *name)
{
    pm_os_double_check_pages(start, bytes);
    if (pm_os_fault_now(PM_OS_NAME))
        return false;
    int saved_errno = errno;
    bool done = syscall(SYS_prctl, SET_VMA, SET_VMA_ANON_NAME, start, bytes, name) == 0;
    errno = saved_errno;
    return done;
}

bool pm_os_dump(void *start, size_t bytes, bool wanted)
{
    pm_os_double_check_pages(start, bytes);
    if (pm_os_fault_now(PM_OS_DUMP))
        return false;
    int saved_errno = errno;
    bool done = madvise(start, bytes, wanted ? MADV_DODUMP : MADV_DONTDUMP) == 0;
    errno = saved_errno;
    return done;
}

unsigned pm_os_processors(void)
{
    uint64_t mask[PROCESSORS_MAX / WORD_BITS] = {0};
    int saved_errno = errno;
    unsigned count = 0;
    if (syscall(SYS_sched_getaffinity, 0, sizeof mask, mask) > 0) {
        for (unsigned i = 0; i < PROCESSORS_MAX / WORD_BITS; i++)
            count += (unsigned)__builtin_popcountll(mask[i]);
    }
    errno = saved_errno;
    return count != 0 ? count : 1;
}

/* 16 bytes from the kernel, which differ from process to process. */
static uint64_t random_of_start(void)
{
    uint64_t words[2] = {0};
    const void *at = (const void *)getauxval(AT_RANDOM); /* NOLINT: the kernel says so */
    if (at != NULL)
        memcpy(words, at, sizeof words);
    return words[0] ^ (words[1] << 32 | words[1] >> 32);
}

/* The C library's function may be a cancellation point. Never waits: early in the start of the
 * system there are no such numbers yet. */
uint64_t pm_os_random(void)
{
    static _Atomic uint64_t calls; /* relaxed: each call gets another number */
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    int saved_errno = errno;
    uint64_t number;
    bool done = !pm_os_fault_now(PM_OS_RANDOM) &&
                syscall(SYS_getrandom, &number, sizeof number, GRND_NOW) == (long)sizeof number;
    if (!done) {
        struct timespec now = {0};
        clock_gettime(CLOCK_MONOTONIC, &now);
        number = random_of_start() + odd * (pm_add_relaxed(&calls, 1) + 1);
        number ^= (uint64_t)now.tv_nsec << 20 ^ (uint64_t)now.tv_sec;
    }
    errno = saved_errno;
    return number;
}

static int bind_nodes(void *start, size_t bytes, int policy, const uint64_t *nodes)
{
    pm_os_double_check_pages(start, bytes);
    if (pm_os_fault_now(PM_OS_NODES))
        return ENOSYS;
    int saved_errno = errno;
    /* The kernel takes one bit off the number of bits. */
    long refused = syscall(SYS_mbind, start, bytes, policy, nodes, (long)NODES_MAX + 1, 0);
    int error = refused ? errno : 0;
    errno = saved_errno;
    return error;
}

int pm_os_interleave(void *start, size_t bytes)
{
    uint64_t allowed[NODE_WORDS] = {0};
    int saved_errno = errno;
    long refused = syscall(SYS_get_mempolicy, NULL, allowed, (long)NODES_MAX, NULL, NODES_ALLOWED);
    int error = refused ? errno : 0;
    errno = saved_errno;
    return error != 0 ? error : bind_nodes(start, bytes, NODES_INTERLEAVE, allowed);
}

int pm_os_bind(void *start, size_t bytes, unsigned first, unsigned last)
{
    uint64_t nodes[NODE_WORDS] = {0};
    if (first > last || last >= NODES_MAX)
        return EINVAL;
    for (unsigned node = first; node <= last; node++)
        nodes[node / WORD_BITS] |= (uint64_t)1 << node % WORD_BITS;
    return bind_nodes(start, bytes, NODES_BIND, nodes);
}

/* Who may write to the file decides what this process does. */
static enum pm_os_settings judge(int file, size_t room)
{
    struct stat about;
    if (syscall(SYS_fstat, file, &about) != 0)
        return PM_OS_SETTINGS_NONE;
    if (!S_ISREG(about.st_mode))
        return PM_OS_SETTINGS_NO_FILE;
    if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return PM_OS_SETTINGS_UNSAFE;
    return (uint64_t)about.st_size > room ? PM_OS_SETTINGS_LARGE : PM_OS_SETTINGS_READ;
}

static size_t read_file(int file, char *text, size_t room)
{
    size_t length = 0;
    for (;;) {
        long n = syscall(SYS_read, file, text + length, room - length);
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return length;
        length += n > 0 ? (size_t)n : 0;
    }
}

enum pm_os_settings pm_os_read_settings(const char *path, char *text, size_t room, size_t *length)
{
    *length = 0;
    if (getauxval(AT_SECURE) != 0 || pm_os_double_is_secure() || pm_os_fault_now(PM_OS_READ))
        return PM_OS_SETTINGS_NONE;
    int saved_errno = errno;
    enum pm_os_settings result = PM_OS_SETTINGS_NONE;
    /* O_NONBLOCK: a pipe of that name would be waited for. */
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, flags);
    if (file >= 0) {
        result = judge(file, room);
        if (result == PM_OS_SETTINGS_READ)
            *length = read_file(file, text, room);
        syscall(SYS_close, file);
    }
    errno = saved_errno;
    return result;
}
