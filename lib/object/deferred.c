/* SPDX-License-Identifier: MIT */
/*
 * Deferred references (poolmalloc/deferred.h, object/deferred.h). The register has a counted
 * reference to each deferred object, so that no count comes to 0 while frames are not counted. To
 * see which objects nobody else has, the threads are stopped, and each reference in a frame is
 * counted for that time: who is left with the one of the register is given up.
 *
 * No thread is stopped between the look at an object's flag and the store into its frame, as there
 * is no safepoint between. Attached threads.
 */
#include "object/deferred.h"
#include "object/gc.h"
#include "object/world.h"

#include "poolmalloc/domains.h"

#include <errno.h>

struct pm_deferred_entry {
    struct pm_deferred_entry *next;
    struct pm_object *object;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under the lock: */
static struct pm_deferred_entry *entries; /* the register */
static struct pm_deferred_stats figures;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fork_prepare(void)
{
    pthread_mutex_lock(&lock);
}

static void fork_done(void)
{
    pthread_mutex_unlock(&lock);
}

static void start(void)
{
    pthread_atfork(fork_prepare, fork_done, fork_done);
}

void pm_deferred_prepare(void)
{
    pthread_once(&once, start);
}

/* ---- the register ---- */

bool pm_deferred_check(void)
{
    size_t count = 0;
    const struct pm_object *wrong = NULL;
    pthread_mutex_lock(&lock);
    for (const struct pm_deferred_entry *entry = entries; entry != NULL && wrong == NULL;
         entry = entry->next, count++)
        if (!pm_deferred_is_set(entry->object))
            wrong = entry->object;
    size_t known = figures.objects;
    pthread_mutex_unlock(&lock);
    if (wrong != NULL)
        pm_object_warn("deferred check: type %s: %p is in the register, and not deferred",
                       pm_object_name(wrong), (const void *)wrong);
    else if (count != known)
        pm_object_warn("deferred check: %zu objects in a register of %zu", count, known);
    return wrong == NULL && count == known;
}

bool pm_object_set_deferred(struct pm_object *object)
{
    pm_object_require_thread("pm_object_set_deferred", object);
    if (pm_load_relaxed(pm_owned_of(object)) == PM_OBJECT_IMMORTAL) {
        errno = EINVAL;
        return false;
    }
    if (pm_deferred_is_set(object))
        return true;
    struct pm_deferred_entry *entry = pm_raw_malloc(sizeof *entry);
    if (entry == NULL)
        return false;
    pthread_mutex_lock(&lock);
    if (!pm_deferred_is_set(object)) { /* nobody was quicker */
        pm_incref(object);
        entry->object = object;
        entry->next = entries;
        entries = entry;
        entry = NULL;
        figures.objects++;
        pm_object_set_flag(object, PM_OBJECT_DEFERRED);
        pm_gc_take_in(object); /* collections have to look whether somebody has it */
    }
    pthread_mutex_unlock(&lock);
    pm_raw_free(entry);
    return true;
}

static void clear_flag(struct pm_object *object)
{
    /* Relaxed: the world is stopped. */
    atomic_fetch_and_explicit((_Atomic uint8_t *)&object->flags, (uint8_t)~PM_OBJECT_DEFERRED,
                              memory_order_relaxed);
}

struct pm_deferred_entry *pm_deferred_take(bool (*is_garbage)(struct pm_object *object, void *arg),
                                           void *arg)
{
    struct pm_deferred_entry *taken = NULL;
    pthread_mutex_lock(&lock);
    for (struct pm_deferred_entry **link = &entries; *link != NULL;) {
        struct pm_deferred_entry *entry = *link;
        if (!is_garbage(entry->object, arg)) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        entry->next = taken;
        taken = entry;
        figures.objects--;
        figures.reclaimed++;
        clear_flag(entry->object);
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

void pm_deferred_drop(struct pm_deferred_entry **list)
{
    while (*list != NULL) {
        struct pm_deferred_entry *entry = *list;
        struct pm_object *object = entry->object;
        *list = entry->next;
        pm_raw_free(entry);
        pm_decref(object);
    }
}

/* ---- frames ---- */

void pm_deferred_leave_slow(struct pm_deferred_frame *frame)
{
    (void)frame;
    pm_object_fatal_state("pm_deferred_leave", "the frame is not the one that was entered last");
}

/* How many references of the frames are not counted; with `to`, they are written there. */
static size_t copy_uncounted(const struct pm_deferred_frame *frame, uintptr_t *to)
{
    size_t count = 0;
    for (; frame != NULL; frame = frame->outer)
        for (size_t i = 0; i < frame->count; i++)
            if ((frame->references[i] & 1) != 0) {
                if (to != NULL)
                    to[count] = frame->references[i];
                count++;
            }
    return count;
}

/* They are from now on. */
static void count_all(struct pm_deferred_frame *frame)
{
    for (; frame != NULL; frame = frame->outer)
        for (size_t i = 0; i < frame->count; i++)
            if ((frame->references[i] & 1) != 0) {
                pm_incref(pm_deferred_get(frame, i));
                frame->references[i] &= ~(uintptr_t)1;
            }
}

void pm_deferred_pause(void)
{
    struct pm_object_thread *thread = &pm_object_thread;
    if (pm_object_self.frames == NULL)
        return;
    thread->frames = pm_object_self.frames;
    thread->copy = (struct pm_deferred_frame){0};
    size_t count = copy_uncounted(thread->frames, NULL);
    uintptr_t *references = count > 0 ? pm_raw_malloc(count * sizeof *references) : NULL;
    if (references != NULL) {
        thread->copy = (struct pm_deferred_frame){NULL, references, count};
        copy_uncounted(thread->frames, references);
    } else {
        count_all(thread->frames); /* without memory for a copy, or nothing is to be counted */
    }
    pm_object_self.frames = &thread->copy;
}

void pm_deferred_resume(void)
{
    struct pm_object_thread *thread = &pm_object_thread;
    if (pm_object_self.frames != &thread->copy)
        return;
    pm_object_self.frames = thread->frames; /* NULL: forgotten meanwhile */
    pm_raw_free(thread->copy.references);
}

void pm_deferred_forget_frames(void)
{
    pm_object_thread.frames = NULL;
    if (!pm_object_thread.paused)
        pm_object_self.frames = NULL;
}

struct visitor {
    void (*visit)(struct pm_object *object, void *arg);
    void *arg;
};

static void visit_frames(const struct pm_object_self *self, void *arg)
{
    const struct visitor *visitor = arg;
    for (const struct pm_deferred_frame *frame = self->frames; frame != NULL; frame = frame->outer)
        for (size_t i = 0; i < frame->count; i++)
            if ((frame->references[i] & 1) != 0)
                visitor->visit(pm_deferred_get(frame, i), visitor->arg);
}

void pm_deferred_each(void (*visit)(struct pm_object *object, void *arg), void *arg)
{
    struct visitor visitor = {visit, arg};
    pm_slots_each_self(visit_frames, &visitor);
}

/* ---- a sweep ---- */

/* Relaxed: the world is stopped, here and below. No state is left or entered by it: the register's
 * reference is there all the time. */
static void count(struct pm_object *object, void *arg)
{
    (void)arg;
    atomic_fetch_add_explicit(pm_shared_of(object), PM_SHARED_ONE, memory_order_relaxed);
}

static void uncount(struct pm_object *object, void *arg)
{
    (void)arg;
    atomic_fetch_sub_explicit(pm_shared_of(object), PM_SHARED_ONE, memory_order_relaxed);
}

static bool is_the_registers_alone(struct pm_object *object, void *arg)
{
    (void)arg;
    return pm_refcount(object) == 1;
}

/* What the thread has taken out of the register, and is to drop: not on its stack, as a finalizer
 * may end the thread. */
static __thread struct pm_deferred_entry *dropping;

/* They come last. How many. */
static size_t append(struct pm_deferred_entry *taken)
{
    size_t count = 0;
    struct pm_deferred_entry **link = &dropping;
    while (*link != NULL)
        link = &(*link)->next;
    *link = taken;
    for (; taken != NULL; taken = taken->next)
        count++;
    return count;
}

void pm_deferred_drop_rest(void)
{
    pm_deferred_drop(&dropping);
}

size_t pm_deferred_reclaim(void)
{
    if (pm_object_self.mine == PM_MINE_NOBODY)
        pm_object_fatal_state("pm_deferred_reclaim", "the thread is not attached, or paused");
    pm_world_stop("pm_deferred_reclaim", true);
    pm_deferred_each(count, NULL);
    struct pm_deferred_entry *taken = pm_deferred_take(is_the_registers_alone, NULL);
    pm_deferred_each(uncount, NULL);
    pm_world_start();
    pthread_mutex_lock(&lock);
    figures.reclaims++;
    pthread_mutex_unlock(&lock);
    size_t reclaimed = append(taken); /* a sweep within this one may drop some of them */
    pm_deferred_drop(&dropping);
    return reclaimed;
}

void pm_deferred_get_stats(struct pm_deferred_stats *stats)
{
    pthread_mutex_lock(&lock);
    *stats = figures;
    pthread_mutex_unlock(&lock);
}
