/* SPDX-License-Identifier: MIT */
/*
 * Types, the birth of objects, and their death: whoever drops the last reference of an object
 * calls what its type has for that, then gives back the memory. Attached threads.
 *
 * Objects that die by each other (a list, a tree) would nest as deep as they go: beyond some depth
 * dead ones are put by, and the outermost call goes on with them.
 */
#include "object/gc.h"
#include "object/lock.h"
#include "object/weak.h"

#include "poolmalloc/domains.h"

#include <errno.h>

/* Says that a type was looked over. Not likely to stand where there is no type: reports ask it. */
#define READY 0x706d547970652131ull

void pm_type_ready(struct pm_type *type)
{
    if (type->name == NULL)
        pm_object_fatal_type(type, "it has no name");
    if (type->size < sizeof(struct pm_object) ||
        (type->item_size != 0 && type->size < sizeof(struct pm_var_object)))
        pm_object_fatal_type(type, "its size is smaller than the header of an object");
    if ((type->flags & PM_TYPE_GC) != 0 && type->traverse == NULL)
        pm_object_fatal_type(type, "flagged PM_TYPE_GC, and has no traverse");
    if ((uintptr_t)type >> PM_TYPE_BITS != 0)
        pm_object_fatal_type(type, "it lies where no header can name it");
    /* Relaxed: who finds it set relies on nothing; he would have found the same. */
    pm_store_relaxed((_Atomic uint64_t *)&type->ready, READY);
}

/* What the debug hooks write over freed memory (docs/debug.md). */
#define FREED_TYPE ((uintptr_t)0xdddddddddddd)

bool pm_type_is_ready(const struct pm_type *type)
{
    return pm_load_relaxed((_Atomic uint64_t *)&((struct pm_type *)type)->ready) == READY;
}

const char *pm_object_name(const struct pm_object *object)
{
    const struct pm_type *type = pm_object_type(object);
    if ((uintptr_t)type == FREED_TYPE)
        return "unknown (freed memory)";
    /* Of a free block this is its list's link, or NULL: memory of ours, but no type. */
    if ((uintptr_t)type % _Alignof(struct pm_type) != 0 || type == NULL ||
        pm_load_relaxed((_Atomic uint64_t *)&((struct pm_type *)type)->ready) != READY)
        return "unknown (freed memory, or no object)";
    return type->name;
}

static struct pm_object *make(struct pm_type *type, size_t bytes)
{
    pm_object_assert_no_lock();
    if (pm_object_self.mine == PM_MINE_NOBODY)
        pm_object_fatal_unattached(type);
    if (pm_load_relaxed((_Atomic uint64_t *)&type->ready) != READY)
        pm_type_ready(type);
    struct pm_object *object = pm_object_memory_take(type, bytes);
    if (object == NULL)
        return NULL;
    object->type_low = (uint32_t)(uintptr_t)type;
    object->type_high = (uint16_t)((uintptr_t)type >> 32);
    /* Relaxed: who gets the object, gets it in an orderly way. */
    pm_store_relaxed(pm_owned_of(object), pm_object_self.mine);
    return object;
}

struct pm_object *pm_object_new(struct pm_type *type)
{
    return make(type, type->size);
}

struct pm_var_object *pm_object_new_var(struct pm_type *type, size_t count)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, type->item_size, &bytes) ||
        __builtin_add_overflow(bytes, type->size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    struct pm_var_object *object = (struct pm_var_object *)make(type, bytes);
    if (object != NULL)
        object->count = count;
    return object;
}

size_t pm_object_bytes(const struct pm_object *object)
{
    const struct pm_type *type = pm_object_type(object);
    if (type->item_size == 0)
        return type->size;
    return type->size + ((const struct pm_var_object *)object)->count * type->item_size;
}

/* ---- death ---- */

#define DEPTH_MAX 40
#define LATER_MIN 64

/* True: the object lives again. */
static PM_NOINLINE bool finalize(struct pm_object *object, const struct pm_type *type)
{
    object->flags |= PM_OBJECT_FINALIZED;
    /* One reference, for the time of the call. The owner first: with it, what pm_try_incref may not
     * reach looks the same before and after. */
    pm_store_relaxed(pm_owned_of(object), pm_object_self.mine);
    pm_store_release(pm_shared_of(object), PM_STATE_OWNED);
    type->finalize(object);
    if (pm_is_unique(object))
        return false;
    if ((pm_flags_of(object) & PM_OBJECT_PROBED) != 0)
        pm_object_set_probed(object); /* what it was before */
    pm_decref(object);                /* perhaps it dies at once, and is finalized already */
    return true;
}

static void dispose(struct pm_object *object)
{
    const struct pm_type *type = pm_object_type(object);
    if (type->finalize != NULL && (pm_flags_of(object) & PM_OBJECT_FINALIZED) == 0 &&
        finalize(object, type))
        return;
    /* From here on, whoever takes or drops a reference is told. */
    pm_store_relaxed(pm_owned_of(object), 0);
    pm_store_relaxed(pm_shared_of(object), PM_SHARED_DEAD);
    if ((pm_flags_of(object) & PM_OBJECT_WEAK) != 0)
        pm_weak_dying(object);
    if (type->clear != NULL)
        type->clear(object);
    if (type->free != NULL)
        type->free(object);
    if ((type->flags & PM_TYPE_GC) != 0)
        pm_gc_dead(object);
    pm_object_memory_give(object);
}

/* False: there is no memory for it. */
static bool put_by(struct pm_object_thread *thread, struct pm_object *object)
{
    if (thread->later_count == thread->later_room) {
        size_t room = thread->later_room == 0 ? LATER_MIN : thread->later_room * 2;
        struct pm_object **later = pm_raw_realloc(thread->later, room * sizeof *later);
        if (later == NULL)
            return false;
        thread->later = later;
        thread->later_room = room;
    }
    thread->later[thread->later_count++] = object;
    /* So it looks to the collector, too. */
    pm_store_relaxed(pm_owned_of(object), 0);
    pm_store_relaxed(pm_shared_of(object), PM_SHARED_DEAD);
    return true;
}

static void dispose_put_by(struct pm_object_thread *thread)
{
    while (thread->later_count > 0)
        dispose(thread->later[--thread->later_count]);
    pm_raw_free(thread->later);
    thread->later = NULL;
    thread->later_room = 0;
}

void pm_object_die_put_by(void)
{
    struct pm_object_thread *thread = &pm_object_thread;
    thread->depth = 1;
    dispose_put_by(thread);
    thread->depth = 0;
}

void pm_object_die(struct pm_object *object)
{
    struct pm_object_thread *thread = &pm_object_thread;
    pm_object_assert_no_lock();
    /* Without memory for the list they nest. */
    if (thread->depth >= DEPTH_MAX && put_by(thread, object))
        return;
    thread->depth++;
    dispose(object);
    if (thread->depth == 1 && thread->later != NULL)
        dispose_put_by(thread);
    thread->depth--;
}
