/* SPDX-License-Identifier: MIT */
/*
 * What the collector leaves out by itself, as CPython's up to 3.13 does (untrack_tuples,
 * untrack_dicts): tuples that survive a collection, and dictionaries that survive one of all
 * objects, in which nothing can lead back to them. A tuple stays so, as its items are constant; a
 * dictionary comes back in with the first key or value that may (dict.c). Lists do not go: who
 * appends to one would have to look each time.
 *
 * Tuples in tuples go from the inside outwards, at the latest one level with each collection.
 */
#include "object/gc.h"
#include "object/gc_internal.h"

bool pm_gc_may_lead_back(const struct pm_object *object)
{
    return pm_gc_is_type_gc(object) &&
           (pm_object_type(object) != &pm_tuple_type || pm_gc_is_tracked(object));
}

static int leads_back(struct pm_object *item, void *arg)
{
    (void)arg;
    return pm_gc_may_lead_back(item);
}

bool pm_gc_leave_out_container(struct pm_object *object, struct pm_gc_search *search)
{
    /* Deferred: a collection finds out that nobody has it any more. */
    if ((pm_gc_flags_of(object) & PM_OBJECT_DEFERRED) != 0 ||
        pm_object_type(object)->traverse(object, leads_back, NULL) != 0)
        return false;
    pm_object_set_flag(object, PM_OBJECT_UNTRACKED);
    pm_gc_set_generation(object, GC_YOUNG); /* if it comes back */
    search->left_out++;
    return true;
}

void pm_gc_take_in(struct pm_object *object)
{
    if (pm_gc_may_leave_out(object, GC_OLD) && !pm_gc_is_tracked(object))
        pm_gc_track(object);
}
