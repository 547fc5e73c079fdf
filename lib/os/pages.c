/* SPDX-License-Identifier: MIT */
/* See pages.h. Any thread; the caller of a hook may hold any lock but the arena's. */
#include "os/pages.h"
#include "base/atomic.h"
#include "base/bits.h"
#include "base/lock.h"

#include <errno.h>
#include <sched.h>

static void *system_reserve(void *context, size_t bytes, size_t alignment)
{
    (void)context;
    return pm_os_reserve(bytes, alignment);
}

static bool system_commit(void *context, void *start, size_t bytes)
{
    (void)context;
    return pm_os_commit(start, bytes);
}

static bool system_purge(void *context, void *start, size_t bytes)
{
    (void)context;
    return pm_os_purge(start, bytes);
}

static bool system_decommit(void *context, void *start, size_t bytes)
{
    (void)context;
    return pm_os_decommit(start, bytes);
}

static void system_release(void *context, void *start, size_t bytes)
{
    (void)context;
    pm_os_release(start, bytes);
}

const struct pm_page_hooks pm_pages_system = {NULL,         system_reserve,  system_commit,
                                              system_purge, system_decommit, system_release};

/* All that were ever set: windows lead to them for good. Under the grow lock; those that
 * `hooks_now` led to are constant. */
static struct pm_page_hooks kept[PM_PAGE_HOOKS_MAX];
static unsigned kept_count;

static const struct pm_page_hooks *_Atomic hooks_now;

const struct pm_page_hooks *pm_pages_now(void)
{
    /* Acquire pairs with the release in pm_pages_set: the copy, and what is behind its context. */
    return pm_load_acquire(&hooks_now);
}

static struct pm_page_hooks filled(const struct pm_page_hooks *hooks)
{
    struct pm_page_hooks all = *hooks;
    all.reserve = all.reserve ? all.reserve : system_reserve;
    all.commit = all.commit ? all.commit : system_commit;
    all.purge = all.purge ? all.purge : system_purge;
    all.decommit = all.decommit ? all.decommit : system_decommit;
    all.release = all.release ? all.release : system_release;
    return all;
}

static bool are_same(const struct pm_page_hooks *a, const struct pm_page_hooks *b)
{
    return a->context == b->context && a->reserve == b->reserve && a->commit == b->commit &&
           a->purge == b->purge && a->decommit == b->decommit && a->release == b->release;
}

/* The copy that stays; NULL: there is no room for one more. */
static const struct pm_page_hooks *keep(const struct pm_page_hooks *wanted)
{
    for (unsigned i = 0; i < kept_count; i++) {
        if (are_same(&kept[i], wanted))
            return &kept[i];
    }
    if (kept_count == PM_PAGE_HOOKS_MAX)
        return NULL;
    kept[kept_count] = *wanted;
    return &kept[kept_count++];
}

bool pm_pages_set(const struct pm_page_hooks *hooks)
{
    const struct pm_page_hooks *next = NULL;
    struct pm_page_hooks wanted = filled(hooks != NULL ? hooks : &pm_pages_system);
    struct pm_page_hooks plain = pm_pages_system;
    plain.context = wanted.context; /* which the system's functions do not look at */
    if (!are_same(&wanted, &plain) && (next = keep(&wanted)) == NULL)
        return false;
    pm_store_release(&hooks_now, next); /* pairs with pm_pages_now */
    return true;
}

/* Threads inside a hook, each as often as it is. Acquire and release: what a hook did comes before
 * the fork that finds nobody inside. */
static _Atomic uint32_t inside;

/* Around a call of the program's. */
static int enter(void)
{
    pm_hook_depth++;
    atomic_fetch_add_explicit(&inside, 1, memory_order_acquire);
    return errno;
}

static void leave(int saved_errno)
{
    atomic_fetch_sub_explicit(&inside, 1, memory_order_release);
    pm_hook_depth--;
    errno = saved_errno;
}

enum { FORK_TRIES = 10000 };

void pm_pages_fork_prepare(void)
{
    for (unsigned i = 0; i < FORK_TRIES && pm_load_acquire(&inside) != pm_hook_depth; i++)
        sched_yield();
}

void pm_pages_fork_child(void)
{
    pm_store_relaxed(&inside, pm_hook_depth);
}

void *pm_pages_reserve(const struct pm_page_hooks *by, size_t bytes, size_t align)
{
    if (pm_likely(by == NULL))
        return pm_os_reserve(bytes, align);
    int saved_errno = enter();
    void *start = by->reserve(by->context, bytes, align);
    leave(saved_errno);
    if (((uintptr_t)start & (align - 1)) == 0)
        return start;
    pm_pages_release(by, start, bytes); /* it is of no use */
    return NULL;
}

/* A hook has one way to make memory accessible. */
bool pm_pages_make_readable(const struct pm_page_hooks *by, void *start, size_t bytes)
{
    return by == NULL ? pm_os_make_readable(start, bytes) : pm_pages_commit(by, start, bytes);
}

bool pm_pages_commit(const struct pm_page_hooks *by, void *start, size_t bytes)
{
    if (pm_likely(by == NULL))
        return pm_os_commit(start, bytes);
    int saved_errno = enter();
    bool done = by->commit(by->context, start, bytes);
    leave(saved_errno);
    return done;
}

bool pm_pages_purge(const struct pm_page_hooks *by, void *start, size_t bytes)
{
    if (pm_likely(by == NULL))
        return pm_os_purge(start, bytes);
    int saved_errno = enter();
    bool done = by->purge(by->context, start, bytes);
    leave(saved_errno);
    return done;
}

bool pm_pages_decommit(const struct pm_page_hooks *by, void *start, size_t bytes)
{
    if (pm_likely(by == NULL))
        return pm_os_decommit(start, bytes);
    int saved_errno = enter();
    bool done = by->decommit(by->context, start, bytes);
    leave(saved_errno);
    return done;
}

void pm_pages_release(const struct pm_page_hooks *by, void *start, size_t bytes)
{
    if (pm_likely(by == NULL)) {
        pm_os_release(start, bytes);
        return;
    }
    int saved_errno = enter();
    by->release(by->context, start, bytes);
    leave(saved_errno);
}

bool pm_pages_charge_commit(const struct pm_page_hooks *by)
{
    return (by != NULL && by->decommit != system_decommit) || pm_os_charges_commit();
}
