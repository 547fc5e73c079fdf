/* SPDX-License-Identifier: MIT */
/* The os layer on Linux: threads as the system numbers them, and files that reports go to. See
 * os.h. By system calls: the C library's functions are cancellation points, and other libraries put
 * their own in front. */
#define _GNU_SOURCE /* syscall */
#include "base/report.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The C library knows it. It is the complement of the upper bits of the thread's processor clock,
 * as the kernel numbers these. */
unsigned pm_os_thread_id(void)
{
    clockid_t clock;
    if (pthread_getcpuclockid(pthread_self(), &clock) != 0)
        return 0;
    return ~(unsigned)clock >> 3;
}

void pm_os_thread_name(unsigned thread, char name[PM_OS_THREAD_NAME_BYTES])
{
    char path[48];
    int saved_errno = errno;
    long length = 0;
    pm_format(path, sizeof path, "/proc/self/task/%u/comm", thread);
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        length = syscall(SYS_read, file, name, PM_OS_THREAD_NAME_BYTES - 1);
        syscall(SYS_close, file);
    }
    name[length > 0 ? length : 0] = 0;
    name[strcspn(name, "\n")] = 0;
    for (char *at = name; *at != 0; at++)
        *at = *at < ' ' || *at > '~' ? '?' : *at;
    errno = saved_errno;
}

static int open_to_write(const char *path, int how)
{
    if (strcmp(path, "stderr") == 0)
        return STDERR_FILENO;
    if (strcmp(path, "stdout") == 0)
        return STDOUT_FILENO;
    int saved_errno = errno, flags = O_WRONLY | O_CREAT | O_CLOEXEC | how;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0666);
    if (file >= 0 && file <= STDERR_FILENO) { /* the program closed one of them */
        int higher = (int)syscall(SYS_fcntl, file, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        syscall(SYS_close, file);
        file = higher;
    }
    errno = saved_errno;
    return file;
}

int pm_os_open_append(const char *path)
{
    return open_to_write(path, O_APPEND);
}

int pm_os_open_anew(const char *path)
{
    return open_to_write(path, O_TRUNC);
}

int pm_os_open_read(const char *path)
{
    int saved_errno = errno;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        file = -errno;
    errno = saved_errno;
    return file;
}

long pm_os_read(int file, char *text, size_t room)
{
    int saved_errno = errno;
    long got;
    do
        got = syscall(SYS_read, file, text, room);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        got = -errno;
    errno = saved_errno;
    return got;
}

int pm_os_try_write(int file, const char *text, size_t bytes)
{
    int saved_errno = errno, error = 0;
    while (bytes > 0 && error == 0) {
        long written = syscall(SYS_write, file, text, bytes);
        if (written < 0 && errno != EINTR)
            error = errno;
        if (written > 0) {
            text += written;
            bytes -= (size_t)written;
        }
    }
    errno = saved_errno;
    return error;
}

bool pm_os_write(int file, const char *text, size_t bytes)
{
    return pm_os_try_write(file, text, bytes) == 0;
}

void pm_os_close(int file)
{
    int saved_errno = errno;
    if (file > STDERR_FILENO)
        syscall(SYS_close, file);
    errno = saved_errno;
}

bool pm_os_append_file(const char *path, const char *text, size_t bytes)
{
    int file = pm_os_open_append(path);
    bool done = file >= 0 && pm_os_write(file, text, bytes);
    pm_os_close(file);
    return done;
}

size_t pm_os_program_path(char *path, size_t room)
{
    int saved_errno = errno;
    long length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, room);
    errno = saved_errno;
    if (length < 0 || (size_t)length >= room)
        length = 0;
    path[length] = 0;
    return (size_t)length;
}

uint64_t pm_os_time_s(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now); /* it does not fail */
    return (uint64_t)now.tv_sec;
}

/* ---- shared memory ---- */

/* The kernel's numbers; not every C library's headers have them. */
enum {
    CLOSED_BY_EXEC = 1, /* memfd_create */
    SEALABLE = 2,
    ADD_SEALS = 1024 + 9, /* fcntl */
    SEAL_SHRINK = 2,
    SEAL_GROW = 4,
    SEAL_FUTURE_WRITE = 16, /* Linux 5.1 */
};

/* Whether the file has the size, with memory: an access must not fail later on. A limit on the size
 * of files would send a signal. */
static bool size_file(int file, size_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur < bytes)
        return false;
    return syscall(SYS_fallocate, file, 0, (off_t)0, (off_t)bytes) == 0;
}

static bool map_shared(struct pm_os_shared *shared)
{
    struct stat about;
    int seals = SEAL_SHRINK | SEAL_GROW;
    if (!size_file(shared->file, shared->bytes) || syscall(SYS_fstat, shared->file, &about) != 0)
        return false;
    shared->device = about.st_dev;
    shared->inode = about.st_ino;
    shared->start = mmap(NULL, shared->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared->file, 0);
    if (shared->start == MAP_FAILED)
        return false;
    if (syscall(SYS_fcntl, shared->file, ADD_SEALS, seals | SEAL_FUTURE_WRITE) != 0)
        syscall(SYS_fcntl, shared->file, ADD_SEALS, seals);
    return true;
}

/* Where the program does not expect it: the lowest numbers are what others open next. */
static int moved_up(int file)
{
    int higher = (int)syscall(SYS_fcntl, file, F_DUPFD_CLOEXEC, 200);
    if (higher < 0)
        return file;
    syscall(SYS_close, file);
    return higher;
}

bool pm_os_share(const char *name, size_t bytes, struct pm_os_shared *shared)
{
    int saved_errno = errno;
    *shared = (struct pm_os_shared){.bytes = bytes, .file = -1};
    if (!pm_os_fault_now(PM_OS_SHARE))
        shared->file = (int)syscall(SYS_memfd_create, name, CLOSED_BY_EXEC | SEALABLE);
    if (shared->file >= 0)
        shared->file = moved_up(shared->file);
    bool done = shared->file >= 0 && map_shared(shared);
    if (!done && shared->file >= 0)
        syscall(SYS_close, shared->file);
    errno = saved_errno;
    return done;
}

void pm_os_unshare(struct pm_os_shared *shared)
{
    int saved_errno = errno;
    struct stat about;
    munmap(shared->start, shared->bytes);
    if (syscall(SYS_fstat, shared->file, &about) == 0 && about.st_dev == shared->device &&
        about.st_ino == shared->inode)
        syscall(SYS_close, shared->file);
    errno = saved_errno;
}
