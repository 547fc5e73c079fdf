/* SPDX-License-Identifier: MIT */
/*
 * Owners. Each attached thread has a slot, whose number is in the header of the objects that it
 * made; internal.h has the table of states. Slots live in chunks that are never given back, in the
 * order of their numbers; free ones wait in a list, the one that was used last first.
 *
 * The registry's lock is taken before a slot's, and never the other way round.
 */
#define _GNU_SOURCE /* gettid */
#include "object/container.h"
#include "object/deferred.h"
#include "object/gc.h"
#include "object/lock.h"
#include "object/qsbr_internal.h"
#include "object/repr.h"
#include "object/value.h"
#include "object/weak.h"
#include "object/world.h"

#include "poolmalloc/domains.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK_SLOTS 64
#define CHUNKS ((PM_OBJECT_THREADS_MAX + 1) / CHUNK_SLOTS)

__thread struct pm_object_self pm_object_self = {.mine = PM_MINE_NOBODY};
__thread struct pm_object_thread pm_object_thread;

_Atomic uint32_t pm_slots_attached;

static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
/* These three: under the registry's lock; the pointers are read without it, too. */
static struct pm_slot *_Atomic chunks[CHUNKS];
static uint32_t made; /* slots that are made, 0 among them, which is nobody's */
static struct pm_slot *first_free;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;

struct pm_slot *pm_slot_of(uint32_t number)
{
    /* Acquire: the slot is made; pairs with make_slot. */
    struct pm_slot *chunk = pm_load_acquire(&chunks[number / CHUNK_SLOTS]);
    return chunk != NULL ? &chunk[number % CHUNK_SLOTS] : NULL;
}

/* ---- making slots ---- */

static void init_drained(struct pm_slot *slot)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&slot->drained, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

/* Under the registry's lock. NULL with errno. */
static struct pm_slot *make_slot(void)
{
    if (made > PM_OBJECT_THREADS_MAX) {
        errno = EAGAIN;
        return NULL;
    }
    if (made == 0)
        made = 1;
    struct pm_slot *chunk = pm_load_relaxed(&chunks[made / CHUNK_SLOTS]);
    if (chunk == NULL) {
        chunk = pm_memalign(PM_LINE_BYTES, CHUNK_SLOTS * sizeof *chunk);
        if (chunk == NULL)
            return NULL;
        memset(chunk, 0, CHUNK_SLOTS * sizeof *chunk);
        for (uint32_t i = 0; i < CHUNK_SLOTS; i++) {
            chunk[i].number = made / CHUNK_SLOTS * CHUNK_SLOTS + i;
            pthread_mutex_init(&chunk[i].lock, NULL);
            init_drained(&chunk[i]);
        }
        /* Release: pairs with pm_slot_of. */
        pm_store_release(&chunks[made / CHUNK_SLOTS], chunk);
    }
    return &chunk[made++ % CHUNK_SLOTS];
}

static struct pm_slot *take_slot(void)
{
    pthread_mutex_lock(&registry);
    struct pm_slot *slot = first_free;
    if (slot != NULL)
        first_free = slot->next_free;
    else
        slot = make_slot();
    pthread_mutex_unlock(&registry);
    return slot;
}

static void give_slot(struct pm_slot *slot)
{
    pthread_mutex_lock(&registry);
    slot->next_free = first_free;
    first_free = slot;
    pthread_mutex_unlock(&registry);
}

/* ---- invariants ---- */

/* Under the registry's lock. */
static bool free_list_check(void)
{
    uint32_t count = 0;
    for (const struct pm_slot *slot = first_free; slot != NULL; slot = slot->next_free, count++) {
        if (count < made && slot->state == PM_SLOT_FREE && pm_slot_of(slot->number) == slot)
            continue;
        pm_object_warn("slots check: slot %u of %u is among the free ones, in state %d",
                       slot->number, made, (int)slot->state);
        return false;
    }
    return true;
}

bool pm_slots_check(void)
{
    pthread_mutex_lock(&registry);
    bool right = free_list_check();
    for (uint32_t number = 1; number < made && right; number++) {
        struct pm_slot *slot = pm_slot_of(number);
        pthread_mutex_lock(&slot->lock);
        right = pm_slot_check(slot);
        pthread_mutex_unlock(&slot->lock);
    }
    pthread_mutex_unlock(&registry);
    return right;
}

/* ---- fork ---- */

/* The child has one thread. Others' slots are free then, in whatever state they were: their counts
 * are words, each written at once. What their queues have waits for the next holders. */
static void each_slot(void (*visit)(struct pm_slot *))
{
    for (uint32_t number = 1; number < made; number++)
        visit(pm_slot_of(number));
}

static void lock_slot(struct pm_slot *slot)
{
    pthread_mutex_lock(&slot->lock);
}

static void unlock_slot(struct pm_slot *slot)
{
    pthread_mutex_unlock(&slot->lock);
}

static void reset_slot(struct pm_slot *slot)
{
    init_drained(slot); /* nobody waits any more */
    slot->waiting = 0;
    if (slot->state != PM_SLOT_FREE && slot != pm_object_thread.slot) {
        slot->state = PM_SLOT_FREE;
        slot->self = NULL;
        slot->next_free = first_free;
        first_free = slot;
    }
    unlock_slot(slot);
}

static void fork_prepare(void)
{
    pthread_mutex_lock(&registry);
    each_slot(lock_slot);
}

static void fork_parent(void)
{
    each_slot(unlock_slot);
    pthread_mutex_unlock(&registry);
}

static void fork_child(void)
{
    each_slot(reset_slot);
    pthread_mutex_unlock(&registry);
    pm_store_relaxed(&pm_slots_attached, pm_object_thread.slot != NULL);
    if (pm_object_thread.slot != NULL)
        pm_object_thread.slot->thread = syscall(SYS_gettid);
}

/* ---- attach and detach ---- */

/* The thread ends, perhaps within a finalizer, or a callback, of an object that dies or is
 * collected: what was begun is over. Perhaps in here: then this is called again. */
static void detach_all(void *arg)
{
    struct pm_object_thread *thread = &pm_object_thread;
    if (thread->slot == NULL)
        return;
    pthread_setspecific(at_exit, arg);
    pm_world_thread_ends();
    pm_deferred_forget_frames(); /* the stack with them is gone, here and below */
    pm_repr_forget();
    pm_nesting_forget();
    if (thread->paused)
        pm_object_thread_resume();
    pm_gc_thread_ends();
    thread->attached = 1;
    thread->draining = false;
    pm_object_die_put_by();
    pm_deferred_drop_rest();
    pm_queue_drain(thread->slot); /* what it had begun with */
    pm_object_thread_detach();
}

static void start(void)
{
    pthread_key_create(&at_exit, detach_all);
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static void set_state(struct pm_slot *slot, enum pm_slot_state state)
{
    slot->state = state;
    if (slot->waiting > 0)
        pthread_cond_broadcast(&slot->drained);
}

/* To RUNNING, once the world is not stopped. Returns with the lock of the slot. */
static void enter_running(struct pm_slot *slot)
{
    pthread_mutex_lock(&slot->lock);
    while (pm_world_stops()) {
        pthread_mutex_unlock(&slot->lock);
        pm_world_await();
        pthread_mutex_lock(&slot->lock);
    }
    set_state(slot, PM_SLOT_RUNNING);
}

void pm_slots_merge_queues(void)
{
    pthread_mutex_lock(&registry);
    for (uint32_t number = 1; number < made; number++)
        pm_queue_merge_stopped(pm_slot_of(number));
    pthread_mutex_unlock(&registry);
}

void pm_slots_each_self(void (*visit)(const struct pm_object_self *self, void *arg), void *arg)
{
    pthread_mutex_lock(&registry);
    for (uint32_t number = 1; number < made; number++) {
        struct pm_slot *slot = pm_slot_of(number);
        if (slot->self != NULL)
            visit(slot->self, arg);
    }
    pthread_mutex_unlock(&registry);
}

long pm_slots_ask_to_stop(const struct pm_slot *stopper)
{
    long thread = 0;
    pthread_mutex_lock(&registry);
    for (uint32_t number = 1; number < made; number++) {
        struct pm_slot *slot = pm_slot_of(number);
        pthread_mutex_lock(&slot->lock);
        if (slot->state == PM_SLOT_RUNNING && slot != stopper) {
            /* Release: that the world stops; pairs with pm_safepoint_slow. */
            pm_store_release((_Atomic uint32_t *)&slot->self->due, 1);
            thread = slot->thread;
        }
        pthread_mutex_unlock(&slot->lock);
    }
    pthread_mutex_unlock(&registry);
    return thread;
}

/* What forks take. The world comes last, so that it is held first: who forks waits for its stopper,
 * and the stopper, or a thread that it waits for, may want any of these locks. */
static void prepare_locks(void)
{
    pm_weak_prepare();
    pm_deferred_prepare();
    pm_intern_prepare();
    pm_object_lock_prepare();
}

bool pm_object_thread_attach(void)
{
    struct pm_object_thread *thread = &pm_object_thread;
    if (thread->slot != NULL) {
        thread->attached++;
        return true;
    }
    pthread_once(&once, start);
    if (!pm_qsbr_attach())
        return false;
    pm_gc_prepare();
    prepare_locks();
    pm_world_init();
    struct pm_slot *slot = take_slot();
    if (slot == NULL) {
        int saved_errno = errno;
        pm_qsbr_detach();
        errno = saved_errno;
        return false;
    }
    thread->slot = slot;
    thread->attached = 1;
    /* Whatever value: so that detach_all is called. Without memory for it the thread has to detach
     * itself. */
    pthread_setspecific(at_exit, slot);
    enter_running(slot);
    slot->self = &pm_object_self;
    slot->thread = syscall(SYS_gettid);
    pm_store_relaxed((_Atomic uint32_t *)&pm_object_self.due, !pm_queue_is_empty(slot));
    pthread_mutex_unlock(&slot->lock);
    pm_object_self.mine = slot->number << 16 | 1;
    pm_schedule_point();
    atomic_fetch_add_explicit(&pm_slots_attached, 1, memory_order_relaxed);
    return true;
}

/* From then on, others merge. False, and nothing happens: there is something in the queue. */
static bool leave_running(struct pm_slot *slot, enum pm_slot_state state)
{
    pthread_mutex_lock(&slot->lock);
    bool empty = pm_queue_is_empty(slot);
    if (empty) {
        if (state == PM_SLOT_FREE)
            slot->self = NULL;
        set_state(slot, state);
    }
    pthread_mutex_unlock(&slot->lock);
    if (!empty)
        return false;
    pm_object_self.mine = PM_MINE_NOBODY;
    pm_world_left();
    return true;
}

/* False: a finalizer that was called meanwhile has attached the thread once more, so it stays. */
static bool leave_for_good(struct pm_object_thread *thread)
{
    while (!leave_running(thread->slot, PM_SLOT_FREE)) {
        pm_queue_drain(thread->slot);
        if (thread->attached > 1)
            return false;
    }
    return true;
}

void pm_object_thread_detach(void)
{
    struct pm_object_thread *thread = &pm_object_thread;
    if (thread->slot == NULL || thread->paused)
        pm_object_fatal_state("pm_object_thread_detach", "the thread is not attached, or paused");
    struct pm_slot *slot = thread->slot;
    if (thread->attached == 1) {
        if (thread->depth > 0 || thread->draining || pm_gc_is_in_collection())
            pm_object_fatal_state("pm_object_thread_detach",
                                  "called while an object dies, or in a collection");
        if (pm_object_self.frames != NULL)
            pm_object_fatal_state("pm_object_thread_detach", "a deferred frame was not left");
    }
    if (thread->attached > 1 || !leave_for_good(thread)) {
        thread->attached--;
        return;
    }
    pm_gc_thread_leaves();
    pm_schedule_point();
    atomic_fetch_sub_explicit(&pm_slots_attached, 1, memory_order_relaxed);
    thread->attached = 0;
    thread->slot = NULL;
    pthread_setspecific(at_exit, NULL);
    give_slot(slot);
    pm_qsbr_detach();
}

void pm_object_thread_pause(void)
{
    struct pm_object_thread *thread = &pm_object_thread;
    if (thread->slot == NULL || thread->paused)
        pm_object_fatal_state("pm_object_thread_pause",
                              "the thread is not attached, or paused already");
    pm_deferred_pause();
    while (!leave_running(thread->slot, PM_SLOT_PAUSED)) {
        pm_deferred_resume(); /* a finalizer may pause, too */
        pm_queue_drain(thread->slot);
        pm_deferred_pause();
    }
    thread->paused = true;
    pm_qsbr_go_offline();
}

void pm_object_thread_resume(void)
{
    struct pm_object_thread *thread = &pm_object_thread;
    if (!thread->paused)
        pm_object_fatal_state("pm_object_thread_resume", "the thread is not paused");
    pm_qsbr_go_online();
    thread->paused = false;
    enter_running(thread->slot);
    pthread_mutex_unlock(&thread->slot->lock);
    pm_object_self.mine = thread->slot->number << 16 | 1;
    pm_deferred_resume();
}

/* What waits between the two is no point of cancellation: the thread would end with locks. */
void pm_slot_let_others(struct pm_slot *slot)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &pm_object_thread.cancel_state);
    pthread_mutex_lock(&slot->lock);
    set_state(slot, PM_SLOT_PAUSED);
    pthread_mutex_unlock(&slot->lock);
    pm_world_left();
}

void pm_slot_let_nobody(struct pm_slot *slot)
{
    enter_running(slot);
    pthread_mutex_unlock(&slot->lock);
    pthread_setcancelstate(pm_object_thread.cancel_state, NULL);
}
