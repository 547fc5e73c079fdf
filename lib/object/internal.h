/* SPDX-License-Identifier: MIT */
/*
 * What the files of the object layer share. The layer is a library of its own: of the layers below
 * it calls public functions only, and includes headers that bring their functions along.
 *
 *   object.c    types, birth, death            report.c   named errors
 *   counts.c    the slow halves of the counts  memory.c   where objects' memory comes from
 *   slots.c     owners: attach, pause, fork    queue.c    references that wait for an owner
 *   weak.c      weak references, and weak_table.c which there are to an object
 *   world.c     stopping all threads           deferred.c references in frames, summed then
 *   lock.c      the lock of an object          container.c, tuple.c, list*.c, dict*.c
 */
#ifndef PM_OBJECT_INTERNAL_H
#define PM_OBJECT_INTERNAL_H

#include "base/atomic.h"
#include "base/bits.h"
#include "base/config.h"
#include "poolmalloc/deferred.h"
#include "poolmalloc/object.h"

#include <pthread.h>

_Static_assert(sizeof(struct pm_object) == 16, "the header has 16 bytes");
_Static_assert(offsetof(struct pm_object, owned) == 8 && offsetof(struct pm_object, shared) == 12,
               "both counts can be written apart");

#define PM_TYPE_BITS 48 /* of a type's address */

/* ---- the two counts ---- */

/* The lower bits of `shared`; the table is in poolmalloc/object.h. */
enum pm_state { PM_STATE_OWNED, PM_STATE_PROBED, PM_STATE_QUEUED, PM_STATE_MERGED };

#define PM_SHARED_SHIFT 2
#define PM_SHARED_ONE (1u << PM_SHARED_SHIFT)
#define PM_SHARED_DEAD ((uint32_t)PM_STATE_MERGED) /* merged, and the count 0 */

/* So many references move to the shared count when the local one is full, and come back together
 * when it runs out. */
#define PM_SPILL 0x8000u

/* Above, a reference is refused, before increments of all threads at once could overflow; and no
 * count can be as far below 0, as what is missing there is in the local one. */
#define PM_SHARED_MAX ((1 << 29) - (1 << 20))
#define PM_SHARED_MIN (-(int32_t)PM_OBJECT_LOCAL_FULL)

static inline _Atomic uint32_t *pm_owned_of(const struct pm_object *object)
{
    return (_Atomic uint32_t *)&object->owned;
}

static inline _Atomic uint32_t *pm_shared_of(const struct pm_object *object)
{
    return (_Atomic uint32_t *)&object->shared;
}

/* Sets a flag of the header, which others may do, too. */
static inline void pm_object_set_flag(struct pm_object *object, unsigned flag)
{
    pm_schedule_point();
    /* Relaxed: the counts, or the stopped world, order who relies on it. */
    atomic_fetch_or_explicit((_Atomic uint8_t *)&object->flags, (uint8_t)flag,
                             memory_order_relaxed);
}

/* Relaxed: what others may change of it while one has no reference, the counts have ordered. */
static inline uint8_t pm_flags_of(const struct pm_object *object)
{
    return pm_load_relaxed((_Atomic uint8_t *)&object->flags);
}

static inline enum pm_state pm_state_of(uint32_t shared)
{
    return (enum pm_state)(shared & 3);
}

static inline int32_t pm_count_of(uint32_t shared)
{
    return (int32_t)shared >> PM_SHARED_SHIFT;
}

/*
 * Makes the object merged and takes `less` references. True: it is dead. The caller has the
 * owner's rights: it is the owner, or holds the lock of the owner's slot, whose thread does not
 * run. (The owner may have merged it before.)
 */
bool pm_object_merge(struct pm_object *object, int32_t less);

/* Drops a reference to an object that was queued, and has no owner any more, or one who is about to
 * merge it. True: it is dead. */
bool pm_object_drop_queued(struct pm_object *object);

/* Of a dead object: what its type has for that, and its memory; or it comes back to life. */
void pm_object_die(struct pm_object *object);
/* Those whose turn had not come when the thread ended, in the death of one before them. */
void pm_object_die_put_by(void);

/* Memory of objects (memory.c): the only two functions that know where it comes from. All zero;
 * NULL with errno ENOMEM. */
struct pm_object *pm_object_memory_take(const struct pm_type *type, size_t bytes);
void pm_object_memory_give(struct pm_object *object);

/* ---- owners ---- */

/*
 * A slot is a place for one attached thread, and has its queue. Slots are never given back; who
 * takes a free one inherits the objects that name it.
 *
 *   state     thread            objects that name the slot: owner's rights has
 *   FREE      none              who holds the lock
 *   RUNNING   uses objects      the thread, without the lock
 *   PAUSED    does not          who holds the lock
 *
 * A thread leaves and takes RUNNING under the lock: whoever has found the slot in another state
 * under it writes counts that nobody else writes until it lets go of the lock.
 */
enum pm_slot_state { PM_SLOT_FREE, PM_SLOT_RUNNING, PM_SLOT_PAUSED };

#define PM_QUEUE_FEW 6 /* objects that a queue can always take */
#define PM_QUEUE_CHUNK 126

struct pm_queue_chunk {
    struct pm_queue_chunk *next;
    size_t count;
    struct pm_object *objects[PM_QUEUE_CHUNK];
};

struct pm_slot {
    pthread_mutex_t lock;   /* of all below; nothing is taken under it, and nothing of the program's
                               is called */
    pthread_cond_t drained; /* the queue got shorter, or the state changed */
    enum pm_slot_state state;
    uint32_t number;
    unsigned waiting;            /* threads that wait for `drained` */
    struct pm_object_self *self; /* of the thread, unless FREE */
    long thread;                 /* its number, for reports */
    /* The queue: the first few, then chunks, the newest first; only that one has room. */
    unsigned few_count;
    struct pm_object *few[PM_QUEUE_FEW];
    struct pm_queue_chunk *chunks;
    size_t queued_bytes;       /* of the objects in it */
    struct pm_slot *next_free; /* of the registry's list, under its lock */
} __attribute__((aligned(PM_LINE_BYTES)));

/* What a queue had: taken under the lock, merged without. A thread has it until all is merged, also
 * if it ends in the death of one. */
struct pm_queue_taken {
    unsigned few_count;
    struct pm_object *few[PM_QUEUE_FEW];
    struct pm_queue_chunk *chunks;
};

/* What a thread needs beyond what the inline functions read. */
struct pm_object_thread {
    struct pm_slot *slot; /* NULL: not attached */
    unsigned attached;    /* how often */
    bool paused;
    bool draining;
    struct pm_queue_taken taken;
    unsigned depth; /* objects that die by each other, nested */
    /* While it is paused: the frames that it has entered, and what stands for them, as the stack is
     * not looked at then (deferred.c). */
    struct pm_deferred_frame *frames;
    struct pm_deferred_frame copy;
    int cancel_state;         /* what it was, while the thread lets others in */
    struct pm_object **later; /* dead ones whose turn comes in the outermost call */
    size_t later_count, later_room;
};
extern __thread struct pm_object_thread pm_object_thread PM_HIDDEN;

static inline bool pm_queue_is_empty(const struct pm_slot *slot)
{
    return slot->few_count == 0 && slot->chunks == NULL;
}

/* The slot of that number; NULL: there was never one. */
struct pm_slot *pm_slot_of(uint32_t number);

/* The calling thread's slot lets others in, while it waits for something; and no more. Its queue
 * may have something in it, unlike when it pauses. */
void pm_slot_let_others(struct pm_slot *slot);
void pm_slot_let_nobody(struct pm_slot *slot);

/* Asks every thread that runs, but the stopper's, to come to a safepoint. The number of one of
 * them; 0: none runs. */
long pm_slots_ask_to_stop(const struct pm_slot *stopper);

/* Threads that are attached: a figure. */
extern _Atomic uint32_t pm_slots_attached PM_HIDDEN;
/* References that wait for owners are merged, but those with which an object would die. By who has
 * stopped the world. */
void pm_slots_merge_queues(void);
void pm_queue_merge_stopped(struct pm_slot *slot);

/* Of a slot and its queue, under its lock; of all, with the list of free ones. The first violation
 * is told. */
bool pm_slot_check(const struct pm_slot *slot);
bool pm_slots_check(void);
/* What each attached thread has for others to read. By who has stopped the world; `visit` takes no
 * lock. */
void pm_slots_each_self(void (*visit)(const struct pm_object_self *self, void *arg), void *arg);

/* The most bytes of objects that wait for one owner. A single object may be larger. */
extern size_t pm_queue_bytes_max PM_HIDDEN;
/* How long a thread waits for an owner before that is reported. */
extern unsigned pm_queue_patience_ms PM_HIDDEN;

/* Gives the caller's reference to the owner's queue, or drops it on the owner's behalf. */
void pm_queue_for_owner(struct pm_object *object);
/* By the owner: what is in its queue is merged. */
void pm_queue_drain(struct pm_slot *slot);

/* ---- reports (report.c): a line on stderr and the end, but for the last ---- */

_Noreturn void pm_object_fatal_type(const struct pm_type *type, const char *what);
/* The thread is not attached, or paused. */
_Noreturn void pm_object_fatal_thread(const char *function, const struct pm_object *object);
_Noreturn void pm_object_fatal_unattached(const struct pm_type *type);
/* More references were dropped than there were. */
_Noreturn void pm_object_fatal_below_zero(const char *function, const struct pm_object *object);
/* A reference is made to what is dead. */
_Noreturn void pm_object_fatal_dead(const char *function, const struct pm_object *object);
/* There are more references than can be counted. */
_Noreturn void pm_object_fatal_too_many(const char *function, const struct pm_object *object);
/* A traverse of the type visits something: `what` it should not be. */
_Noreturn void pm_object_fatal_visit(const struct pm_type *type, const struct pm_object *object,
                                     const char *what);
/* The traverse of the type that was traversed last: `what` it does, and must not. */
_Noreturn void pm_object_fatal_in_traverse(const char *what);
/* The object is not of the type that the function is for. */
_Noreturn void pm_object_fatal_wrong_type(const char *function, const struct pm_object *object,
                                          const struct pm_type *wanted);
/* The thread is attached, paused or neither, and should be something else. */
_Noreturn void pm_object_fatal_state(const char *function, const char *what);
/* An assertion of the check build failed. */
_Noreturn void pm_object_fatal_check(const char *file, int line, const char *what);
/* The program goes on. */
void pm_object_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line that was asked for. */
void pm_object_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The type whose traverse was called last. By who has stopped the world. */
extern const struct pm_type *pm_object_traversed PM_HIDDEN;

/* How many warnings there were; for tests. */
extern _Atomic uint64_t pm_object_warnings PM_HIDDEN;

/* pm_type_ready was called for what lies there. */
bool pm_type_is_ready(const struct pm_type *type);

/* The name of the object's type, or words instead: the object may be freed memory. */
const char *pm_object_name(const struct pm_object *object);

#if PM_CHECK
#define pm_object_assert(cond) ((cond) ? (void)0 : pm_object_fatal_check(__FILE__, __LINE__, #cond))
#else
#define pm_object_assert(cond) ((void)0)
#endif

#define PM_MINE_NOBODY 1u /* `mine` of a thread that is not attached, or is paused */

/* The thread may use objects. Anything else is the end. */
static inline void pm_object_require_thread(const char *function, const struct pm_object *object)
{
    if (__builtin_expect(pm_object_self.mine == PM_MINE_NOBODY, 0))
        pm_object_fatal_thread(function, object);
}

#endif
