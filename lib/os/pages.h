/* SPDX-License-Identifier: MIT */
/*
 * Address space and its memory by the functions in charge of it: the system's (os.h), or those that
 * the program set (poolmalloc/hooks.h). Who reserves remembers by which, and asks the same for all
 * that follows. NULL stands for the system's: the usual case is one test.
 */
#ifndef PM_OS_PAGES_H
#define PM_OS_PAGES_H

#include "base/bits.h"
#include "os/os.h"
#include "poolmalloc/hooks.h"

/* The program's functions in charge of what is reserved from now on; NULL: the system's. Each that
 * was ever set has one address, for good. Any thread. */
const struct pm_page_hooks *pm_pages_now(void);
/* Puts a copy in charge; NULL: the system's. Under the grow lock. False: there are too many. */
bool pm_pages_set(const struct pm_page_hooks *hooks);
/* The system's, as hooks. */
extern const struct pm_page_hooks pm_pages_system PM_HIDDEN;

/* As the functions of os.h. */
void *pm_pages_reserve(const struct pm_page_hooks *by, size_t bytes, size_t align);
bool pm_pages_make_readable(const struct pm_page_hooks *by, void *start, size_t bytes);
bool pm_pages_commit(const struct pm_page_hooks *by, void *start, size_t bytes);
bool pm_pages_purge(const struct pm_page_hooks *by, void *start, size_t bytes);
bool pm_pages_decommit(const struct pm_page_hooks *by, void *start, size_t bytes);
/* All that was reserved at once; of the system's also parts. */
void pm_pages_release(const struct pm_page_hooks *by, void *start, size_t bytes);
/* Before a fork, with all locks held: waits for threads that are inside a hook, which begin no
 * other now; a while, and then goes on. In its child: they are not there. */
void pm_pages_fork_prepare(void);
void pm_pages_fork_child(void);
/* Whether what goes back whole is better decommitted than purged. */
bool pm_pages_charge_commit(const struct pm_page_hooks *by);

#endif
