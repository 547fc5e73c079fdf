/* SPDX-License-Identifier: MIT */
/*
 * Reference counts, where the inline half gives up: other threads than the owner, the first and
 * last references of the owner, counts that spill. The states are in poolmalloc/object.h.
 *
 * A transition is a compare-and-swap of `shared`, by whoever has a reference; `owned` is written by
 * the owner's rights alone (internal.h). Attached threads.
 */
#include "object/internal.h"

static bool is_owner(uint32_t owned)
{
    return owned >> 16 == pm_object_self.mine >> 16;
}

/* ---- one more ---- */

/* Half of the local count moves over. First there, then here: who adds the two finds too many
 * rather than too few. */
static void spill(struct pm_object *object, uint32_t owned)
{
    pm_schedule_point();
    /* Relaxed: a reference more orders nothing; the owner has others. */
    uint32_t shared = atomic_fetch_add_explicit(pm_shared_of(object), PM_SPILL << PM_SHARED_SHIFT,
                                                memory_order_relaxed);
    if (pm_count_of(shared) > PM_SHARED_MAX)
        pm_object_fatal_too_many("pm_incref", object);
    pm_store_relaxed(pm_owned_of(object), owned - PM_SPILL);
}

static void incref_shared(struct pm_object *object)
{
    pm_schedule_point();
    /* Relaxed: as above. */
    uint32_t shared =
        atomic_fetch_add_explicit(pm_shared_of(object), PM_SHARED_ONE, memory_order_relaxed);
    if (shared == PM_SHARED_DEAD)
        pm_object_fatal_dead("pm_incref", object);
    if (pm_count_of(shared) > PM_SHARED_MAX)
        pm_object_fatal_too_many("pm_incref", object);
}

void pm_incref_slow(struct pm_object *object)
{
    uint32_t owned = pm_load_relaxed(pm_owned_of(object));
    if (owned == PM_OBJECT_IMMORTAL)
        return;
    pm_object_require_thread("pm_incref", object);
    if (!is_owner(owned)) {
        incref_shared(object);
        return;
    }
    if ((uint16_t)owned == 0)
        pm_object_fatal_dead("pm_incref", object);
    spill(object, owned);
    pm_incref(object);
}

bool pm_try_incref(struct pm_object *object)
{
    uint32_t owned = pm_load_relaxed(pm_owned_of(object));
    if (owned == PM_OBJECT_IMMORTAL)
        return true;
    pm_object_require_thread("pm_try_incref", object);
    if (is_owner(owned) && (uint16_t)owned != 0) {
        pm_incref(object);
        return true;
    }
    uint32_t shared = pm_load_relaxed(pm_shared_of(object));
    do {
        /* 00 with 0 is the owner's alone, who may drop it without a look; 11 with 0 is dead. */
        if (shared == PM_STATE_OWNED || shared == PM_SHARED_DEAD)
            return false;
        if (pm_count_of(shared) > PM_SHARED_MAX)
            pm_object_fatal_too_many("pm_try_incref", object);
        /* Acquire: what those who have had the object wrote before their references went to the
         * count. */
    } while (!pm_cas_acq_rel(pm_shared_of(object), &shared, shared + PM_SHARED_ONE));
    return true;
}

void pm_object_set_probed(struct pm_object *object)
{
    pm_object_require_thread("pm_object_set_probed", object);
    pm_schedule_point();
    /* Relaxed: whoever makes the object die has its counts from who had references. */
    atomic_fetch_or_explicit((_Atomic uint8_t *)&object->flags, PM_OBJECT_PROBED,
                             memory_order_relaxed);
    uint32_t shared = pm_load_relaxed(pm_shared_of(object));
    /* Of the other states none turns back to 00, in which the owner looks at nothing. */
    while (pm_state_of(shared) == PM_STATE_OWNED &&
           !pm_cas_acq_rel(pm_shared_of(object), &shared, shared | PM_STATE_PROBED))
        continue;
}

/* ---- one less ---- */

bool pm_object_merge(struct pm_object *object, int32_t less)
{
    int32_t local = (uint16_t)pm_load_relaxed(pm_owned_of(object));
    /* Before the swap: after it the object may be anybody's, and gone. Who has queued it meanwhile
     * and finds no owner drops the reference itself (pm_object_drop_queued), before the swap or
     * after it: until then the local count is here. */
    pm_store_relaxed(pm_owned_of(object), 0);
    uint32_t shared = pm_load_relaxed(pm_shared_of(object));
    int32_t count;
    do {
        count = pm_count_of(shared) + local - less;
        if (count < 0)
            pm_object_fatal_below_zero("pm_decref", object);
        /* Release: the last uses by the owner, and that there is none any more. Acquire: the last
         * uses by others, if it is dead. Pairs with itself and drop_shared. */
    } while (!pm_cas_acq_rel(pm_shared_of(object), &shared,
                             (uint32_t)count << PM_SHARED_SHIFT | PM_STATE_MERGED));
    return count == 0;
}

/* A reference spilled comes back, with all that came with it. False: there are too few, or others
 * were quicker. */
static bool refill(struct pm_object *object, uint32_t shared)
{
    if (pm_state_of(shared) == PM_STATE_MERGED || pm_count_of(shared) < (int32_t)PM_SPILL)
        return false;
    if (!pm_cas_acq_rel(pm_shared_of(object), &shared, shared - (PM_SPILL << PM_SHARED_SHIFT)))
        return false;
    pm_store_relaxed(pm_owned_of(object), (pm_object_self.mine & 0xffff0000u) | PM_SPILL);
    return true;
}

/* The owner's last one. True: the object is dead. */
static bool drop_last_owned(struct pm_object *object)
{
    /* Acquire: who has dropped references has used the object before; pairs with drop_shared. */
    uint32_t shared = pm_load_acquire(pm_shared_of(object));
    if (shared == PM_STATE_OWNED)
        return true; /* nobody else has one, nor can get one */
    if (refill(object, shared))
        return false;
    return pm_object_merge(object, 1);
}

enum dropped { DROPPED, DROPPED_LAST, TO_QUEUE };

static enum dropped drop_shared(struct pm_object *object)
{
    uint32_t shared = pm_load_relaxed(pm_shared_of(object)), next;
    bool queue;
    do {
        if (shared == PM_SHARED_DEAD || pm_count_of(shared) < PM_SHARED_MIN)
            pm_object_fatal_below_zero("pm_decref", object);
        /* The reference stays counted until the owner, or somebody for it, has merged. */
        queue = shared == PM_STATE_OWNED || shared == PM_STATE_PROBED;
        next = queue ? (uint32_t)PM_STATE_QUEUED : shared - PM_SHARED_ONE;
        /* Release: the last uses of the object by this thread, for whoever frees it. Acquire: if it
         * was the last, those of all others; and that there is no owner, after a merge. */
    } while (!pm_cas_acq_rel(pm_shared_of(object), &shared, next));
    if (queue)
        return TO_QUEUE;
    return next == PM_SHARED_DEAD ? DROPPED_LAST : DROPPED;
}

bool pm_object_drop_queued(struct pm_object *object)
{
    enum dropped dropped = drop_shared(object);
    pm_object_assert(dropped != TO_QUEUE);
    return dropped == DROPPED_LAST;
}

void pm_decref_slow(struct pm_object *object)
{
    uint32_t owned = pm_load_relaxed(pm_owned_of(object));
    if (owned == PM_OBJECT_IMMORTAL)
        return;
    pm_object_require_thread("pm_decref", object);
    if (is_owner(owned)) {
        if ((uint16_t)owned == 0)
            pm_object_fatal_below_zero("pm_decref", object);
        if (drop_last_owned(object))
            pm_object_die(object);
        return;
    }
    switch (drop_shared(object)) {
    case DROPPED_LAST:
        pm_object_die(object);
        break;
    case TO_QUEUE:
        pm_queue_for_owner(object);
        break;
    case DROPPED:
        break;
    }
}

/* ---- what there is ---- */

uint32_t pm_refcount(const struct pm_object *object)
{
    uint32_t owned = pm_load_relaxed(pm_owned_of(object));
    if (owned == PM_OBJECT_IMMORTAL)
        return UINT32_MAX;
    /* Relaxed: a figure. Between the two loads references may go from one to the other. */
    int32_t count = pm_count_of(pm_load_relaxed(pm_shared_of(object))) + (uint16_t)owned;
    return count > 0 ? (uint32_t)count : 0;
}

bool pm_is_unique(const struct pm_object *object)
{
    uint32_t owned = pm_load_relaxed(pm_owned_of(object));
    /* Acquire: what those did who have dropped theirs; pairs with drop_shared. */
    uint32_t shared = pm_load_acquire(pm_shared_of(object));
    if (owned == pm_object_self.mine)
        return shared == PM_STATE_OWNED;
    return owned == 0 && shared == (PM_SHARED_ONE | PM_STATE_MERGED) &&
           (pm_load_relaxed((_Atomic uint8_t *)&object->flags) & PM_OBJECT_PROBED) == 0;
}

bool pm_object_set_immortal(struct pm_object *object)
{
    uint32_t owned = pm_load_relaxed(pm_owned_of(object));
    if (owned == PM_OBJECT_IMMORTAL)
        return true;
    pm_object_require_thread("pm_object_set_immortal", object);
    if (owned != pm_object_self.mine || !pm_is_unique(object))
        return false;
    pm_store_relaxed(pm_owned_of(object), PM_OBJECT_IMMORTAL);
    return true;
}
