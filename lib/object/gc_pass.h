/* SPDX-License-Identifier: MIT */
/*
 * What the steps of a search have in common (gc_find.c, gc_reach.c): a pass over objects that
 * looks at the words of those that they refer to. The words are anywhere, so what is seen waits in
 * a ring while they are fetched. Stopped.
 */
#ifndef PM_OBJECT_GC_PASS_H
#define PM_OBJECT_GC_PASS_H

#include "object/gc_internal.h"

#define PM_GC_AHEAD 16 /* words that are being fetched */

struct pm_gc_seen {
    struct pm_object *object;
    const struct pm_type *by;
    _Atomic uint32_t *word; /* NULL: nothing was seen */
};

struct pm_gc_pass {
    struct pm_gc_search *search;
    struct pm_gc_seen ahead[PM_GC_AHEAD];
    unsigned turn;
    /* reach: */
    uintptr_t place;  /* of the walk */
    uint32_t reached; /* the word of what is reached */
    bool idle;        /* the walk has found nothing in this unit */
    bool left;        /* something is GC_PENDING where the walk does not come by itself */
};

PM_INLINE void pm_gc_traverse(struct pm_object *object, pm_visit visit, struct pm_gc_pass *pass)
{
    struct pm_type *type = pm_object_type(object);
    pm_object_traversed = type;
    type->traverse(object, visit, pass);
}

/* Puts what is seen into the ring, and takes out what was seen some time ago; its word is there by
 * then. */
PM_INLINE struct pm_gc_seen pm_gc_see_ahead(struct pm_object *object, _Atomic uint32_t *word,
                                            struct pm_gc_pass *pass)
{
    struct pm_gc_seen *place = &pass->ahead[pass->turn++ % PM_GC_AHEAD], seen = *place;
    __builtin_prefetch((void *)word, 1);
    *place = (struct pm_gc_seen){object, pm_object_traversed, word};
    return seen;
}

/* Calls visit for each object of the register. */
void pm_gc_each_registered(struct pm_gc_pass *pass, pm_gc_each *visit);

/* From candidates that have references left, and what is GC_PENDING: what they lead to, and they
 * themselves, get the word pass->reached. */
void pm_gc_reach(struct pm_gc_pass *pass);

#endif
