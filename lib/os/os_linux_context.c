/* SPDX-License-Identifier: MIT */
/* The os layer on Linux: what a signal interrupted. See os.h. */
#define _GNU_SOURCE /* names of registers */
#include "os/os.h"

#include <string.h>
#include <ucontext.h>

#if defined(__x86_64__)
enum { FAULT_WRITES = 1 << 1, FAULT_FETCHES = 1 << 4 }; /* in the processor's error code */

struct pm_os_interrupted pm_os_interrupted(const void *context)
{
    const ucontext_t *state = context;
    unsigned long error = (unsigned long)state->uc_mcontext.gregs[REG_ERR];
    enum pm_os_access access = PM_OS_ACCESS_READ;
    if ((error & FAULT_WRITES) != 0)
        access = PM_OS_ACCESS_WRITE;
    else if ((error & FAULT_FETCHES) != 0)
        access = PM_OS_ACCESS_ANY;
    return (struct pm_os_interrupted){(uintptr_t)state->uc_mcontext.gregs[REG_RIP], access};
}
#elif defined(__aarch64__)
/* The kernel's records behind the registers; its header is not on musl's path. */
enum { SYNDROME_MAGIC = 0x45535201 };
#define SYNDROME_CLASS_SHIFT 26
#define SYNDROME_DATA_ABORT 0x24u /* of a program; one more: of the kernel */
#define SYNDROME_WRITES ((uint64_t)1 << 6)

struct record {
    uint32_t magic, bytes;
    uint64_t syndrome; /* of the one that has that magic */
};

static enum pm_os_access access_of(const unsigned char *records, size_t bytes)
{
    struct record record;
    for (size_t at = 0; at + sizeof record <= bytes; at += record.bytes) {
        memcpy(&record, records + at, sizeof record);
        if (record.magic == 0 || record.bytes == 0)
            break;
        if (record.magic != SYNDROME_MAGIC)
            continue;
        if ((record.syndrome >> SYNDROME_CLASS_SHIFT & 0x3f) != SYNDROME_DATA_ABORT)
            break;
        return (record.syndrome & SYNDROME_WRITES) != 0 ? PM_OS_ACCESS_WRITE : PM_OS_ACCESS_READ;
    }
    return PM_OS_ACCESS_ANY;
}

struct pm_os_interrupted pm_os_interrupted(const void *context)
{
    const ucontext_t *state = context;
    const unsigned char *records = (const unsigned char *)state->uc_mcontext.__reserved;
    return (struct pm_os_interrupted){
        (uintptr_t)state->uc_mcontext.pc,
        access_of(records, sizeof state->uc_mcontext.__reserved),
    };
}
#else
struct pm_os_interrupted pm_os_interrupted(const void *context)
{
    (void)context;
    return (struct pm_os_interrupted){0, PM_OS_ACCESS_ANY};
}
#endif
