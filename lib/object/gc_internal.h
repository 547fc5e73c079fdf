/* SPDX-License-Identifier: MIT */
/*
 * What the files of the collector share.
 *
 *   gc_table.c      memory beside the gc pools: generations, transient words, marks of units
 *   gc_register.c   objects that lie elsewhere
 *   gc_find.c       which objects are trash: counts less what refers to them from inside
 *   gc_visit.c      what a traverse visits, looked over
 *   gc_trash.c      what becomes of trash: weak references, finalizers, resurrection, clear
 *   gc_collect.c    a collection from its start to its end
 *   gc_trigger.c    when there is one
 *   gc.c, gc_look.c the interface (poolmalloc/gc.h)
 *
 * "Stopped": by the thread that has stopped the world (world.h), to which all counts, references
 * and everything here belong meanwhile. Accesses are atomic and relaxed none the less where the
 * same field is used while the world runs.
 */
#ifndef PM_OBJECT_GC_INTERNAL_H
#define PM_OBJECT_GC_INTERNAL_H

#include "object/internal.h"
#include "object/weak.h"
#include "object/world.h"
#include "poolmalloc/gc.h"
#include "poolmalloc/gc_pools.h"

/* ---- what is known of an object during a collection ---- */

/*
 * The transient word: 0 outside of collections.
 *
 *   GC_NONE       no part of this collection
 *   GC_CANDIDATE  a part of it, with the references that are not accounted for yet. After the
 *                 search: trash
 *   GC_PENDING    reached, and its references are still to be followed
 *   GC_REACHED    reached, and so are those it refers to, or they will be
 */
enum pm_gc_mark { GC_NONE, GC_CANDIDATE, GC_PENDING, GC_REACHED };

#define GC_COUNT_SHIFT 2
#define GC_COUNT_ONE (1u << GC_COUNT_SHIFT)
#define GC_COUNT_MAX ((1u << (32 - GC_COUNT_SHIFT)) - 1)
#define GC_RESURRECTED (GC_COUNT_ONE | GC_REACHED) /* reached when trash was looked at again */

static inline enum pm_gc_mark pm_gc_mark_of(uint32_t word)
{
    return (enum pm_gc_mark)(word & (GC_COUNT_ONE - 1));
}

/* Generations, as they are kept: of what was just made nothing needs to be written. */
enum { GC_YOUNG, GC_MIDDLE, GC_OLD, GC_FROZEN };

/* ---- beside the gc pools ---- */

#define GC_GRANULE_SHIFT 4 /* objects begin in different ones */
#define GC_UNIT_SHIFT PM_UNIT_SHIFT
#define GC_UNIT_GRANULES ((size_t)1 << (GC_UNIT_SHIFT - GC_GRANULE_SHIFT))

/* Marks of a unit. */
#define GC_HAS_YOUNG 1u  /* objects of it may be GC_YOUNG */
#define GC_HAS_MIDDLE 2u /* or GC_MIDDLE */
#define GC_LISTED 4u     /* it is in the list of units that have either */
#define GC_TAKEN 8u      /* words of it are in use by a collection, which knows its blocks */
#define GC_HAS_TRASH 16u

/* The blocks of a unit, which is one pool, as of the time when it was taken. */
struct pm_gc_blocks {
    uint16_t first; /* in bytes from the start of the unit */
    uint16_t block_bytes;
    uint16_t blocks;
};

/* Address space for the whole window of gc pools, all zero at first, committed as it is touched. */
struct pm_gc_table {
    char *base;   /* of the window */
    size_t bytes; /* of it; 0: there are no tables, and every object is in the register */
    _Atomic uint32_t *words;      /* a transient word for each granule */
    _Atomic uint8_t *generations; /* 2 bits for each granule */
    _Atomic uint8_t *marks;       /* of each unit */
    _Atomic uint32_t *next;       /* units, plus 1: the list of those that are GC_LISTED */
    struct pm_gc_blocks *blocks;  /* of each unit that is GC_TAKEN */
};
extern struct pm_gc_table pm_gc_table PM_HIDDEN;

/* Before all else. Without memory, or without gc pools, there are no tables. */
void pm_gc_table_init(void);
/* The words of the units from `first` to `last` are 0 again, and their memory goes back but for a
 * bound. Stopped. */
void pm_gc_table_clear(size_t first, size_t last);

static inline size_t pm_gc_offset(const struct pm_object *object)
{
    return (size_t)((uintptr_t)object - (uintptr_t)pm_gc_table.base);
}

static inline size_t pm_gc_unit_of(size_t offset)
{
    return offset >> GC_UNIT_SHIFT;
}

/* ---- objects elsewhere ---- */

/* Of an object that lies in no gc pool. A node stays where it is until its object dies. */
struct pm_gc_node {
    struct pm_gc_node *next; /* of its bucket, under the lock of the shard */
    struct pm_object *object;
    struct pm_gc_node *next_trash;
    _Atomic uint32_t word;      /* of an object outside of the window */
    _Atomic uint8_t generation; /* the same */
};

void pm_gc_register_init(void);
/* False: without memory. */
bool pm_gc_register_add(struct pm_object *object);
void pm_gc_register_remove(struct pm_object *object);
/* NULL: it is not there. Stopped. */
struct pm_gc_node *pm_gc_register_find(const struct pm_object *object);
/* Calls back for each. Stopped. */
void pm_gc_register_each(void (*visit)(struct pm_object *object, struct pm_gc_node *node,
                                       void *arg),
                         void *arg);
size_t pm_gc_register_count(void);
/* Around a fork. */
void pm_gc_register_lock(void);
void pm_gc_register_unlock(void);

/* ---- both ---- */

static inline bool pm_gc_is_type_gc(const struct pm_object *object)
{
    return (pm_object_type(object)->flags & PM_TYPE_GC) != 0;
}

static inline unsigned pm_gc_flags_of(const struct pm_object *object)
{
    /* Relaxed: who has the object knows what it did; the world orders the rest. */
    return pm_load_relaxed((_Atomic uint8_t *)&object->flags);
}

/* The word of an object, or of a pointer that was taken for one. NULL: it has none, as it is no
 * part of any collection. */
static inline _Atomic uint32_t *pm_gc_word_of(const struct pm_object *object)
{
    size_t offset = pm_gc_offset(object);
    if (__builtin_expect(offset < pm_gc_table.bytes, 1)) {
        /* A unit of which none is in use has no memory for its words. Relaxed: set when stopped. */
        if ((pm_load_relaxed(&pm_gc_table.marks[pm_gc_unit_of(offset)]) & GC_TAKEN) == 0)
            return NULL;
        return &pm_gc_table.words[offset >> GC_GRANULE_SHIFT];
    }
    struct pm_gc_node *node = pm_gc_register_find(object);
    return node != NULL ? &node->word : NULL;
}

unsigned pm_gc_generation_of(const struct pm_object *object);
void pm_gc_set_generation(struct pm_object *object, unsigned generation);

/* The header is that of a live object: not of a free block, nor of one that is dead and about to be
 * freed. `counts` are bytes 8..15 of it. */
static inline bool pm_gc_is_live(uint64_t counts)
{
    uint32_t owned = (uint32_t)counts, shared = (uint32_t)(counts >> 32);
    return (uint16_t)owned != 0 || (shared != 0 && shared != PM_SHARED_DEAD);
}

#endif
