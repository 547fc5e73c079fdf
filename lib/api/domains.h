/* SPDX-License-Identifier: MIT */
/*
 * What the entry points of the domains (domains.c) and their tables (domain_tables.c) share.
 *
 * The tables of all domains are one constant set, found by one pointer: so a call never sees half
 * of a change, and one test tells whether any domain is hooked. Sets are never freed: who has
 * loaded the pointer may use what it leads to for as long as it likes.
 */
#ifndef PM_API_DOMAINS_H
#define PM_API_DOMAINS_H

#include "base/atomic.h"
#include "base/bits.h"
#include "poolmalloc/domains.h"

#define PM_DOMAINS (PM_DOMAIN_OBJECT + 1)

struct pm_domain_set {
    struct pm_allocator of[PM_DOMAINS];
    const struct pm_domain_set *made_before; /* of the list of all sets; constant, too */
};

/* On a line of its own: read by every call, written when a table is set. */
struct pm_domains {
    const struct pm_domain_set *_Atomic domains_now; /* NULL: every domain has its default table */
    const struct pm_domain_set
        *_Atomic domains_made; /* all sets that were ever in force, newest first */
} __attribute__((aligned(PM_LINE_BYTES)));

extern struct pm_domains pm_domains PM_HIDDEN;
/* In force until the first call of a domain: then it is known which set the mode of the process
 * wants. */
extern const struct pm_domain_set pm_domains_unset PM_HIDDEN;
void pm_domains_start(void);
/* By the tools layer: the tables from the start of the process on; NULL: the default ones. */
const struct pm_domain_set *pm_domains_at_start(void);
extern const struct pm_domain_set pm_domains_default PM_HIDDEN;
/* Every domain by pm_malloc & co., whoever serves those. */
extern const struct pm_domain_set pm_domains_of_malloc PM_HIDDEN;

/* Relaxed: where it finds NULL nothing more is read, and where it does not, the pointer is loaded
 * again, in order. */
PM_INLINE bool pm_domains_are_hooked(void)
{
    return pm_load_relaxed(&pm_domains.domains_now) != NULL;
}

/* The domain has its default table; also when others have not. */
bool pm_domain_is_default(enum pm_domain domain);

/* The table in charge of the domain. Any thread. */
PM_INLINE const struct pm_allocator *pm_domain_table(enum pm_domain domain)
{
    /* Acquire pairs with the release in pm_set_allocator: the set is complete, and so is what the
     * context points to. */
    const struct pm_domain_set *set = pm_load_acquire(&pm_domains.domains_now);
    return set != NULL ? &set->of[domain] : &pm_domains_default.of[domain];
}

#endif
