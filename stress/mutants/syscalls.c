/* SPDX-License-Identifier: MIT */
/* See syscalls.h. */
#include "syscalls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a call that succeeds leaves in errno: no test uses this value. */
enum { MARK = EXDEV };

static atomic_uint refused_set;
static atomic_ullong to_pass, refused;

void syscalls_refuse(unsigned set, uint64_t pass)
{
    atomic_store(&refused_set, set);
    atomic_store(&to_pass, pass);
    atomic_store(&refused, 0);
}

uint64_t syscalls_refused(void)
{
    return atomic_load(&refused);
}

static bool is_refused(unsigned call)
{
    if ((atomic_load(&refused_set) & call) == 0)
        return false;
    unsigned long long left = atomic_load(&to_pass);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&to_pass, &left, left - 1))
            return false;
    }
    atomic_fetch_add(&refused, 1);
    errno = ENOMEM;
    return true;
}

static long marked(long result)
{
    if (result != -1)
        errno = MARK;
    return result;
}

void *mmap(void *start, size_t bytes, int protection, int flags, int file, off_t offset)
{
    if (is_refused(REFUSE_MMAP))
        return MAP_FAILED;
    return (void *)marked(syscall(SYS_mmap, start, bytes, protection, flags, file, offset));
}

int mprotect(void *start, size_t bytes, int protection)
{
    if (is_refused(REFUSE_MPROTECT))
        return -1;
    return (int)marked(syscall(SYS_mprotect, start, bytes, protection));
}

int munmap(void *start, size_t bytes)
{
    if (is_refused(REFUSE_MUNMAP))
        return -1;
    return (int)marked(syscall(SYS_munmap, start, bytes));
}

int madvise(void *start, size_t bytes, int advice)
{
    if (is_refused(REFUSE_MADVISE))
        return -1;
    return (int)marked(syscall(SYS_madvise, start, bytes, advice));
}

void *mremap(void *start, size_t old_bytes, size_t bytes, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    void *target = flags & MREMAP_FIXED ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    if (is_refused(REFUSE_MREMAP))
        return MAP_FAILED;
    return (void *)marked(syscall(SYS_mremap, start, old_bytes, bytes, flags, target));
}
