/* SPDX-License-Identifier: MIT */
/*
 * References that wait for an owner. A thread that drops a reference which only the owner has
 * counted gives it to the queue of the owner's slot; the owner merges the object at its next
 * safepoint. Where the owner does not run, it is merged at once, under the lock of the slot.
 *
 *   owner      who drops the reference
 *   RUNNING    puts it into the queue and says so in the owner's `due`; waits while the queue has
 *              pm_queue_bytes_max
 *   PAUSED,    merges, under the lock, without which the owner does not come back; what dies by it
 *   FREE       dies after the lock
 *   none       drops it from the shared count. It is merged, or its owner is about to: then what is
 *              missing is in the local count
 *
 * Who waits lets others in meanwhile, as if it were paused: so two that wait for each other merge
 * for each other, and what is waited for is a thread that runs.
 */
#include "object/lock.h"
#include "object/qsbr_internal.h"
#include "object/world.h"

#include "poolmalloc/domains.h"

#include <string.h>
#include <time.h>

size_t pm_queue_bytes_max = 1 << 20;
unsigned pm_queue_patience_ms = 1000;

/* ---- invariants ---- */

static size_t bytes_of(struct pm_object *const *objects, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += pm_object_bytes(objects[i]);
    return bytes;
}

bool pm_slot_check(const struct pm_slot *slot)
{
    bool right = slot->few_count <= PM_QUEUE_FEW;
    size_t bytes = right ? bytes_of(slot->few, slot->few_count) : 0;
    for (const struct pm_queue_chunk *chunk = slot->chunks; right && chunk != NULL;
         chunk = chunk->next) {
        right = chunk->count <= PM_QUEUE_CHUNK;
        bytes += right ? bytes_of(chunk->objects, chunk->count) : 0;
    }
    if (!right)
        pm_object_warn("slot check: the queue of slot %u has more than it has room for",
                       slot->number);
    else if (bytes != slot->queued_bytes)
        pm_object_warn("slot check: %zu bytes wait in slot %u, of which %zu are known", bytes,
                       slot->number, slot->queued_bytes);
    else if ((slot->self == NULL) != (slot->state == PM_SLOT_FREE))
        pm_object_warn("slot check: slot %u is in state %d, %s a thread", slot->number,
                       (int)slot->state, slot->self == NULL ? "without" : "with");
    else
        return true;
    return false;
}

/* ---- putting in ---- */

static bool is_over(const struct pm_slot *slot, size_t bytes)
{
    return !pm_queue_is_empty(slot) && slot->queued_bytes + bytes > pm_queue_bytes_max;
}

/* Takes *chunk if it needs one. False: it needs one, and got none. */
static bool put(struct pm_slot *slot, struct pm_object *object, struct pm_queue_chunk **chunk)
{
    if (slot->chunks == NULL && slot->few_count < PM_QUEUE_FEW) {
        slot->few[slot->few_count++] = object;
        return true;
    }
    if (slot->chunks == NULL || slot->chunks->count == PM_QUEUE_CHUNK) {
        if (*chunk == NULL)
            return false;
        (*chunk)->next = slot->chunks;
        (*chunk)->count = 0;
        slot->chunks = *chunk;
        *chunk = NULL;
    }
    slot->chunks->objects[slot->chunks->count++] = object;
    return true;
}

static void add_ms(struct timespec *time, unsigned ms)
{
    time->tv_sec += ms / 1000;
    time->tv_nsec += (long)(ms % 1000) * 1000000;
    if (time->tv_nsec >= 1000000000) {
        time->tv_sec++;
        time->tv_nsec -= 1000000000;
    }
}

/* Until the owner has drained, or does not run. Under its lock, which the wait lets go. */
static void wait_for_owner(struct pm_slot *slot, size_t bytes, const char *name)
{
    struct timespec until;
    bool told = false;
    clock_gettime(CLOCK_MONOTONIC, &until);
    add_ms(&until, pm_queue_patience_ms);
    slot->waiting++;
    while (slot->state == PM_SLOT_RUNNING && is_over(slot, bytes)) {
        if (pthread_cond_timedwait(&slot->drained, &slot->lock, &until) == 0 || told)
            continue;
        told = true;
        until.tv_sec += 3600 * 24 * 365; /* one line is enough */
        pm_object_warn("pm_decref: type %s: thread %ld has reached no safepoint for %u ms, and %zu "
                       "bytes of objects wait for it",
                       name, slot->thread, pm_queue_patience_ms, slot->queued_bytes);
    }
    slot->waiting--;
}

static void let_others_and_wait(struct pm_slot *owner, size_t bytes, const char *name)
{
    struct pm_slot *own = pm_object_thread.slot;
    pm_slot_let_others(own);
    pthread_mutex_lock(&owner->lock);
    wait_for_owner(owner, bytes, name);
    pthread_mutex_unlock(&owner->lock);
    pm_slot_let_nobody(own);
}

enum put { PUT, MERGED, DEAD, NO_ROOM, OVER };

/* Under the slot's lock. */
static enum put try_put(struct pm_slot *slot, struct pm_object *object, size_t bytes,
                        struct pm_queue_chunk **chunk)
{
    if (slot->state != PM_SLOT_RUNNING)
        return pm_object_merge(object, 1) ? DEAD : MERGED;
    /* Relaxed: the owner looks under the lock. */
    pm_store_relaxed((_Atomic uint32_t *)&slot->self->due, 1);
    if (is_over(slot, bytes))
        return OVER;
    if (!put(slot, object, chunk))
        return NO_ROOM;
    slot->queued_bytes += bytes;
    return PUT;
}

/* The reference goes to the slot, or is dropped; or more memory or more patience is needed. */
static enum put put_or_drop(struct pm_object *object, size_t bytes, struct pm_queue_chunk **chunk,
                            struct pm_slot **slot)
{
    /* Relaxed: 0 is right for good; a slot is asked under its lock. The acquire of the swap that
     * queued the object is what shows an owner that merged before. */
    uint32_t number = pm_load_relaxed(pm_owned_of(object)) >> 16;
    if (number == 0)
        return pm_object_drop_queued(object) ? DEAD : MERGED;
    *slot = pm_slot_of(number);
    if (*slot == NULL)
        pm_object_fatal_below_zero("pm_decref", object);
    pthread_mutex_lock(&(*slot)->lock);
    enum put done = try_put(*slot, object, bytes, chunk);
    pthread_mutex_unlock(&(*slot)->lock);
    return done;
}

void pm_queue_for_owner(struct pm_object *object)
{
    struct pm_queue_chunk *chunk = NULL;
    struct pm_slot *slot = NULL;
    size_t bytes = pm_object_bytes(object);
    enum put done = put_or_drop(object, bytes, &chunk, &slot);
    while (done == NO_ROOM || done == OVER) {
        if (done == NO_ROOM)
            chunk = pm_raw_malloc(sizeof *chunk);
        if (done == OVER || chunk == NULL) /* without memory: until the queue is empty */
            let_others_and_wait(slot, done == OVER ? bytes : pm_queue_bytes_max,
                                pm_object_name(object));
        done = put_or_drop(object, bytes, &chunk, &slot);
    }
    pm_raw_free(chunk);
    if (done == DEAD)
        pm_object_die(object);
}

/* ---- taking out ---- */

static void take_all(struct pm_slot *slot, struct pm_queue_taken *taken)
{
    pthread_mutex_lock(&slot->lock);
    pm_object_assert(pm_slot_check(slot));
    taken->few_count = slot->few_count;
    memcpy(taken->few, slot->few, sizeof taken->few);
    taken->chunks = slot->chunks;
    slot->few_count = 0;
    slot->chunks = NULL;
    slot->queued_bytes = 0;
    if (slot->waiting > 0)
        pthread_cond_broadcast(&slot->drained);
    pthread_mutex_unlock(&slot->lock);
}

/* NULL: there is none left. */
static struct pm_object *next_of(struct pm_queue_taken *taken)
{
    struct pm_queue_chunk *chunk;
    if (taken->few_count > 0)
        return taken->few[--taken->few_count];
    while ((chunk = taken->chunks) != NULL) {
        if (chunk->count > 0)
            return chunk->objects[--chunk->count];
        taken->chunks = chunk->next;
        pm_raw_free(chunk);
    }
    return NULL;
}

static void merge_all(struct pm_queue_taken *taken)
{
    struct pm_object *object;
    while ((object = next_of(taken)) != NULL)
        if (pm_object_merge(object, 1))
            pm_object_die(object);
}

/* Called in the death of one that a drain has merged, it goes on with the others first. */
void pm_queue_drain(struct pm_slot *slot)
{
    struct pm_queue_taken *taken = &pm_object_thread.taken;
    merge_all(taken);
    take_all(slot, taken);
    merge_all(taken);
}

/* False: it would die of it. */
static bool merge_living(struct pm_object *object)
{
    uint32_t local = (uint16_t)pm_load_relaxed(pm_owned_of(object));
    if (pm_count_of(pm_load_relaxed(pm_shared_of(object))) + (int32_t)local <= 1)
        return false;
    pm_object_merge(object, 1);
    return true;
}

/* How many are left, which are the first ones then. */
static size_t merge_those_living(struct pm_slot *slot, struct pm_object **objects, size_t count)
{
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        if (merge_living(objects[i]))
            slot->queued_bytes -= pm_object_bytes(objects[i]);
        else
            objects[left++] = objects[i];
    return left;
}

void pm_queue_merge_stopped(struct pm_slot *slot)
{
    pthread_mutex_lock(&slot->lock);
    slot->few_count = (unsigned)merge_those_living(slot, slot->few, slot->few_count);
    for (struct pm_queue_chunk *chunk = slot->chunks; chunk != NULL; chunk = chunk->next)
        chunk->count = merge_those_living(slot, chunk->objects, chunk->count);
    pm_object_assert(pm_slot_check(slot));
    if (slot->waiting > 0)
        pthread_cond_broadcast(&slot->drained);
    pthread_mutex_unlock(&slot->lock);
}

void pm_safepoint_slow(void)
{
    struct pm_object_thread *thread = &pm_object_thread;
    pm_object_assert_no_lock();
    if (thread->draining) { /* what is due stays so, for who drains */
        pm_world_stop_here();
        return;
    }
    /* Set again by whoever puts something in after the look, which is under the lock. Acquire: that
     * the world stops; pairs with pm_slots_ask_to_stop. */
    pm_exchange_acquire((_Atomic uint32_t *)&pm_object_self.due, 0);
    if (thread->slot == NULL || thread->paused)
        return;
    pm_world_stop_here();
    thread->draining = true;
    pm_queue_drain(thread->slot);
    thread->draining = false;
    pm_qsbr_quiescent();
    pm_qsbr_poll();
}
