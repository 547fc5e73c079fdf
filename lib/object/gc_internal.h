/* SPDX-License-Identifier: MIT */
/*
 * What the files of the collector share.
 *
 *   gc_table.c      memory beside the gc pools: generations, transient words, marks of units
 *   gc_register.c   objects that lie elsewhere
 *   gc_find.c       which objects are trash: counts less what refers to them from inside
 *   gc_reach.c      and what is reached from those that have some left
 *   gc_words.c      walks over what it found
 *   gc_visit.c      what a traverse visits, looked over
 *   gc_untrack.c    survivors that need not be looked at again
 *   gc_trash.c      what becomes of trash: weak references, finalizers, resurrection, clear
 *   gc_collect.c    a collection from its start to its end
 *   gc_trigger.c    when there is one
 *   gc_check.c      what must hold between collections
 *   gc.c, gc_look.c the interface (poolmalloc/gc.h)
 *
 * "Stopped": by the thread that has stopped the world (world.h), to which all counts, references
 * and everything here belong meanwhile. Accesses are atomic and relaxed none the less where the
 * same field is used while the world runs.
 */
#ifndef PM_OBJECT_GC_INTERNAL_H
#define PM_OBJECT_GC_INTERNAL_H

#include "object/deferred.h"
#include "object/gc.h"
#include "object/weak.h"
#include "object/world.h"
#include "poolmalloc/containers.h"
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
#define GC_RESURRECTED (GC_COUNT_ONE | GC_REACHED) /* was trash, lives on, and is held still */
#define GC_RELEASED (GC_COUNT_ONE | GC_CANDIDATE)  /* trash, after all is done to make it die */

static inline enum pm_gc_mark pm_gc_mark_of(uint32_t word)
{
    return (enum pm_gc_mark)(word & (GC_COUNT_ONE - 1));
}

/* Generations, as they are kept: of what was just made nothing needs to be written. */
enum { GC_YOUNG, GC_MIDDLE, GC_OLD, GC_FROZEN };

/* ---- beside the gc pools ---- */

#define GC_GRANULE_SHIFT 3    /* objects begin at multiples of it */
#define GC_BLOCK_SHIFT 4      /* and no block is smaller */
#define GC_GENERATION_SHIFT 5 /* and each in another one of these: see PM_GC_OBJECT_MIN */
#define GC_UNIT_SHIFT PM_UNIT_SHIFT
_Static_assert(PM_GC_OBJECT_MIN == 1 << GC_GENERATION_SHIFT, "objects share no bits");

#define GC_RECIPROCAL_SHIFT 20

/* Marks of a unit. */
#define GC_HAS_YOUNG 1u  /* objects of it may be GC_YOUNG */
#define GC_HAS_MIDDLE 2u /* or GC_MIDDLE */
#define GC_HAS_TRASH 4u
#define GC_HAS_REGISTERED 8u /* objects of the register have begun in it */

/*
 * A unit, which is one pool, as a collection found its blocks. Its words lie one after another:
 * that of a block is found by a multiplication instead of a division, which is exact for all
 * granules of a unit and all steps.
 */
struct pm_gc_unit {
    uint32_t words_at;       /* the first one */
    uint32_t reciprocal;     /* of step, times 2^GC_RECIPROCAL_SHIFT, rounded up */
    _Atomic uint16_t blocks; /* that have words; 0: it takes no part */
    uint16_t looked;         /* blocks, for those who look at them meanwhile (gc_look.c) */
    uint8_t first, step;     /* where block 0 begins, and how far they are apart, in granules */
};

/* Address space for the whole window of gc pools, all zero at first, committed as it is touched. */
struct pm_gc_table {
    char *base;   /* of the window */
    size_t bytes; /* of it; 0: there are no tables, and every object is in the register */
    _Atomic uint32_t *words;
    _Atomic uint8_t *generations; /* 2 bits for each 1 << GC_GENERATION_SHIFT bytes */
    struct pm_gc_unit *units;
    _Atomic uint8_t *marks; /* of each unit */
};
extern struct pm_gc_table pm_gc_table PM_HIDDEN;

/* So many words may stay resident between collections: most collections are of young objects, which
 * are few, and would fault their pages in again and again. */
#define PM_GC_KEPT_WORDS ((size_t)16384)

/* Before all else. Without memory, or without gc pools, there are no tables. */
void pm_gc_table_init(void);
/* Where the blocks of a pool are is known from now on. Which unit it is. Stopped. */
size_t pm_gc_table_note_pool(const struct pm_gc_pool *pool);
/* So many words are in use, and become 0; their memory goes back but for a bound. By the collector,
 * after its units have lost their blocks. */
void pm_gc_table_clear(size_t words);

static inline size_t pm_gc_offset(const struct pm_object *object)
{
    return (size_t)((uintptr_t)object - (uintptr_t)pm_gc_table.base);
}

static inline size_t pm_gc_unit_of(size_t offset)
{
    return offset >> GC_UNIT_SHIFT;
}

/* By any thread that runs, or stopped. Relaxed: the world orders it. */
static inline void pm_gc_set_mark(size_t unit, uint8_t mark)
{
    pm_schedule_point();
    atomic_fetch_or_explicit(&pm_gc_table.marks[unit], mark, memory_order_relaxed);
}

static inline void pm_gc_clear_mark(size_t unit, unsigned mark)
{
    pm_schedule_point();
    atomic_fetch_and_explicit(&pm_gc_table.marks[unit], (uint8_t)~mark, memory_order_relaxed);
}

static inline bool pm_gc_has_mark(size_t unit, unsigned mark)
{
    return (pm_load_relaxed(&pm_gc_table.marks[unit]) & mark) != 0;
}

typedef void pm_gc_each(struct pm_object *object, _Atomic uint32_t *word, void *arg);

/* Calls visit for the first so many blocks of a unit, live or not. */
static inline __attribute__((always_inline)) void pm_gc_each_in_unit(size_t unit, unsigned blocks,
                                                                     pm_gc_each *visit, void *arg)
{
    const struct pm_gc_unit *in = &pm_gc_table.units[unit];
    char *block = pm_gc_table.base + (unit << GC_UNIT_SHIFT) + (in->first << GC_GRANULE_SHIFT);
    _Atomic uint32_t *word = pm_gc_table.words + in->words_at;
    for (; blocks > 0; blocks--, block += in->step << GC_GRANULE_SHIFT)
        visit((struct pm_object *)(void *)block, word++, arg);
}

/* An object was made, in a gc pool. By a thread that runs. */
static inline void pm_gc_table_note_young(const struct pm_object *object)
{
    size_t unit = pm_gc_unit_of(pm_gc_offset(object));
    /* Relaxed: the world orders it. */
    if (__builtin_expect(!pm_gc_has_mark(unit, GC_HAS_YOUNG), 0))
        pm_gc_set_mark(unit, GC_HAS_YOUNG);
}

/* ---- objects elsewhere ---- */

/* Of an object that lies in no gc pool. A node stays where it is until its object dies. */
struct pm_gc_node {
    struct pm_gc_node *next; /* of its bucket, under the lock of the shard */
    struct pm_object *object;
    struct pm_gc_node *next_trash;
    _Atomic uint32_t word;
    _Atomic uint8_t generation;
};

void pm_gc_register_init(void);
/* False: without memory. */
bool pm_gc_register_add(struct pm_object *object);
/* Its last word. */
uint32_t pm_gc_register_remove(struct pm_object *object);
/* NULL: it is not there. Stopped. */
struct pm_gc_node *pm_gc_register_find(const struct pm_object *object);
/* Calls back for each. Stopped. */
void pm_gc_register_each(void (*visit)(struct pm_object *object, struct pm_gc_node *node,
                                       void *arg),
                         void *arg);
size_t pm_gc_register_count(void);
/* Whether each is found where it is looked for; the first violation is told. Stopped. */
bool pm_gc_register_check(void);
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

/* The word of what lies in a gc pool; NULL: it does not, or its unit takes no part, or there is no
 * object there. */
static inline _Atomic uint32_t *pm_gc_word_in_pool(size_t offset)
{
    const struct pm_gc_unit *unit = &pm_gc_table.units[pm_gc_unit_of(offset)];
    uint32_t granule = (uint32_t)(offset >> GC_GRANULE_SHIFT) % (PM_UNIT_BYTES >> GC_GRANULE_SHIFT);
    granule -= unit->first;
    uint32_t index = granule * unit->reciprocal >> GC_RECIPROCAL_SHIFT;
    /* Relaxed: set when stopped; taken back when nobody asks. */
    if (index >= pm_load_relaxed(&unit->blocks) || index * unit->step != granule ||
        offset % (1u << GC_GRANULE_SHIFT) != 0)
        return NULL;
    return &pm_gc_table.words[unit->words_at + index];
}

_Atomic uint32_t *pm_gc_word_elsewhere(const struct pm_object *object);

/* The word of an object, or of a pointer that was taken for one. NULL: it has none, as it is no
 * part of any collection. Stopped. */
static inline _Atomic uint32_t *pm_gc_word_of(const struct pm_object *object)
{
    size_t offset = pm_gc_offset(object);
    if (__builtin_expect(offset < pm_gc_table.bytes, 1)) {
        _Atomic uint32_t *word = pm_gc_word_in_pool(offset);
        if (word != NULL ||
            (pm_load_relaxed(&pm_gc_table.marks[pm_gc_unit_of(offset)]) & GC_HAS_REGISTERED) == 0)
            return word;
    }
    return pm_gc_word_elsewhere(object);
}

/* Makes the word of an object that dies in a gc pool 0, and tells what it was. */
static inline uint32_t pm_gc_take_word(const struct pm_object *object)
{
    size_t offset = pm_gc_offset(object);
    _Atomic uint32_t *word = offset < pm_gc_table.bytes ? pm_gc_word_in_pool(offset) : NULL;
    uint32_t value = word != NULL ? pm_load_relaxed(word) : GC_NONE;
    if (value != GC_NONE)
        pm_store_relaxed(word, GC_NONE);
    return value;
}

/* Where the generation of an object is, and by how much it is shifted there. The header of what
 * lies in a gc pool is not looked at. */
static inline _Atomic uint8_t *pm_gc_generation_in_pool(const struct pm_object *object,
                                                        unsigned *shift)
{
    size_t number = pm_gc_offset(object) >> GC_GENERATION_SHIFT;
    *shift = number % 4 * 2;
    return &pm_gc_table.generations[number / 4];
}

/* Stopped, if it is in the register. */
static inline _Atomic uint8_t *pm_gc_generation_at(const struct pm_object *object, unsigned *shift)
{
    if (__builtin_expect((pm_gc_flags_of(object) & PM_OBJECT_REGISTERED) == 0, 1))
        return pm_gc_generation_in_pool(object, shift);
    *shift = 0;
    return &pm_gc_register_find(object)->generation;
}

static inline unsigned pm_gc_generation_of(const struct pm_object *object)
{
    unsigned shift;
    _Atomic uint8_t *at = pm_gc_generation_at(object, &shift);
    return pm_load_relaxed(at) >> shift & 3;
}

/* The next collection of its generation looks at the object, whose unit was perhaps collected
 * without it. By a thread that has a reference. */
static inline void pm_gc_note_again(const struct pm_object *object)
{
    static const uint8_t marks[] = {GC_HAS_YOUNG, GC_HAS_MIDDLE, 0, 0}; /* by generation */
    if ((pm_gc_flags_of(object) & PM_OBJECT_REGISTERED) == 0)
        pm_gc_set_mark(pm_gc_unit_of(pm_gc_offset(object)), marks[pm_gc_generation_of(object)]);
}

static inline void pm_gc_put_generation(_Atomic uint8_t *at, unsigned shift, unsigned generation)
{
    uint8_t before = pm_load_relaxed(at);
    uint8_t after = (uint8_t)((before & ~(3u << shift)) | generation << shift);
    if (after != before)
        pm_store_relaxed(at, after);
}

/* Stopped. */
static inline void pm_gc_set_generation(struct pm_object *object, unsigned generation)
{
    unsigned shift;
    _Atomic uint8_t *at = pm_gc_generation_at(object, &shift);
    pm_gc_put_generation(at, shift, generation);
}

/* The same of an object that is known to lie in a gc pool. */
static inline void pm_gc_set_generation_in_pool(struct pm_object *object, unsigned generation)
{
    unsigned shift;
    _Atomic uint8_t *at = pm_gc_generation_in_pool(object, &shift);
    pm_gc_put_generation(at, shift, generation);
}

/* The header is that of a live object: not of a free block, nor of one that is dead and about to be
 * freed. `counts` are bytes 8..15 of it. */
static inline bool pm_gc_is_live(uint64_t counts)
{
    uint32_t owned = (uint32_t)counts, shared = (uint32_t)(counts >> 32);
    return (uint16_t)owned != 0 || (shared != 0 && shared != PM_SHARED_DEAD);
}

/* ---- the search for trash (gc_find.c) ---- */

struct pm_gc_search {
    unsigned generation; /* objects of it and of younger ones take part */
    size_t first, last;  /* units that take part, and others between; first > last: none */
    size_t words;        /* in use */
    size_t candidates, trash;
    size_t left_out; /* of those that survived: they are not tracked any more */
    struct pm_gc_node *trash_nodes; /* of trash that is in the register */
    struct pm_weak_callbacks callbacks;
    struct pm_deferred_entry *deferred; /* that are trash */
};

/*
 * Finds out which of the objects nothing outside of them leads to; `search` says which generations
 * take part, and is 0 otherwise. Then the words of trash are GC_CANDIDATE, those of the others
 * GC_REACHED, and they have grown older. Stopped.
 */
void pm_gc_find_trash(struct pm_gc_search *search);
/* The same among what was found to be trash, to each of which the collector has a reference: what
 * is reached now is GC_RESURRECTED. Stopped. */
void pm_gc_find_resurrected(struct pm_gc_search *search);

/* It is of a type that the collector leaves out by itself, after one of that generation. */
static inline bool pm_gc_may_leave_out(const struct pm_object *object, unsigned generation)
{
    const struct pm_type *type = pm_object_type(object);
    return type == &pm_tuple_type || (type == &pm_dict_type && generation == GC_OLD);
}

bool pm_gc_leave_out_container(struct pm_object *object, struct pm_gc_search *search);

/* An object has survived. True: it is not tracked any more, since it cannot be part of a cycle
 * (gc_untrack.c). Stopped. */
static inline bool pm_gc_leave_out(struct pm_object *object, struct pm_gc_search *search)
{
    return pm_unlikely(pm_gc_may_leave_out(object, search->generation)) &&
           pm_gc_leave_out_container(object, search);
}

/* Calls back for each object that was trash and of which the word is `wanted`: GC_CANDIDATE, still
 * trash, or GC_RESURRECTED. Whether the world is stopped or not, as the collector has a reference
 * to each, and keeps it. */
void pm_gc_each_marked(const struct pm_gc_search *search, uint32_t wanted, pm_gc_each *visit,
                       void *arg);
/* The same, where visit gives away the collector's reference, after another word is set. The object
 * may be gone then, with its node, which leaves the list of trash before. */
void pm_gc_take_marked(struct pm_gc_search *search, uint32_t wanted, pm_gc_each *visit, void *arg);
/* The same, whatever the collector has references to. Stopped. */
void pm_gc_each_stopped(const struct pm_gc_search *search, uint32_t wanted, pm_gc_each *visit,
                        void *arg);

/* After all: no unit takes part any more, and words go back. */
void pm_gc_end_search(struct pm_gc_search *search);

/* What a traverse of `type` visits, and is no part of the collection: an object, or this is the
 * end. Stopped; with pm_gc_look_begin before the first one. */
void pm_gc_look_begin(void);
void pm_gc_look_over(const struct pm_object *object, const struct pm_type *type);

/* ---- invariants (gc_check.c) ---- */

/* Between collections no unit takes part in one, and all words are 0; and what is young, or in the
 * middle, lies in a unit that is marked so. The first violation is told. Stopped. */
bool pm_gc_table_check(void);
/* This, and those of all structures that the collector relies on. Stopped. */
bool pm_gc_check(void);

/* ---- a collection (gc_collect.c) ---- */

/* Once, before a thread makes objects. */
void pm_gc_start(void);

/* There is one, whose words are in use: death looks after them. */
extern _Atomic bool pm_gc_collecting PM_HIDDEN;

/*
 * One of that generation and those younger. False with errno EBUSY: there is a collection already;
 * or the world did not stop. With `put_off` NULL the caller waits for that; else it is told whether
 * that was it.
 */
bool pm_gc_run(unsigned generation, bool *put_off, struct pm_gc_result *result);

/* What became of trash (gc_trash.c). After the search, stopped: a reference to each object that is
 * trash, so that none dies before its turn; and the weak references to them are cleared. */
void pm_gc_hold_trash(struct pm_gc_search *search);
/* Then, with the world running: callbacks, finalizers, another look, death. */
void pm_gc_dispose_of_trash(struct pm_gc_search *search, struct pm_gc_result *result);
/* The same, when the thread is gone that did a part of it: what is held is let go, as if it had not
 * been found. */
void pm_gc_let_go_of_trash(struct pm_gc_search *search);
/* An object dies during a collection, of which the word was not 0. Any attached thread. */
void pm_gc_note_death(uint32_t word);

/* ---- when (gc_trigger.c) ---- */

/* Settings; written under the lock of gc.c. */
extern _Atomic bool pm_gc_enabled PM_HIDDEN;
extern _Atomic uint32_t pm_gc_mode PM_HIDDEN;
extern _Atomic uint32_t pm_gc_thresholds[PM_GC_GENERATIONS] PM_HIDDEN;

/* Stopped, when a generation is collected, and after it, with how many objects of it survived. */
void pm_gc_count_collection(unsigned generation);
void pm_gc_count_survivors(unsigned generation, size_t survivors);
size_t pm_gc_long_lived(void);
/* The calling thread looks at the settings again. */
void pm_gc_look_at_settings(void);

/* ---- the interface (gc.c) ---- */

extern _Atomic uint32_t pm_gc_debug PM_HIDDEN;

/* Around a fork. */
void pm_gc_lock(void);
void pm_gc_unlock(void);

/* Takes over the caller's reference. False: without memory, and it does not. */
bool pm_gc_add_garbage(struct pm_object *object);
void pm_gc_call_callbacks(const struct pm_gc_info *info);
void pm_gc_note_collection(unsigned generation, const struct pm_gc_result *result);
void pm_gc_note_pause(uint64_t ns);
void pm_gc_note_put_off(void);

#endif
