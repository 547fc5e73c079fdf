/* SPDX-License-Identifier: MIT */
/*
 * What a traverse visits, looked over: a pointer that is part of no collection is an object of a
 * type without cycles, or an older one, or untracked; or it is garbage, which is the end, with the
 * name of the type whose traverse it was. Garbage may lead anywhere, so whether memory can be read
 * is asked of the system, once for a page and a collection. Stopped.
 */
#define _GNU_SOURCE /* syscall */
#include "object/gc_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_SHIFT 12
#define PAGES_KNOWN 256 /* powers of two */
#define TYPES_KNOWN 64

/* Those that were found to be good, by this collection. */
static uintptr_t pages[PAGES_KNOWN];
static const struct pm_type *types[TYPES_KNOWN];

void pm_gc_look_begin(void)
{
    memset(pages, 0, sizeof pages);
    memset(types, 0, sizeof types);
}

/* The 8 bytes there can be read. The system reads the set of signals before it finds that there is
 * no such thing to do with it. */
static bool can_read(uintptr_t at)
{
    int saved_errno = errno;
    bool can = syscall(SYS_rt_sigprocmask, ~0, at, NULL, 8) == 0 || errno != EFAULT;
    errno = saved_errno;
    return can;
}

static bool is_readable(uintptr_t at, size_t bytes)
{
    for (uintptr_t page = at >> PAGE_SHIFT; page <= (at + bytes - 1) >> PAGE_SHIFT; page++) {
        if (page == 0)
            return false;
        if (pages[page % PAGES_KNOWN] == page)
            continue;
        if (!can_read(page << PAGE_SHIFT))
            return false;
        pages[page % PAGES_KNOWN] = page;
    }
    return true;
}

static bool is_type(const struct pm_type *type)
{
    uintptr_t at = (uintptr_t)type;
    const struct pm_type **known = &types[(at >> 4) % TYPES_KNOWN];
    if (*known == type && type != NULL)
        return true;
    if (at % _Alignof(struct pm_type) != 0 || !is_readable(at, sizeof *type) ||
        !pm_type_is_ready(type))
        return false;
    *known = type;
    return true;
}

void pm_gc_look_over(const struct pm_object *object, const struct pm_type *type)
{
    uintptr_t at = (uintptr_t)object;
    if (at % _Alignof(struct pm_object) != 0 || !is_readable(at, sizeof *object) ||
        !is_type(pm_object_type(object)))
        pm_object_fatal_visit(type, object, "which is no object");
    uint64_t counts = pm_load_relaxed(pm_owned_of(object)) |
                      (uint64_t)pm_load_relaxed(pm_shared_of(object)) << 32;
    if (!pm_gc_is_live(counts))
        pm_object_fatal_visit(type, object, "which is dead");
}
