/* SPDX-License-Identifier: MIT */
/*
 * Objects with reference counts, shared between threads without a lock: the core of the object
 * layer (libpoolobject). docs/object-layer.md tells how the parts go together.
 *
 * An object is a structure that begins with struct pm_object. It is made by pm_object_new, with one
 * reference, which its maker holds, and dies when the last one is dropped. Counts are biased (PEP
 * 703, "Making the Global Interpreter Lock Optional in CPython"): the thread that made an object
 * counts its references by plain loads and stores, other threads theirs by atomic ones, and the sum
 * of both is the count.
 *
 * Threads. A thread that uses objects attaches itself first (pm_object_thread_attach); it calls
 * pm_safepoint() now and then, and puts pm_object_thread_pause and _resume around whatever blocks.
 * Every function here but those that say otherwise is for attached threads that are not paused, and
 * not for signal handlers. An object is used by whoever holds a reference to it, and may be used by
 * several threads at a time; what is beyond the header is for the program to guard.
 *
 * Misuse that is seen ends the program by abort(), after a line on stderr that names the type.
 */
#ifndef POOLMALLOC_OBJECT_H
#define POOLMALLOC_OBJECT_H

#include "poolmalloc/poolmalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pm_object;

/* Called for each reference by traverse. Not 0 ends the traversal, with that result. */
typedef int (*pm_visit)(struct pm_object *object, void *arg);

/* Of struct pm_type. */
#define PM_TYPE_GC 1u /* objects may be part of cycles, and are collected; needs traverse */
/* `hash`, and `equal` with another object of such a type, read nothing but the objects' own memory
 * and what never changes, and call nothing of the program's: dictionaries compare such keys without
 * taking a reference. */
#define PM_TYPE_PLAIN 2u

/*
 * A type. The program owns it and fills it in, the fields that it does not name being 0; it stays,
 * unchanged and where it is, as long as there are objects of it. clear, finalize and free get an
 * object that nobody else has any more, in the thread that dropped the last reference or in one
 * that did so on behalf of another. Each function may be NULL.
 */
struct pm_type {
    const char *name; /* for reports */
    size_t size;      /* of an object in bytes, header included, without items */
    size_t item_size; /* of an item in bytes; 0: all objects have `size` bytes */
    unsigned flags;   /* PM_TYPE_ flags */
    /* Calls visit for each reference that the object holds, once for each time that it holds it.
     * For the collector: with all other threads stopped, so it takes no lock that one of them may
     * have, allocates nothing, takes and drops no references. What it visits is an object. */
    int (*traverse)(struct pm_object *object, pm_visit visit, void *arg);
    /* Drops the references that the object holds, and sets the fields to NULL. */
    void (*clear)(struct pm_object *object);
    /* The last words (PEP 442): called once in an object's life, before clear, when nobody has a
     * reference. It may use the object as ever, and bring it back to life by making references. */
    void (*finalize)(struct pm_object *object);
    /* After clear: gives back what the object holds besides references. The memory of the object
     * itself is not its business. */
    void (*free)(struct pm_object *object);
    /* Values (poolmalloc/values.h); these are for objects in use, and keep no reference. Equal
     * objects have equal hashes, of whatever types they are. UINT64_MAX: it has none, and errno
     * says why (ENOTSUP: a part of it has none). NULL: by address, and if `equal` is set, none. */
    uint64_t (*hash)(struct pm_object *object);
    /* The other one may be of any type. NULL: equal to itself only. */
    bool (*equal)(struct pm_object *object, struct pm_object *other);
    /* 1, and *result is below, above or 0, as `object` is to `other`, which may be of any type; 0
     * with errno ENOTSUP: there is no order of these types, EDOM: of these values. NULL: no order.
     */
    int (*compare)(struct pm_object *object, struct pm_object *other, int *result);
    /* A str that describes the object, for pm_repr; NULL with errno. It may ask pm_repr for what
     * the object holds. NULL: <name object at ADDRESS>. */
    struct pm_object *(*repr)(struct pm_object *object);
    uint64_t ready; /* the library's: 0 until pm_type_ready */
};

/*
 * The header: 16 bytes. All fields are the library's.
 *
 *   bytes 0..5    address of the type
 *   byte  6       PM_OBJECT_ flags
 *   byte  7       lock of a list or dictionary; 0 in others
 *   bytes 8..11   slot of the owner << 16 | local count; written by the owner only
 *   bytes 12..15  shared count, signed, << 2 | state; written by read-modify-write
 */
struct pm_object {
    uint32_t type_low;
    uint16_t type_high;
    uint8_t flags;
    uint8_t lock;
    uint32_t owned;
    uint32_t shared;
};

/* The header of an object of a type with items. */
struct pm_var_object {
    struct pm_object object;
    size_t count; /* items; constant */
};

/*
 * Looks a type over, so that mistakes show before its first object is made; pm_object_new does it
 * by itself. A type without name, smaller than its header, or flagged PM_TYPE_GC without traverse
 * is a named error. Any thread, attached or not, again too.
 */
PM_API void pm_type_ready(struct pm_type *type);

/*
 * A new object of the type, all zero beyond the header, with one reference, which the caller owns.
 * NULL with errno ENOMEM: out of memory. pm_object_new_var is for types with items: `count` of
 * them follow the first `size` bytes, which begin with struct pm_var_object. The object is aligned
 * to 16 bytes if all of it is a multiple of 16 bytes, or if it has items and `size` is 48 or more:
 * so it is where a field needs that; to 8 at least. Of a type flagged PM_TYPE_GC: before it
 * allocates there may be a collection (poolmalloc/gc.h), or the thread stops for that of another
 * one.
 */
PM_API struct pm_object *pm_object_new(struct pm_type *type);
PM_API struct pm_var_object *pm_object_new_var(struct pm_type *type, size_t count);

static inline struct pm_type *pm_object_type(const struct pm_object *object)
{
    return (struct pm_type *)(object->type_low | (uintptr_t)object->type_high << 32);
}

/* What the object takes, in bytes: of its type, and of its items. */
PM_API size_t pm_object_bytes(const struct pm_object *object);

/* ---- threads ---- */

/*
 * Attaches the calling thread: it becomes an owner of objects, and inherits those that the last
 * thread in its place left. True; false with errno ENOMEM, or EAGAIN when PM_OBJECT_THREADS_MAX
 * threads are attached. A thread that is attached already is attached once more, and has to detach
 * as often. A thread that ends detaches itself, after its own destructors of thread-specific data
 * or before them; one that has objects with finalizers had better do it before it ends.
 */
PM_API bool pm_object_thread_attach(void);

/* The opposite. What others have given back meanwhile is dropped first, until nothing is left.
 * Objects that the thread made live on: from now on whoever drops a reference to one does what
 * would have been its owner's to do. */
PM_API void pm_object_thread_detach(void);

/*
 * Around whatever blocks, or takes long without a safepoint: a paused thread uses no object, and
 * others do for it what is due meanwhile, as if it were detached. It keeps its place. The first one
 * is a safepoint.
 */
PM_API void pm_object_thread_pause(void);
PM_API void pm_object_thread_resume(void);

#define PM_OBJECT_THREADS_MAX 65535 /* attached at the same time */

/* What the thread counts by; the functions below read it, nobody else. */
struct pm_object_self {
    uint32_t mine;                    /* slot << 16 | 1; slot 0: not attached, or paused */
    uint32_t due;                     /* others left something to do at the next safepoint */
    struct pm_deferred_frame *frames; /* the one entered last (poolmalloc/deferred.h) */
};
PM_API extern __thread struct pm_object_self pm_object_self
    __attribute__((tls_model("initial-exec")));

PM_API void pm_safepoint_slow(void);

/*
 * Where a thread does what others left it to do: objects whose last foreign reference was dropped
 * are merged, and those that die by it, die here. To be called now and then, where the thread bears
 * that finalizers run. One load when nothing is due.
 */
static inline void pm_safepoint(void)
{
    if (__builtin_expect(__atomic_load_n(&pm_object_self.due, __ATOMIC_RELAXED) != 0, 0))
        pm_safepoint_slow();
}

/* ---- reference counts ---- */

/*
 * The states of an object are those of PEP 703, in the lower bits of `shared`:
 *
 *   00 owned     the owner counts in `owned`, others in `shared`; 1 and 0 at birth
 *   01 probed    the same, and pm_try_incref may reach it (pm_object_set_probed; from 00 only)
 *   10 queued    the same, and it waits for its owner: others have dropped more references than
 *                they took. The queue has the last one of them, which was not subtracted
 *   11 merged    no owner, all is in `shared`; for good. At a count of 0 the object is dead
 *
 * An immortal object has no owner and a local count that no other has; nothing changes it.
 */
#define PM_OBJECT_LOCAL_FULL 0xfffeu   /* the most that the owner counts; the rest is shared */
#define PM_OBJECT_IMMORTAL 0x0000ffffu /* `owned` of an immortal object */

PM_API void pm_incref_slow(struct pm_object *object);
PM_API void pm_decref_slow(struct pm_object *object);

/* One reference more; by a thread that has one, or the use of one. */
static inline void pm_incref(struct pm_object *object)
{
    uint32_t owned = __atomic_load_n(&object->owned, __ATOMIC_RELAXED);
    /* One compare: mine, alive, and not full. */
    if (__builtin_expect(owned - pm_object_self.mine < PM_OBJECT_LOCAL_FULL - 1, 1))
        __atomic_store_n(&object->owned, owned + 1, __ATOMIC_RELAXED);
    else
        pm_incref_slow(object);
}

/*
 * One reference less; it was the caller's. With the last one the object dies: what its type has for
 * that is called here, or, where many objects die by each other, in the outermost of these calls.
 * Where the owner has more references waiting than its queue may hold (docs/object-layer.md), the
 * call waits until the owner gets to a safepoint, pauses or detaches; others may do what is due to
 * the caller meanwhile.
 */
static inline void pm_decref(struct pm_object *object)
{
    uint32_t left = __atomic_load_n(&object->owned, __ATOMIC_RELAXED) - 1;
    /* One compare: mine, and something is left. */
    if (__builtin_expect(left - pm_object_self.mine < PM_OBJECT_LOCAL_FULL - 1, 1))
        __atomic_store_n(&object->owned, left, __ATOMIC_RELAXED);
    else
        pm_decref_slow(object);
}

/*
 * References that there are, those of queues included; UINT32_MAX: immortal. By the owner, it
 * is at least what it and the queue have, and exact if no other thread changes it. By others it is
 * the sum of two counts that were read one after the other, which may never have been the count:
 * nothing follows from it, neither from 1 that nobody else has the object, nor from two equal
 * results that nothing changed. For that there is pm_is_unique.
 */
PM_API uint32_t pm_refcount(const struct pm_object *object);

/*
 * True: the reference that the caller has is the only one, and stays so until the caller makes
 * another; so the object may be changed in place. False: perhaps not; other threads than the owner
 * get it until the object is merged, and everybody does if it is probed.
 */
PM_API bool pm_is_unique(const struct pm_object *object);

/*
 * The object never dies from now on, and its count is never changed, nor written, by anybody. True;
 * false, and nothing happens: the caller is not its owner with the only reference (pm_is_unique).
 * Immortal already: true.
 */
PM_API bool pm_object_set_immortal(struct pm_object *object);

/*
 * For those who find an object without having a reference: true, and they have one now; false: the
 * object is dead, or dies, or is not probed. The memory is that of an object as long as the thread
 * has not been quiescent since it found it (poolmalloc/qsbr.h): it drops no reference, and comes to
 * no safepoint, between the two.
 */
PM_API bool pm_try_incref(struct pm_object *object);

/* From now on pm_try_incref may reach the object, whose memory will be freed by pm_qsbr_defer. By a
 * thread that has a reference, before others can find it; again does nothing. */
PM_API void pm_object_set_probed(struct pm_object *object);

#define PM_OBJECT_FINALIZED 1u  /* finalize was called, or is being called */
#define PM_OBJECT_PROBED 2u     /* pm_try_incref may reach it */
#define PM_OBJECT_REGISTERED 4u /* of a PM_TYPE_GC type, and in no gc pool (gc_pools.h) */
#define PM_OBJECT_UNTRACKED 16u /* the collector leaves it out (gc.h) */
#define PM_OBJECT_SHARED 128u   /* of a list or dictionary: not only its owner has used it */

#ifdef __cplusplus
}
#endif

#endif
